"""tdir's degradations as transforms of albumentations, for pipelines of one's own.

It needs ``pip install 'tdir[albumentations]'``.

import albumentations
from tdir.transforms import Haze, LowLight

augment = albumentations.Compose([Haze(scale=1.5, p=0.5), LowLight(gamma=(1.5, 3), p=0.5)], seed=0)
image = augment(image=image)["image"]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tdir.data import degradations
from tdir.data.images import Pixels
from tdir.errors import ConfigError, ShapeError

# It would ask the package index for a newer version of itself on every import.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
try:
    from albumentations.core.transforms_interface import ImageOnlyTransform
except ImportError as error:
    raise ConfigError("tdir.transforms needs albumentations: pip install 'tdir[albumentations]'") from error


class _Degrade(ImageOnlyTransform):
    """A degradation, drawn anew for every image from the generator of the pipeline.

    Args:
        degradation: makes it.
        p: how often, in [0, 1].
    """

    def __init__(self, degradation: degradations.Degradation, p: float):
        super().__init__(p=p)
        self.degradation = degradation

    def apply(self, img: Pixels, drawn: Mapping[str, Any], noise: int, **params: Any) -> Pixels:
        """The degraded image, ``(H, W, 3)`` uint8 RGB.

        Raises:
            ShapeError: if the image is none such.
        """
        if img.dtype != np.uint8 or img.ndim != 3 or img.shape[2] != 3:
            raise ShapeError(f"{type(self).__name__} takes (H, W, 3) uint8 RGB, got {img.shape} {img.dtype}")
        return self.degradation.apply(img, drawn, np.random.default_rng(noise))

    def get_params(self) -> dict[str, Any]:
        """How strong the degradation is this time, and the seed of its noise."""
        rng = self.random_generator
        return {"drawn": self.degradation.draw(rng), "noise": int(rng.integers(2**32))}

    def get_transform_init_args(self) -> dict[str, Any]:
        """What rebuilds this transform."""
        settings = self.degradation.settings()
        return {**{name: value for name, value in settings.items() if name != "type"}, "p": self.p}


class Haze(_Degrade):
    """The synthetic haze of IA-YOLO, thickest in the image centre, see ``tdir.data.degradations.Haze``.

    Args:
        light: the air light in [0, 1].
        low: the least level.
        high: the greatest level, included.
        scale: a factor on the scattering.
        p: how often, in [0, 1].

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(self, light: float = 0.5, low: int = 0, high: int = 9, scale: float = 1.0, p: float = 0.5):
        super().__init__(degradations.Haze(light, low, high, scale), p)


class LowLight(_Degrade):
    """A dark, noisy photo, see ``tdir.data.degradations.LowLight``.

    Args:
        gamma: the least and the greatest exponent, at least 1.
        shot: variance of the noise per unit of signal.
        read: standard deviation of the noise, in [0, 1].
        p: how often, in [0, 1].

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(
        self, gamma: tuple[float, float] = (1.5, 5.0), shot: float = 0.0005, read: float = 0.002, p: float = 0.5
    ):
        super().__init__(degradations.LowLight(gamma, shot, read), p)
