"""The readers on real data sets, with the counts those are known to have."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tdir.data.classes import COCO_CLASSES
from tdir.data.degradations import Degraded, Haze
from tdir.data.exdark import ExDark
from tdir.data.folder import Folder
from tdir.data.images import image_size
from tdir.data.sample import ImageSet
from tdir.data.voc import VOC
from tdir.data.yolo import YOLO

pytestmark = pytest.mark.real


def count_boxes(*sets: ImageSet) -> Counter[str]:
    """Boxes per class; every box must lie in its image, or end at most one pixel outside (sets that count from 0)."""
    counts: Counter[str] = Counter()
    for data_set in sets:
        for index, path in enumerate(data_set.paths):
            truth = data_set.truth(index)
            assert truth is not None
            height, width = image_size(path)
            assert (truth.boxes[:, :2] >= 0).all()
            assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()
            assert (truth.boxes[:, 2] <= width + 1).all()
            assert (truth.boxes[:, 3] <= height + 1).all()
            counts.update(data_set.classes[label] for label in truth.labels)
    return counts


def test_voc5(real_data: Path) -> None:
    train, test = VOC("voc5", "train"), VOC("voc5", "test")
    assert (len(train), len(test)) == (1000, 200)
    assert not set(train.names) & set(test.names)
    assert count_boxes(train, test) == {"person": 928, "car": 1227, "bus": 205, "train": 273, "cat": 330}


def test_dawn_fog(real_data: Path) -> None:
    train, test = VOC("dawn_fog", "train"), VOC("dawn_fog", "test")
    assert (len(train), len(test)) == (100, 100)
    assert not set(train.names) & set(test.names)
    assert count_boxes(train, test) == {
        "car": 1025, "truck": 101, "person": 55, "bus": 43, "motorcycle": 13, "bicycle": 7,
    }  # fmt: skip


def test_rtts(real_data: Path) -> None:
    data_set = VOC("rtts_mini", "test")
    assert len(data_set) == 3
    assert count_boxes(data_set) == {"person": 7, "car": 3, "motorbike": 3, "bicycle": 2}
    assert count_boxes(VOC("rtts_mini", "test", classes=["motorcycle"])) == {"motorcycle": 3}


def test_exdark(real_data: Path) -> None:
    data_set = ExDark("exdark_mini", "test")
    assert len(data_set) == 5
    assert +count_boxes(data_set) == {"Bus": 3, "People": 3, "Motorbike": 2, "Car": 1}


def test_coco128(real_data: Path) -> None:
    train, val = YOLO("coco128", "train2017"), YOLO("coco128", "val2017")
    assert (len(train), len(val)) == (128, 128)
    assert train.classes == list(COCO_CLASSES)
    # 1,839 lines, of which 12 belong to two photos that COCO128 does not hold; two of its photos have no labels.
    assert sum(count_boxes(train, val).values()) == 1827


def test_images_read_and_hazed(real_data: Path) -> None:
    for data_set in (VOC("voc5", "test"), YOLO("coco128", "val2017"), VOC("rtts_mini", "test")):
        sample = Degraded(data_set, Haze())[0]
        assert sample.image.shape[:2] == image_size(sample.path)


def test_a_plain_folder_of_photos(real_data: Path) -> None:
    assert len(Folder("dawn_fog/JPEGImages")) == 200
