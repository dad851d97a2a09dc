"""Buses with one or two decks, as meshes."""

from __future__ import annotations

from functools import cache

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.cars import Shape, add_treads, add_wheels
from tdir.data._streets.mesh import Mesh, MeshBuilder, part_of, span, upright

LENGTHS = (8.5, 10.5, 12.0)
_HALF = 1.25
_LOW = 0.3
_ROUND = 0.12  # how far the corners of the front reach back
_PANE = 1.6  # the width of a window, metres


@cache
def bus(decks: int, length: float) -> Mesh:
    """The mesh of a bus with one or two decks."""
    height, front = (3.05 if decks == 1 else 4.3), length / 2
    shape = Shape(
        length, 2 * _HALF, height, 1.2, 1, 0, (0, 0), (0, 0), 1, (), clearance=_LOW, wheel=0.48, axles=0.28 * length
    )
    build = MeshBuilder((0, 1.5, 0))
    add_treads(build, shape)
    side = upright(_HALF, (_LOW, height - 0.22), (-front, front - _ROUND))
    build.both(side, "body")
    _add_ends(build, decks, height, front)
    _add_side(build, side, decks, round(length / _PANE))
    add_wheels(build, shape)
    build.both(upright(_HALF + 0.22, (0.58 * height, 0.58 * height + 0.4), (front, front + 0.1)), "dark")
    return build.build()


def _add_ends(build: MeshBuilder, decks: int, height: float, front: float) -> None:
    """The front, the rear and the roof."""
    edge, roof = height - 0.22, 0.93 * _HALF
    ridges = [(roof, height, face * (front - 0.25)) for face in (1, -1)]
    for face, ridge in zip((1, -1), ridges):
        eave = (_HALF, edge, face * (front - 0.08))
        end = span((_HALF, _LOW, face * front), eave)
        build.face(end, "body")
        build.face(span(eave, ridge), "body")
        _add_end(build, end, decks, ahead=face > 0)
    back = front - _ROUND
    build.both([(_HALF, _LOW, front), (_HALF, _LOW, back), (_HALF, edge, back), (_HALF, edge, front - 0.08)], "body")
    build.both([(_HALF, edge, -front), (_HALF, edge, back), *ridges], "body")
    build.face(span(*ridges), "body")


def _add_end(build: MeshBuilder, end: Floats, decks: int, ahead: bool) -> None:
    """Windows, lamps, plate and destination of the front or the rear."""
    build.patch(end, (0.0, 1.0), (0.03, 0.09), "plastic")
    single = (0.38, 0.82) if ahead else (0.5, 0.8)
    for v in [single] if decks == 1 else [(0.24, 0.5), (0.66, 0.92)]:
        build.patch(end, (0.05, 0.95), v, "glass")
    low, high = (0.86, 0.97) if decks == 1 else (0.53, 0.62)
    build.patch(end, (0.18, 0.82), (low, high), "dark")
    if ahead:
        build.patch(end, (0.24, 0.76), (low + 0.02, high - 0.02), "board")
    for u in ((0.04, 0.2), (0.8, 0.96)):
        build.patch(end, u, (0.12, 0.19) if ahead else (0.14, 0.3), "lamp" if ahead else "rear lamp")
    build.patch(end, (0.4, 0.6), (0.1, 0.15), "plate")


def _add_side(build: MeshBuilder, side: Floats, decks: int, panes: int) -> None:
    """Stripe, windows and doors of both sides."""
    build.both(part_of(side, (0, 1), (0.05, 0.14)), "stripe")
    edges = 0.025 + 0.96 * np.linspace(0, 1, panes + 1)
    for low, high in [(0.36, 0.84)] if decks == 1 else [(0.27, 0.5), (0.64, 0.9)]:
        build.both(part_of(side, (0.02, 0.985), (low, high)), "dark")
        for left, right in zip(edges, edges[1:]):
            pane = left, right - 0.06 * (right - left)
            build.both(part_of(side, pane, (low + 0.02, high - 0.02)), "glass")
    for u in (0.52, 0.9):
        door = part_of(side, (u, u + 0.085), (0.06, 0.8 if decks == 1 else 0.5))
        build.both(door, "glass")
        build.both(part_of(door, (0.47, 0.53), (0, 1)), "dark")
