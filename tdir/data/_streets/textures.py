"""Textures: pictures in several sizes, and what becomes of their levels in the light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats
from tdir.data._streets.colours import UNIT, linear, linear_table

Table = NDArray[np.uint16]
"""``(1, 256, 4)``: the pixel that each level of a texture becomes."""


@dataclass(frozen=True, eq=False)
class Texture:
    """An sRGB picture with alpha ``(H, W, 4)``.

    Args:
        sizes: the picture, then the same at half the size, and so on.
        mean: its colour from afar, linear RGB.
    """

    sizes: Sequence[NDArray[np.uint8]]
    mean: Floats

    def fitting(self, corners: list[list[float]]) -> tuple[NDArray[np.uint8], int]:
        """The size that comes nearest to the one at which the four corners are seen, and how to sample it."""
        sides = [math.dist(a, b) for a, b in zip(corners, corners[1:] + corners[:1])]
        height, width = self.sizes[0].shape[:2]
        excess = max(height / max(sides[1], sides[3], 1) / 1.3, width / max(sides[0], sides[2], 1) / 2.5)
        chosen = self.sizes[min(int(math.log2(max(excess, 1))), len(self.sizes) - 1)]
        # A canvas has twice the pixels of the picture that becomes of it: they hide what is sampled twice as coarsely.
        return chosen, cv2.INTER_LINEAR if excess < 0.5 else cv2.INTER_NEAREST

    def least(self, height: float) -> NDArray[np.uint8]:
        """The smallest size of at least some height, or the largest there is."""
        return next((picture for picture in reversed(self.sizes) if len(picture) >= height), self.sizes[0])


def pyramid(picture: NDArray[np.uint8], least: int = 6) -> Texture:
    """A texture of a picture ``(H, W, 4)`` in sizes whose sides have at least ``least`` pixels."""
    sizes = [np.ascontiguousarray(picture)]
    while min(sizes[-1].shape[:2]) >= 2 * least:
        height, width = sizes[-1].shape[:2]
        smaller = cv2.resize(sizes[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        sizes.append(np.asarray(smaller, dtype=np.uint8))
    return Texture(sizes, linear(picture[..., :3].reshape(-1, 3).mean(0)))


def lit_table(gain: Floats, surface: int) -> Table:
    """The table from sRGB levels to pixels of a surface, in light ``gain``, RGB."""
    table = np.empty((1, 256, 4), dtype=np.uint16)
    table[0, :, :3] = np.minimum(linear_table()[:, None] * (gain * UNIT), 65535)
    table[..., 3] = surface
    return table
