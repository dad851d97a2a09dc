"""What the ground of a street looks like: asphalt and its wear, markings, kerbs, pavements, grass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.road import CROSSING, END, START, Road

Strip = tuple[float, float, float, float]
"""Along the road: t from and to, s from and to."""


@dataclass
class Ground:
    """How the ground of a scene looks.

    Args:
        asphalt: albedo, linear RGB.
        pavement: albedo.
        kerb: albedo.
        grass: albedo.
        paint: albedo of the markings.
        wear: patches and tracks on the asphalt, and how bright they are compared with it.
        markings: strips of paint.
        slab: the length of a slab of the pavement.
    """

    asphalt: Floats
    pavement: Floats
    kerb: Floats
    grass: Floats
    paint: Floats
    wear: list[tuple[Strip, float]] = field(default_factory=list)
    markings: list[Strip] = field(default_factory=list)
    slab: float = 1.0


def draw_ground(rng: np.random.Generator, road: Road) -> Ground:
    """The ground of a street."""
    grey = rng.uniform(0.07, 0.16)
    tone = rng.uniform(0.22, 0.42)
    ground = Ground(
        asphalt=grey * np.array([1.0, 1.0, rng.uniform(0.98, 1.08)]),
        pavement=tone * np.array([1.0, rng.uniform(0.93, 0.99), rng.uniform(0.82, 0.97)]),
        kerb=np.full(3, rng.uniform(0.32, 0.5)),
        grass=np.array([0.055, 0.095, 0.025]) * rng.uniform(0.8, 1.5) + rng.uniform(0, 0.03) * np.array([1.2, 1, 0.2]),
        paint=np.full(3, rng.uniform(0.42, 0.75)),
        slab=rng.uniform(0.6, 1.4),
    )
    ground.wear = _draw_wear(rng, road)
    ground.markings = _draw_markings(rng, road)
    return ground


def _draw_wear(rng: np.random.Generator, road: Road) -> list[tuple[Strip, float]]:
    wear: list[tuple[Strip, float]] = []
    for sign in (-1, 1):
        for lane in range(road.side(sign).lanes):
            middle = sign * (lane + 0.5) * road.lane
            wear += [
                ((middle + track - 0.3, middle + track + 0.3, START, END), rng.uniform(0.84, 0.97))
                for track in (-0.8, 0.8)
            ]
            wear.append(((middle - 0.25, middle + 0.25, START, END), rng.uniform(0.86, 1.0)))
    left, right = -road.edges(-1)[2], road.edges(1)[2]
    for _ in range(int(rng.poisson(3))):
        t, s = rng.uniform(left, right - 1), rng.uniform(4, 60)
        patch = (t, min(t + rng.uniform(0.6, 2.2), right), s, s + rng.uniform(1, 9))
        wear.append((patch, rng.uniform(0.6, 1.3)))
    for _ in range(int(rng.poisson(2))):
        t, s = rng.uniform(left, right), rng.uniform(5, 40)
        wear.append(((t, t + 0.06, s, s + rng.uniform(5, 30)), 0.45))
    return wear


def _draw_markings(rng: np.random.Generator, road: Road) -> list[Strip]:
    ends = [(START, END)] if road.junction is None else [(START, road.junction[0] - 6), (road.junction[1] + 6, END)]
    dash, gap = (3.0, rng.uniform(3, 6)) if rng.random() < 0.7 else (6.0, 6.0)
    solid, phase = rng.random() < 0.35, rng.uniform(0, dash + gap)
    lines = [(0.0, solid)] if rng.random() < 0.92 else []
    edged = rng.random() < 0.5
    for sign in (-1, 1):
        side = road.side(sign)
        lines += [(sign * lane * road.lane, False) for lane in range(1, side.lanes)]
        edge = road.edges(sign)[0]
        if side.cycle or side.parking or edged:
            lines.append((sign * (edge - (0.0 if side.cycle or side.parking else 0.25)), True))
    marks = []
    for t, whole in lines:
        for s0, s1 in ends:
            if whole:
                marks.append((t - 0.06, t + 0.06, s0, s1))
                continue
            starts = np.arange(s0 - phase, min(s1, 130), dash + gap)
            marks += [(t - 0.06, t + 0.06, max(s, s0), min(s + dash, s1)) for s in starts if s + dash > s0 + 0.2]
    return [mark for mark in marks if mark[3] > mark[2]] + _crossings(road)


def _crossings(road: Road) -> list[Strip]:
    """Zebra crossings, and stop lines before a junction."""
    left, right = -road.edges(-1)[2], road.edges(1)[2]
    marks = []
    for s in road.crossings:
        marks += [(t, t + 0.5, s, s + CROSSING) for t in np.arange(left + 0.3, right - 0.6, 1.0)]
        if road.junction is not None and s < road.junction[0]:
            marks.append((0.1, road.edges(1)[0], s - 1.3, s - 0.9))
    return marks
