"""Cars of several makes, as meshes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tdir.data._streets.mesh import Mesh, MeshBuilder, disc, part_of, span, upright


@dataclass(frozen=True)
class Shape:
    """The side view of a car, metres: y up from the ground, z ahead from its middle.

    Args:
        length: from bumper to bumper.
        width: without mirrors.
        height: of the roof.
        belt: height of the lower edge of the windows.
        nose: height of the front of the bonnet.
        cowl: z of the lower edge of the windscreen.
        roof: z of the front and of the rear end of the roof.
        deck: z and height of the lower edge of the rear window.
        tail: height of the rear end of the boot.
        windows: of the side, shares of the cabin's length from the windscreen back.
        clearance: height of the sills.
        wheel: radius.
        axles: distance from the middle to an axle.
        inward: the width of the roof, where the body's is 1.
        glazed: whether there is a rear window.
    """

    length: float
    width: float
    height: float
    belt: float
    nose: float
    cowl: float
    roof: tuple[float, float]
    deck: tuple[float, float]
    tail: float
    windows: tuple[tuple[float, float], ...]
    clearance: float = 0.2
    wheel: float = 0.32
    axles: float = 1.33
    inward: float = 0.78
    glazed: bool = True

    @property
    def half(self) -> float:
        """Half the width."""
        return self.width / 2

    @property
    def front(self) -> float:
        """z of the front bumper."""
        return self.length / 2

    @property
    def bulge(self) -> float:
        """Height at which the side is widest."""
        return 0.26 + 0.3 * self.belt


SHAPES: dict[str, Shape] = {
    "hatch": Shape(4.0, 1.74, 1.48, 0.95, 0.74, 1.02, (0.3, -1.42), (-1.86, 0.99), 0.95, ((0.05, 0.42), (0.46, 0.88))),
    "saloon": Shape(
        4.65, 1.8, 1.43, 0.93, 0.70, 0.95, (0.15, -1.02), (-1.66, 0.99), 0.95, ((0.05, 0.42), (0.46, 0.86)), axles=1.4
    ),
    "estate": Shape(
        4.6, 1.8, 1.47, 0.94, 0.72, 0.98, (0.2, -1.85), (-2.2, 0.99), 0.95, ((0.04, 0.33), (0.36, 0.64), (0.67, 0.93)),
        axles=1.4,
    ),
    "suv": Shape(
        4.5, 1.86, 1.7, 1.08, 0.92, 1.0, (0.4, -1.75), (-2.1, 1.12), 1.08, ((0.05, 0.36), (0.39, 0.68), (0.71, 0.93)),
        clearance=0.28, wheel=0.37, axles=1.38, inward=0.82,
    ),
    "mini": Shape(
        3.55, 1.64, 1.52, 0.96, 0.78, 1.05, (0.4, -1.3), (-1.66, 1.0), 0.96, ((0.06, 0.5), (0.54, 0.88)), axles=1.17,
        wheel=0.3,
    ),
    "van": Shape(
        4.9, 1.92, 1.96, 1.12, 0.96, 1.75, (1.05, -2.3), (-2.4, 1.15), 1.1, ((0.04, 0.27), (0.31, 0.6), (0.64, 0.93)),
        clearance=0.24, axles=1.55, inward=0.9,
    ),
    "transporter": Shape(
        5.3, 2.0, 2.35, 1.2, 1.0, 1.95, (1.25, -2.55), (-2.62, 1.2), 1.15, ((0.04, 0.24),), clearance=0.26, wheel=0.34,
        axles=1.65, inward=0.93, glazed=False,
    ),
}  # fmt: skip
SHARES = {"hatch": 0.27, "saloon": 0.2, "estate": 0.14, "suv": 0.2, "mini": 0.07, "van": 0.06, "transporter": 0.06}
"""How common each shape is."""


@cache
def car(name: str) -> Mesh:
    """The mesh of a car of ``SHAPES``."""
    shape = SHAPES[name]
    build = MeshBuilder((0, 0.7, 0))
    add_treads(build, shape)
    _add_sides(build, shape)
    _add_nose(build, shape)
    _add_rear(build, shape)
    add_wheels(build, shape)
    _add_cabin(build, shape)
    _add_mirrors(build, shape)
    return build.build()


def add_treads(build: MeshBuilder, shape: Shape) -> None:
    """What is seen of the tyres, and of the dark between them, from ahead and from behind."""
    inner, outer = shape.half - 0.26, shape.half - 0.03
    for z in (shape.axles, -shape.axles):
        for face in (1, -1):
            edge, low = z + face * shape.wheel * 0.5, 0.12 * shape.wheel
            build.both([(inner, low, edge), (outer, low, edge), (outer, 0.36, edge), (inner, 0.36, edge)], "tyre")
    for face in (1, -1):
        ground, sill = 0.8 * shape.half, face * (shape.front - 0.3)
        build.face(span((ground, 0.12, sill - 0.05 * face), (ground, shape.clearance, sill)), "arch")


def _add_sides(build: MeshBuilder, shape: Shape) -> None:
    """The sides in three strips: in the shade below, facing the street, and turned to the sky above."""
    half, front, low, bulge, belt = shape.half, shape.front, shape.clearance, shape.bulge, 0.95 * shape.half
    rear, nose = -front + 0.06, front - 0.08
    sill = [(0.94 * half, low, rear + 0.14), (0.94 * half, low, nose - 0.12)]
    build.both([*sill, (half, low + 0.16, nose - 0.04), (half, low + 0.16, rear + 0.04)], "plastic")
    door = [(half, low + 0.1, rear + 0.04), (half, low + 0.1, nose - 0.06)]
    build.both([*door, (half, bulge, nose), (half, bulge, rear)], "body")
    (deck_z, deck_y), cowl = shape.deck, shape.cowl
    top = [(belt, shape.nose, nose - 0.04), (belt, shape.belt, cowl), (belt, deck_y, deck_z), (belt, shape.tail, rear)]
    build.both([(half, bulge, rear), (half, bulge, nose), *top], "body")
    seam = 1.004
    for share in (0.08, 0.5)[: len(shape.windows)]:
        z = cowl + (deck_z - cowl) * share
        ends = (half * seam, low + 0.2), (belt * seam, shape.belt - 0.03)
        build.both([(*ends[0], z), (*ends[0], z + 0.025), (*ends[1], z + 0.025), (*ends[1], z)], "dark")
        build.both(upright(half, (bulge + 0.13, bulge + 0.17), (z - 0.28, z - 0.1)), "dark")


def _add_nose(build: MeshBuilder, shape: Shape) -> None:
    """Bumper, grille, lamps and bonnet."""
    half, front, low, bulge, end = shape.half, shape.front, shape.clearance, shape.bulge, 0.86 * shape.half
    corner = (end, bulge, front), (half, bulge, front - 0.08)
    build.both([(half, low + 0.1, front - 0.14), (0.97 * half, low, front - 0.14), *corner], "body")
    lamp = (0.95 * half, shape.nose, front - 0.12), (end, shape.nose, front - 0.06)
    build.both([*corner[::-1], *lamp[::-1]], "lamp")
    bumper = span((0.97 * half, low, front - 0.14), corner[0])
    face = span(corner[0], lamp[1])
    build.face(bumper, "body")
    build.face(face, "body")
    build.patch(bumper, (0.14, 0.86), (0.12, 0.42), "dark")
    build.patch(bumper, (0.36, 0.64), (0.48, 0.78), "plate")
    build.patch(face, (0.3, 0.7), (0.1, 0.8), "dark")
    build.patch(face, (0.46, 0.54), (0.3, 0.7), "chrome")
    for u in ((0.02, 0.22), (0.78, 0.98)):
        build.patch(face, u, (0.3, 0.88), "lamp")
    build.face(span(lamp[1], (0.95 * half, shape.belt, shape.cowl)), "body")


def _add_rear(build: MeshBuilder, shape: Shape) -> None:
    """Bumper, lamps, plate and boot."""
    half, rear, low, bulge, end = shape.half, -shape.front, shape.clearance, shape.bulge, 0.86 * shape.half
    corner = (half, bulge, rear + 0.06), (end, bulge, rear)
    tail = (end, shape.tail, rear + 0.03), (0.95 * half, shape.tail, rear + 0.05)
    build.both([(half, low + 0.1, rear + 0.1), (0.97 * half, low, rear + 0.1), *corner[::-1]], "body")
    build.both([*corner, *tail], "rear lamp")
    bumper, hatch = span((0.97 * half, low, rear + 0.1), corner[1]), span(corner[1], tail[0])
    build.face(bumper, "body")
    build.face(hatch, "body")
    build.patch(bumper, (0.0, 1.0), (0.0, 0.45), "plastic")
    build.patch(hatch, (0.36, 0.64), (0.12, 0.48), "plate")
    for u in ((0.0, 0.15), (0.85, 1.0)):
        build.patch(hatch, u, (0.35, 0.95), "rear lamp")
    deck_z, deck_y = shape.deck
    if deck_z > rear + 0.25:
        build.face(span(tail[0], (0.95 * half, deck_y, deck_z)), "body")


def add_wheels(build: MeshBuilder, shape: Shape) -> None:
    """Arches, tyres and rims, seen from the side."""
    for z in (shape.axles, -shape.axles):
        x, y, r = shape.half, shape.wheel, shape.wheel
        build.both(disc((1.002 * x, y, z), 1.2 * r, 12, -20, 200), "arch")
        build.both(disc((1.004 * x, y, z), r, 16), "tyre")
        build.both(disc((1.006 * x, y, z), 0.66 * r, 14), "rim")
        tips, notches = disc((1.008 * x, y, z), 0.58 * r, 6), disc((1.008 * x, y, z), 0.26 * r, 6, 30, 390)
        build.both(np.stack([tips, notches], axis=1).reshape(-1, 3), "hub")
        build.both(disc((1.01 * x, y, z), 0.2 * r, 8), "rim")


def _add_cabin(build: MeshBuilder, shape: Shape) -> None:
    """Windscreen, windows and roof."""
    (deck_z, deck_y), (ahead, behind), top = shape.deck, shape.roof, shape.height
    belt, roof = 0.94 * shape.half, shape.inward * shape.half
    cowl, deck = (belt, shape.belt, shape.cowl), (belt, deck_y, deck_z)
    rims = (roof, top - 0.03, ahead), (roof, top - 0.04, behind)
    ridges = (0.9 * roof, top, ahead - 0.15), (0.9 * roof, top, behind + 0.15)
    screen, rear, side = span(cowl, rims[0]), span(deck, rims[1]), np.array([deck, cowl, *rims])
    build.face(screen, "body")
    build.face(rear, "body")
    build.both(side, "body")
    build.patch(screen, (0.05, 0.95), (0.05, 0.93), "glass")
    if shape.glazed:
        build.patch(rear, (0.08, 0.92), (0.12, 0.88), "glass")
    else:
        build.patch(rear, (0.49, 0.51), (0.05, 0.95), "dark")
    for a, b in shape.windows:
        build.both(part_of(side, (1 - b, 1 - a), (0.1, 0.86)), "glass")
    for rim, ridge in zip(rims, ridges):
        build.face(span(rim, ridge), "body")
    build.both([*rims, *ridges[::-1]], "body")
    build.face(span(*ridges), "body")


def _add_mirrors(build: MeshBuilder, shape: Shape) -> None:
    x, y, z = (shape.half, shape.half + 0.2), (shape.belt + 0.02, shape.belt + 0.18), shape.cowl - 0.28
    build.both(upright(x[1], y, (z - 0.05, z + 0.05)), "body")
    for face, paint in ((1, "body"), (-1, "dark")):
        edge = z + face * 0.06
        build.both([(x[0], y[0], edge), (x[1], y[0], edge), (x[1], y[1], edge), (x[0], y[1], edge)], paint)
