"""Colours: sRGB as people write them, linear light as the painter adds it, and the way back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats

UNIT = 12000
"""The level of 16 bits that stands for a linear value of 1."""


def linear(*levels: Floats | float) -> Floats:
    """sRGB levels in 0..255 -> linear light in [0, 1]."""
    value = np.asarray(levels[0] if len(levels) == 1 else levels, dtype=np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


@lru_cache(maxsize=1)
def linear_table() -> Floats:
    """The linear light of each of the 256 sRGB levels."""
    return linear(np.arange(256.0))


@lru_cache(maxsize=1)
def tone_table() -> NDArray[np.uint8]:
    """16-bit linear light -> sRGB levels, by Narkowicz's fit of the ACES film curve (2015): bright light rolls off."""
    light = np.arange(65536) / UNIT
    film = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    film = np.clip(film, 0, 1)
    level = np.where(film <= 0.0031308, 12.92 * film, 1.055 * film ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * level), dtype=np.uint8)
