"""Degradations made at native size, reproducible photo by photo: haze and low light."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tdir.data.images import Depth, Pixels
from tdir.data.sample import ImageSet
from tdir.ranges import NATURAL, NOT_NEGATIVE, POSITIVE, SHARE, Range
from tdir.registry import DEGRADATIONS
from tdir.structures import Prediction


class Degradation(ABC):
    """Base of every degradation: ``(H, W, 3)`` uint8 RGB -> the same shape, its chance drawn from a generator."""

    def __call__(self, image: Pixels, rng: np.random.Generator, depth: Depth | None = None) -> Pixels:
        """The degraded image; ``image`` itself is left as it is.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            rng: what is left to chance is drawn from it: first what :meth:`draw` gives, then any noise.
            depth: of the image, where its data set knows it; most degradations do without.

        Raises:
            DataError: if this degradation needs the depth and does not get it.
        """
        return self.apply(image, self.draw(rng), rng, depth)

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """How strong the degradation is this time, by name; numbers and lists of them, for a record."""

    @abstractmethod
    def apply(
        self, image: Pixels, drawn: Mapping[str, Any], rng: np.random.Generator, depth: Depth | None = None
    ) -> Pixels:
        """The degraded image at a strength that was drawn; noise comes from ``rng``."""

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """What ``DEGRADATIONS.build`` rebuilds this degradation from, for a record of a training."""


@DEGRADATIONS.register_module("haze")
class Haze(Degradation):
    """The synthetic haze of IA-YOLO (AAAI 2022, section 4.1), thickest in the image centre.

    ``I = J t + A (1 - t)`` with ``t = exp(-beta d)``, ``d = -0.04 rho + sqrt(max(H, W))``, ``rho`` the distance in
    pixels from ``(H // 2, W // 2)`` and ``beta = scale (0.05 + 0.01 i)``, ``i`` drawn uniformly from ``low..high``.

    Args:
        light: the air light ``A`` in [0, 1].
        low: the least ``i``.
        high: the greatest ``i``, included.
        scale: a factor on ``beta``; 1 is the published strength.

    Raises:
        ConfigError: if ``light`` is outside [0, 1], ``low..high`` no range of whole numbers from 0, or ``scale`` not
            positive.
    """

    def __init__(self, light: float = 0.5, low: int = 0, high: int = 9, scale: float = 1.0):
        SHARE.check("light", light)
        NATURAL.check("low", low)
        Range(low, whole=True).check("high", high)
        POSITIVE.check("scale", scale)
        self.light, self.low, self.high, self.scale = light, low, high, scale

    def draw(self, rng: np.random.Generator) -> dict[str, int]:
        """The "level" ``i``."""
        return {"level": int(rng.integers(self.low, self.high, endpoint=True))}

    def apply(
        self, image: Pixels, drawn: Mapping[str, Any], rng: np.random.Generator, depth: Depth | None = None
    ) -> Pixels:
        """The image in haze of this level."""
        height, width = image.shape[:2]
        transmission = haze_transmission(height, width, self.scale * (0.05 + 0.01 * drawn["level"]))[..., None]
        light = np.float32(255 * self.light)
        hazy = (image - light) * transmission + light
        # t exceeds 1 in the corners of large images. The fraction is cut off, not rounded, as published.
        return np.clip(hazy, 0, 255, out=hazy).astype(np.uint8)

    def settings(self) -> dict[str, object]:
        """What ``DEGRADATIONS.build`` rebuilds this degradation from."""
        return {"type": "haze", "light": self.light, "low": self.low, "high": self.high, "scale": self.scale}


def haze_transmission(height: int, width: int, beta: float) -> np.ndarray:
    """IA-YOLO's ``t = exp(-beta d)`` for every pixel, ``(H, W)`` float32."""
    rows = np.arange(height, dtype=np.float32)[:, None] - height // 2
    columns = np.arange(width, dtype=np.float32)[None, :] - width // 2
    distance = np.sqrt(rows * rows + columns * columns)
    exponent = np.float32(0.04 * beta) * distance - np.float32(beta * math.sqrt(max(height, width)))
    return np.exp(exponent, out=exponent)


@DEGRADATIONS.register_module("low_light")
class LowLight(Degradation):
    """A dark, noisy photo: ``I^gamma``, then shot and read noise, then quantisation to 8 bits.

    ``gamma`` is drawn uniformly from its range. The noise is Gaussian with variance ``shot I + read^2``, where ``I`` is
    the darkened image in [0, 1]: the usual approximation of Poisson shot noise plus sensor read noise.

    Args:
        gamma: the least and the greatest exponent, at least 1.
        shot: variance per unit of signal. The default of 0.0005 is a pixel whose white is 2,000 photo-electrons, a
            small sensor at high ISO; 0 turns it off.
        read: standard deviation in [0, 1]. The default of 0.002 is four of these electrons, half a grey level; 0
            turns it off.

    Raises:
        ConfigError: if the range of ``gamma`` does not satisfy 1 <= low <= high, or a noise is negative.
    """

    def __init__(self, gamma: tuple[float, float] = (1.5, 5.0), shot: float = 0.0005, read: float = 0.002):
        NOT_NEGATIVE.check("shot", shot)
        NOT_NEGATIVE.check("read", read)
        self.gamma, self.shot, self.read = Range(1).pair("gamma", gamma), shot, read

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """The exponent "gamma"."""
        return {"gamma": rng.uniform(*self.gamma)}

    def apply(
        self, image: Pixels, drawn: Mapping[str, Any], rng: np.random.Generator, depth: Depth | None = None
    ) -> Pixels:
        """The image at this darkness, with fresh noise."""
        # Signal and noise strength depend on the 256 grey levels only: two tables instead of a power per pixel.
        signal = np.linspace(0, 1, 256) ** drawn["gamma"]
        deviation = np.sqrt(self.shot * signal + self.read**2)
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        noise *= (255 * deviation).astype(np.float32)[image]
        noise += (255 * signal).astype(np.float32)[image]
        return np.clip(np.rint(noise, out=noise), 0, 255, out=noise).astype(np.uint8)

    def settings(self) -> dict[str, object]:
        """What ``DEGRADATIONS.build`` rebuilds this degradation from."""
        return {"type": "low_light", "gamma": self.gamma, "shot": self.shot, "read": self.read}


def rng_for(name: str, seed: int) -> np.random.Generator:
    """The chance of a degradation, by the name of an image."""
    return np.random.default_rng([seed, zlib.crc32(name.encode(errors="surrogateescape"))])


class Degraded(ImageSet):
    """A data set seen through a degradation; truth, names, paths and order stay.

    A photo's draw depends on ``seed`` and its name alone, so it looks the same in any order, subset or process.

    Args:
        data_set: any detection set.
        degradation: made at native size, before any resizing.
        seed: not negative; another seed draws anew.

    Raises:
        ConfigError: if ``seed`` is no whole number from 0.
    """

    def __init__(self, data_set: ImageSet, degradation: Degradation, seed: int = 0):
        NATURAL.check("the seed of a degradation", seed)
        self.data_set, self.degradation, self.seed = data_set, degradation, seed
        self.clean = data_set
        self.task = data_set.task
        self.classes: list[str] = data_set.classes
        self.paths: list[Path] = data_set.paths
        self.names: list[str] = data_set.names
        self.root = data_set.root

    def group(self, index: int) -> str | None:
        """What image ``index`` is also scored with apart, as in the set that is degraded."""
        return self.data_set.group(index)

    def truth(self, index: int) -> Prediction | None:
        """The truth of image ``index``, as in the set that is degraded."""
        return self.data_set.truth(index)

    def subset(self, indices: Sequence[int]) -> Degraded:
        """Some of the images, degraded as here; the images before the degradation stay within reach."""
        return Degraded(self.data_set.subset(indices), self.degradation, self.seed)

    def image(self, index: int) -> Pixels:
        """Image ``index``, degraded."""
        rng = rng_for(self.names[index], self.seed)
        return self.degradation(self.data_set.image(index), rng, self.data_set.depth(index))

    def depth(self, index: int) -> Depth | None:
        """The depth of image ``index``, as in the set that is degraded."""
        return self.data_set.depth(index)

    def fingerprint(self, index: int) -> tuple[int | str, ...]:
        """What tells image ``index`` from another of the same name, before the degradation."""
        return self.data_set.fingerprint(index)

    def image_size(self, index: int) -> tuple[int, int]:
        """``(height, width)`` of image ``index``, which no degradation changes."""
        return self.data_set.image_size(index)
