from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tdir.data.images import read_image
from tdir.data.voc import VOC
from tdir.errors import ConfigError, DataError
from tdir.registry import DATASETS

OBJECT = """<object><name>{name}</name>{more}<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax>
</bndbox></object>"""


def annotation(*objects: tuple[str, tuple[object, ...], str]) -> str:
    inside = "".join(OBJECT.format(*box, name=name, more=more) for name, box, more in objects)
    return f"<annotation><filename>x.jpg</filename>{inside}</annotation>"


@pytest.fixture
def root(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    """Three photos: a has a car, a difficult dog and a person with a head; b has nothing; c is of another split."""
    for seed, name in enumerate(("a.png", "b.JPG", "c.jpeg")):
        photo(tmp_path / "JPEGImages" / name, seed=seed)
    head = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    texts = {
        "a": annotation(
            ("car", (1, 1, 20, 12), "<difficult>0</difficult>"),
            ("dog", (3, 4, 3, 4), "<difficult>1</difficult>"),
            ("person", (2.5, 3, 8, 9.5), head),
        ),
        "b": annotation(),
        "c": annotation(("motorbike", (0, 0, 5, 5), "")),
    }
    (tmp_path / "Annotations").mkdir()
    for name, text in texts.items():
        (tmp_path / "Annotations" / f"{name}.xml").write_text(text)
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text("a\nb.JPG\n\n")
    (lists / "train.txt").write_text("c\n")
    return tmp_path


def test_one_based_inclusive_corners_become_continuous(root: Path) -> None:
    truth = VOC(root, "test").truth(0)
    assert truth is not None
    assert truth.boxes.tolist() == [[0, 0, 20, 12], [2, 3, 3, 4], [1.5, 2, 8, 9.5]]


def test_labels_and_difficult_marks(root: Path) -> None:
    data_set = VOC(root, "test")
    truth = data_set.truth(0)
    assert truth is not None
    assert [data_set.classes[label] for label in truth.labels] == ["car", "dog", "person"]
    assert truth.difficult is not None
    assert truth.difficult.tolist() == [False, True, False]
    assert truth.scores is None


def test_a_corner_is_never_negative(root: Path) -> None:
    truth = VOC(root, "train").truth(0)
    assert truth is not None
    assert truth.boxes.tolist() == [[0, 0, 5, 5]]


def test_every_split_numbers_its_classes_alike(root: Path) -> None:
    assert VOC(root, "test").classes == VOC(root, "train").classes == ["car", "dog", "motorbike", "person"]


def test_two_spellings_of_one_class_are_one_class(root: Path) -> None:
    (root / "Annotations" / "b.xml").write_text(annotation(("motorcycle", (1, 1, 2, 2), "")))
    data_set = VOC(root, "test")
    assert data_set.classes == ["car", "dog", "motorbike", "person"]
    truth = data_set.truth(1)
    assert truth is not None
    assert truth.labels.tolist() == [2]


def test_other_classes_are_left_out(root: Path) -> None:
    truth = VOC(root, "test", classes=["person", "car"]).truth(0)
    assert truth is not None
    assert truth.labels.tolist() == [1, 0]
    assert truth.difficult is not None
    assert len(truth.difficult) == 2


def test_another_name_of_a_class_counts(root: Path) -> None:
    truth = VOC(root, "train", classes=["motorcycle"]).truth(0)
    assert truth is not None
    assert truth.labels.tolist() == [0]


def test_an_image_without_objects_has_an_empty_truth(root: Path) -> None:
    truth = VOC(root, "test").truth(1)
    assert truth is not None
    assert truth.boxes.shape == (0, 4)


def test_samples(root: Path) -> None:
    samples = list(DATASETS.build({"type": "voc", "root": str(root), "split": "test"}))
    assert [sample.name for sample in samples] == ["a", "b"]
    assert [sample.path.name for sample in samples] == ["a.png", "b.JPG"]
    np.testing.assert_array_equal(samples[0].image, read_image(root / "JPEGImages" / "a.png"))
    assert len(samples[0].truth) == 3


def test_without_annotations_there_is_no_truth(root: Path) -> None:
    for path in (root / "Annotations").iterdir():
        path.unlink()
    (root / "Annotations").rmdir()
    data_set = VOC(root, "test", classes=["car"])
    assert data_set.truth(0) is None
    assert data_set[0].truth is None


def test_a_missing_split_lists_the_splits(root: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'val'.*test, train"):
        VOC(root, "val")


def test_a_missing_image_is_named(root: Path) -> None:
    (root / "JPEGImages" / "b.JPG").unlink()
    with pytest.raises(DataError, match="1 of 2 listed images are missing, the first: b"):
        VOC(root, "test")


@pytest.mark.parametrize(("content", "message"), [("\n", "empty"), ("a\nb\na\n", "lists a more than once")])
def test_a_useless_list_is_named(root: Path, content: str, message: str) -> None:
    (root / "ImageSets" / "Main" / "test.txt").write_text(content)
    with pytest.raises(DataError, match=rf"test\.txt: .*{message}"):
        VOC(root, "test")


@pytest.mark.parametrize("folder", ["ImageSets", "JPEGImages"])
def test_another_layout_is_named(root: Path, folder: str) -> None:
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(DataError, match=f"not a Pascal VOC layout.*{folder}"):
        VOC(root, "test")


def test_a_missing_annotation_is_named(root: Path) -> None:
    data_set = VOC(root, "test")
    (root / "Annotations" / "a.xml").unlink()
    with pytest.raises(DataError, match=r"a\.xml: no such annotation"):
        data_set.truth(0)


EXPANDING = '<!DOCTYPE x [<!ENTITY e "car">]><annotation><object><name>&e;</name></object></annotation>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation><object>", "not a readable VOC annotation"),
        ("", "not a readable VOC annotation"),
        (EXPANDING, "not a readable VOC annotation"),
        ("<annotation><object><bndbox/></object></annotation>", "no <name>"),
        ("<annotation><object><name>car</name></object></annotation>", "a car: <bndbox>: a box needs numbers"),
        (annotation(("car", (1, 2, "x", 4), "")), "a car: <bndbox>: a box needs numbers"),
        (annotation(("car", (9, 2, 3, 4), "")), "impossible"),
        (annotation(("car", (1, 2, "nan", 4), "")), "a car: <bndbox>: a box with numbers that are beyond any image"),
        (annotation(("car", (1, 2, "1e9", 4), "")), "beyond any image"),
    ],
)
def test_a_malformed_annotation_is_named(root: Path, text: str, message: str) -> None:
    (root / "Annotations" / "a.xml").write_text(text)
    data_set = VOC(root, "test", classes=["car"])
    with pytest.raises(DataError, match=rf"a\.xml(, line 1)?: .*{message}"):
        data_set.truth(0)


