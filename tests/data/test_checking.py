from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tdir.cli import main
from tdir.data.checking import COUNTS, Verdict, check, duplicates, look
from tdir.data.degradations import Haze
from tdir.data.images import read_image, write_image
from tdir.data.made import RECIPES, make
from tdir.data.voc import VOC
from tdir.errors import DataError
from tdir.training.config import TrainConfig

XML = (
    "<annotation><object><name>{}</name><bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>{}</xmax><ymax>8</ymax></bndbox>"
    "</object></annotation>"
)


def picture(seed: int) -> np.ndarray:
    """Smooth, as photos are: hashes of noise mean nothing."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (70, 50), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets/Main").mkdir(parents=True)
    for seed, name in enumerate("abcdef"):
        write_image(root / f"JPEGImages/{name}.png", picture(seed))
        (root / f"Annotations/{name}.xml").write_text(XML.format("car", 2, 60))
    (root / "ImageSets/Main/train.txt").write_text("a\nb\nc\nd\n")
    (root / "ImageSets/Main/test.txt").write_text("e\nf\n")
    (root / "ImageSets/Main/car_test.txt").write_text("e  1\nf -1\n")
    return root


def says(verdict: Verdict, words: str) -> bool:
    return any(words in line for line in verdict.faults)


def test_a_sound_set_is_ready(root, capsys):
    verdict = check(str(root))
    assert verdict.facts == [
        "photos: layout voc, splits test, train",
        "test: 2 images; boxes: car 2",
        "train: 4 images; boxes: car 4",
    ]
    assert verdict.remarks == verdict.faults == []
    assert main(["check", str(root)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "ready"


def test_of_maps_every_pixel_counts_and_of_classes_every_image(tmp_path):
    """A small thing between the middles of a map's cells is there too."""
    for split in ("train", "val"):
        for folder in (split, f"{split}annot"):
            (tmp_path / "camvid" / folder).mkdir(parents=True)
        labels = np.zeros((32, 48), dtype=np.uint8)
        labels[1, 2] = 9
        assert cv2.imwrite(str(tmp_path / f"camvid/{split}annot/0.png"), labels)
        assert cv2.imwrite(str(tmp_path / f"camvid/{split}/0.png"), np.full((32, 48, 3), len(split) * 40, np.uint8))
    verdict = check(str(tmp_path / "camvid"))
    assert verdict.facts[1:] == [f"{split}: 1 images; images that show: sky 1, person 1" for split in ("train", "val")]
    assert verdict.remarks == []
    for split, name in (("train", "cat"), ("train", "dog"), ("test", "dog")):
        write_image(tmp_path / f"pets/{split}/{name}/0.png", picture(len(split + name)))
    assert "train: 2 images; images that show: cat 1, dog 1" in check(str(tmp_path / "pets")).facts


def cut(root: Path) -> None:
    file = root / "JPEGImages/b.png"
    file.write_bytes(file.read_bytes()[:-20])


def copy(root: Path) -> None:
    """The same photo again, smaller and as a JPEG of low quality."""
    small = cv2.resize(read_image(root / "JPEGImages/a.png"), (35, 25), interpolation=cv2.INTER_AREA)
    (root / "JPEGImages/e.png").unlink()
    cv2.imwrite(str(root / "JPEGImages/e.jpg"), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])


def annotate(name: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / f"Annotations/{name}.xml").write_text(text)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "train: 1 images cannot be read: "),
        (copy, "1 images of test look like one of train, and a score on the one says little after a training on the "),
        (annotate("c", XML.format("car", 2, 90)), "train: 1 images have a box that ends outside: c"),
        (annotate("c", XML.format("car", 2, 70)), None),
        (annotate("f", "<annotation><object>"), "not a readable VOC annotation"),
        (lambda root: (root / "JPEGImages/c.png").unlink(), "1 of 4 listed images are missing, the first: c"),
        (lambda root: [annotate(n, "<annotation/>")(root) for n in "ef"], "test: no box in it"),
    ],
)
def test_what_has_to_be_mended_is_named(root, damage, said, capsys):
    damage(root)
    verdict = check(str(root))
    assert (said is None and not verdict.faults) or says(verdict, said)
    assert main(["check", str(root)]) == (0 if said is None else 1)
    assert (capsys.readouterr().out.splitlines()[-1] == "ready") is (said is None)


def test_a_box_of_no_size_is_named(tmp_path):
    write_image(tmp_path / "images/val/a.png", picture(0))
    (tmp_path / "labels/val").mkdir(parents=True)
    (tmp_path / "labels/val/a.txt").write_text("2 0.5 0.5 0.0 0.2\n")
    assert says(check(str(tmp_path)), "val: 1 images have a box of no width or height: a.png")


def test_what_one_should_know_is_named(root):
    annotate("e", XML.format("tram", 2, 60))(root)
    verdict = check(str(root), known_as="rtts")
    assert "test: COCO knows no tram, and a head trained on it cannot find any" in verdict.remarks
    assert "test: 2 images, published with 4322" in verdict.remarks
    assert "test: 0 motorbike, published with 862" in verdict.remarks
    assert verdict.faults == []


def test_the_name_of_the_folder_tells_what_it_should_hold(root):
    verdict = check(str(root.rename(root.with_name("RTTS"))))
    assert "test: 1 car, published with 18415" not in verdict.remarks
    assert "test: 2 car, published with 18415" in verdict.remarks
    assert set(COUNTS) >= {"rtts", "exdark", "voc2007", "voc2012"}


def test_a_made_set_is_compared_with_its_manifest(root, tmp_path):
    out = tmp_path / "VOCh"
    made = make(RECIPES["voch"], root, out)
    assert f"all {len(made['files'])} files are those of the manifest, sha256 {made['sha256']}" in check(str(out)).facts
    write_image(out / "JPEGImages/a_0.png", Haze()(picture(0), np.random.default_rng(77)))
    assert says(check(str(out)), "1 files are not those of the manifest: JPEGImages/a_0.png")


def test_a_folder_without_labels_is_refused(tmp_path, root):
    with pytest.raises(DataError, match="no layout with labels in it"):
        check(str(root / "JPEGImages"))
    with pytest.raises(DataError, match="no data set"):
        check(str(tmp_path / "missing"))


@pytest.mark.real
def test_the_real_sets_are_what_they_should_be(real_data):
    assert check("rtts_mini").faults == []
    assert check("exdark_mini").faults == []


@pytest.mark.real
def test_what_the_adaptation_to_real_fog_leaves_out_is_all_that_both_splits_show(real_data):
    """DAWN holds photos twice, and its two halves here share eight of them."""
    config = TrainConfig.from_file(Path(__file__).parents[2] / "configs" / "aodnet_yolov8n_dawn_fog.py")
    test, train = look("test", VOC("dawn_fog", "test")), look("train", VOC("dawn_fog", "train"))
    assert {name for _, name in duplicates(test, train)} == set(config.degraded["leave_out"])
