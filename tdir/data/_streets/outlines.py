"""Outlines: cut where the camera begins to see, joined into one array, and as OpenCV takes them."""

from __future__ import annotations

from collections.abc import Sequence, Sized

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats

NEAR = 0.5
"""What comes nearer than this to the camera's plane, in metres, is not painted."""
SHIFT = 4
"""OpenCV takes polygons in fixed point: in 1 / 2 ** SHIFT of a pixel."""
_FARTHEST = 2.0**30


def fixed(pixels: Floats) -> NDArray[np.int32]:
    """Continuous pixels as OpenCV draws them: fixed point, with pixel centres at whole numbers."""
    steps = (pixels - 0.5) * (1 << SHIFT)
    # What lies in the camera's own plane is infinitely far off the image; it is not painted, but must fit the type.
    np.minimum(np.maximum(steps, -_FARTHEST, out=steps), _FARTHEST, out=steps)
    return np.rint(steps, out=steps).astype(np.int32)


def starts_of(groups: Sequence[Sized]) -> NDArray[np.intp]:
    """Where each group begins once all are joined."""
    return np.cumsum([0, *(len(group) for group in groups[:-1])])


def pieces(
    joined: NDArray[np.int32], starts: NDArray[np.integer], which: NDArray[np.integer]
) -> list[NDArray[np.int32]]:
    """Some of the groups that begin at ``starts``."""
    ends = [*starts[1:].tolist(), len(joined)]
    begins = starts.tolist()
    return [joined[begins[i] : ends[i]] for i in which.tolist()]


def ahead_of(camera: Camera, polygons: Sequence[Floats], near: float) -> tuple[NDArray[np.intp], list[Floats]]:
    """What of convex polygons ``(n_i, 3)`` is farther from the camera's plane than ``near``.

    Returns:
        The positions of those of which something is, and the polygons that are left.
    """
    starts = starts_of(polygons)
    depths = (np.concatenate(polygons) - camera.position) @ camera.turn[2]
    nearest, farthest = np.minimum.reduceat(depths, starts), np.maximum.reduceat(depths, starts)
    which = np.flatnonzero(farthest > near)
    cut = (nearest < near).tolist()
    left = [
        _cut(polygons[i], depths[starts[i] : starts[i] + len(polygons[i])] - near) if cut[i] else polygons[i]
        for i in which.tolist()
    ]
    return which, left


def _cut(polygon: Floats, height: Floats) -> Floats:
    """The part of a convex polygon where ``height``, linear and given at its corners, is positive."""
    after, higher = np.concatenate([polygon[1:], polygon[:1]]), np.concatenate([height[1:], height[:1]])
    crosses = height * higher < 0
    share = np.where(crosses, height / np.where(crosses, height - higher, 1), 0)
    both = np.stack([polygon, polygon + share[:, None] * (after - polygon)], axis=1).reshape(-1, 3)
    return both[np.stack([height >= 0, crosses], axis=1).ravel()]
