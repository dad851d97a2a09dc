"""What stands along a street: lamps, signs, traffic lights, bollards, bins and other clutter."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.colours import linear
from tdir.data._streets.draws import one_of
from tdir.data._streets.furniture import Furniture, Piece, Prop
from tdir.data._streets.kinds import POLE, SIGN, VOID
from tdir.data._streets.road import Road

Pieces = tuple[Piece, ...]


def _box(x0: float, x1: float, y0: float, y1: float) -> Floats:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _round(x: float, y: float, radius: float, corners: int = 14, turned: float = 0.0) -> Floats:
    return _unit_circle(corners, turned) * radius + np.array([x, y])


@lru_cache(maxsize=64)
def _unit_circle(corners: int, turned: float) -> Floats:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + turned
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@lru_cache(maxsize=256)
def _rgb(red: float, green: float, blue: float) -> Floats:
    return linear(np.array([red, green, blue], dtype=float))


_STEEL, _WHITE, _BLACK = _rgb(112, 116, 120), _rgb(235, 235, 232), _rgb(20, 20, 22)
_RED, _BLUE, _YELLOW = _rgb(186, 22, 28), _rgb(20, 76, 156), _rgb(236, 180, 20)
_PLATES = (  # rim, face, mark, radius of the rim and of the face, corners, turned by quarters
    (_RED, _WHITE, _BLACK, 1.0, 0.72, 14, 0.0),
    (_RED, _WHITE, None, 1.0, 0.75, 14, 0.0),
    (_RED, _WHITE, _BLACK, 1.15, 0.72, 3, 1.0),
    (_RED, _WHITE, None, 1.15, 0.72, 3, -1.0),
    (_WHITE, _RED, _WHITE, 1.0, 0.9, 8, 0.25),
    (_WHITE, _BLUE, _WHITE, 1.0, 0.9, 14, 0.0),
    (_WHITE, _BLUE, _WHITE, 1.3, 1.15, 4, 0.5),
    (_WHITE, _YELLOW, None, 1.2, 0.85, 4, 0.0),
    (_STEEL, 0.8 * _STEEL, None, 1.0, 0.97, 14, 0.0),  # seen from behind
)


def lamp(rng: np.random.Generator) -> Pieces:
    """A street lamp whose arm reaches over the road."""
    high, arm = rng.uniform(5.5, 9), rng.uniform(0.8, 2.4)
    colour = _rgb(*one_of(rng, ((120, 124, 128), (52, 60, 56), (70, 72, 76))))
    post = np.array([[-0.08, 0], [0.08, 0], [0.05, high], [-0.05, high]])
    beam = np.array([[0.05, high - 0.02], [-arm, high + 0.28], [-arm, high + 0.36], [0.05, high + 0.08]])
    return (
        Piece(post, colour, POLE),
        Piece(beam, colour, POLE),
        Piece(_box(-arm - 0.55, -arm + 0.1, high + 0.24, high + 0.38), 1.2 * colour, POLE),
        Piece(_box(-arm - 0.5, -arm, high + 0.2, high + 0.25), _rgb(220, 220, 210), POLE),
    )


def old_lamp(rng: np.random.Generator) -> Pieces:
    """A lantern on a post."""
    high, colour = rng.uniform(3.2, 4.2), _rgb(36, 40, 38)
    glass = np.array([[-0.16, high], [0.16, high], [0.24, high + 0.5], [-0.24, high + 0.5]])
    roof = np.array([[-0.28, high + 0.5], [0.28, high + 0.5], [0, high + 0.72]])
    return (
        Piece(_box(-0.09, 0.09, 0, 0.7), colour, POLE),
        Piece(_box(-0.05, 0.05, 0.7, high), colour, POLE),
        Piece(glass, _rgb(226, 222, 200), POLE),
        Piece(roof, colour, POLE),
    )


def sign(rng: np.random.Generator) -> Pieces:
    """A traffic sign, sometimes two above each other, or the back of one."""
    high = rng.uniform(2.1, 2.7)
    pieces = [Piece(_box(-0.035, 0.035, 0, high + 0.3), _STEEL, POLE)]
    pieces += _plate(rng, high)
    if rng.random() < 0.25:
        pieces += _plate(rng, high - 0.75)
    return tuple(pieces)


def _plate(rng: np.random.Generator, y: float) -> list[Piece]:
    size, up = rng.uniform(0.3, 0.4), np.pi / 2
    rim, face, mark, radius, inner, corners, turned = one_of(rng, _PLATES)
    pieces = [
        Piece(_round(0, y, radius * size, corners, turned * up), rim, SIGN),
        Piece(_round(0, y, inner * size, corners, turned * up), face, SIGN),
    ]
    if mark is not None:
        wide, high = rng.uniform(0.12, 0.5) * size, rng.uniform(0.12, 0.42) * size
        pieces.append(Piece(_box(-wide, wide, y - high, y + high), mark, SIGN))
    return pieces


def traffic_light(rng: np.random.Generator) -> Pieces:
    """A traffic light that shows one of its colours."""
    high, on = rng.uniform(2.3, 3.0), int(rng.integers(3))
    pieces = [
        Piece(_box(-0.06, 0.06, 0, high), _STEEL, POLE),
        Piece(_box(-0.17, 0.17, high - 0.1, high + 0.95), _BLACK, SIGN),
    ]
    colours = [_rgb(30, 220, 140), _rgb(250, 170, 20), _rgb(250, 30, 26)]
    for k, colour in enumerate(colours):
        lens = _round(0, high + 0.08 + 0.32 * k, 0.11, 10)
        pieces.append(Piece(lens, colour, SIGN, glow=1.6) if k == on else Piece(lens, 0.08 * colour, SIGN))
    return tuple(pieces)


def utility_pole(rng: np.random.Generator) -> Pieces:
    """A wooden pole with insulators."""
    high, wood = rng.uniform(7, 9), _rgb(92, 74, 58)
    post = np.array([[-0.14, 0], [0.14, 0], [0.09, high], [-0.09, high]])
    arms = [Piece(_box(-0.9, 0.9, y, y + 0.1), wood, POLE) for y in (high - 0.5, high - 1.1)]
    return (Piece(post, wood, POLE), *arms)


def bollard(rng: np.random.Generator) -> Pieces:
    """A post that keeps cars away."""
    colour = _rgb(*one_of(rng, ((40, 42, 44), (150, 150, 150), (120, 40, 36))))
    return (Piece(_box(-0.07, 0.07, 0, 0.85), colour, POLE), Piece(_box(-0.07, 0.07, 0.66, 0.74), _WHITE, POLE))


def litter_bin(rng: np.random.Generator) -> Pieces:
    """A litter bin or a wheelie bin."""
    colour = _rgb(*one_of(rng, ((50, 90, 60), (60, 62, 66), (90, 60, 44), (40, 70, 110), (190, 150, 30))))
    wide, high = rng.uniform(0.24, 0.34), rng.uniform(0.85, 1.15)
    body = np.array([[-0.85 * wide, 0], [0.85 * wide, 0], [wide, high], [-wide, high]])
    return (
        Piece(body, colour, VOID),
        Piece(np.array([[0.1 * wide, 0], [0.85 * wide, 0], [wide, high], [0.2 * wide, high]]), 0.7 * colour, VOID),
        Piece(_box(-1.06 * wide, 1.06 * wide, high, high + 0.09), 1.3 * colour, VOID),
    )


def cabinet(rng: np.random.Generator) -> Pieces:
    """A cabinet of the telephone or electricity company."""
    wide, high = rng.uniform(0.3, 0.6), rng.uniform(1.0, 1.5)
    colour = _rgb(*one_of(rng, ((120, 126, 118), (86, 98, 90), (150, 150, 146))))
    return (
        Piece(_box(-wide, wide, 0, high), colour, VOID),
        Piece(_box(0.02, 0.04, 0.08, high - 0.08), 0.5 * colour, VOID),
        Piece(_box(-wide - 0.03, wide + 0.03, high, high + 0.06), 1.2 * colour, VOID),
    )


def bench(rng: np.random.Generator) -> Pieces:
    """A bench."""
    wood = _rgb(120, 86, 54) * rng.uniform(0.7, 1.2)
    slats = [Piece(_box(-0.8, 0.8, y, y + 0.09), wood, VOID) for y in (0.42, 0.6, 0.74)]
    return (Piece(_box(-0.7, -0.62, 0, 0.8), _BLACK, VOID), Piece(_box(0.62, 0.7, 0, 0.8), _BLACK, VOID), *slats)


def cone(rng: np.random.Generator) -> Pieces:
    """A traffic cone."""
    high, orange = rng.uniform(0.5, 0.75), _rgb(226, 84, 24)

    def band(a: float, b: float) -> Floats:
        p, q = 0.16 * (1 - 0.85 * a), 0.16 * (1 - 0.85 * b)
        return np.array([[-p, a * high], [p, a * high], [q, b * high], [-q, b * high]])

    return (
        Piece(_box(-0.22, 0.22, 0, 0.05), orange, VOID),
        Piece(band(0, 1), orange, VOID),
        Piece(band(0.35, 0.6), _WHITE, VOID),
    )


def draw_furniture(rng: np.random.Generator, road: Road) -> Furniture:
    """What stands along a street."""
    members: list[Prop] = []
    light = old_lamp if rng.random() < 0.3 else lamp
    for side in (-1, 1):
        members += _draw_posts(rng, road, side, light)
        members += _draw_clutter(rng, road, side)
    members = [prop for prop in members if not road.crossed(prop.s, 2)]
    if road.junction is not None and rng.random() < 0.6:
        before, behind = road.junction[0] - 1.2, road.junction[1] + 1.2
        for side in (-1, 1):
            t = side * (road.edges(side)[2] + 0.5)
            members += [Prop(s, t, traffic_light(rng)) for s in (before, behind)]
    return Furniture([prop for prop in members if road.sees(prop.s, prop.t, 1.5)])


def _draw_posts(
    rng: np.random.Generator, road: Road, side: int, light: Callable[[np.random.Generator], Pieces]
) -> list[Prop]:
    """Lamps and utility poles in rows, and signs."""
    _, _, kerb, pavement, _ = road.edges(side)
    members: list[Prop] = []
    if rng.random() < 0.75:
        places = np.arange(rng.uniform(5, 20), 115, rng.uniform(16, 32)).tolist()
        members += [Prop(s, side * (kerb + 0.45), light(rng)) for s in places]
    if road.side(side).kind == "houses" and rng.random() < 0.4:
        places = np.arange(rng.uniform(8, 25), 110, 28).tolist()
        members += [Prop(s, side * (pavement - 0.2), utility_pole(rng)) for s in places]
    return members + [Prop(rng.uniform(6, 55), side * (kerb + 0.45), sign(rng)) for _ in range(int(rng.poisson(1.6)))]


def _draw_clutter(rng: np.random.Generator, road: Road, side: int) -> list[Prop]:
    _, _, kerb, pavement, _ = road.edges(side)
    members: list[Prop] = []
    for make, rate in ((litter_bin, 0.9), (cabinet, 0.4), (bench, 0.5)):
        t = side * (pavement - 0.5 if rng.random() < 0.5 else kerb + 0.6)
        members += [Prop(rng.uniform(6, 45), t, make(rng)) for _ in range(int(rng.poisson(rate)))]
    if rng.random() < 0.2:
        s, count = rng.uniform(6, 25), int(rng.integers(4, 10))
        members += [Prop(s + 1.6 * k, side * (kerb + 0.35), bollard(rng)) for k in range(count)]
    if rng.random() < 0.08:
        s, count = rng.uniform(8, 30), int(rng.integers(3, 8))
        members += [Prop(s + 1.8 * k, side * (kerb - 0.5), cone(rng)) for k in range(count)]
    return members
