"""A plain folder of images, without any truth."""

from __future__ import annotations

from pathlib import Path

from tdir.data.images import list_images
from tdir.data.sample import ImageSet, find_root
from tdir.registry import DATASETS


@DATASETS.register_module("folder")
class Folder(ImageSet):
    """Every image below a folder, sorted by path; the name of an image is its path below the folder.

    Args:
        root: the folder; see ``find_root``.

    Raises:
        DataError: if there is no such folder, or no image in it.
    """

    def __init__(self, root: str | Path):
        self.root = find_root(root)
        self.paths = list_images(self.root)
        self.names = [path.relative_to(self.root).as_posix() for path in self.paths]
        self.classes = []

    def truth(self, index: int) -> None:
        """Always ``None``: a folder has no truth."""
