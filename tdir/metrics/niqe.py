"""NIQE: how far the statistics of an image's blocks are from those of natural photos; no clean image is needed.

Mittal, Soundararajan and Bovik, "Making a Completely Blind Image Quality Analyzer", IEEE Signal Processing Letters,
2013; equation numbers are the paper's. What it leaves open is done as in the authors' own program, whose parameters of
natural photos are what everybody compares with: grey is BT.601's luma in video range, rounded; what is left of an image
on the right and below, and fills no block, is cut off; a block's neighbours wrap around at its edges.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tdir.data.images import Pixels
from tdir.errors import DataError, WeightsError

BLOCK = 96
"""Side of a block, pixels; half of it on the second scale."""
LEAST = 2 * BLOCK
"""The shortest side of an image: fewer blocks than two by two have no covariance worth the name."""
FEATURES = 36
"""Of a block: 18 on each of two scales."""

_WINDOW = (7, 7)
_SIGMA = 7 / 6
_ROUNDING = 1e-9
_REACH = 4  # of the bicubic filter, pixels of the half size
_LUMA = np.array([65.481, 128.553, 24.966]) / 255
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # right, below, and on both diagonals

# What numpy and zipfile raise on a file that is damaged, another's, or holds objects.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """A multivariate Gaussian over the features of blocks.

    Args:
        mean: ``(36,)``.
        covariance: ``(36, 36)``.
    """

    mean: Array
    covariance: Array

    def distance(self, other: Gaussian) -> float:
        """Equation 10: the distance of the means, in units of the mean covariance."""
        away = self.mean - other.mean
        inverse = np.linalg.pinv((self.covariance + other.covariance) / 2)
        return math.sqrt(max(0.0, float(away @ inverse @ away)))


def niqe(image: Pixels, natural: Gaussian) -> float:
    """NIQE of ``(H, W, 3)`` uint8 RGB: from 0, lower is better; NaN if fewer than two blocks have any texture.

    Args:
        image: 192 pixels or more on each side.
        natural: of the blocks of natural photos, see :func:`read_natural`.

    Raises:
        DataError: if the image is smaller.
    """
    features = block_features(image)
    textured = ~np.isnan(features).any(axis=1)
    if textured.sum() < 2:
        return math.nan
    # A block may have texture on one scale alone; what it has counts for the mean, as in the authors' program.
    mean = np.nanmean(features, axis=0)
    return natural.distance(Gaussian(mean, np.cov(features[textured], rowvar=False)))


def block_features(image: Pixels) -> Array:
    """The 36 features of each block of an image.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, 192 pixels or more on each side.

    Returns:
        ``(blocks, 36)``, the 18 of the full size first; NaN where a block is flat.

    Raises:
        DataError: if the image is smaller.
    """
    height, width = image.shape[:2]
    if min(height, width) < LEAST:
        raise DataError(f"NIQE needs {LEAST} pixels on each side, and the image is {width} x {height}: leave it out")
    grey = np.rint(16 + image[: height - height % BLOCK, : width - width % BLOCK] @ _LUMA)
    scales = [(grey, BLOCK), (_half(grey), BLOCK // 2)]
    return np.concatenate([_scale_features(_blocks(_normalised(one), side)) for one, side in scales], axis=1)


def read_natural(path: Path) -> Gaussian:
    """The Gaussian of natural photos, from an ``.npz`` file with ``mu_pris_param`` and ``cov_pris_param``.

    Raises:
        WeightsError: if the file cannot be read, wants to run code, or holds something else.
    """
    try:
        with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:
            mean, covariance = (np.asarray(arrays[f"{key}_pris_param"], np.float64) for key in ("mu", "cov"))
    except _UNREADABLE as error:
        raise WeightsError(
            f"{path} is not the .npz file of NIQE's parameters, mu_pris_param and cov_pris_param ({error}); nothing in "
            "it was run: copy it again"
        ) from error
    if mean.size != FEATURES or covariance.shape != (FEATURES, FEATURES):
        raise WeightsError(
            f"{path}: mu_pris_param is {mean.shape} and cov_pris_param {covariance.shape}, and NIQE has {FEATURES} "
            f"features: (1, {FEATURES}) and ({FEATURES}, {FEATURES}) are needed"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise WeightsError(f"{path}: NIQE's parameters are not finite: copy the file again")
    return Gaussian(mean.ravel(), covariance)


def _half(grey: Array) -> Array:
    """At half the size, antialiased bicubic; beyond an edge the image is its mirror image, as in MATLAB's imresize."""
    wide = torch.from_numpy(np.pad(grey, 2 * _REACH, mode="symmetric"))[None, None]
    half = functional.interpolate(wide, scale_factor=0.5, mode="bicubic", antialias=True, align_corners=False)
    return half[0, 0, _REACH:-_REACH, _REACH:-_REACH].numpy()


