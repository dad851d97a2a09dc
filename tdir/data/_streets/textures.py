"""Textures: pictures in several sizes, and what becomes of their levels in the light."""

from __future__ import annotations

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

    def least(self, height: float) -> NDArray[np.uint8]:
        """The smallest size of at least some height, or the largest there is."""
        return next((picture for picture in reversed(self.sizes) if len(picture) >= height), self.sizes[0])


def fitting(textures: Sequence[Texture], corners: Floats) -> list[tuple[NDArray[np.uint8], int]]:
    """The sizes that come nearest to those at which textures are seen, and how to sample them.

    Args:
        textures: n of them.
        corners: ``(n, 4, 2)``, in pixels: top left, top right, bottom right, bottom left of each.
    """
    sides = np.hypot(*(corners - np.roll(corners, -1, axis=1)).T)  # (4, n)
    high, wide = np.array([texture.sizes[0].shape[:2] for texture in textures]).T
    across, down = (np.maximum(np.maximum(*pair), 1) for pair in (sides[::2], sides[1::2]))
    excess = np.maximum(high / down / 1.3, wide / across / 2.5)
    chosen = np.log2(np.maximum(excess, 1)).astype(int).tolist()
    # A canvas has twice the pixels of the picture that becomes of it: they hide what is sampled twice as coarsely.
    methods = np.where(excess < 0.5, cv2.INTER_LINEAR, cv2.INTER_NEAREST).tolist()
    return [(one.sizes[min(k, len(one.sizes) - 1)], how) for one, k, how in zip(textures, chosen, methods)]


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
