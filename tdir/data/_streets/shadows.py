"""Where the ground gets less light: in the shadows of things, and below them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats
from tdir.data._streets.light import Light
from tdir.data._streets.outlines import SHIFT, ahead_of, fixed, pieces, starts_of
from tdir.data._streets.road import Road
from tdir.data._streets.stage import Layer

_NEAR = 0.8
_BELOW = 215  # of 255: how much of the sky's light is missing below a car
_LIMIT = 20000  # pixels: what reaches farther off the image is cut, so that fixed point can hold it


def shade_of(camera: Camera, layers: Sequence[Layer], road: Road, light: Light) -> NDArray[np.uint8]:
    """How much of the sun is missing on the ground, ``(H, W)``; 255 is all of it."""
    if light.cover > 0.9:
        return np.zeros((camera.height, camera.width), dtype=np.uint8)
    outlines = [outline for layer in layers for outline in layer.shadows(road, light)]
    return np.asarray(cv2.blur(_filled(camera, outlines, 255), (3, 3)))


def contact_of(camera: Camera, layers: Sequence[Layer], road: Road) -> NDArray[np.uint8]:
    """How much of the light of the sky is missing on the ground, ``(H, W)``; 255 is all of it."""
    outlines = [outline for layer in layers for outline in layer.footprints(road)]
    return np.asarray(cv2.blur(_filled(camera, outlines, _BELOW), (7, 3)))


def _filled(camera: Camera, outlines: list[Floats], value: int) -> NDArray[np.uint8]:
    """Convex outlines on the ground, filled."""
    mask = np.zeros((camera.height, camera.width), dtype=np.uint8)
    if not outlines:
        return mask
    _, shown = ahead_of(camera, outlines, _NEAR)
    if not shown:
        return mask
    starts = starts_of(shown)
    pixels, _ = camera.project(np.concatenate(shown))
    np.minimum(np.maximum(pixels, -_LIMIT, out=pixels), _LIMIT, out=pixels)
    least, most = np.minimum.reduceat(pixels, starts), np.maximum.reduceat(pixels, starts)
    seen = ((most > 0) & (least < (camera.width, camera.height))).all(1)
    for outline in pieces(fixed(pixels), starts, np.flatnonzero(seen)):
        cv2.fillConvexPoly(mask, outline, value, shift=SHIFT)
    return mask
