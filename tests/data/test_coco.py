from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tdir.data.coco import COCO
from tdir.data.layouts import layout_of
from tdir.errors import ConfigError, DataError


def content() -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "b.png"}, {"id": 3, "file_name": "a.png"}],
        "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"image_id": 3, "category_id": 3, "bbox": [1, 2, 10.5, 8], "iscrowd": 0},
            {"image_id": 3, "category_id": 1, "bbox": [0, 0, 4, 4], "iscrowd": 1},
        ],
    }


@pytest.fixture
def root(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    for seed, name in enumerate("ab"):
        photo(tmp_path / "val2017" / f"{name}.png", seed=seed)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/instances_val2017.json").write_text(json.dumps(content()))
    return tmp_path


def test_boxes_labels_and_crowds(root: Path) -> None:
    data_set = COCO(root, "val2017")
    assert data_set.classes == ["person", "car"]
    assert data_set.names == ["b.png", "a.png"]
    assert len(data_set.truth(0)) == 0
    truth = data_set.truth(1)
    assert truth.boxes.tolist() == [[1, 2, 11.5, 10], [0, 0, 4, 4]]
    assert truth.labels.tolist() == [1, 0]
    assert truth.ignored.tolist() == [False, True]
    assert data_set[1].image.ndim == 3


def test_classes_of_interest(root: Path) -> None:
    assert COCO(root, "val2017", classes=["automobile", "pedestrian"][1:]).truth(1).labels.tolist() == [0]
    with pytest.raises(DataError, match="has no class 'cart': did you mean 'car'"):
        COCO(root, "val2017", classes=["cart"])
    with pytest.raises(ConfigError, match="mean the same"):
        COCO(root, "val2017", classes=["person", "pedestrian"])


@pytest.mark.parametrize("images", ["images/val2017", "images"])
def test_images_may_lie_in_a_folder_of_that_name(root: Path, images: str) -> None:
    (root / images).parent.mkdir(exist_ok=True)
    (root / "val2017").rename(root / images)
    (root / "annotations/instances_val2017.json").rename(root / "annotations/val2017.json")
    assert len(COCO(root, "val2017")) == 2
    assert layout_of(str(root)) == {"type": "coco", "split": "val2017"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), r"annotations\[0\]: a box needs left, top"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, None, 3]), r"annotations\[0\]: a box needs numbers"),
        (lambda c: c["annotations"][1].update(bbox=[1, 2, 1e300, 3]), r"annotations\[1\]: a box with .* beyond"),
        (lambda c: c["annotations"][1].update(bbox=[1, 2, 10**400, 3]), r"annotations\[1\]: a box needs numbers"),
        (lambda c: c["annotations"][1].update(bbox=[1, True, 4, 3]), r"annotations\[1\]: a box with .* beyond"),
        (lambda c: c["annotations"][1].update(bbox="1234"), r"annotations\[1\] needs 'bbox', list"),
        (lambda c: c["annotations"][1].update(image_id=4), r"annotations\[1\]: there is no image 4"),
        (lambda c: c["annotations"][1].update(category_id=4), r"annotations\[1\]: there is no category 4"),
        (lambda c: c["annotations"].append(3), r"annotations\[2\] needs 'image_id'"),
        (lambda c: c.pop("categories"), "'categories' is not a list"),
        (lambda c: c["images"][0].pop("file_name"), r"images\[0\] needs 'file_name', str"),
        (lambda c: c["images"][0].update(file_name="../a.png"), "lies outside"),
        (lambda c: c["images"][0].update(file_name="a.png"), "lists a.png more than once"),
        (lambda c: c["images"][0].update(file_name="c.png"), "1 of 2 images .* are missing, the first: c.png"),
        (lambda c: c["images"].clear(), "no image in it"),
    ],
)
def test_a_malformed_file_is_named(root: Path, change: Callable[[dict[str, Any]], Any], message: str) -> None:
    changed = content()
    change(changed)
    (root / "annotations/instances_val2017.json").write_text(json.dumps(changed))
    with pytest.raises(DataError, match=message):
        COCO(root, "val2017")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n"images": [}', "line 2: not JSON"),
        ("[]", "not a COCO annotation file"),
        ("[" * 100_000, "not a readable JSON file"),
        ('{"images": ' + "9" * 5000 + "}", "not a readable JSON file"),
    ],
)
def test_what_is_not_json_is_named(root: Path, text: str, message: str) -> None:
    (root / "annotations/instances_val2017.json").write_text(text)
    with pytest.raises(DataError, match=rf"instances_val2017\.json.*{message}"):
        COCO(root, "val2017")


def test_what_the_layout_lacks_is_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split 'test'.*the splits there: val2017"):
        COCO(root, "test")
    (root / "val2017").rename(root / "photos")
    with pytest.raises(DataError, match="no folder 'val2017'"):
        COCO(root, "val2017")
    (root / "annotations").rename(root / "labels of COCO")
    with pytest.raises(DataError, match="no 'annotations' folder"):
        COCO(root, "val2017")
