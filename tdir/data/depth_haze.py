"""Haze that thickens with the true depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tdir.data.degradations import Degradation
from tdir.data.images import Depth, Pixels
from tdir.errors import DataError
from tdir.ranges import POSITIVE, SHARE
from tdir.registry import DEGRADATIONS


@DEGRADATIONS.register_module("depth_haze")
class DepthHaze(Degradation):
    """Homogeneous haze by the scattering model of Koschmieder (1924): ``I = J t + A (1 - t)``, ``t = exp(-beta d)``.

    ``d`` is the depth in metres. By the usual contrast threshold of 5 % one sees ``3 / beta`` metres far: fog begins
    at a beta of 0.003 per metre. Like most work on dehazing, it is computed on sRGB levels.

    Args:
        beta: the least and the greatest extinction per metre; equal factors are equally likely. The default is a
            visibility from 300 down to 50 metres.
        light: the least and the greatest air light ``A`` in [0, 1].
        tint: how much each channel of the air light may differ from grey.

    Raises:
        ConfigError: if ``beta`` is no range above 0, ``light`` none in [0, 1], or ``tint`` is outside [0, 1].
    """

    def __init__(
        self,
        beta: tuple[float, float] = (0.01, 0.06),
        light: tuple[float, float] = (0.65, 0.9),
        tint: float = 0.03,
    ):
        SHARE.check("tint", tint)
        self.beta, self.light, self.tint = POSITIVE.pair("beta", beta), SHARE.pair("light", light), tint

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """The extinction "beta" per metre, and the air light "light" of the three channels."""
        beta = math.exp(rng.uniform(math.log(self.beta[0]), math.log(self.beta[1])))
        light = np.clip(rng.uniform(*self.light) + rng.uniform(-self.tint, self.tint, 3), 0, 1)
        return {"beta": beta, "light": light.tolist()}

    def apply(
        self, image: Pixels, drawn: Mapping[str, Any], rng: np.random.Generator, depth: Depth | None = None
    ) -> Pixels:
        """The image in haze of this thickness and colour.

        Raises:
            DataError: without a depth, or if it has another size than the image.
        """
        if depth is None:
            raise DataError(
                "depth_haze needs the depth of its images, and this data set does not know it: use 'haze', which "
                "does without, or a data set with depth, such as the built-in 'streets'"
            )
        if depth.shape != image.shape[:2]:
            raise DataError(f"a depth map of {depth.shape} does not fit an image of {image.shape[:2]}")
        transmission = np.exp(np.float32(-drawn["beta"]) * depth)[..., None]
        air = (255 * np.array(drawn["light"])).astype(np.float32)
        hazy = (image - air) * transmission + air
        return np.asarray(np.rint(hazy, out=hazy), dtype=np.uint8)

    def settings(self) -> dict[str, object]:
        """What ``DEGRADATIONS.build`` rebuilds this degradation from."""
        return {"type": "depth_haze", "beta": self.beta, "light": self.light, "tint": self.tint}
