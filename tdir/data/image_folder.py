"""A folder for each split, in it a folder for each class: the layout of torchvision's ImageFolder."""

from __future__ import annotations

from pathlib import Path

from tdir.data.images import SUFFIXES, list_images
from tdir.data.sample import ImageSet, find_root
from tdir.errors import DataError
from tdir.registry import DATASETS, closest
from tdir.structures import ClassScores

_STARTS = ("train", "val", "test")


@DATASETS.register_module("image_folder")
class ImageFolder(ImageSet):
    """The images of one split; their class is the folder that they lie in, at any depth below it.

    Args:
        root: the folder that holds the splits; see ``find_root``.
        split: the name of a folder in it; the classes are the folders in that one, sorted.

    Raises:
        DataError: if there is no such split, it has less than two classes, a class has no image, or an image lies
            beside the classes.
    """

    task = "classification"

    def __init__(self, root: str | Path, split: str):
        self.root = find_root(root)
        folder = self.root / split
        if not split or not folder.is_dir():
            raise DataError(f"{self.root} has no split {split!r}: {closest(split, self.splits(self.root))}")
        self.classes = [path.name for path in _folders(folder)]
        if len(self.classes) < 2:
            raise DataError(f"{folder}: each class has a folder here, and there are two or more; found {self.classes}")
        self.paths = list_images(folder)
        below = [path.relative_to(folder) for path in self.paths]
        beside = [path.name for path in below if len(path.parts) == 1]
        if beside:
            raise DataError(f"{folder}: {beside[0]} lies beside the folders of the classes: move it into one of them")
        self._labels = [self.classes.index(path.parts[0]) for path in below]
        empty = [name for label, name in enumerate(self.classes) if label not in set(self._labels)]
        if empty:
            raise DataError(f"{folder}: no image of {', '.join(empty)}: remove the empty folders, or fill them")
        self.names = [f"{split}/{path.as_posix()}" for path in below]

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The folders named train, val, test or alike that hold images in two or more folders, and none beside them.

        The name tells them from the layouts that keep all images in a folder of another name.
        """
        if not folder.is_dir():
            return []
        return sorted(path.name for path in _folders(folder) if path.name.startswith(_STARTS) and _is_split(path))

    def truth(self, index: int) -> ClassScores:
        """The class of image ``index``."""
        return ClassScores.of(self._labels[index], len(self.classes))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_split(folder: Path) -> bool:
    return not _holds_images(folder) and sum(map(_holds_images, _folders(folder))) > 1


def _holds_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
