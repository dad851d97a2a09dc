from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tdir.data.image_folder import ImageFolder
from tdir.data.layouts import layout_of
from tdir.errors import DataError

Photo = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, photo: Photo) -> Path:
    for seed, name in enumerate(("train/owl/1.png", "train/cat/b.png", "train/cat/deep/a.png", "val/cat/1.png")):
        photo(tmp_path / name, seed=seed)
    photo(tmp_path / "val/owl/1.jpg")
    return tmp_path


def test_the_class_is_the_folder(root: Path) -> None:
    data_set = ImageFolder(root, "train")
    assert data_set.task == "classification"
    assert data_set.classes == ["cat", "owl"]
    assert data_set.names == ["train/cat/b.png", "train/cat/deep/a.png", "train/owl/1.png"]
    assert [data_set.truth(i).label for i in range(3)] == [0, 0, 1]
    assert data_set[2].image.shape == (12, 20, 3)
    assert layout_of(str(root)) == {"type": "image_folder", "split": "val"}
    assert ImageFolder.splits(root) == ["train", "val"]


def test_any_folder_may_be_asked_for_by_name(root: Path) -> None:
    (root / "train").rename(root / "mine")
    assert len(ImageFolder(root, "mine")) == 3
    assert ImageFolder.splits(root) == ["val"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["val/cat/a.png", "val/owl/a.txt", "val/eel/.a.png"], "val: no image of eel, owl: remove the empty folders"),
        (["val/cat/a.png"], r"there are two or more; found \['cat'\]"),
        (["val/cat/a.png", "val/owl/a.png", "val/c.png"], r"c\.png lies beside the folders of the classes"),
        (["train/cat/a.png", "train/owl/a.png"], "no split 'val': known: train"),
        (["val/cat/a.txt", "val/owl/a.txt"], "no image in this folder"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: list[str], message: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=message):
        ImageFolder(tmp_path, "val")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["images/train/a.png", "images/val/a.png", "labels/val/a.txt"], {"type": "yolo", "split": "val"}),
        (["images/train/a.png", "images/val/a.png"], {"type": "folder"}),
        (["ExDark/Car/a.png", "ExDark/Bus/b.png"], {"type": "folder"}),
        (["Annotations/a.xml", "ImageSets/Main/test.txt", "JPEGImages/a.png"], {"type": "voc", "split": "test"}),
        (["train/a.png", "trainannot/a.png"], {"type": "camvid", "split": "train"}),
        (["annotations/instances_val.json", "val/a.png"], {"type": "coco", "split": "val"}),
        (["train/images/a.png", "train/labels/a.txt"], {"type": "folder"}),
        (["train/cat/a.png", "train/owl/a.png", "train/c.png"], {"type": "folder"}),
    ],
)
def test_other_layouts_are_told_as_before(tmp_path: Path, files: list[str], expected: dict[str, str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert layout_of(str(tmp_path)) == expected
