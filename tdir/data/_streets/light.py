"""Times of day and weather: where light comes from, in which colour, and what a surface sends on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.draws import weighted

SHARES = {"clear": 0.34, "cloudy": 0.24, "overcast": 0.2, "low sun": 0.22}
"""How common each kind of weather is."""


@dataclass(frozen=True)
class _Weather:
    """Ranges to draw from: degrees, shares, and the strength of the sun."""

    sun: float
    elevation: tuple[float, float]
    warmth: tuple[float, float]
    cover: tuple[float, float]
    grey: float


_WEATHERS = {
    "clear": _Weather(0.95, (26, 62), (0, 0.25), (0, 0.32), 0.08),
    "cloudy": _Weather(0.8, (26, 60), (0, 0.3), (0.42, 0.66), 0.35),
    "overcast": _Weather(0.03, (30, 60), (0, 0.2), (0.94, 1.0), 0.95),
    "low sun": _Weather(1.0, (9, 20), (0.45, 1.0), (0.1, 0.5), 0.1),
}
_SKIES = (  # under a blue and under a grey sky: what the whole sky sends, the zenith, the rim
    (np.array([0.20, 0.27, 0.41]), np.array([0.60, 0.63, 0.67])),
    (np.array([0.055, 0.15, 0.42]), np.array([0.40, 0.42, 0.45])),
    (np.array([0.34, 0.47, 0.66]), np.array([0.52, 0.54, 0.56])),
)
_GLOW = np.array([0.86, 0.52, 0.26])


@dataclass(frozen=True)
class Light:
    """The light of a scene; colours are linear RGB, and a horizontal white surface under a high sun sends about 1.

    Args:
        kind: one of ``SHARES``.
        sun: the unit vector towards the sun.
        sun_colour: what the sun sends to a surface that faces it.
        sky_colour: what the whole sky sends to a surface that faces up.
        bounce: what the ground sends to a surface that faces down.
        zenith: the colour of the sky overhead.
        rim: the colour of the sky at the horizon, and of distant air.
        cover: the share of the sky under clouds.
        air: how much of a metre of air hides, per metre.
        exposure: of the camera.
        drift: where the clouds are, any two numbers.
    """

    kind: str
    sun: Floats
    sun_colour: Floats
    sky_colour: Floats
    bounce: Floats
    zenith: Floats
    rim: Floats
    cover: float
    air: float
    exposure: float
    drift: tuple[float, float]

    @property
    def cast(self) -> Floats:
        """Where on the ground the shadow of something one metre high ends, from its foot."""
        return -self.sun * np.array([1, 0, 1]) / max(float(self.sun[1]), 0.12)

    def arriving(self, normals: Floats, lit: Floats | float = 1.0) -> Floats:
        """The light on surfaces with ``normals`` ``(n, 3)``, of which a share ``lit`` sees the sun -> ``(n, 3)``."""
        up = 0.5 + 0.5 * normals[:, 1:2]
        facing = np.maximum(normals @ self.sun, 0)[:, None]
        return lit * facing * self.sun_colour + up * self.sky_colour + (1 - up) * self.bounce

    def mirrored(self, normals: Floats, view: Floats, lit: Floats | float = 1.0) -> Floats:
        """What a mirror with ``normals`` shows to viewers along unit vectors ``view`` ``(n, 3)`` -> ``(n, 3)``."""
        towards = 2 * (view * normals).sum(1, keepdims=True) * normals - view
        height = towards[:, 1:2]
        # Street-level reflections show the other side of the street, which is darker than the sky above it.
        sky = np.clip(4 * height - 0.3, 0, 1)
        glint = np.clip(towards @ self.sun, 0, 1)[:, None] ** 60
        return (1 - sky) * 0.35 * self.bounce + sky * self.rim + lit * 4 * glint * self.sun_colour


def draw_light(rng: np.random.Generator) -> Light:
    """A time of day and weather."""
    kind = weighted(rng, SHARES)
    weather = _WEATHERS[kind]
    elevation, azimuth = np.radians(rng.uniform(*weather.elevation)), rng.uniform(-np.pi, np.pi)
    warmth = rng.uniform(*weather.warmth)
    if kind == "low sun" and rng.random() < 0.7:
        # Where houses stand close, a low sun shines along a street or not at all.
        azimuth = (np.pi if rng.random() < 0.5 else 0) + rng.normal(0, 0.35)
    sun_colour = weather.sun * np.array([1.0, 0.96 - 0.3 * warmth, 0.9 - 0.58 * warmth])
    grey = weather.grey * rng.uniform(0.8, 1.1)
    sky_colour, zenith, rim = ((1 - grey) * blue + grey * dull for blue, dull in _SKIES)
    rim = rim + 0.75 * warmth * (_GLOW - rim) if kind == "low sun" else rim
    reach = np.sin(elevation) * sun_colour + sky_colour
    return Light(
        kind=kind,
        sun=np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)]),
        sun_colour=sun_colour,
        sky_colour=sky_colour,
        bounce=0.18 * reach,
        zenith=zenith,
        rim=rim,
        cover=rng.uniform(*weather.cover),
        air=rng.uniform(0.0002, 0.0009),
        exposure=float(reach.mean() ** -0.75 * 2 ** rng.uniform(-0.35, 0.35)),
        drift=(rng.uniform(0, 1000), rng.uniform(0, 1000)),
    )
