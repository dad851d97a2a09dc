"""Backlight: a bright part of the image decides the exposure, and the rest sinks into darkness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tdir.data.degradations import Degradation
from tdir.data.images import Depth, Pixels
from tdir.ranges import SHARE, Range
from tdir.registry import DEGRADATIONS

_GAMMA = 2.2


@DEGRADATIONS.register_module("backlit")
class Backlit(Degradation):
    """A photo against the light, by a smooth field of illumination.

    Linear light, the levels to the power of 2.2, is multiplied by ``dark + (bright - dark) exp(-(r / radius)^2)``. The
    distance ``r`` is measured from a place in the upper half of the image, in units of its longest side and as an
    ellipse that is wider than high, so that the ground in front is darkest. What then exceeds white is clipped, and
    the rest is rounded to 8 bits, of which few levels are left in the dark.

    Args:
        dark: the least and the greatest gain far from the light, in [0, 1].
        bright: the least and the greatest gain at the light, at least 1.
        radius: the least and the greatest reach of the light, in longest sides.

    Raises:
        ConfigError: if one of these is no such range.
    """

    def __init__(
        self,
        dark: tuple[float, float] = (0.005, 0.05),
        bright: tuple[float, float] = (1.2, 3.0),
        radius: tuple[float, float] = (0.12, 0.3),
    ):
        self.dark, self.bright = SHARE.pair("dark", dark), Range(1).pair("bright", bright)
        self.radius = Range(1e-6).pair("radius", radius)

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """The gains "dark" and "bright", and the light's "radius", its place "x", "y" in shares, how "flat" it is."""
        drawn = {name: rng.uniform(*getattr(self, name)) for name in ("dark", "bright", "radius")}
        return {**drawn, "x": rng.uniform(0, 1), "y": rng.uniform(0, 0.5), "flat": rng.uniform(1, 2)}

    def apply(
        self, image: Pixels, drawn: Mapping[str, Any], rng: np.random.Generator, depth: Depth | None = None
    ) -> Pixels:
        """The image against this light."""
        field = _field(image.shape[0], image.shape[1], drawn)[..., None]
        lit = (np.linspace(0, 1, 256) ** _GAMMA).astype(np.float32)[image] * field
        levels = 255 * np.minimum(lit, 1) ** np.float32(1 / _GAMMA)
        return np.asarray(np.rint(levels), dtype=np.uint8)

    def settings(self) -> dict[str, object]:
        """What ``DEGRADATIONS.build`` rebuilds this degradation from."""
        return {"type": "backlit", "dark": self.dark, "bright": self.bright, "radius": self.radius}


def _field(height: int, width: int, drawn: Mapping[str, Any]) -> np.ndarray:
    """The gain of every pixel, ``(H, W)`` float32."""
    dark, bright, reach = drawn["dark"], drawn["bright"], max(height, width) * drawn["radius"]
    across = (np.arange(width, dtype=np.float32) + 0.5 - drawn["x"] * width) / (reach * drawn["flat"])
    down = (np.arange(height, dtype=np.float32)[:, None] + 0.5 - drawn["y"] * height) / reach
    return np.asarray(dark + (bright - dark) * np.exp(-(across**2) - down**2), dtype=np.float32)
