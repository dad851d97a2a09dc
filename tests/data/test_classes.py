from __future__ import annotations

import pytest

from tdir.data.classes import ALIASES, COCO_CLASSES, canonical, label_positions, match_classes, unmatched_classes
from tdir.errors import ConfigError

VOC_CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip
EXDARK_CLASSES = [
    "Bicycle", "Boat", "Bottle", "Bus", "Car", "Cat", "Chair", "Cup", "Dog", "Motorbike", "People", "Table",
]  # fmt: skip


def test_coco_has_80_different_classes() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    assert COCO_CLASSES[0] == "person"
    assert COCO_CLASSES[79] == "toothbrush"


def test_every_alias_leads_to_a_coco_class() -> None:
    assert set(ALIASES.values()) <= set(COCO_CLASSES)
    assert not set(ALIASES) & set(COCO_CLASSES)


@pytest.mark.parametrize("name", ["Traffic Light", "traffic_light", "traffic-light", " traffic  light "])
def test_canonical_ignores_spelling(name: str) -> None:
    assert canonical(name) == "traffic light"


@pytest.mark.parametrize("classes", [VOC_CLASSES, EXDARK_CLASSES])
def test_all_of_voc_and_exdark_is_found_in_coco(classes: list[str]) -> None:
    assert len(match_classes(classes, COCO_CLASSES)) == len(classes)
    assert unmatched_classes(classes, COCO_CLASSES) == []


def test_match_classes_gives_positions_and_leaves_out_the_unknown() -> None:
    mine, head = ["motorbike", "tram", "car"], ["car", "motorcycle"]
    assert match_classes(mine, head) == {0: 1, 2: 0}
    assert unmatched_classes(mine, head) == ["tram"]


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"tram.*car"):
        match_classes(["tram"], ["car"])


def test_two_names_of_one_class_are_an_error() -> None:
    with pytest.raises(ConfigError, match="motorbike"):
        label_positions(["motorbike", "motorcycle"])
