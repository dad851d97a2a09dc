"""A thousand damaged annotation files: each is read, or refused by a DataError that names it; none is a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tdir.data.coco import COCO
from tdir.data.exdark import ExDark
from tdir.data.sample import ImageSet
from tdir.data.voc import VOC
from tdir.data.yolo import YOLO
from tdir.errors import DataError

CASES = 250
ABSURD = (
    b"1e400", b"-1", b"nan", b"inf", b"9" * 5000, b"0x10", b"1_0", b"\xd9\xa3", b"", b"99999999999999999999", b"1e308",
    b"true", b"None", b"-0.0", b"\xc2\xbd", b"[]", b"{}", b"\x00",
)  # fmt: skip
BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'


class Layout(NamedTuple):
    """A file of this layout, and how the set that holds it is opened."""

    file: str
    text: str
    open: Callable[[Path], ImageSet]


OBJECT = "<object>\n<name>car</name>\n<difficult>0</difficult>\n<bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>30</xmax>"
COCO_TEXT = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "person"}],
        "annotations": [{"image_id": 1, "category_id": 1 + k % 2, "bbox": [k, 2, 10.5, 8]} for k in range(6)],
    },
    indent=1,
)
LAYOUTS = {
    "voc": Layout(
        "Annotations/a.xml",
        "<?xml version='1.0' encoding='utf-8'?>\n<annotation>\n"
        + "\n".join(f"{OBJECT.format(k)}<ymax>20</ymax></bndbox>\n</object>" for k in range(4))
        + "\n</annotation>\n",
        lambda root: VOC(root, "test"),
    ),
    "yolo": Layout(
        "labels/val/a.txt", "2 0.5 0.5 0.2 0.4\n0 0.1 0.2 0.3 0.2 0.3 0.4\n" * 4, lambda root: YOLO(root, "val")
    ),
    "exdark": Layout(
        "ExDark_Annno/Car/a.png.txt",
        "% bbGt version=3\n" + "Car 3 4 5 6 0 0 0 0 0 0 0\nPeople 13 14 5 6 0 0 0 0 0 1 0\n" * 4,
        lambda root: ExDark(root, "test"),
    ),
    "coco": Layout("annotations/val.json", COCO_TEXT, lambda root: COCO(root, "val")),
}


@pytest.fixture
def root(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    for name in ("JPEGImages/a.png", "images/val/a.png", "ExDark/Car/a.png"):
        photo(tmp_path / name)
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/test.txt").write_text("a\n")
    (tmp_path / "imageclasslist.txt").write_text("a.png 5 1 2 3\n")
    for layout in LAYOUTS.values():
        (tmp_path / layout.file).parent.mkdir(parents=True)
        (tmp_path / layout.file).write_text(layout.text)
    return tmp_path


def damaged(text: bytes, rng: np.random.Generator) -> bytes:
    """One of the ways in which files go wrong."""
    a, b = sorted(rng.integers(0, len(text), 2).tolist())
    numbers = [k for k in range(1, len(text)) if text[k : k + 1].isdigit() and not text[k - 1 : k].isdigit()]
    number = int(rng.choice(numbers))
    absurd = ABSURD[rng.integers(len(ABSURD))]
    kinds: list[Callable[[], bytes]] = [
        lambda: text[:a],
        lambda: text[:a] + text[b:],
        lambda: text[:a] + text[a:b] * 3 + text[b:],
        lambda: text[:a] + rng.bytes(int(rng.integers(1, 9))) + text[a:],
        lambda: text[:number] + absurd + text[number + 1 :],
        lambda: text.replace(text[number : number + 1], absurd),
        lambda: text[:a] + absurd + text[a:],
        lambda: text.decode().encode(str(rng.choice(["utf-16", "utf-32", "utf-16-be", "utf-7"]))),
        lambda: b"\xff\xfe" + text,
        lambda: text.replace(b"utf-8", rng.choice([b"ascii", b"utf-99", b"utf-16", b"latin-1", b"rot13"]).tobytes()),
        lambda: text[:b].replace(b"<annotation>", BOMB + b"<annotation>&c;") + text[b:],
        lambda: text[:a] + b"<a>" * 20_000 + b"[" * 20_000 + text[a:],
        lambda: rng.bytes(int(rng.integers(0, 200))),
        lambda: text.replace(b"\n", b"\r\n\x0b "),
    ]
    return kinds[rng.integers(len(kinds))]()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_damaged_file_is_read_or_named(root: Path, name: str) -> None:
    layout, refused = LAYOUTS[name], list[str]()
    whole = layout.text.encode()
    for seed in range(CASES):
        (root / layout.file).write_bytes(damaged(whole, np.random.default_rng(seed)))
        try:
            truth = layout.open(root).truth(0)
        except DataError as error:
            refused.append(str(error))
        else:
            assert truth.boxes.isfinite().all()
            assert (truth.boxes[:, 2:] >= truth.boxes[:, :2]).all()
    assert all(Path(layout.file).name in message and len(message) < 1000 for message in refused)
    # Some damage leaves a file that can be read, and most does not.
    assert CASES // 3 < len(refused) < CASES


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_whole_file_is_read(root: Path, name: str) -> None:
    assert len(LAYOUTS[name].open(root).truth(0)) >= 4
