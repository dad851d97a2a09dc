"""COCO's layout: a folder of images, and one JSON file of boxes for a split."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tdir.data.boxes import from_corner
from tdir.data.classes import canonical, label_positions
from tdir.data.sample import ImageSet, find_root
from tdir.errors import DataError, shown
from tdir.registry import DATASETS, closest
from tdir.structures import Detections


@DATASETS.register_module("coco")
class COCO(ImageSet):
    """Images and boxes of one split.

    The boxes are ``left, top, width, height`` in continuous pixels; an object marked ``iscrowd`` is an ignored region.

    Args:
        root: the folder that holds ``annotations``; see ``find_root``.
        split: such as "val2017": boxes in ``annotations/instances_<split>.json`` or ``annotations/<split>.json``,
            images in ``<split>`` or ``images/<split>`` or ``images``.
        classes: the classes of interest, in label order; objects of other classes are left out, usual other names
            count. Default: every category of the file, by its id.

    Raises:
        DataError: if the layout, the split or an image is not there, the file is malformed, or a class is unknown.
        ConfigError: if two of ``classes`` mean the same.
    """

    def __init__(self, root: str | Path, split: str, classes: Sequence[str] | None = None):
        self.root = find_root(root)
        self._file = _annotation_file(self.root, split)
        content = _read(self._file)
        images = _entries(content, "images", self._file, {"id": int, "file_name": str})
        categories = _entries(content, "categories", self._file, {"id": int, "name": str})
        folder = _image_folder(self.root, split)
        self.names = [str(image["file_name"]) for image in images]
        self.paths = [folder / name for name in self.names]
        self._check_images(folder)
        named = {one["id"]: one["name"] for one in sorted(categories, key=lambda one: one["id"])}
        self.classes = list(named.values()) if classes is None else list(classes)
        positions = label_positions(self.classes)
        for name in self.classes:
            if canonical(name) not in map(canonical, named.values()):
                raise DataError(f"{self._file}: has no class {name!r}: {closest(name, named.values())}")
        # Category id -> label; a category that is left out has none.
        self._labels = {number: positions.get(canonical(name)) for number, name in named.items()}
        self._objects = self._by_image(content, [image["id"] for image in images])

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The annotation files; of COCO's own, those of boxes."""
        found = sorted(path.stem for path in (folder / "annotations").glob("*.json"))
        boxes = [name.removeprefix("instances_") for name in found if name.startswith("instances_")]
        return boxes or found

    def truth(self, index: int) -> Detections:
        """The boxes of image ``index``."""
        objects = self._objects[index]
        return Detections(
            torch.tensor([box for box, _, _ in objects], dtype=torch.float32).reshape(-1, 4),
            torch.tensor([label for _, label, _ in objects], dtype=torch.long),
            ignored=torch.tensor([crowd for _, _, crowd in objects], dtype=torch.bool),
        )

    def _check_images(self, folder: Path) -> None:
        if not self.paths:
            raise DataError(f"{self._file}: no image in it")
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise DataError(f"{self._file}: lists {twice} more than once")
        inside = folder.resolve()
        for path in self.paths:
            if not path.resolve().is_relative_to(inside):
                raise DataError(f"{self._file}: image {path.name!r} lies outside {folder}")
        missing = [path.name for path in self.paths if not path.is_file()]
        if missing:
            raise DataError(
                f"{folder}: {len(missing)} of {len(self.paths)} images of {self._file.name} are missing, the first: "
                f"{missing[0]}"
            )

    def _by_image(self, content: Mapping[str, Any], ids: list[int]) -> list[list[tuple[list[float], int, bool]]]:
        """Box, label and whether it is a crowd, of every object of every image."""
        places = {number: place for place, number in enumerate(ids)}
        found: list[list[tuple[list[float], int, bool]]] = [[] for _ in ids]
        needed = {"image_id": int, "category_id": int, "bbox": list}
        for k, one in enumerate(_entries(content, "annotations", self._file, needed)):
            where = f"{self._file}, annotations[{k}]"
            if one["image_id"] not in places:
                raise DataError(f"{where}: there is no image {one['image_id']}")
            if one["category_id"] not in self._labels:
                raise DataError(f"{where}: there is no category {one['category_id']}")
            box, label = from_corner(one["bbox"], where), self._labels[one["category_id"]]
            if label is not None:
                found[places[one["image_id"]]].append((box, label, bool(one.get("iscrowd", 0))))
        return found


def _annotation_file(root: Path, split: str) -> Path:
    folder = root / "annotations"
    if not folder.is_dir():
        raise DataError(f"{root}: not COCO's layout, there is no 'annotations' folder in it")
    for path in (folder / f"instances_{split}.json", folder / f"{split}.json"):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem.removeprefix("instances_") for path in folder.glob("*.json")))
    raise DataError(f"{root}: no split {split!r} in 'annotations'; the splits there: {known or 'none'}")


def _image_folder(root: Path, split: str) -> Path:
    for folder in (root / split, root / "images" / split, root / "images"):
        if folder.is_dir():
            return folder
    raise DataError(f"{root}: no folder {split!r}, 'images/{split}' or 'images' in it")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error
    # A file of brackets alone is nested deeper than Python follows; a number may have more digits than it reads.
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: not a COCO annotation file, expected an object with 'images' and 'annotations'")
    return content


def _entries(content: Mapping[str, Any], key: str, path: Path, needed: Mapping[str, type]) -> list[dict[str, Any]]:
    """A list of the file, every entry of which has these fields."""
    entries = content.get(key)
    if not isinstance(entries, list):
        raise DataError(f"{path}: not a COCO annotation file, {key!r} is not a list in it")
    for k, one in enumerate(entries):
        wrong = [
            name
            for name, kind in needed.items()
            if not isinstance(one, dict) or not isinstance(one.get(name), kind) or isinstance(one[name], bool)
        ]
        if wrong:
            raise DataError(f"{path}: {key}[{k}] needs {wrong[0]!r}, {needed[wrong[0]].__name__}, got {shown(one)}")
    return entries