def test_an_annotation_in_the_wrong_encoding_is_named(root: Path) -> None:
    (root / "Annotations" / "a.xml").write_bytes(b'<?xml version="1.0" encoding="klingon"?><annotation/>')
    with pytest.raises(DataError, match=r"a\.xml"):
        VOC(root, "test", classes=["car"]).truth(0)


def test_a_class_that_the_set_cannot_have_is_answered_with_the_nearest(root: Path) -> None:
    with pytest.raises(DataError, match="no annotation has a class 'perzon': did you mean 'person'"):
        VOC(root, "test", classes=["car", "perzon"])
    # A set may well lack a common class; and a class of its own may occur in another split.
    assert VOC(root, "test", classes=["car", "bus"]).classes == ["car", "bus"]
    (root / "Annotations" / "c.xml").write_text(annotation(("rickshaw", (0, 0, 5, 5), "")))
    assert VOC(root, "test", classes=["rickshaw"]).classes == ["rickshaw"]


def test_a_set_without_annotations_takes_any_class(root: Path) -> None:
    for path in (root / "Annotations").iterdir():
        path.unlink()
    (root / "Annotations").rmdir()
    assert VOC(root, "test", classes=["rickshaw"]).truth(0) is None


def test_two_names_of_one_class_are_an_error(root: Path) -> None:
    with pytest.raises(ConfigError, match="same class"):
        VOC(root, "test", classes=["motorbike", "motorcycle"])


def test_an_error_names_the_line(root: Path) -> None:
    good, bad = (OBJECT.format(1, 2, right, 4, name="car", more="") for right in (3, "x"))
    (root / "Annotations" / "a.xml").write_text(f"<annotation>\n{good}\n{bad}\n</annotation>\n")
    with pytest.raises(DataError, match=r"a\.xml, line 4: a car"):
        VOC(root, "test", classes=["car"]).truth(0)
