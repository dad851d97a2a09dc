"""Trees, bushes and hedges: grey sprites of leaves in the sun and in the shade, coloured when they are painted."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats
from tdir.data._streets.colours import UNIT
from tdir.data._streets.light import Light
from tdir.data._streets.textures import Table, Texture, pyramid

SIDE = 224
SHAPES = ("round", "oval", "column", "cone", "bush")
_EACH = 4  # sprites of each shape


@lru_cache(maxsize=1)
def crowns() -> dict[str, list[Texture]]:
    """Crowns lit from the upper left, ``(SIDE, SIDE, 4)``: how much light a leaf gets as grey, holes in alpha."""
    rng = np.random.default_rng(11)
    return {shape: [pyramid(_crown(rng, shape)) for _ in range(_EACH)] for shape in SHAPES}


def _crown(rng: np.random.Generator, shape: str) -> NDArray[np.uint8]:
    middles, radii = _clumps(rng, shape)
    count = 2200
    which = rng.choice(len(radii), count, p=radii**2 / (radii**2).sum())
    directions = rng.standard_normal((count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    depth = rng.uniform(0.55, 1.03, count) ** 0.5
    leaves = middles[which] + directions * (radii[which] * depth)[:, None]
    # Light from the upper left; the inside of a clump and the lower side of the crown get little of it.
    towards = directions @ np.array([-0.55, 0.72, 0.42])
    light = 0.42 + 0.34 * towards + 0.30 * leaves[:, 1] + 0.9 * (depth - 0.95) + rng.normal(0, 0.085, count)
    picture = np.zeros((SIDE, SIDE, 4), dtype=np.uint8)
    for i in np.argsort(leaves[:, 2] + 0.15 * directions[:, 2]):
        x, y = SIDE * (0.5 + 0.5 * leaves[i, 0]), SIDE * (0.5 - 0.5 * leaves[i, 1])
        value = int(np.clip(255 * light[i], 8, 255))
        size = rng.uniform(2.2, 5.0), rng.uniform(1.6, 3.6)
        box = ((x, y), (2 * size[0], 2 * size[1]), float(rng.uniform(0, 180)))
        cv2.ellipse(picture, box, (value, value, value, 255), -1, cv2.LINE_8)
    return picture


def _clumps(rng: np.random.Generator, shape: str) -> tuple[Floats, Floats]:
    """Spheres of leaves in a crown that reaches from -1 to 1: middles ``(n, 3)`` and radii ``(n,)``."""
    count = {"round": 13, "oval": 14, "column": 12, "cone": 16, "bush": 12}[shape]
    y = rng.uniform(-0.6, 0.68, count) if shape != "cone" else np.linspace(-0.72, 0.85, count)
    wide = {
        "round": np.sqrt(np.clip(0.62 - y**2, 0.02, 1)) * 0.85,
        "oval": np.sqrt(np.clip(0.6 - y**2, 0.02, 1)) * 0.6,
        "column": np.full(count, 0.16),
        "cone": 0.34 * (1 - y) * 0.85 + 0.02,
        "bush": np.sqrt(np.clip(0.9 - (y * 0.9 + 0.3) ** 2, 0.02, 1)) * 0.75,
    }[shape]
    angle = rng.uniform(0, 2 * np.pi, count)
    spread = wide * np.sqrt(rng.uniform(0.1, 1, count))
    radii = rng.uniform(0.22, 0.36, count)
    if shape == "cone":
        radii = 0.10 + 0.16 * (1 - y) / 1.7
    if shape == "column":
        radii = rng.uniform(0.14, 0.22, count)
    middles = np.stack([spread * np.cos(angle), y, spread * np.sin(angle)], axis=1)
    reach = max(1.0, float((np.abs(middles) + radii[:, None]).max()))
    return middles / reach / 1.02, radii / reach / 1.02


def leaf_table(light: Light, leaf: Floats, lit: float, surface: int, facing: float) -> Table:
    """The table ``(1, 256, 4)`` from the grey of a sprite to lit leaves.

    Args:
        light: of the scene.
        leaf: albedo, linear RGB.
        lit: the share of the sun that arrives.
        surface: the number of the surface.
        facing: 1 with the sun behind the camera, -1 against it.
    """
    sunny, shaded = _response(round(facing, 1))
    # Leaves let light through: against the sun the lit ones are yellower and brighter.
    through = np.array([1.25, 1.1, 0.6]) if facing < -0.3 else 1.0
    table = np.empty((1, 256, 4), dtype=np.uint16)
    colour = sunny * (leaf * through * light.sun_colour * (lit * UNIT)) + shaded * (leaf * light.sky_colour * UNIT)
    table[0, :, :3] = np.minimum(colour, 65535)
    table[..., 3] = surface
    return table


@lru_cache(maxsize=32)
def _response(facing: float) -> tuple[Floats, Floats]:
    """How much of the sun and of the sky each grey of a sprite gets, ``(256, 1)``."""
    grey = np.linspace(0, 1, 256)[:, None]
    return np.clip((grey - 0.30 + 0.16 * facing) * 1.9, 0, 1.1), 0.12 + 0.85 * grey
