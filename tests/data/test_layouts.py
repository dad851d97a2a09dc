from __future__ import annotations

from pathlib import Path

import pytest

from tdir.data.layouts import layout_of, with_labels, without_files
from tdir.errors import DataError


def test_readers_are_told_apart() -> None:
    assert {"voc", "yolo", "coco", "exdark", "camvid", "cityscapes"} <= set(with_labels())
    assert not {"folder", "streets"} & set(with_labels())
    assert without_files() == ["streets", "streets_crops", "streets_maps"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["Annotations/a.xml", "ImageSets/Main/train.txt"], {"type": "voc", "split": "train"}),
        (
            ["Annotations/a.xml", "ImageSets/Main/train.txt", "ImageSets/Main/test.txt"],
            {"type": "voc", "split": "test"},
        ),
        (["Annotations/a.xml"], {"type": "folder"}),
        (["images/train/a.png", "labels/train/a.txt", "labels/val2017/b.txt"], {"type": "yolo", "split": "val2017"}),
        (["annotations/instances_train.json"], {"type": "coco", "split": "train"}),
        (["annotations/instances_train.json", "annotations/instances_val.json"], {"type": "coco", "split": "val"}),
        (["a.png"], {"type": "folder"}),
        (["train/a.png", "trainannot/a.png"], {"type": "camvid", "split": "train"}),
        (["train/a.png", "trainannot/a.png", "test/b.png", "testannot/b.png"], {"type": "camvid", "split": "test"}),
        (["trainannot/a.png"], {"type": "folder"}),
        (
            ["leftImg8bit/train/a/a.png", "leftImg8bit/val/b/b.png", "gtFine/train/a/a.png"],
            {"type": "cityscapes", "split": "train"},
        ),
        (["leftImg8bit/val/b/b.png"], {"type": "folder"}),
        (["images/train/a.png", "labels/train/a.txt", "annotations/a.xml"], {"type": "yolo", "split": "train"}),
    ],
)
def test_the_layout_is_told_from_the_folder(tmp_path: Path, files: list[str], expected: dict[str, str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert layout_of(str(tmp_path)) == expected


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set"):
        layout_of(str(tmp_path / "missing"))
