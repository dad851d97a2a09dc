from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tdir.data.camvid import CLASSES, CamVid
from tdir.data.layouts import layout_of
from tdir.errors import DataError
from tdir.registry import DATASETS
from tdir.structures import IGNORE
from tests.data.maps import LABELS, write_labels


@pytest.fixture
def root(tmp_path: Path, photo) -> Path:
    """Two frames to train with, whose photos are of two kinds, and one to score on."""
    for name in ("train/0016E5_b.png", "train/0001TP_a.jpg", "val/0016E5_c.png"):
        photo(tmp_path / name)
        folder, file = name.split("/")
        write_labels(tmp_path / f"{folder}annot" / f"{Path(file).stem}.png", len(CLASSES) + 1)
    return tmp_path


def test_frames_and_their_labels(root: Path) -> None:
    data_set = DATASETS.build({"type": "camvid", "root": str(root), "split": "train"})
    assert data_set.task == "segmentation"
    assert data_set.classes == list(CLASSES)
    assert data_set.names == ["train/0001TP_a", "train/0016E5_b"]
    assert [data_set.group(i) for i in range(2)] == [None, None]
    for sample in data_set:
        labels = cv2.imread(str(root / "trainannot" / f"{sample.path.stem}.png"), cv2.IMREAD_UNCHANGED)
        expected = np.where(labels == 11, IGNORE, labels)
        assert sample.image.shape[:2] == sample.truth.labels.shape
        assert np.array_equal(sample.truth.labels.numpy(), expected)
        assert sample.truth.confidence is None
    assert {*range(11), IGNORE} == set(np.unique(expected))


def test_a_number_without_a_class_has_no_label(root: Path) -> None:
    write_labels(root / "valannot/0016E5_c.png", 256)
    labels = CamVid(root, "val").truth(0).labels
    assert set(labels.unique().tolist()) <= {*range(11), IGNORE}
    assert IGNORE in labels


def test_the_layout_is_told_from_the_folder(root: Path) -> None:
    assert CamVid.splits(root) == ["train", "val"]
    assert layout_of(str(root)) == {"type": "camvid", "split": "val"}
    assert CamVid.splits(root / "train") == CamVid.splits(root / "missing") == []


def test_a_subset_has_the_same_labels(root: Path) -> None:
    data_set = CamVid(root, "train")
    some = data_set.subset([1])
    assert some.task == "segmentation"
    assert some.truth(0).labels.equal(data_set.truth(1).labels)


def test_a_missing_split_is_answered_with_the_nearest(root: Path) -> None:
    with pytest.raises(DataError, match=r"has no split 'trian' with labels in trianannot: did you mean 'train'"):
        CamVid(root, "trian")


def test_a_split_without_a_frame_is_named(root: Path) -> None:
    (root / "val/0016E5_c.png").unlink()
    with pytest.raises(DataError, match="val: no image in this folder"):
        CamVid(root, "val")


def test_missing_labels_are_named(root: Path) -> None:
    (root / "valannot/0016E5_c.png").unlink()
    with pytest.raises(DataError, match=r"c\.png: no labels at .*valannot/0016E5_c\.png"):
        CamVid(root, "val").truth(0)


@pytest.mark.parametrize(("write", "said"), LABELS.values(), ids=LABELS)
def test_what_are_no_labels_is_named(root: Path, write, said: str) -> None:
    write(root / "valannot/0016E5_c.png")
    with pytest.raises(DataError, match=rf"valannot/0016E5_c\.png: {said}"):
        CamVid(root, "val").truth(0)


@pytest.mark.real
def test_the_real_frames(real_data: Path) -> None:
    sets = [CamVid("camvid", split) for split in ("train", "val")]
    assert [len(one) for one in sets] == [367, 101]
    assert not set(sets[0].names) & set(sets[1].names)
    assert layout_of("camvid") == {"type": "camvid", "split": "val"}
    counts = np.zeros(256, dtype=np.int64)
    for i in range(0, 101, 10):
        sample = sets[1][i]
        assert sample.image.shape == (360, 480, 3)
        counts += np.bincount(sample.truth.labels.flatten().numpy(), minlength=256)
    assert counts.nonzero()[0].tolist() == [*range(11), IGNORE]
    # Of every pixel most are road, building and sky: the numbers stand for these classes.
    assert {CLASSES[k] for k in counts[:11].argsort()[-3:]} <= {"road", "building", "sky", "vegetation"}
