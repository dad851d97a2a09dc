"""Bicycles and motorbikes, with and without riders."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tdir.data._streets.bodies import Body, BodyBuilder, Point
from tdir.data._streets.kinds import THINGS
from tdir.data._streets.people import PERSON, add_rider

BICYCLE, MOTORBIKE = THINGS.index("bicycle"), THINGS.index("motorbike")
COUNT = 40
"""How many bodies there are of each kind; colours are drawn each time."""


@lru_cache(maxsize=2)
def bicycles(ridden: bool) -> list[Body]:
    """Bicycles, with someone on them if they are ridden."""
    rng = np.random.default_rng([22, ridden])
    return [_bicycle(rng, ridden) for _ in range(COUNT)]


@lru_cache(maxsize=2)
def motorbikes(ridden: bool) -> list[Body]:
    """Motorbikes and scooters, with someone on them if they are ridden."""
    rng = np.random.default_rng([23, ridden])
    return [_motorbike(rng, ridden) for _ in range(COUNT)]


def _tube(body: BodyBuilder, a: Point, b: Point, radius: float, role: str) -> None:
    body.limb((*a, radius), (*b, radius), role=role)


def _bicycle(rng: np.random.Generator, ridden: bool) -> Body:
    radius, sporty = rng.uniform(0.31, 0.35), rng.random() < 0.4
    rear, front = (0.0, radius, -0.52), (0.0, radius, 0.54)
    crank, seat, head = (0.0, 0.29, -0.06), (0.0, 0.86, -0.22), (0.0, 0.82, 0.36)
    grips = (0.24, 0.92 if sporty else 1.06, 0.46 if sporty else 0.34)
    body = BodyBuilder(*((BICYCLE, PERSON) if ridden else (BICYCLE,)))
    for a, b in ((rear, crank), (rear, seat), (crank, seat), (crank, head), (seat, head), (head, front)):
        _tube(body, a, b, 0.022, "frame")
    _tube(body, head, (0.0, grips[1], grips[2] - 0.06), 0.018, "rubber")
    _tube(body, (-grips[0], grips[1], grips[2]), grips, 0.018, "rubber")
    body.limb((0, 0.92, -0.34, 0.055), (0, 0.93, -0.14, 0.028), role="rubber")
    if rng.random() < 0.35:
        corners = [(side * 0.12, y, z, 0.03) for side in (-1, 1) for y in (0.78, 0.96) for z in (0.52, 0.72)]
        body.limb(*corners, role="basket")
    for centre in (rear, front):
        body.wheel(centre, radius, 0.045)
    if ridden:
        angle = rng.uniform(0, np.pi)
        rise, ahead = 0.17 * float(np.sin(angle)), 0.17 * float(np.cos(angle))
        right, left = ((side * 0.11, crank[1] + side * rise, crank[2] + side * ahead) for side in (1, -1))
        add_rider(rng, body, (0.0, 0.98, -0.24), grips, (right, left), 0.75 if sporty else 0.32, motor=False)
    return body.build()


def _motorbike(rng: np.random.Generator, ridden: bool) -> Body:
    scooter = rng.random() < 0.4
    radius, reach = (0.24, 0.6) if scooter else (0.3, 0.7)
    front, grips = (0.0, radius, reach), (0.32, 1.02, reach - 0.28)
    body = BodyBuilder(*((MOTORBIKE, PERSON) if ridden else (MOTORBIKE,)))
    if scooter:
        _add_scooter(body, reach)
    else:
        _add_engine(body, reach, fairing=rng.random() < 0.5)
    _tube(body, front, (0.0, 0.92, reach - 0.24), 0.04, "steel")
    _tube(body, (-grips[0], grips[1], grips[2]), grips, 0.022, "rubber")
    body.limb((0, 0.84, reach - 0.14, 0.085), role="lamp")
    body.limb((-0.05, 0.72, -reach - 0.16, 0.04), (0.05, 0.72, -reach - 0.16, 0.04), role="rear lamp")
    body.limb((-0.06, 0.55, -reach - 0.2, 0.04), (0.06, 0.55, -reach - 0.2, 0.04), role="lamp", fine=True)
    for side in (-1, 1):
        body.limb((side * 0.36, 1.16, grips[2] + 0.02, 0.045), role="rubber", fine=True)
    for centre in ((0.0, radius, -reach), front):
        body.wheel(centre, radius, 0.12)
    if ridden:
        right, left = ((side * 0.2, 0.34, 0.16 if scooter else -0.1) for side in (1, -1))
        add_rider(rng, body, (0.0, 0.86, -0.3), grips, (right, left), 0.3, motor=True)
    return body.build()


def _add_engine(body: BodyBuilder, reach: float, fairing: bool) -> None:
    """What lies between the wheels of a motorbike."""
    body.limb((0, 0.44, 0.12, 0.2), (0, 0.42, -0.16, 0.18), (0, 0.56, 0.0, 0.17), role="rubber")
    body.limb((0, 0.8, 0.26, 0.13), (0, 0.78, -0.05, 0.12), role="frame")
    body.limb((0, 0.76, -0.14, 0.1), (0, 0.82, -0.6, 0.08), role="rubber")
    body.limb((0, 0.68, -0.3, 0.1), (0, 0.78, -reach - 0.08, 0.06), role="frame")
    body.limb((0, 0.62, reach + 0.02, 0.07), (0, 0.6, reach - 0.22, 0.07), role="frame")
    body.limb((0.17, 0.36, -0.05, 0.05), (0.17, 0.42, -reach - 0.1, 0.06), role="steel")
    _tube(body, (0.0, 0.3, -reach), (0.0, 0.46, -0.1), 0.05, "rubber")
    if fairing:
        shell = (0, 0.92, reach - 0.2, 0.17), (0, 0.62, reach - 0.3, 0.19), (0, 1.08, reach - 0.3, 0.1)
        body.limb(*shell, role="frame")


def _add_scooter(body: BodyBuilder, reach: float) -> None:
    """What lies between the wheels of a scooter."""
    body.limb((0, 0.62, -0.42, 0.17), (0, 0.5, -reach, 0.16), (0, 0.48, -0.22, 0.15), role="frame")
    body.limb((0, 0.26, 0.3, 0.09), (0, 0.26, -0.3, 0.12), role="frame")
    body.limb((0, 0.32, 0.36, 0.15), (0, 0.86, reach - 0.24, 0.16), role="frame")
    body.limb((0, 0.84, -0.16, 0.1), (0, 0.86, -0.62, 0.1), role="rubber")
    body.limb((0, 0.5, reach, 0.09), (0, 0.46, reach - 0.1, 0.1), role="frame")
