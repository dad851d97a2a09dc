from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tdir.data import manifest
from tdir.data.degradations import Degraded, Haze, LowLight, haze_transmission
from tdir.data.depth_maps import DepthMaps
from tdir.data.images import read_image
from tdir.data.made import RECIPES, explained, make, sources
from tdir.data.voc import VOC
from tdir.errors import ConfigError, DataError

XML = "<annotation>{}</annotation>"
OBJECT = "<object><name>{}</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object>"
CONTENT = {"a": ("car",), "b": ("sheep",), "c": ("person", "sheep"), "d": ("dog",), "e": ("motorbike",)}


@pytest.fixture
def root(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    """Five photos, the last two of them the test split."""
    root = tmp_path / "photos"
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for seed, (name, classes) in enumerate(CONTENT.items()):
        photo(root / f"JPEGImages/{name}.png", 20, 30, seed=seed)
        (root / f"Annotations/{name}.xml").write_text(XML.format("".join(map(OBJECT.format, classes))))
    (root / "ImageSets/Main/train.txt").write_text("a\nb\nc\n")
    (root / "ImageSets/Main/test.txt").write_text("d\ne\n")
    return root


def test_photos_are_chosen_by_their_classes_and_each_is_drawn_twice(root, tmp_path):
    made = make(RECIPES["voch"], root, tmp_path / "VOCh", workers=2)
    assert made["images"] == {"train": 4, "test": 2}
    train = VOC(tmp_path / "VOCh", "train")
    assert train.names == ["a_0", "a_1", "c_0", "c_1"]
    assert VOC(tmp_path / "VOCh", "test").names == ["e_0", "e_1"]
    # The annotations are those of the photos, with every object.
    assert (tmp_path / "VOCh/Annotations/c_1.xml").read_bytes() == (root / "Annotations/c.xml").read_bytes()


def test_every_image_is_ia_yolo_s_haze_at_the_level_that_the_manifest_names(root, tmp_path):
    made = make(RECIPES["voch"], root, tmp_path / "VOCh", seed=3)
    images = [one for one in made["files"] if "drawn" in one]
    assert len(images) == 6 and len({one["drawn"]["level"] for one in images}) > 1
    for one in images:
        clear = read_image(root / f"JPEGImages/{one['photo']}.png").astype(np.float32)
        t = haze_transmission(20, 30, 0.05 + 0.01 * one["drawn"]["level"])[..., None]
        expected = np.clip((clear - 127.5) * t + 127.5, 0, 255).astype(np.uint8)
        assert (read_image(tmp_path / "VOCh" / one["path"]) == expected).all()


def test_one_draw_is_what_a_training_sees_that_degrades_by_itself(root, tmp_path):
    make(RECIPES["vocd"], root, tmp_path / "VOCd", seed=5)
    made, live = VOC(tmp_path / "VOCd", "test"), Degraded(VOC(root, "test"), LowLight(), 5)
    assert made.names == live.names == ["d", "e"]
    assert all((made.image(i) == live.image(i)).all() for i in range(2))


def test_two_people_make_the_same_set_whatever_their_cores_and_another_seed_another(root, tmp_path):
    first = make(RECIPES["voch"], root, tmp_path / "first", workers=1)
    shutil.copytree(root, tmp_path / "elsewhere" / "photos")
    second = make(RECIPES["voch"], tmp_path / "elsewhere" / "photos", tmp_path / "second", workers=3)
    assert first["sha256"] == second["sha256"]
    assert manifest.read(tmp_path / "first") == manifest.read(tmp_path / "second")
    assert make(RECIPES["voch"], root, tmp_path / "third", seed=1)["sha256"] != first["sha256"]


def test_what_is_there_is_not_made_again(root, tmp_path):
    out = tmp_path / "VOCh"
    whole = make(RECIPES["voch"], root, out)
    kept, lost = out / "JPEGImages/a_0.png", out / "JPEGImages/c_1.png"
    times = kept.stat().st_mtime_ns
    lost.unlink()
    (out / "JPEGImages/.c_1.png.partial.png").write_bytes(b"half")
    (out / manifest.FILE).unlink()
    again = make(RECIPES["voch"], root, out)
    assert again == whole
    assert kept.stat().st_mtime_ns == times
    assert lost.is_file()


@pytest.mark.parametrize("changes", [{"seed": 1}, {"suffix": ".jpg"}])
def test_a_folder_with_another_set_is_refused(root, tmp_path, changes):
    make(RECIPES["voch"], root, tmp_path / "VOCh")
    with pytest.raises(ConfigError, match="was made with other settings"):
        make(RECIPES["voch"], root, tmp_path / "VOCh", **changes)
    with pytest.raises(ConfigError, match="holds other files"):
        make(RECIPES["voch"], root, root)


def test_a_changed_file_is_found(root, tmp_path):
    made = make(RECIPES["voch"], root, tmp_path / "VOCh")
    assert manifest.differing(tmp_path / "VOCh", made) == []
    (tmp_path / "VOCh/JPEGImages/a_0.png").write_bytes(b"")
    (tmp_path / "VOCh/Annotations/c_0.xml").unlink()
    assert manifest.differing(tmp_path / "VOCh", made) == ["JPEGImages/a_0.png", "Annotations/c_0.xml"]


def test_haze_can_follow_the_true_depth(root, tmp_path):
    depths = tmp_path / "depths"
    depths.mkdir()
    np.save(depths / "a.npy", np.full((10, 15), 30.0))
    recipe = replace(RECIPES["voch"], degradation={"type": "depth_haze", "light": [0.8, 0.8], "tint": 0.0}, draws=1)
    make(recipe, root, tmp_path / "hazy", depth=DepthMaps(depths))
    data_set = VOC(tmp_path / "hazy", "train")
    assert data_set.names == ["a"]
    drawn = manifest.read(tmp_path / "hazy")["files"][1]["drawn"]
    t = np.exp(-drawn["beta"] * 30)
    expected = np.rint((VOC(root, "train").image(0) - 204.0) * t + 204)
    assert abs(data_set.image(0) - expected).max() <= 1


def test_a_devkit_gives_both_years_and_its_own_test_split(root, tmp_path):
    kit = tmp_path / "VOCdevkit"
    shutil.copytree(root, kit / "VOC2007")
    with pytest.raises(DataError, match="VOC2012 is missing"):
        sources(kit)
    shutil.copytree(root, kit / "VOC2012")
    years = kit / "VOC2007", kit / "VOC2012"
    assert sources(kit) == {"train": [(year, "trainval") for year in years], "test": [(years[0], "test")]}
    with pytest.raises(DataError, match="neither a VOCdevkit"):
        sources(tmp_path)


def test_counts_are_compared_with_the_published_ones(root, tmp_path):
    made = make(RECIPES["voch"], root, tmp_path / "VOCh")
    first, second = explained(RECIPES["voch"], made)
    assert first.startswith("VOCh-train: 4 images of 2 photos; published are 16222 of 8111. ")
    assert "photos is another set, or an archive" in second
    assert explained(replace(RECIPES["voch"], published={"train": 2, "test": 1}), made) == [
        "VOCh-train: 4 images of 2 photos, as published",
        "VOCh-test: 2 images of 1 photos, as published",
    ]


def test_an_unreadable_photo_is_named(root, tmp_path):
    (root / "JPEGImages/a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 6 images cannot be read, more than 1 %: .*a\.png"):
        make(RECIPES["voch"], root, tmp_path / "VOCh")


def test_no_photo_of_the_classes_is_named(root, tmp_path):
    with pytest.raises(DataError, match="no photo with one of the classes boat"):
        make(replace(RECIPES["voch"], classes=("boat",)), root, tmp_path / "VOCh")


def test_the_default_haze_is_the_published_one():
    assert Haze().settings() == {"type": "haze", "light": 0.5, "low": 0, "high": 9, "scale": 1.0}
    assert RECIPES["voch"].degradation == {"type": "haze"}


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"files": [{}], "sha256": ""}', "[" * 100_000])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / manifest.FILE).write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json: not a readable manifest"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.with_suffix(".npy").write_bytes(b"x"), "not a readable array"),
        (lambda path: np.save(path.with_suffix(".npy"), np.ones(3)), r"a depth map is \(height, width\), got \(3,\)"),
        (lambda path: np.save(path.with_suffix(".npy"), np.full((2, 2), np.nan)), "finite and not negative"),
        (lambda path: np.save(path.with_suffix(".npy"), np.array([{}]), allow_pickle=True), "not a readable array"),
        (lambda path: path.with_suffix(".png").write_bytes(b"x"), "not a PNG of 16 bits"),
    ],
)
def test_what_is_no_depth_map_is_named(tmp_path, write, message):
    write(tmp_path / "a")
    with pytest.raises(DataError, match=message):
        DepthMaps(tmp_path).read("a", (4, 4))


def test_a_folder_without_depth_maps_is_named(tmp_path):
    with pytest.raises(DataError, match="no depth map in it"):
        DepthMaps(tmp_path)


def test_png_depth_has_256_steps_a_metre(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4), 2560, dtype=np.uint16))
    assert DepthMaps(tmp_path).read("a", (3, 4)) == pytest.approx(10)


def test_the_manifest_is_json_with_what_was_drawn(root, tmp_path):
    make(RECIPES["vocd"], root, tmp_path / "VOCd")
    told = json.loads((tmp_path / "VOCd" / manifest.FILE).read_text())
    assert told["recipe"]["degradation"] == {"type": "low_light", "gamma": [1.5, 5.0], "shot": 0.0005, "read": 0.002}
    assert all(1.5 <= one["drawn"]["gamma"] <= 5 for one in told["files"] if "drawn" in one)
