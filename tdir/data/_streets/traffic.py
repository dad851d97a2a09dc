"""Vehicles, people and riders as layers of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from tdir.data._streets.bodies import Body
from tdir.data._streets.camera import Floats
from tdir.data._streets.figures import Figure, figure_painters
from tdir.data._streets.light import Light
from tdir.data._streets.mesh import Mesh, Paint
from tdir.data._streets.road import Road
from tdir.data._streets.solids import Placed, mesh_painters
from tdir.data._streets.stage import Layer, Painter, Stage

_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
_FEET = np.array([[-0.3, 0, 0], [0, 0, 0.2], [0.3, 0, 0], [0, 0, -0.2]])


@dataclass
class Vehicle:
    """A car or a bus.

    Args:
        label: its class, a position in ``THINGS``.
        mesh: its shape.
        paints: its colours.
        s: along the road.
        t: beside it.
        turned: its direction, radians to the right of the road's.
    """

    label: int
    mesh: Mesh
    paints: Mapping[str, Paint]
    s: float
    t: float
    turned: float


@dataclass
class Walker:
    """Someone on foot, or a two-wheeler with or without a rider.

    Args:
        body: its shape.
        colours: albedo, as ``Figure`` takes it.
        s: along the road.
        t: beside it.
        y: the height of what it stands on.
        turned: its direction, radians to the right of the road's.
    """

    body: Body
    colours: Floats
    s: float
    t: float
    y: float
    turned: float


class Vehicles(Layer):
    """The cars and buses of a scene.

    Args:
        members: in any order.
    """

    def __init__(self, members: list[Vehicle]):
        self.members = members
        self.halves = np.array([m.mesh.footprint[:2] for m in members]).reshape(-1, 2)
        self.spots = np.array([(m.s, m.t, m.turned) for m in members]).reshape(-1, 3)
        s, t, turned = self.spots.T
        ahead, aside = np.abs(np.cos(turned)), np.abs(np.sin(turned))
        half, length = self.halves.T
        long, across = length * ahead + half * aside, length * aside + half * ahead
        self.extents = np.stack([s - long, s + long, t - across, t + across], axis=1)

    def painters(self, stage: Stage) -> list[Painter | None]:
        """What paints each vehicle."""
        if not self.members:
            return []
        places, headings = stage.road.place(self.spots[:, 0], self.spots[:, 1]), self._headings(stage.road)
        placed = [
            Placed(m.mesh, m.paints, place, heading, m.label, lit)
            for m, place, heading, lit in zip(self.members, places, headings.tolist(), stage.lit(places).tolist())
        ]
        return mesh_painters(stage.canvas, stage.light, placed)

    def _headings(self, road: Road) -> Floats:
        return road.heading(self.spots[:, 0], self.spots[:, 2])

    def _corners(self, road: Road) -> Floats:
        """The corners ``(n, 4, 3)`` on the ground, without the mirrors."""
        angles = self._headings(road)
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        right, ahead = 0.88 * self.halves[:, :1] * _CORNERS[:, 0], self.halves[:, 1:] * _CORNERS[:, 1]
        corners = np.repeat(road.place(self.spots[:, 0], self.spots[:, 1])[:, None], 4, axis=1)
        corners[..., 0] += right * cos + ahead * sin
        corners[..., 2] += ahead * cos - right * sin
        return corners

    def shadows(self, road: Road, light: Light) -> list[Floats]:
        """The shadows of boxes that narrow towards the roof."""
        ground = self._corners(road)
        reach = np.array([m.mesh.footprint[2] for m in self.members]).reshape(-1, 1, 1) * light.cast
        middle = ground.mean(1, keepdims=True)
        layers = [ground, ground + 0.62 * reach, middle + 0.75 * (ground - middle) + reach]
        return [hull(points) for points in np.concatenate(layers, axis=1)]

    def footprints(self, road: Road) -> list[Floats]:
        """What the vehicles stand over."""
        return list(self._corners(road))


class Walkers(Layer):
    """The figures of a scene.

    Args:
        members: in any order.
    """

    def __init__(self, members: list[Walker]):
        self.members = members
        self.spots = np.array([(m.s, m.t, m.y, m.turned) for m in members]).reshape(-1, 4)
        s, t = self.spots[:, 0], self.spots[:, 1]
        self.extents = np.stack([s - 0.2, s + 0.2, t - 0.2, t + 0.2], axis=1)

    def painters(self, stage: Stage) -> list[Painter | None]:
        """What paints each figure."""
        if not self.members:
            return []
        s, t, y, turned = self.spots.T
        places, headings = stage.road.place(s, t, y), stage.road.heading(s, turned)
        figures = [
            Figure(m.body, m.colours, place, heading, lit)
            for m, place, heading, lit in zip(self.members, places, headings.tolist(), stage.lit(places).tolist())
        ]
        return figure_painters(stage.canvas, stage.light, figures)

    def shadows(self, road: Road, light: Light) -> list[Floats]:
        """Narrow shadows, wider ones for two-wheelers that the sun sees from the side."""
        s, t, _, turned = self.spots.T
        angles, feet = road.heading(s, turned), road.place(s, t)
        long = np.array([0.75 if len(m.body.wheels) else 0.22 for m in self.members])
        across = np.array([-light.cast[2], 0, light.cast[0]]) / max(float(np.hypot(light.cast[0], light.cast[2])), 1e-6)
        wide = (0.2 + (long - 0.2) * np.abs(np.sin(angles) * across[0] + np.cos(angles) * across[2]))[:, None]
        tips = feet + np.array([m.body.height for m in self.members]).reshape(-1, 1) * light.cast
        corners = [feet - wide * across, feet + wide * across, tips + 0.12 * across, tips - 0.12 * across]
        return list(np.stack(corners, axis=1))

    def footprints(self, road: Road) -> list[Floats]:
        """A small place around the feet."""
        return list(road.place(self.spots[:, 0], self.spots[:, 1])[:, None] + _FEET)


def hull(points: Floats) -> Floats:
    """The convex outline ``(m, 3)`` of points ``(n, 3)`` on the ground."""
    outline = cv2.convexHull(np.ascontiguousarray(points[:, ::2], dtype=np.float32))[:, 0]
    ground = np.zeros((len(outline), 3))
    ground[:, ::2] = outline
    return ground
