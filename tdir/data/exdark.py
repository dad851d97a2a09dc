"""ExDark's own layout: images and bbGt annotations in folders by class, and one list of all images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tdir.data.boxes import from_corner, numbers
from tdir.data.classes import canonical, label_positions
from tdir.data.images import SUFFIXES
from tdir.data.sample import ImageSet, find_root, read_lines
from tdir.errors import DataError, shown
from tdir.registry import DATASETS, closest
from tdir.structures import Detections

CLASSES = (
    "Bicycle", "Boat", "Bottle", "Bus", "Car", "Cat", "Chair", "Cup", "Dog", "Motorbike", "People", "Table",
)  # fmt: skip
"""In the order of the numbers of ``imageclasslist.txt``, which count from 1."""
SPLITS = {"train": 1, "val": 2, "test": 3}

_LIST = "imageclasslist.txt"
_FORMAT = "bbGt version=3"
_FIELDS = 12  # class, left, top, width, height, occluded, four of the visible part, ignored, angle
_IGNORED = 10


@DATASETS.register_module("exdark")
class ExDark(ImageSet):
    """Images and boxes of one split of Exclusively Dark (Loh and Chan, CVIU 2019), as its authors ship it.

    The folder holds ``ExDark/<Class>/<image>``, ``ExDark_Annno/<Class>/<image>.txt`` and ``imageclasslist.txt``. File
    names are found whatever their case, as the list does not always write it as the files do. A box of the annotations
    is ``left top width height``, taken as continuous pixels; one that they mark as ignored neither counts nor harms.

    Args:
        root: that folder; see ``find_root``.
        split: "train" (3,000 images), "val" (1,800) or "test" (2,563), as the list says.
        classes: the classes of interest, in label order; usual other names count ("person" for "People"), and images
            without an object of theirs stay in. Default: all twelve.

    Raises:
        DataError: if the layout or an image of the split is not there, the list cannot be read, or a class is unknown.
        ConfigError: if two of ``classes`` mean the same.
    """

    def __init__(self, root: str | Path, split: str, classes: Sequence[str] | None = None):
        self.root = find_root(root)
        if split not in SPLITS:
            raise DataError(f"ExDark has no split {split!r}: {closest(split, SPLITS)}")
        listed = [one for one in _read_list(self.root / _LIST) if one.split == SPLITS[split]]
        if not listed:
            raise DataError(f"{self.root / _LIST}: no image of the split {split!r}")
        images, annotations = _folder(self.root, "ExDark"), _folder(self.root, "ExDark_Ann")
        self.paths = _found(images, [(one.folder, one.name) for one in listed])
        self._annotations = _found(annotations, [(one.folder, f"{one.name}.txt") for one in listed])
        self.names = [f"{one.folder}/{one.name}" for one in listed]
        known = {canonical(name): name for name in CLASSES}
        self.classes = list(CLASSES if classes is None else classes)
        for name in self.classes:
            if canonical(name) not in known:
                raise DataError(f"ExDark has no class {name!r}: {closest(name, CLASSES)}")
        self._positions = label_positions(self.classes)

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """Those that the list has images of."""
        if not (folder / _LIST).is_file():
            return []
        numbers = {one.split for one in _read_list(folder / _LIST)}
        return sorted(name for name, number in SPLITS.items() if number in numbers)

    def truth(self, index: int) -> Detections:
        """The boxes of image ``index``."""
        boxes, labels, ignored = [], [], []
        path = self._annotations[index]
        lines = read_lines(path)
        if not lines or _FORMAT not in lines[0]:
            raise DataError(f"{path}, line 1: not an ExDark annotation, expected '% {_FORMAT}'")
        for number, line in enumerate(lines[1:], start=2):
            if line:
                where = f"{path}, line {number}"
                name, *values = line.split()
                if canonical(name) not in map(canonical, CLASSES):
                    raise DataError(f"{where}: ExDark has no class {shown(name)}: {closest(name, CLASSES)}")
                if len(values) != _FIELDS - 1:
                    raise DataError(f"{where}: expected a class and {_FIELDS - 1} numbers, got {shown(line)}")
                box, mark = from_corner(values[:4], where), numbers([values[_IGNORED - 1]], where)[0]
                if (label := self._positions.get(canonical(name))) is not None:
                    boxes.append(box)
                    labels.append(label)
                    ignored.append(mark != 0)
        return Detections(
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            torch.tensor(labels, dtype=torch.long),
            ignored=torch.tensor(ignored, dtype=torch.bool),
        )


@dataclass(frozen=True)
class _Listed:
    """A line of the list: the file name, the folder of its class, the number of its split."""

    name: str
    folder: str
    split: int


def _read_list(path: Path) -> list[_Listed]:
    if not path.is_file():
        raise DataError(f"{path.parent}: not ExDark's layout, there is no {_LIST} in it")
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        name, _, rest = line.partition(" ")
        # The first line names the columns.
        if not line or Path(name).suffix.lower() not in SUFFIXES:
            continue
        fields = rest.split()
        if len(fields) != 4 or not all(field.isascii() and field.isdecimal() for field in fields):
            raise DataError(f"{path}, line {number}: expected an image and four numbers, got {shown(line)}")
        kind, split = int(fields[0]), int(fields[3])
        if not 1 <= kind <= len(CLASSES):
            raise DataError(f"{path}, line {number}: class {kind} is none of 1 to {len(CLASSES)}")
        found.append(_Listed(name, CLASSES[kind - 1], split))
    return found


def _folder(root: Path, start: str) -> Path:
    """``ExDark``, or the folder of annotations, whose name its authors misspell."""
    if (root / start).is_dir():
        return root / start
    for path in sorted(root.iterdir()):
        if path.is_dir() and path.name.startswith(start):
            return path
    raise DataError(f"{root}: not ExDark's layout, there is no folder {start}... in it")


def _found(folder: Path, wanted: list[tuple[str, str]]) -> list[Path]:
    """The files of these (class, name), whatever the case of either."""
    files = {
        (kind.name.lower(), path.name.lower()): path
        for kind in sorted(folder.iterdir())
        if kind.is_dir()
        for path in sorted(kind.iterdir())
    }
    missing = [one for one in wanted if (one[0].lower(), one[1].lower()) not in files]
    if missing:
        first = "/".join(missing[0])
        raise DataError(f"{folder}: {len(missing)} of {len(wanted)} listed files are missing, the first: {first}")
    return [files[kind.lower(), name.lower()] for kind, name in wanted]
