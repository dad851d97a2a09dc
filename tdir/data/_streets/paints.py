"""What cars and buses are painted with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.colours import linear
from tdir.data._streets.draws import one_of, weighted
from tdir.data._streets.mesh import Paint, paint

_CARS = {  # sRGB, and how common it is
    (236, 236, 234): 0.19, (28, 28, 30): 0.2, (128, 132, 136): 0.14, (190, 192, 194): 0.12, (74, 78, 84): 0.08,
    (30, 52, 104): 0.08, (158, 22, 28): 0.07, (60, 104, 150): 0.03, (38, 74, 56): 0.02, (196, 176, 140): 0.02,
    (222, 150, 30): 0.015, (92, 40, 44): 0.015, (226, 200, 50): 0.015, (196, 88, 36): 0.01, (110, 150, 120): 0.005,
}  # fmt: skip
_BUSES = [  # the body and its stripe
    ((190, 24, 30), (240, 240, 236)), ((236, 236, 230), (30, 90, 160)), ((230, 180, 40), (60, 60, 64)),
    ((40, 120, 84), (236, 236, 230)), ((36, 70, 140), (236, 236, 236)), ((240, 240, 238), (196, 40, 44)),
    ((222, 110, 30), (240, 240, 240)),
]  # fmt: skip
_FIXED: dict[str, Paint] = {
    "glass": paint((0.012, 0.016, 0.018), 0.34),
    "dark": paint((0.012, 0.012, 0.013), 0.02),
    "plastic": paint((0.03, 0.03, 0.032), 0.03),
    "tyre": paint((0.018, 0.018, 0.019)),
    "arch": paint((0.006, 0.006, 0.007)),
    "rim": paint((0.36, 0.37, 0.38), 0.12),
    "hub": paint((0.07, 0.07, 0.075)),
    "lamp": paint((0.55, 0.57, 0.6), 0.3),
    "rear lamp": paint((0.32, 0.008, 0.008), 0.06),
    "chrome": paint((0.3, 0.3, 0.31), 0.45),
    "plate": paint((0.75, 0.75, 0.72)),
    "board": paint((0.02, 0.02, 0.02), 0.02),
}
_SHINING: dict[str, Paint] = {
    "lamp": paint((0.6, 0.6, 0.6), 0.2, (1.6, 1.5, 1.3)),
    "rear lamp": paint((0.4, 0.01, 0.01), 0.06, (0.6, 0.015, 0.01)),
    "board": paint((0.02, 0.02, 0.02), 0.02, (0.5, 0.3, 0.05)),
}


@lru_cache(maxsize=1)
def _car_colours() -> tuple[Floats, dict[int, float]]:
    return linear(np.array(list(_CARS), dtype=float)), dict(enumerate(_CARS.values()))


@lru_cache(maxsize=1)
def _bus_colours() -> Floats:
    return linear(np.array(_BUSES, dtype=float))


def _gloss(rng: np.random.Generator, colour: Floats) -> Paint:
    red, green, blue = np.minimum(colour * rng.uniform(0.8, 1.15), 0.85).tolist()
    return paint((red, green, blue), 0.05)


def draw_car_paints(rng: np.random.Generator) -> dict[str, Paint]:
    """The paints of one car."""
    colours, shares = _car_colours()
    paints = {**_FIXED, "body": _gloss(rng, colours[weighted(rng, shares)])}
    if rng.random() < 0.3:
        paints["rim"] = _FIXED["plastic"]
    return paints | _SHINING if rng.random() < 0.3 else paints


def draw_bus_paints(rng: np.random.Generator) -> dict[str, Paint]:
    """The paints of one bus."""
    body, stripe = one_of(rng, list(_bus_colours()))
    paints = {**_FIXED, "body": _gloss(rng, body), "stripe": _gloss(rng, stripe)}
    return paints | _SHINING if rng.random() < 0.5 else paints
