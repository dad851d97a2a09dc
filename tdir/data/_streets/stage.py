"""What a layer of a scene needs to paint itself, and the order in which its members are painted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats
from tdir.data._streets.canvas import Canvas
from tdir.data._streets.light import Light
from tdir.data._streets.road import Road

Painter = Callable[[], None]


@dataclass
class Stage:
    """Where a scene is painted.

    Args:
        canvas: what is painted on.
        light: of the scene.
        road: of the scene.
        coarse: the same camera with fewer pixels.
        shade: ``(H, W)`` uint8, how much of the sun is missing on the ground that a pixel of ``coarse`` shows; 255 is
            all of it.
    """

    canvas: Canvas
    light: Light
    road: Road
    coarse: Camera
    shade: NDArray[np.uint8]

    def lit(self, points: Floats) -> Floats:
        """The share of the sun that arrives at points ``(n, 3)`` on the ground, 1 where they are not seen."""
        pixels, depths = self.coarse.project(points)
        height, width = self.shade.shape
        seen = (depths > 0) & (pixels >= 0).all(1) & (pixels < (width, height)).all(1)
        columns, rows = np.where(seen, pixels.T, 0).astype(int)
        return np.where(seen, 1 - self.shade[rows, columns] / 255, 1)


class Layer(ABC):
    """Parts of one kind that stand on the ground.

    Attributes:
        extents: ``(n, 4)``, the rectangles of road coordinates that they cover: s from and to, t from and to.
    """

    extents: Floats

    @abstractmethod
    def painters(self, stage: Stage) -> list[Painter | None]:
        """What paints each part over all that lies behind it; ``None`` for a part out of sight."""

    def shadows(self, road: Road, light: Light) -> list[Floats]:
        """The outlines ``(m, 3)`` of shadows on the ground, each convex."""
        return []

    def footprints(self, road: Road) -> list[Floats]:
        """The outlines ``(m, 3)`` of what keeps the light of the sky from the ground, each convex."""
        return []


def far_to_near(extents: Floats, camera: float) -> list[int]:
    """The order in which parts are painted, so that none is painted over by one that lies behind it.

    Of two rectangles that a line across the road separates, the nearer one hides the other; of two that a line along
    the road separates, the one nearer to the camera's lane. If both lines exist, neither hides the other.

    Args:
        extents: ``(n, 4)``, as in ``Layer``.
        camera: t of the camera.
    """
    s0, s1 = extents[:, 0], extents[:, 1]
    t0, t1 = extents[:, 2] - camera, extents[:, 3] - camera
    astride = (t0 < 0) & (t1 > 0)
    inner = np.where(astride, 0, np.minimum(np.abs(t0), np.abs(t1)))
    outer, side = np.maximum(np.abs(t0), np.abs(t1)), np.where(astride, 0, np.sign(t0 + t1))
    nearer = s1[:, None] <= s0[None]
    beside = ~nearer & ~nearer.T & (side[:, None] * side[None] >= 0)
    within = outer[:, None] <= inner[None] + 1e-9
    middle = (s0 + s1) ** 2 + (t0 + t1) ** 2
    unclear = ~within & ~within.T & (middle[:, None] < middle[None])
    hides = nearer | (beside & ((within & ~within.T) | unclear))  # [i, j]: i may hide j, so j is painted first
    waiting, behind, order = hides.sum(1), np.ascontiguousarray(hides.T).astype(np.intp), []
    # A circle of parts that hide each other is broken at the farthest.
    rank, rank_in_circle = s0 + 1e6, s0.copy()
    for _ in range(len(extents)):
        chosen = int(np.where(waiting == 0, rank, rank_in_circle).argmax())
        order.append(chosen)
        waiting -= behind[chosen]
        rank[chosen] = rank_in_circle[chosen] = -1e9
    return order
