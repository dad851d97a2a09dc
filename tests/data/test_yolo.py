from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tdir.data.classes import COCO_CLASSES
from tdir.data.yolo import YOLO
from tdir.errors import DataError
from tdir.registry import DATASETS


@pytest.fixture
def root(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    """Two photos of 20 x 10 pixels: a has a person and a car, b has no label file."""
    for name in ("a.png", "b.jpg"):
        photo(tmp_path / "images" / "val" / name, height=10, width=20)
    (tmp_path / "labels" / "val").mkdir(parents=True)
    (tmp_path / "labels" / "val" / "a.txt").write_text("0 0.5 0.5 0.2 0.4\n\n2 0.25 0.5 0.5 1\n")
    return tmp_path


def write_label(root: Path, text: str) -> None:
    (root / "labels" / "val" / "a.txt").write_text(text)


def test_boxes_become_pixels(root: Path) -> None:
    truth = YOLO(root, "val").truth(0)
    assert truth is not None
    torch.testing.assert_close(truth.boxes, torch.tensor([[8.0, 3, 12, 7], [0, 0, 10, 10]]))
    assert truth.labels.tolist() == [0, 2]


def test_an_outline_becomes_its_box(root: Path) -> None:
    write_label(root, "0 0.1 0.2 0.5 0.1 0.3 0.9")
    truth = YOLO(root, "val").truth(0)
    assert truth is not None
    torch.testing.assert_close(truth.boxes, torch.tensor([[2.0, 1, 10, 9]]))


def test_a_box_that_ends_a_little_outside_is_clipped(root: Path) -> None:
    write_label(root, "0 0.5 0.5 1.002 1.002")
    truth = YOLO(root, "val").truth(0)
    assert truth is not None
    torch.testing.assert_close(truth.boxes, torch.tensor([[0.0, 0, 20, 10]]))


def test_samples(root: Path) -> None:
    samples = list(DATASETS.build({"type": "yolo", "root": str(root), "split": "val"}))
    assert [sample.name for sample in samples] == ["a.png", "b.jpg"]
    assert samples[0].image.shape == (10, 20, 3)
    assert len(samples[0].truth) == 2


def test_an_image_without_a_label_file_has_no_objects(root: Path) -> None:
    truth = YOLO(root, "val").truth(1)
    assert truth is not None
    assert truth.boxes.shape == (0, 4)


def test_a_split_without_labels_has_no_truth(root: Path) -> None:
    (root / "labels").rename(root / "elsewhere")
    assert YOLO(root, "val").truth(0) is None


def test_the_default_names_are_those_of_coco(root: Path) -> None:
    assert YOLO(root, "val").classes == list(COCO_CLASSES)


@pytest.mark.parametrize("text", ["names: [cat, dog, cow]", "names:\n  2: cow\n  0: cat\n  1: dog"])
def test_names_of_the_yaml_beside_the_folders(root: Path, text: str) -> None:
    (root / "args.yaml").write_text("epochs: 3")
    (root / "data.yaml").write_text(text)
    assert YOLO(root, "val").classes == ["cat", "dog", "cow"]


def test_names_of_a_given_yaml(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "data.yaml").write_text("names: [cat, dog, cow]")
    assert YOLO(root, "val", names=root / "elsewhere" / "data.yaml").classes == ["cat", "dog", "cow"]


def test_classes_choose_among_the_names(root: Path) -> None:
    write_label(root, "0 .5 .5 .2 .2\n1 .5 .5 .4 .4\n2 .5 .5 .6 .6")
    data_set = YOLO(root, "val", classes=["cow", "cat"], names=["cat", "dog", "cow"])
    truth = data_set.truth(0)
    assert truth is not None
    assert data_set.classes == ["cow", "cat"]
    assert truth.labels.tolist() == [1, 0]


def test_another_name_of_a_class_counts(root: Path) -> None:
    write_label(root, "3 .5 .5 .2 .2")
    truth = YOLO(root, "val", classes=["motorbike"]).truth(0)
    assert truth is not None
    assert truth.labels.tolist() == [0]


def test_an_unknown_class_is_answered_with_the_nearest(root: Path) -> None:
    with pytest.raises(DataError, match="no class 'persn': did you mean 'person'"):
        YOLO(root, "val", classes=["persn"])


def test_a_missing_split_lists_the_splits(root: Path) -> None:
    with pytest.raises(DataError, match="no split 'test'.*val"):
        YOLO(root, "test")


def test_another_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a YOLO layout"):
        YOLO(tmp_path, "val")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2", "needs a class and 4 numbers"),
        ("0 0.5 0.5 0.2 0.2 0.9", "needs a class and 4 numbers"),
        ("0", "needs a class and 4 numbers"),
        ("0 12 40 100 80", "normalised"),
        ("0 nan 0.5 0.2 0.2", "normalised"),
        ("person 0.5 0.5 0.2 0.2", "not numbers"),
        ("80 0.5 0.5 0.2 0.2", "class number 80 has no name"),
        ("0.5 0.5 0.5 0.2 0.2", "class number 0.5 has no name"),
        ("nan 0.5 0.5 0.2 0.2", "class number nan has no name"),
    ],
)
def test_a_malformed_line_is_named_with_its_number(root: Path, line: str, message: str) -> None:
    write_label(root, f"0 0.5 0.5 0.2 0.4\n{line}\n")
    with pytest.raises(DataError, match=rf"a\.txt, line 2: .*{message}"):
        YOLO(root, "val").truth(0)


@pytest.mark.parametrize(
    "text", ["names: [", "names: person", "names: []", "names: {a: person}", "!!python/object/apply:os.getcwd []"]
)
def test_a_malformed_yaml_is_named(root: Path, text: str) -> None:
    (root / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=r"data\.yaml"):
        YOLO(root, "val")


def test_a_given_yaml_without_names_is_named(root: Path) -> None:
    (root / "data.yaml").write_text("train: images")
    with pytest.raises(DataError, match=r"data\.yaml: there is no 'names'"):
        YOLO(root, "val", names=root / "data.yaml")