def _normalised(grey: Array) -> Array:
    """Equations 1 to 3: without the local mean, in units of the local contrast."""
    mean = _blurred(grey)
    deviation = np.sqrt(np.abs(_blurred(grey * grey) - mean * mean))
    found = (grey - mean) / (deviation + 1)
    # What rounding leaves in flat areas would be counted by its sign, another one on every machine.
    return np.where(np.abs(found) < _ROUNDING, 0.0, found)


def _blurred(values: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(values, _WINDOW, _SIGMA, borderType=cv2.BORDER_REPLICATE), np.float64)


def _blocks(values: Array, side: int) -> Array:
    """``(blocks, side, side)`` of ``(H, W)``, both multiples of the side."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    return values.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _scale_features(blocks: Array) -> Array:
    """The 18 features of each block on one scale, section II-B."""
    shape, left, right = asymmetric_gaussian(blocks)
    found = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = asymmetric_gaussian(blocks * np.roll(blocks, shift, axis=(1, 2)))
        found += [shape, (right - left) * _at(shape, _table().means), left, right]  # equation 8 is the mean
    return np.stack(found, axis=1)


def asymmetric_gaussian(blocks: Array) -> tuple[Array, Array, Array]:
    """The asymmetric generalized Gaussians, equation 4, of the values of some blocks, by matching their moments.

    Args:
        blocks: ``(n, ...)``.

    Returns:
        Shape, left and right scale, ``(n,)`` each; NaN for a block without a value on each side of 0.
    """
    values = blocks.reshape(len(blocks), -1)
    squares = values * values
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = (
            np.sqrt(np.where(side, squares, 0).sum(axis=1) / side.sum(axis=1)) for side in (values < 0, values > 0)
        )
        ratio = left / right
        moments = np.abs(values).mean(axis=1) ** 2 / squares.mean(axis=1)
        wanted = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    table = _table()
    shape = np.where(np.isfinite(wanted), table.shapes[np.searchsorted(table.between, wanted)], np.nan)
    unit = _at(shape, table.units)
    return shape, left * unit, right * unit


@dataclass(frozen=True)
class _Table:
    """Functions of the shape that have no closed inverse, or cost more than a look.

    Args:
        shapes: from 0.2 to 10 by thousandths.
        between: the ratio of moments half-way from each shape to the next.
        units: scale over standard deviation.
        means: mean over the difference of the scales.
    """

    shapes: Array
    between: Array
    units: Array
    means: Array


@cache
def _table() -> _Table:
    shapes = np.arange(200, 10001) / 1000
    first, second, third = (np.array([math.gamma(k / shape) for shape in shapes]) for k in (1, 2, 3))
    ratios = second**2 / (first * third)
    return _Table(shapes, (ratios[1:] + ratios[:-1]) / 2, np.sqrt(first / third), second / first)


def _at(shape: Array, values: Array) -> Array:
    """The values of a table's column at some of its shapes; NaN at NaN."""
    return np.interp(shape, _table().shapes, values)
