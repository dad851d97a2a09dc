"""The camera of a car: world to pixels, and back to depth.

World: x to the right, y up, z ahead, metres; the camera stands above the origin. Pixels: continuous, pixel k covers
[k, k + 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class View:
    """Where a camera stands and looks, whatever its resolution.

    Args:
        height: above the road, metres.
        focal: focal length in widths of the image.
        pitch: downwards, radians.
        yaw: to the right, radians.
    """

    height: float
    focal: float
    pitch: float
    yaw: float


class Camera:
    """A pinhole camera.

    Args:
        view: where it stands and looks.
        size: (height, width) in pixels.
    """

    def __init__(self, view: View, size: tuple[int, int]):
        self.height, self.width = size
        self.position = np.array([0.0, view.height, 0.0])
        self.focal = view.focal * self.width
        right = np.array([np.cos(view.yaw), 0, -np.sin(view.yaw)])
        ahead = np.array(
            [np.sin(view.yaw) * np.cos(view.pitch), -np.sin(view.pitch), np.cos(view.yaw) * np.cos(view.pitch)]
        )
        self.turn = np.stack([right, np.cross(right, ahead), ahead])
        intrinsics = np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1]])
        self.matrix = intrinsics @ self.turn
        self.inverse = np.linalg.inv(self.matrix)

    @property
    def horizon(self) -> float:
        """The row where the ground ends, in the middle of the image."""
        return float(self.height / 2 - self.focal * np.tan(np.arcsin(-self.turn[2, 1])))

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """World points ``(n, 3)`` -> pixels ``(n, 2)`` and depths ``(n,)`` along the optical axis."""
        seen = (points - self.position) @ self.matrix.T
        return seen[:, :2] / seen[:, 2:], seen[:, 2]

    def planes(self, normals: Floats, points: Floats) -> Floats:
        """Planes through ``points`` ``(n, 3)`` as ``(n, 3)`` rows p with ``1 / depth = p . (u, v, 1)``."""
        distance = ((points - self.position) * normals).sum(1, keepdims=True)
        return normals @ self.inverse / np.where(np.abs(distance) < 1e-6, 1e-6, distance)

    def ground(self) -> Floats:
        """The homography ``(3, 3)`` from (x, z, 1) on the road to pixels."""
        return np.stack([self.matrix[:, 0], self.matrix[:, 2], -self.matrix @ self.position], axis=1)
