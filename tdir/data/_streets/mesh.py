"""Solid things made of flat faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats

Paint = tuple[float, float, float, float, float, float, float]
"""What a face is made of: albedo, the share of light that it mirrors, and light that it sends; linear RGB."""


def paint(colour: Sequence[float], gloss: float = 0.0, glow: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Paint:
    """A paint with an albedo, gloss and glow."""
    red, green, blue = colour
    return red, green, blue, gloss, *glow


@dataclass(frozen=True, eq=False)
class Mesh:
    """Faces in the order in which they are painted.

    Local coordinates: x to the right, y up, z ahead, from the middle of its ground, metres.

    Attributes:
        points: ``(n, 3)``, the corners of all faces.
        starts: ``(m,)``, where each face begins in ``points``.
        normals: ``(m, 3)``, outwards.
        middles: ``(m, 3)``.
        sizes: ``(m,)``, the smaller extent of each face, metres.
        paints: ``(m,)``, positions in ``names``.
        names: what the faces are made of.
    """

    points: Floats
    starts: NDArray[np.intp]
    normals: Floats
    middles: Floats
    sizes: Floats
    paints: NDArray[np.intp]
    names: tuple[str, ...]

    @cached_property
    def lengths(self) -> NDArray[np.intp]:
        """``(m,)``, how many corners each face has."""
        return np.diff(np.append(self.starts, len(self.points)))

    @cached_property
    def footprint(self) -> tuple[float, float, float]:
        """Half its width, half its length, and its height."""
        most = np.abs(self.points).max(0)
        return float(most[0]), float(most[2]), float(self.points[:, 1].max())


class MeshBuilder:
    """Collects faces.

    Args:
        inside: a point that every face turns its back to.
    """

    def __init__(self, inside: Sequence[float]):
        self.inside = np.array(inside, dtype=float)
        self._faces: list[tuple[Floats, str]] = []

    def face(self, points: Floats | Sequence[Sequence[float]], paint: str) -> None:
        """A flat face with three corners or more."""
        self._faces.append((np.asarray(points, dtype=float), paint))

    def both(self, points: Floats | Sequence[Sequence[float]], paint: str) -> None:
        """A face of the right side and its mirror image on the left."""
        right = np.asarray(points, dtype=float)
        self.face(right, paint)
        self.face(right * [-1, 1, 1], paint)

    def patch(self, quad: Floats, u: tuple[float, float], v: tuple[float, float], paint: str) -> None:
        """A part of a quadrilateral: shares ``u`` from its first corner to its second, ``v`` to its third."""
        self.face(part_of(quad, u, v), paint)

    def build(self) -> Mesh:
        """All faces, in the order in which they came."""
        names = tuple(dict.fromkeys(paint for _, paint in self._faces))
        normals, sizes = [], []
        for points, _ in self._faces:
            normal = np.cross(points[1] - points[0], points[2] - points[0])
            if len(points) > 3 and np.linalg.norm(normal) < 1e-6:
                normal = np.cross(points[2] - points[0], points[3] - points[0])
            normal /= np.linalg.norm(normal)
            normals.append(normal * (1 if normal @ (points.mean(0) - self.inside) > 0 else -1))
            sizes.append(np.sort(np.ptp(points, axis=0))[1])
        lengths = [len(points) for points, _ in self._faces]
        return Mesh(
            points=np.concatenate([points for points, _ in self._faces]),
            starts=np.cumsum([0, *lengths[:-1]]),
            normals=np.array(normals),
            middles=np.array([points.mean(0) for points, _ in self._faces]),
            sizes=np.array(sizes),
            paints=np.array([names.index(paint) for _, paint in self._faces]),
            names=names,
        )


def span(low: Sequence[float], high: Sequence[float]) -> Floats:
    """A quadrilateral across the middle, between two edges (half its width, y, z)."""
    (a, y0, z0), (b, y1, z1) = low, high
    return np.array([[-a, y0, z0], [a, y0, z0], [b, y1, z1], [-b, y1, z1]])


def upright(x: float, y: tuple[float, float], z: tuple[float, float]) -> Floats:
    """A rectangle that faces sideways, from y to y and z to z."""
    return np.array([[x, y[0], z[0]], [x, y[0], z[1]], [x, y[1], z[1]], [x, y[1], z[0]]])


def part_of(quad: Floats, u: tuple[float, float], v: tuple[float, float]) -> Floats:
    """A part ``(4, 3)`` of a quadrilateral; see ``MeshBuilder.patch``."""
    a, b, c, d = quad
    corners = [(u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1])]
    return np.array([(1 - q) * ((1 - p) * a + p * b) + q * ((1 - p) * d + p * c) for p, q in corners])


def disc(centre: Sequence[float], radius: float, corners: int, start: float = 0, end: float = 360) -> Floats:
    """A disc that faces sideways ``(corners, 3)``, or the part of it between angles from the front upwards, degrees."""
    angles = np.radians(np.linspace(start, end, corners, endpoint=end - start < 360))
    x, y, z = centre
    return np.stack([np.full(corners, x), y + radius * np.sin(angles), z + radius * np.cos(angles)], axis=1)
