"""Noise that is made once for a process: the grain of the ground, and clouds."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats

SIDE = 512


def fractal(seed: int, side: int = SIDE, coarsest: int = 4, finest: int = 256, fall: float = 0.6) -> Floats:
    """Noise ``(side, side)`` that repeats without a seam, of mean 0 and deviation 1.

    Args:
        seed: of the noise.
        side: pixels.
        coarsest: cells of the coarsest octave along a side.
        finest: cells of the finest.
        fall: the amplitude of an octave over that of the one before.
    """
    rng, total = np.random.default_rng(seed), np.zeros((side, side), dtype=np.float32)
    cells, weight = coarsest, 1.0
    while cells <= finest:
        grid = np.pad(rng.standard_normal((cells, cells), dtype=np.float32), 2, mode="wrap")
        step = side // cells
        wide = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += weight * wide[2 * step : -2 * step, 2 * step : -2 * step]
        cells, weight = 2 * cells, weight * fall
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)


@lru_cache(maxsize=1)
def grain() -> NDArray[np.uint8]:
    """What asphalt and stone look like from near and from far, ``(SIDE, SIDE)``, 128 in the middle."""
    coarse = fractal(1, coarsest=4, finest=32, fall=0.75)
    fine = fractal(2, coarsest=64, finest=256, fall=1.1)
    return np.clip(128 + 14 * coarse + 17 * fine, 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def clouds() -> Floats:
    """The density of clouds over a plane, ``(SIDE, SIDE)``, evenly spread over [0, 1]."""
    noise = fractal(3, coarsest=4, finest=128, fall=0.58)
    order = np.empty(noise.size, dtype=np.float32)
    order[np.argsort(noise, axis=None)] = np.linspace(0, 1, noise.size, dtype=np.float32)
    return order.reshape(noise.shape)
