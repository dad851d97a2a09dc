from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tdir.data._maps import read_map
from tdir.data.cityscapes import CLASSES, LABEL_IDS, Cityscapes
from tdir.data.layouts import layout_of
from tdir.errors import DataError
from tdir.registry import DATASETS
from tdir.structures import IGNORE, SemanticMap
from tests.data.maps import LABELS, write_labels

FRAMES = {
    "train": ["aachen_000000_000019"],
    "val": ["lindau_000000_000019", "frankfurt_000001_000576"],
    "test": ["bonn_000004_000019"],
}
FUZZED = 400


def labels_of(root: Path, split: str, name: str) -> Path:
    return root / "gtFine" / split / name.split("_")[0] / f"{name}_gtFine_labelIds.png"


@pytest.fixture
def root(tmp_path: Path, photo) -> Path:
    """Four frames, labels for all but the test split, and what else lies beside the labels in the official tree."""
    for seed, (split, name) in enumerate((split, name) for split, names in FRAMES.items() for name in names):
        photo(tmp_path / "leftImg8bit" / split / name.split("_")[0] / f"{name}_leftImg8bit.png", seed=seed)
        if split != "test":
            path = labels_of(tmp_path, split, name)
            write_labels(path, 34)
            photo(path.with_name(f"{name}_gtFine_color.png"))
            path.with_name(f"{name}_gtFine_polygons.json").write_text("{}")
    return tmp_path


def test_frames_and_their_labels(root: Path) -> None:
    data_set = DATASETS.build({"type": "cityscapes", "root": str(root), "split": "val"})
    assert data_set.task == "segmentation"
    assert data_set.names == ["frankfurt/frankfurt_000001_000576", "lindau/lindau_000000_000019"]
    assert [data_set.group(i) for i in range(2)] == ["frankfurt", "lindau"]
    assert [data_set.subset([1]).group(0)] == ["lindau"]
    for sample, name in zip(data_set, sorted(FRAMES["val"]), strict=True):
        numbers = cv2.imread(str(labels_of(root, "val", name)), cv2.IMREAD_UNCHANGED)
        for number in range(34):
            label = LABEL_IDS.index(number) if number in LABEL_IDS else IGNORE
            assert (sample.truth.labels.numpy()[numbers == number] == label).all()


def test_the_classes_are_those_of_the_official_scripts() -> None:
    from cityscapesscripts.helpers.labels import labels

    scored = sorted((label.trainId, label.id, label.name) for label in labels if not label.ignoreInEval)
    assert [(label, number) for label, number, _ in scored] == list(enumerate(LABEL_IDS))
    assert [name for *_, name in scored] == list(CLASSES)


def test_a_choice_of_cities(root: Path) -> None:
    assert Cityscapes(root, "val", cities=["lindau"]).names == ["lindau/lindau_000000_000019"]
    both = Cityscapes(root, "val", cities=["lindau", "frankfurt"])
    assert [both.group(i) for i in range(2)] == ["lindau", "frankfurt"]
    with pytest.raises(DataError, match=r"val has no city 'linda': did you mean 'lindau'"):
        Cityscapes(root, "val", cities=["linda"])


def test_without_labels_there_is_no_truth(root: Path) -> None:
    data_set = Cityscapes(root, "test")
    assert data_set.truth(0) is None
    assert data_set[0].truth is None
    assert data_set.group(0) == "bonn"


def test_the_layout_is_told_from_the_folder(root: Path) -> None:
    assert Cityscapes.splits(root) == ["train", "val"]
    assert layout_of(str(root)) == {"type": "cityscapes", "split": "val"}
    assert Cityscapes.splits(root / "gtFine") == Cityscapes.splits(root / "missing") == []


def test_a_missing_split_is_answered_with_the_nearest(root: Path) -> None:
    with pytest.raises(DataError, match=r"has no frames in leftImg8bit/trian: did you mean 'train'"):
        Cityscapes(root, "trian")


def test_frames_of_other_names_are_named(root: Path) -> None:
    path = next((root / "leftImg8bit/test").rglob("*.png"))
    path.rename(path.with_name("frame.png"))
    with pytest.raises(DataError, match="no frame is named <city>_<number>_<number>_leftImg8bit.png"):
        Cityscapes(root, "test")


def test_missing_labels_are_named(root: Path) -> None:
    path = labels_of(root, "train", "aachen_000000_000019")
    path.unlink()
    with pytest.raises(DataError, match=rf"leftImg8bit\.png: no labels at {path}"):
        Cityscapes(root, "train").truth(0)


@pytest.mark.parametrize(("write", "said"), LABELS.values(), ids=LABELS)
def test_what_are_no_labels_is_named(root: Path, write, said: str) -> None:
    path = labels_of(root, "train", "aachen_000000_000019")
    write(path)
    with pytest.raises(DataError, match=rf"{path.name}: {said}"):
        Cityscapes(root, "train").truth(0)


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """One of the ways in which files go wrong."""
    a, b = sorted(rng.integers(0, len(whole), 2).tolist())
    kinds = [
        lambda: whole[:a],
        lambda: whole[:a] + whole[b:],
        lambda: whole[:a] + rng.bytes(int(rng.integers(1, 9))) + whole[a:],
        lambda: whole[:a] + rng.bytes(1) + whole[a + 1 :],
        lambda: whole[:a] + rng.bytes(b - a) + whole[b:],
        lambda: whole[:16] + rng.bytes(8) + whole[24:],  # the size
        lambda: whole[:24] + rng.bytes(5) + whole[29:],  # depth, colours and how it is packed
        lambda: whole[:8] + rng.bytes(200),
        lambda: rng.bytes(int(rng.integers(0, 200))),
    ]
    return kinds[rng.integers(len(kinds))]()


def test_a_damaged_file_is_read_or_named(tmp_path: Path, photo) -> None:
    image, path = photo(tmp_path / "photo.png"), tmp_path / "labels.png"
    write_labels(path, 34)
    whole, table, refused = path.read_bytes(), np.arange(256, dtype=np.uint8), list[str]()
    for seed in range(FUZZED):
        path.write_bytes(damaged(whole, np.random.default_rng(seed)))
        try:
            found = read_map(path, table, image)
        except DataError as error:
            refused.append(str(error))
        else:
            assert isinstance(found, SemanticMap)
            assert found.labels.shape == (12, 20)
    assert all("labels.png" in message and len(message) < 1000 for message in refused)
    assert len(refused) > FUZZED // 2


@pytest.mark.real
def test_the_real_frames(real_data: Path) -> None:
    data_set = Cityscapes("cityscapes_mini", "train")
    assert len(data_set) == 4
    assert layout_of("cityscapes_mini") == {"type": "cityscapes", "split": "train"}
    seen = set()
    for sample in data_set:
        assert sample.image.shape == (1024, 2048, 3)
        assert sample.truth.labels.shape == (1024, 2048)
        seen |= set(sample.truth.labels.unique().tolist())
        # The road is below the middle of a frame, and the sky above it.
        rows = {
            name: (sample.truth.labels == CLASSES.index(name)).nonzero()[:, 0].float().mean()
            for name in ("road", "sky")
        }
        assert rows["road"] > 512 > rows["sky"]
    assert {CLASSES.index(name) for name in ("road", "building", "car", "person")} | {IGNORE} <= seen
