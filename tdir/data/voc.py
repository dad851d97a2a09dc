"""The Pascal VOC layout: JPEGImages, Annotations, ImageSets/Main. VOC, RTTS and DAWN come in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import torch
from defusedxml import ElementTree

from tdir.data.boxes import numbers
from tdir.data.classes import COCO_CLASSES, canonical, label_positions
from tdir.data.images import SUFFIXES
from tdir.data.sample import ImageSet, find_root, read_lines
from tdir.errors import DataError
from tdir.registry import DATASETS, closest
from tdir.structures import Detections

_USUAL = ("test", "train", "trainval", "val")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_OBJECT, _NEWLINE = re.compile(rb"<object[\s>]"), b"\n"


@DATASETS.register_module("voc")
class VOC(ImageSet):
    """Images and boxes of one split.

    VOC counts pixels from 1 and means the last one inclusively; here a box is continuous and starts at 0, so that
    pixel k covers [k - 1, k]: ``(xmin - 1, ymin - 1, xmax, ymax)``. A set that counts from 0 (DAWN) is thereby half a
    pixel off on average; a corner is never below 0.

    Args:
        root: the folder that holds ``JPEGImages`` and ``ImageSets``; see ``find_root``. Without ``Annotations`` the
            set has no truth.
        split: the name of a list in ``ImageSets/Main``, one image a line.
        classes: the classes of interest, in label order; objects of other classes are left out, usual other names
            ("motorbike" for "motorcycle") count. Default: every class of the annotations, sorted.

    Raises:
        DataError: if the layout, the split or an image of the split is not there, or one of ``classes`` is neither
            in the annotations nor one of COCO's, which a set may lack.
        ConfigError: if two of ``classes`` mean the same.
    """

    def __init__(self, root: str | Path, split: str, classes: Sequence[str] | None = None):
        self.root = find_root(root)
        self.names = _read_split(self.root, split)
        self.paths = _find_images(self.root / "JPEGImages", self.names)
        self._annotations = self.root / "Annotations"
        self._labelled = self._annotations.is_dir()
        self.classes = self._all_classes() if classes is None else self._known(classes)
        self._positions = label_positions(self.classes)

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The lists of a folder with annotations; beside the usual ones, those of single classes are left out."""
        if not (folder / "Annotations").is_dir():
            return []
        found = sorted(path.stem for path in (folder / "ImageSets" / "Main").glob("*.txt"))
        return [split for split in found if split in _USUAL] or found

    def truth(self, index: int) -> Detections | None:
        """The boxes of image ``index``, with VOC's difficult marks; ``None`` in a set without ``Annotations``."""
        if not self._labelled:
            return None
        boxes, labels, difficult = [], [], []
        path = self.annotation(index)
        for number, (name, element) in enumerate(_objects(path)):
            if (label := self._positions.get(canonical(name))) is not None:
                boxes.append(_box(element, name, path, number))
                labels.append(label)
                difficult.append(element.findtext("difficult", "0").strip() == "1")
        return Detections(
            torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            torch.tensor(labels, dtype=torch.long),
            difficult=torch.tensor(difficult, dtype=torch.bool),
        )

    def annotation(self, index: int) -> Path:
        """The annotation file of image ``index``."""
        return self._annotations / f"{self.names[index]}.xml"

    def _known(self, classes: Sequence[str]) -> list[str]:
        """The classes asked for, if the set knows them or may well lack them."""
        strange = [name for name in classes if canonical(name) not in COCO_CLASSES]
        # Every annotation is read only if need be.
        found = self._all_classes() if strange and self._labelled else strange
        known = set(map(canonical, found))
        for name in strange:
            if canonical(name) not in known:
                raise DataError(f"{self.root}: no annotation has a class {name!r}: {closest(name, found)}")
        return list(classes)

    def _all_classes(self) -> list[str]:
        # Over all annotations, not over the split alone: every split of a set must number its classes alike.
        paths = sorted(self._annotations.glob("*.xml"))
        found = sorted({name for path in paths for name, _ in _objects(path)})
        # A set may write one class in two ways; the first spelling names it.
        return list({canonical(name): name for name in reversed(found)}.values())[::-1]


def _read_split(root: Path, split: str) -> list[str]:
    folder = root / "ImageSets" / "Main"
    if not folder.is_dir():
        raise DataError(f"{root}: not a Pascal VOC layout, there is no ImageSets/Main in it")
    path = folder / f"{split}.txt"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.txt")))
        raise DataError(f"{root}: no split {split!r} in ImageSets/Main; the splits there: {known or 'none'}")
    # Some lists hold file names in place of ids.
    names = [Path(line).stem if Path(line).suffix.lower() in SUFFIXES else line for line in read_lines(path) if line]
    if not names:
        raise DataError(f"{path}: the list is empty")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: lists {twice} more than once")
    return names


def _find_images(folder: Path, names: list[str]) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder.parent}: not a Pascal VOC layout, there is no JPEGImages in it")
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
    missing = [name for name in names if name not in files]
    if missing:
        raise DataError(f"{folder}: {len(missing)} of {len(names)} listed images are missing, the first: {missing[0]}")
    return [files[name] for name in names]


def _objects(path: Path) -> Iterator[tuple[str, Element]]:
    try:
        # A document type can expand a small file to gigabytes, and no annotation needs one.
        tree = ElementTree.parse(path, forbid_dtd=True)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such annotation; an image without objects needs one without <object>") from error
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"{path}: not a readable VOC annotation ({error})") from error
    for number, element in enumerate(tree.iterfind("object")):
        name = element.findtext("name", "").strip()
        if not name:
            raise DataError(f"{_where(path, number)}: an <object> has no <name>")
        yield name, element


def _box(element: Element, name: str, path: Path, number: int) -> list[float]:
    corners = [element.findtext(f"bndbox/{corner}", "") for corner in _CORNERS]
    try:
        xmin, ymin, xmax, ymax = numbers(corners, "<bndbox>")
    except DataError as error:
        raise DataError(f"{_where(path, number)}: a {name}: {error}") from error
    if xmax < xmin or ymax < ymin:
        told = dict(zip(_CORNERS, corners, strict=True))
        raise DataError(f"{_where(path, number)}: the box of a {name} is impossible: {told}")
    return [max(xmin - 1, 0.0), max(ymin - 1, 0.0), xmax, ymax]


def _where(path: Path, number: int) -> str:
    """The file, and the line on which its object of that number starts."""
    text = path.read_bytes()
    starts = [match.start() for match in _OBJECT.finditer(text)]
    return f"{path}, line {text.count(_NEWLINE, 0, starts[number]) + 1}" if number < len(starts) else str(path)
