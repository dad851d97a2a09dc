"""Which buildings line a street."""

from __future__ import annotations

import numpy as np

from tdir.data._streets.buildings import Building, Buildings
from tdir.data._streets.camera import Floats
from tdir.data._streets.draws import one_of
from tdir.data._streets.facades import fronts
from tdir.data._streets.road import END, START, Road

_DEEP = 11.0
_CORNER = 2.5  # from a crossing street to the buildings at its corners


def draw_buildings(rng: np.random.Generator, road: Road) -> Buildings:
    """The buildings on both sides, and what closes the street far away."""
    members: list[Building] = []
    for sign in (-1, 1):
        if road.side(sign).kind != "park":
            members += _draw_row(rng, road, sign)
    kind = one_of(rng, ("rows", "blocks"))
    members += _draw_skyline(rng, road, kind)
    return Buildings(members + _draw_corners(rng, road, kind))


def _draw_row(rng: np.random.Generator, road: Road, sign: int) -> list[Building]:
    """The buildings on one side."""
    kind, edge = road.side(sign).kind, road.edges(sign)[4]
    across = 0.0 if road.side(-sign).kind == "park" else edge + road.edges(-sign)[4]
    stop, go = (END, END) if road.junction is None else (road.junction[0] - _CORNER, road.junction[1] + _CORNER)
    deep = 8.0 if kind == "houses" else _DEEP
    members: list[Building] = []
    s, before = START + rng.uniform(0, 1), 0.0
    while s < 0.85 * END:
        if stop <= s < go:
            s, before = go, 0.0
        front = one_of(rng, fronts(kind))
        # The last one before the junction is as long as there is room for.
        end = stop if s < stop < s + front.width else s + front.width
        near = sign * (edge + (0.0 if kind == "rows" else rng.uniform(0, 2.5)))
        rise = rng.uniform(3.4, 5.0) if kind == "houses" else 0.0
        opposite = (front.height * rng.uniform(0.7, 1.1), across) if across else (0.0, 1.0)
        bare = kind != "rows" or front.height > before
        members.append(Building(s, end, near, near + sign * deep, front, rise, False, _draw_tint(rng), opposite, bare))
        gap = _draw_gap(rng, kind)
        s, before = end + gap, 0.0 if gap else front.height
    return members


def _draw_gap(rng: np.random.Generator, kind: str) -> float:
    if kind == "rows":
        return 0.0 if rng.random() < 0.92 else 3.0
    return rng.uniform(2, 7) if kind == "houses" else rng.uniform(0, 9)


def _draw_skyline(rng: np.random.Generator, road: Road, kind: str) -> list[Building]:
    """Buildings beyond the end of the street."""
    s = END + rng.uniform(5, 30)
    middle = road.camera - 0.5 * road.bend * s * s
    # Behind closed rows, only what the end of the street leaves free can be seen.
    reach = 45 if {road.left.kind, road.right.kind} == {"rows"} else 105
    members, t = [], middle - reach
    while t < middle + reach:
        front = one_of(rng, fronts(kind))
        wide = front.width * rng.uniform(1.2, 2)
        members.append(Building(s, s + 10, t, t + wide, front, 0, True, _draw_tint(rng)))
        t += wide + (rng.uniform(0, 12) if rng.random() < 0.3 else 0)
    return members


def _draw_corners(rng: np.random.Generator, road: Road, kind: str) -> list[Building]:
    """Buildings along the far side of a crossing street."""
    members: list[Building] = []
    if road.junction is None:
        return members
    s = road.junction[1] + _CORNER
    for sign in (-1, 1):
        t = road.edges(sign)[4] + (30 if road.side(sign).kind == "park" else _DEEP)
        while t < 60:
            front = one_of(rng, fronts(kind))
            members.append(Building(s, s + 10, sign * t, sign * (t + front.width), front, 0, True, _draw_tint(rng)))
            t += front.width
    return members


def _draw_tint(rng: np.random.Generator) -> Floats:
    return rng.uniform(0.72, 1.05) * (1 + rng.uniform(-0.05, 0.05, 3))
