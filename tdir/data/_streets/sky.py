"""The sky: a gradient, the sun's glow, and clouds on a plane high above."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera
from tdir.data._streets.canvas import Canvas
from tdir.data._streets.colours import UNIT
from tdir.data._streets.kinds import SKY
from tdir.data._streets.light import Light
from tdir.data._streets.noise import SIDE, clouds

SKY_DEPTH = 10_000.0
"""The depth of the sky in metres: finite, so that means and differences are, and behind any haze."""
_CELL = 0.15  # widths of the cloud tile in one height of the clouds
_COARSE = 4  # clouds are soft: they are painted with this many pixels of the canvas as one

Plane = NDArray[np.float32]


def paint_sky(canvas: Canvas, light: Light) -> None:
    """Everything above the horizon, and a little below it, where the land will be."""
    camera = canvas.camera
    surface = canvas.upright(np.array([SKY_DEPTH]), SKY)
    rows = min(camera.height, max(int(camera.horizon) + 3, _COARSE))
    x, y, z = _directions(camera, -(-rows // _COARSE), -(-camera.width // _COARSE))
    planes = _with_clouds(_clear(x, y, z, light), x, y, z, light)
    levels = [np.minimum(plane * np.float32(UNIT), 65535).astype(np.uint16) for plane in planes]
    sky = cv2.merge([*levels, np.full_like(levels[0], surface)])
    full = cv2.resize(sky, None, fx=_COARSE, fy=_COARSE, interpolation=cv2.INTER_LINEAR)
    canvas.pixels[:rows] = full[:rows, : camera.width]


def _directions(camera: Camera, high: int, wide: int) -> tuple[Plane, Plane, Plane]:
    """Where the coarse pixels look: x, y and z of unit vectors, ``(high, wide)`` each."""
    u = (np.arange(wide, dtype=np.float32) + np.float32(0.5)) * _COARSE
    v = (np.arange(high, dtype=np.float32)[:, None] + np.float32(0.5)) * _COARSE
    x, y, z = (a * u + b * v + c for a, b, c in camera.inverse.astype(np.float32))
    length = np.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def _clear(x: Plane, y: Plane, z: Plane, light: Light) -> list[Plane]:
    """Red, green and blue of the sky without clouds."""
    height = np.sqrt(np.clip(y, 0, 1))
    a, b, c = light.sun.astype(np.float32)
    wide = _eighth_power(np.clip(x * a + y * b + z * c, 0, 1))
    close = _eighth_power(wide)
    glow = np.float32(0.35) * wide + np.float32(1.2) * close + np.float32(6) * _eighth_power(close)
    glow *= np.float32(0.1 if light.cover > 0.9 else 1)
    colours = zip(*(part.astype(np.float32) for part in (light.rim, light.zenith, light.sun_colour)))
    return [rim + (zenith - rim) * height + sun * glow for rim, zenith, sun in colours]


def _eighth_power(value: Plane) -> Plane:
    square = value * value
    fourth = square * square
    return np.asarray(fourth * fourth, dtype=np.float32)


def _with_clouds(sky: list[Plane], x: Plane, y: Plane, z: Plane, light: Light) -> list[Plane]:
    height = np.maximum(y, np.float32(0.02))
    scale = np.float32(_CELL * SIDE) / height
    across, along = x * scale + np.float32(light.drift[0]), z * scale + np.float32(light.drift[1])
    density = _sample(across, along)
    # Where there is more cloud towards the sun, less light comes through.
    shade = _sample(across + np.float32(9 * light.sun[0]), along + np.float32(9 * light.sun[2]))
    edge = np.float32(1 - light.cover)
    fading = np.clip(height * np.float32(8) - np.float32(0.2), 0, np.float32(0.95))
    alpha = np.clip((density - edge) * np.float32(4.5), 0, 1) * fading
    tone = np.clip(np.float32(0.75) - np.float32(0.9) * (shade - edge) + np.float32(0.6) * (density - shade), 0, 1)
    bright = (0.72 * light.sun_colour + 0.9 * light.sky_colour).astype(np.float32)
    dark = (0.30 * light.sun_colour + 0.72 * light.sky_colour).astype(np.float32)
    return [plane + alpha * (d + (b - d) * tone - plane) for plane, b, d in zip(sky, bright, dark)]


def _sample(x: Plane, y: Plane) -> Plane:
    return np.asarray(cv2.remap(clouds(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), dtype=np.float32)
