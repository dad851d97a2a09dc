"""From a scene to a picture, with what is known of every pixel and every object."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats
from tdir.data._streets.canvas import Canvas, Thing
from tdir.data._streets.colours import UNIT, tone_table
from tdir.data._streets.ground import light_ground, paint_ground
from tdir.data._streets.kinds import SKY
from tdir.data._streets.light import Light
from tdir.data._streets.scene import Scene
from tdir.data._streets.shadows import contact_of, shade_of
from tdir.data._streets.sky import paint_sky
from tdir.data._streets.stage import Stage, far_to_near

_FINE = 2
"""Pixels of the canvas in a pixel of the picture, along each side."""


@dataclass(frozen=True)
class Seen:
    """An object as it is seen.

    Args:
        label: its class, a position in ``THINGS``.
        box: left, top, right, bottom of what is visible, pixels.
        area: visible pixels.
        shown: the visible share of what of it lies within the picture.
        within: the share of its outline's box that lies within the picture.
    """

    label: int
    box: tuple[float, float, float, float]
    area: float
    shown: float
    within: float


@dataclass(frozen=True)
class Picture:
    """A rendered scene.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        depth: ``(H, W)`` float32, metres along the line of sight.
        semantic: ``(H, W)`` uint8, positions in ``SEMANTIC`` or ``VOID``.
        instances: ``(H, W)`` uint8, 0 or the number of an object counted from 1.
        things: the objects that are visible; number k of ``instances`` is the one before the k-th.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    semantic: NDArray[np.uint8]
    instances: NDArray[np.uint8]
    things: tuple[Seen, ...]


def render(scene: Scene, size: tuple[int, int]) -> Picture:
    """A scene at a size (height, width)."""
    canvas = Canvas(Camera(scene.road.view, (_FINE * size[0], _FINE * size[1])))
    _paint(canvas, Camera(scene.road.view, size), scene)
    surfaces = canvas.pixels[::_FINE, ::_FINE, 3].astype(np.intp)
    planes, nearest, farthest, kinds = canvas.tables()
    semantic = kinds.take(surfaces)
    depth = _depth(canvas.camera, planes, nearest, farthest, surfaces)
    light = np.asarray(cv2.resize(canvas.pixels, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint16)
    things = [(thing, seen) for thing in canvas.things if (seen := _look(canvas, thing)) is not None]
    numbers = np.zeros(len(kinds), dtype=np.uint8)
    for number, (thing, _) in enumerate(things, start=1):
        numbers[thing.first : thing.last + 1] = number
    return Picture(
        image=_developed(light, np.where(semantic == SKY, 0, depth), scene.light),
        depth=depth,
        semantic=semantic,
        instances=numbers.take(surfaces),
        things=tuple(seen for _, seen in things),
    )


def _paint(canvas: Canvas, coarse: Camera, scene: Scene) -> None:
    """Sky and ground, then everything that stands on it from far to near."""
    paint_sky(canvas, scene.light)
    paint_ground(canvas, scene.road, scene.ground)
    shade = shade_of(coarse, scene.layers, scene.road, scene.light)
    light_ground(canvas, coarse, scene.light, shade, contact_of(coarse, scene.layers, scene.road))
    stage = Stage(canvas, scene.light, scene.road, coarse, shade)
    painters = [painter for layer in scene.layers for painter in layer.painters(stage)]
    shown = [i for i, painter in enumerate(painters) if painter is not None]
    extents = np.concatenate([layer.extents for layer in scene.layers])[shown]
    for i in far_to_near(extents, scene.road.camera):
        painter = painters[shown[i]]
        if painter is not None:
            painter()


def _depth(
    camera: Camera, planes: Floats, nearest: Floats, farthest: Floats, surfaces: NDArray[np.intp]
) -> NDArray[np.float32]:
    """The distance to the surface that each pixel of the picture shows."""
    height, width = surfaces.shape
    u = (np.arange(width, dtype=np.float32) + np.float32(0.5)) * _FINE
    v = (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)) * _FINE
    a, b, c = (part.take(surfaces) for part in np.ascontiguousarray(planes.T))
    inverse = a * u + b * v + c
    # A pixel at the edge of a surface may lie just outside it, where its plane can be anywhere.
    np.clip(inverse, (1 / farthest).take(surfaces), (1 / nearest).take(surfaces), out=inverse)
    across, down = (u - camera.width / 2) / camera.focal, (v - camera.height / 2) / camera.focal
    return np.asarray(np.sqrt(1 + across * across + down * down) / inverse, dtype=np.float32)


def _developed(light: NDArray[np.uint16], depth: Floats, weather: Light) -> NDArray[np.uint8]:
    """Linear light, through the air between, as the camera's 8 bits."""
    clear = np.exp(np.float32(-weather.air) * depth)
    gain, hidden = clear * np.float32(weather.exposure), np.float32(UNIT * weather.exposure) * (1 - clear)
    developed = []
    for plane, air in zip(cv2.split(light), weather.rim.astype(np.float32)):
        exposed = plane * gain + hidden * air
        developed.append(tone_table().take(np.minimum(exposed, 65535, out=exposed).astype(np.uint16)))
    return np.asarray(cv2.merge(developed), dtype=np.uint8)


def _look(canvas: Canvas, thing: Thing) -> Seen | None:
    """What is visible of a thing at the end."""
    mask = canvas.shows(thing).view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    left, top = left + thing.box[1].start, top + thing.box[0].start
    area = cv2.countNonZero(mask)
    x0, y0, x1, y1 = (edge / _FINE for edge in (left, top, left + width, top + height))
    return Seen(thing.label, (x0, y0, x1, y1), area / _FINE**2, area / max(thing.painted, 1), thing.within)
