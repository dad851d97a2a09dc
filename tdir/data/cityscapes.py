"""Cityscapes (Cordts et al., CVPR 2016), the official tree: leftImg8bit and gtFine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdir.data._maps import read_map
from tdir.data.images import list_images
from tdir.data.sample import ImageSet, find_root
from tdir.errors import DataError
from tdir.registry import DATASETS, closest
from tdir.structures import IGNORE, SemanticMap

CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""The 19 that are scored, in the order of their trainIds."""
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Their numbers in ``*_gtFine_labelIds.png``; all others are not scored."""
_IMAGES, _LABELS = "leftImg8bit", "gtFine"


@DATASETS.register_module("cityscapes")
class Cityscapes(ImageSet):
    """Frames and fine labels of one split.

    Args:
        root: the folder that holds ``leftImg8bit`` and ``gtFine``; see ``find_root``. Without ``gtFine/<split>`` the
            set has no truth.
        split: "train", "val" or "test".
        cities: only these, such as ["frankfurt", "lindau"]; default: all of the split.

    Raises:
        DataError: if the layout, the split, a city or a frame is not there.
    """

    task = "segmentation"

    def __init__(self, root: str | Path, split: str, cities: Sequence[str] | None = None):
        self.root = find_root(root)
        folder = self.root / _IMAGES / split
        known = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        if not known:
            splits = sorted(path.name for path in (self.root / _IMAGES).glob("*"))
            raise DataError(f"{self.root} has no frames in {_IMAGES}/{split}: {closest(split, splits)}")
        for city in cities or ():
            if city not in known:
                raise DataError(f"{folder} has no city {city!r}: {closest(city, known)}")
        chosen = known if cities is None else list(cities)
        found = [path for city in chosen for path in list_images(folder / city)]
        self.paths = [path for path in found if path.stem.endswith(f"_{_IMAGES}")]
        if not self.paths:
            raise DataError(f"{folder}: no frame is named <city>_<number>_<number>_{_IMAGES}.png")
        self.names = [f"{path.parent.name}/{path.stem.removesuffix(f'_{_IMAGES}')}" for path in self.paths]
        self.classes = list(CLASSES)
        self._truths = self.root / _LABELS / split
        self._table = np.full(256, IGNORE, dtype=np.uint8)
        self._table[list(LABEL_IDS)] = np.arange(len(CLASSES))

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The folders of ``leftImg8bit`` of which ``gtFine`` has the labels."""
        found = (path.name for path in (folder / _LABELS).glob("*") if (folder / _IMAGES / path.name).is_dir())
        return sorted(found)

    def group(self, index: int) -> str:
        """The city of frame ``index``."""
        return self.paths[index].parent.name

    def truth(self, index: int) -> SemanticMap | None:
        """The labels of frame ``index``; ``None`` in a split without ``gtFine``."""
        if not self._truths.is_dir():
            return None
        path = self.paths[index]
        return read_map(self._truths / f"{self.names[index]}_{_LABELS}_labelIds.png", self._table, path)
