from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tdir.data.exdark import CLASSES, ExDark
from tdir.data.layouts import layout_of
from tdir.errors import ConfigError, DataError

LIST = """Name | Class | Light | In/Out | Train/Val/Test
2015_00001.png 4 1 2 3
2015_00002.JPG 11 1 2 3
2015_00003.jpg 11 1 2 1
"""


@pytest.fixture
def root(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    """Three photos, whose names the list and the folders write in different cases; the third is of another split."""
    for seed, name in enumerate(("Bus/2015_00001.PNG", "People/2015_00002.jpg", "People/2015_00003.jpg")):
        photo(tmp_path / "ExDark" / name, seed=seed)
        annotation = tmp_path / "ExDark_Annno" / f"{name}.txt"
        annotation.parent.mkdir(parents=True, exist_ok=True)
        annotation.write_text("% bbGt version=3\nPeople 3 4 5 6 0 0 0 0 0 0 0\n")
    (tmp_path / "ExDark_Annno/Bus/2015_00001.PNG.txt").write_text(
        "% bbGt version=3\nBus 1 2 10 8 0 0 0 0 0 0 0\nMotorbike 5 5 4 3 0 0 0 0 0 1 0\n\n"
    )
    (tmp_path / "imageclasslist.txt").write_text(LIST)
    return tmp_path


def test_boxes_labels_and_ignored_marks(root: Path) -> None:
    data_set = ExDark(root, "test")
    assert data_set.classes == list(CLASSES)
    assert data_set.names == ["Bus/2015_00001.png", "People/2015_00002.JPG"]
    truth = data_set.truth(0)
    assert truth.boxes.tolist() == [[1, 2, 11, 10], [5, 5, 9, 8]]
    assert [CLASSES[label] for label in truth.labels] == ["Bus", "Motorbike"]
    assert truth.ignored.tolist() == [False, True]
    assert data_set[1].image.ndim == 3


def test_the_list_says_which_split_an_image_is_of(root: Path) -> None:
    assert ExDark(root, "train").names == ["People/2015_00003.jpg"]
    with pytest.raises(DataError, match="no image of the split 'val'"):
        ExDark(root, "val")
    with pytest.raises(DataError, match="no split 'tests': did you mean 'test'"):
        ExDark(root, "tests")


def test_classes_of_interest_have_usual_names_and_keep_every_image(root: Path) -> None:
    data_set = ExDark(root, "test", classes=["motorcycle", "person"])
    assert len(data_set) == 2
    assert data_set.truth(0).labels.tolist() == [0]
    assert data_set.truth(1).labels.tolist() == [1]
    with pytest.raises(DataError, match="no class 'Truck'"):
        ExDark(root, "test", classes=["Truck"])
    with pytest.raises(ConfigError, match="mean the same"):
        ExDark(root, "test", classes=["People", "person"])


def test_the_folder_is_recognised(root: Path, tmp_path: Path) -> None:
    assert layout_of(str(root)) == {"type": "exdark", "split": "test"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Bus 1 2 10 8 0 0 0 0 0 0", "line 2: expected a class and 11 numbers"),
        ("Bus 1 2 x 8 0 0 0 0 0 0 0", "line 2: a box needs numbers"),
        ("Bus 1 2 -3 8 0 0 0 0 0 0 0", "line 2: a box needs left, top"),
        ("Bus 1 2 inf 8 0 0 0 0 0 0 0", "line 2: a box with numbers that are beyond any image"),
        ("Bas 1 2 3 8 0 0 0 0 0 0 0", "line 2: ExDark has no class 'Bas': did you mean 'Bus'"),
    ],
)
def test_a_malformed_line_is_named(root: Path, line: str, message: str) -> None:
    (root / "ExDark_Annno/Bus/2015_00001.PNG.txt").write_text(f"% bbGt version=3\n{line}\n")
    with pytest.raises(DataError, match=rf"2015_00001\.PNG\.txt, {message}"):
        ExDark(root, "test", classes=["People"]).truth(0)


def test_another_format_is_named(root: Path) -> None:
    (root / "ExDark_Annno/Bus/2015_00001.PNG.txt").write_text("Bus 1 2 10 8\n")
    with pytest.raises(DataError, match="line 1: not an ExDark annotation"):
        ExDark(root, "test").truth(0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2015_00009.png 4 1 2 3", "1 of 3 listed files are missing, the first: Bus/2015_00009.png"),
        ("2015_00009.png 4 1 2", "line 5: expected an image and four numbers"),
        ("2015_00009.png 13 1 2 3", "line 5: class 13 is none of 1 to 12"),
    ],
)
def test_a_list_that_does_not_fit_is_named(root: Path, line: str, message: str) -> None:
    (root / "imageclasslist.txt").write_text(f"{LIST}{line}\n")
    with pytest.raises(DataError, match=message):
        ExDark(root, "test")


def test_what_the_layout_lacks_is_named(root: Path, tmp_path: Path) -> None:
    (root / "ExDark_Annno").rename(root / "Annotations of ExDark")
    with pytest.raises(DataError, match="no folder ExDark_Ann"):
        ExDark(root, "test")
    (root / "imageclasslist.txt").unlink()
    with pytest.raises(DataError, match=r"not ExDark's layout, there is no imageclasslist\.txt"):
        ExDark(root, "test")
