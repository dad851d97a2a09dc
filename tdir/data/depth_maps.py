"""Depth maps of photos, one file each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tdir.data.images import Depth
from tdir.data.sample import find_root
from tdir.errors import DataError

PER_METRE = 256.0
"""Steps of a 16-bit PNG in a metre, as KITTI writes them."""


class DepthMaps:
    """A folder of depth maps, named after photos: ``<name>.npy`` in metres, ``<name>.png`` of 16 bits, 256 a metre.

    Args:
        root: the folder; see ``find_root``.

    Raises:
        DataError: if there is no such folder, or no depth map in it.
    """

    def __init__(self, root: str | Path):
        self.root = find_root(root)
        self._files = {path.stem: path for path in sorted(self.root.iterdir()) if path.suffix in (".npy", ".png")}
        if not self._files:
            raise DataError(f"{self.root}: no depth map in it; expected <photo>.npy or <photo>.png of 16 bits")

    def has(self, name: str) -> bool:
        """Whether there is one of the photo of that name."""
        return name in self._files

    def read(self, name: str, size: tuple[int, int]) -> Depth:
        """The depth of a photo in metres.

        Args:
            name: of the photo.
            size: (height, width) of the photo; a map of another size is scaled to it.

        Raises:
            DataError: if the file is no depth map, or holds what is no depth.
        """
        path = self._files[name]
        depth = _npy(path) if path.suffix == ".npy" else _png(path)
        if depth.ndim != 2 or not depth.size:
            raise DataError(f"{path}: a depth map is (height, width), got {depth.shape}")
        metres = np.asarray(cv2.resize(depth, size[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)
        if not np.isfinite(metres).all() or metres.min() < 0:
            raise DataError(f"{path}: depths are finite and not negative, got {metres.min()} to {metres.max()}")
        return metres


def _npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a readable array ({error})") from error


def _png(path: Path) -> np.ndarray:
    levels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16:
        raise DataError(f"{path}: not a PNG of 16 bits: write metres times {PER_METRE:g}, or a .npy")
    return levels.astype(np.float32) / PER_METRE
