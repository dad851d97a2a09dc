"""CamVid (Brostow et al., 2009) with eleven classes, in the layout of SegNet's tutorial."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tdir.data._maps import read_map
from tdir.data.images import list_images
from tdir.data.sample import ImageSet, find_root
from tdir.errors import DataError
from tdir.registry import DATASETS, closest
from tdir.structures import IGNORE, SemanticMap

CLASSES = (
    "sky", "building", "pole", "road", "sidewalk", "vegetation", "traffic sign", "fence", "car", "person", "rider",
)  # fmt: skip
"""In the order of the numbers in the files, by Cityscapes' names where it has them; there, 11 stands for no label."""


@DATASETS.register_module("camvid")
class CamVid(ImageSet):
    """Frames and labels of one split.

    Args:
        root: the folder that holds ``<split>`` with the frames and ``<split>annot`` with PNGs of the same names; see
            ``find_root``.
        split: "train", "val" or "test".

    Raises:
        DataError: if the layout, the split or a frame is not there.
    """

    task = "segmentation"

    def __init__(self, root: str | Path, split: str):
        self.root = find_root(root)
        if split not in (known := self.splits(self.root)):
            raise DataError(f"{self.root} has no split {split!r} with labels in {split}annot: {closest(split, known)}")
        self._labels = self.root / f"{split}annot"
        self.paths = list_images(self.root / split)
        self.names = [f"{split}/{path.stem}" for path in self.paths]
        self.classes = list(CLASSES)
        self._table = np.full(256, IGNORE, dtype=np.uint8)
        self._table[: len(CLASSES)] = np.arange(len(CLASSES))

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The folders beside which there is one of their name and "annot"."""
        if not folder.is_dir():
            return []
        return sorted(path.name for path in folder.iterdir() if path.with_name(f"{path.name}annot").is_dir())

    def truth(self, index: int) -> SemanticMap:
        """The labels of frame ``index``."""
        path = self.paths[index]
        return read_map(self._labels / f"{path.stem}.png", self._table, path)
