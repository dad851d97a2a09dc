"""People: how they stand, walk and ride, and what they wear."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tdir.data._streets.bodies import ROLES, Ball, Body, BodyBuilder, Point
from tdir.data._streets.camera import Floats
from tdir.data._streets.colours import linear
from tdir.data._streets.kinds import THINGS

PERSON = THINGS.index("person")
COUNT = 140
"""How many people on foot there are; clothes and height are drawn each time."""
_STANDING = 0.2  # the share of them that does not walk

_SKIN = [(236, 200, 172), (222, 178, 146), (198, 148, 112), (150, 104, 74), (102, 70, 50), (72, 50, 38)]
_HAIR = [(30, 24, 20), (58, 40, 28), (96, 66, 40), (150, 116, 70), (186, 160, 110), (150, 150, 150), (110, 50, 30)]
_TOPS = [
    (34, 36, 40), (60, 64, 72), (36, 50, 84), (96, 104, 112), (226, 224, 218), (166, 30, 36), (188, 60, 90),
    (40, 92, 70), (214, 168, 50), (200, 98, 40), (120, 150, 180), (90, 66, 50), (60, 110, 170), (222, 204, 176),
    (110, 60, 120), (140, 146, 90), (28, 28, 30), (180, 184, 190),
]  # fmt: skip
_LEGS = [
    (28, 30, 36), (40, 52, 84), (66, 84, 120), (92, 82, 68), (140, 126, 100), (60, 60, 64), (196, 186, 164),
    (36, 44, 40),
]  # fmt: skip
_SHOES = [(24, 22, 22), (60, 44, 34), (220, 218, 214), (120, 120, 124), (150, 40, 40)]
_FRAMES = [
    (30, 30, 34), (190, 30, 36), (36, 80, 150), (230, 228, 222), (40, 120, 80), (220, 160, 40), (120, 124, 130),
    (96, 190, 190), (24, 24, 26), (200, 90, 30),
]  # fmt: skip
_FIXED = {
    "rubber": (38, 38, 40),
    "steel": (148, 150, 152),
    "lamp": (206, 206, 202),
    "rear lamp": (170, 26, 22),
    "basket": (112, 92, 66),
}


@lru_cache(maxsize=1)
def _palettes() -> list[Floats]:
    """The colours ``(n, 3)`` that each of ``ROLES`` is chosen from, linear RGB."""
    choices = {
        "skin": _SKIN, "hair": _HAIR, "top": _TOPS, "legs": _LEGS, "shoes": _SHOES, "bag": _TOPS, "helmet": _TOPS,
        "frame": _FRAMES, **{role: [colour] for role, colour in _FIXED.items()},
    }  # fmt: skip
    return [linear(np.array(choices[role], dtype=float)) for role in ROLES]


def draw_clothes(rng: np.random.Generator) -> Floats:
    """The colours ``(len(ROLES), 3)`` of a figure."""
    chosen, shades = rng.random(len(ROLES)).tolist(), rng.uniform(0.75, 1.2, (len(ROLES), 1))
    return np.array([palette[int(u * len(palette))] for palette, u in zip(_palettes(), chosen)]) * shades


@lru_cache(maxsize=1)
def pedestrians() -> list[Body]:
    """People on foot; the last ``_STANDING`` share of them stands."""
    rng = np.random.default_rng(21)
    return [_pedestrian(rng, walks=k < (1 - _STANDING) * COUNT) for k in range(COUNT)]


def draw_pedestrian(rng: np.random.Generator) -> tuple[Body, bool]:
    """Someone on foot, and whether they walk."""
    number = int(rng.integers(COUNT))
    return pedestrians()[number], number < (1 - _STANDING) * COUNT


def _pedestrian(rng: np.random.Generator, walks: bool) -> Body:
    tall = rng.uniform(1.55, 1.9) if rng.random() < 0.88 else rng.uniform(1.0, 1.4)
    broad = rng.uniform(0.88, 1.2)
    phase = rng.uniform(-1, 1) if walks else rng.uniform(-0.12, 0.12)
    wear = str(rng.choice(["trousers", "shorts", "skirt", "coat"], p=[0.58, 0.12, 0.14, 0.16]))
    body = BodyBuilder(PERSON)
    _add_legs(body, tall, broad, phase, wear)
    _add_trunk(body, tall, broad, wear)
    _add_arms(body, tall, broad, phase, bare=wear == "shorts" or rng.random() < 0.25)
    _add_head(rng, body, (0.0, 0.93 * tall, 0.01), 0.062 * tall + 0.012)
    if rng.random() < 0.35:
        _add_luggage(rng, body, tall, broad)
    return body.build()


def _ball(point: Point, radius: float) -> Ball:
    return (*point, radius)


def _swing(origin: Point, angle: float, length: float, out: float = 0.0) -> Point:
    """The end of a limb that hangs from a joint and swings ahead by an angle."""
    x, y, z = origin
    return x + out * length, y - length * float(np.cos(angle)), z + length * float(np.sin(angle))


def _add_legs(body: BodyBuilder, tall: float, broad: float, phase: float, wear: str) -> None:
    for side in (-1, 1):
        angle = 0.44 * phase * side
        hip = (side * 0.055 * tall * broad, 0.51 * tall, 0.0)
        knee = _swing(hip, angle, 0.245 * tall)
        # The leg behind bends its knee.
        ankle = _swing(knee, angle - (0.55 * abs(phase) if angle < 0 else 0.05), 0.235 * tall)
        toe = (ankle[0], ankle[1] - 0.012 * tall, ankle[2] + 0.075 * tall)
        body.limb(_ball(hip, 0.052 * tall * broad), _ball(knee, 0.036 * tall), role="legs")
        lower = "skin" if wear in ("shorts", "skirt") else "legs"
        body.limb(_ball(knee, 0.034 * tall), _ball(ankle, 0.026 * tall), role=lower)
        body.limb(_ball(ankle, 0.026 * tall), _ball(toe, 0.02 * tall), role="shoes", fine=True)


def _add_trunk(body: BodyBuilder, tall: float, broad: float, wear: str) -> None:
    wide, deep = 0.085 * tall * broad, 0.052 * tall * broad
    shoulders = [_ball((side * wide, 0.80 * tall, 0.0), 0.036 * tall * broad) for side in (-1, 1)]
    waist = [_ball((side * 0.045 * tall * broad, 0.56 * tall, 0.0), deep) for side in (-1, 1)]
    body.limb(*shoulders, *waist, role="top")
    if wear in ("skirt", "coat"):
        low, spread = (0.31, 0.085) if wear == "skirt" else (0.36, 0.07)
        hem = [_ball((side * spread * tall * broad, low * tall, 0.0), 0.03 * tall) for side in (-1, 1)]
        body.limb(*waist, *hem, role="legs" if wear == "skirt" else "top")


def _add_arms(body: BodyBuilder, tall: float, broad: float, phase: float, bare: bool) -> None:
    for side in (-1, 1):
        angle = -0.42 * phase * side
        shoulder = (side * 0.112 * tall * broad, 0.795 * tall, 0.0)
        elbow = _swing(shoulder, angle, 0.17 * tall, side * 0.12)
        hand = _swing(elbow, angle + 0.35, 0.155 * tall)
        body.limb(_ball(shoulder, 0.03 * tall), _ball(elbow, 0.025 * tall), role="top")
        body.limb(_ball(elbow, 0.023 * tall), _ball(hand, 0.018 * tall), role="skin" if bare else "top")
        body.limb(_ball(hand, 0.023 * tall), role="skin", fine=True)


def _add_head(rng: np.random.Generator, body: BodyBuilder, centre: Point, radius: float, owner: int = 0) -> None:
    x, y, z = centre
    r = radius
    neck = _ball((x, y - 1.6 * r, z), 0.5 * r), _ball((x, y - 0.6 * r, z), 0.5 * r)
    face = _ball((x, y - 0.35 * r, z + 0.02), 0.72 * r), _ball((x, y + 0.1 * r, z + 0.02), 0.9 * r)
    body.limb(*neck, role="skin", owner=owner, fine=True)
    body.limb(*face, role="skin", owner=owner)
    style = rng.random()
    if style < 0.12:  # bald
        return
    hair = [_ball((x, y + 0.3 * r, z - 0.35 * r), 0.95 * r), _ball((x, y + 0.42 * r, z), 0.85 * r)]
    if style > 0.62:  # long
        hair.append(_ball((x, y - 1.1 * r, z - 0.6 * r), 0.7 * r))
    body.limb(*hair, role="helmet" if style < 0.24 else "hair", owner=owner)


def _add_luggage(rng: np.random.Generator, body: BodyBuilder, tall: float, broad: float) -> None:
    if rng.random() < 0.5:
        sack = [(side * 0.05 * tall, y * tall, -0.085 * tall, 0.05 * tall) for side in (-1, 1) for y in (0.64, 0.76)]
        body.limb(*sack, role="bag")
        return
    side = 1 if rng.random() < 0.5 else -1
    corners = ((0.38, -0.05), (0.38, 0.05), (0.46, 0.0))
    body.limb(*((side * 0.15 * tall * broad, y * tall, z * tall, 0.028 * tall) for y, z in corners), role="bag")


def add_rider(
    rng: np.random.Generator,
    body: BodyBuilder,
    hip: Point,
    hands: Point,
    feet: tuple[Point, Point],
    lean: float,
    motor: bool,
) -> None:
    """Someone who rides, as the second thing of a body.

    Args:
        rng: chooses what they are like.
        body: the vehicle.
        hip: where they sit.
        hands: the right grip; the left one is its mirror image.
        feet: where the right and the left foot are.
        lean: of the back, ahead, radians.
        motor: in a full helmet, for a motorbike.
    """
    x, y, z = hip
    chest = (x, y + 0.5 * float(np.cos(lean)), z + 0.5 * float(np.sin(lean)))
    shins = "legs" if motor or rng.random() < 0.75 else "skin"
    for side, foot in zip((1, -1), feet):
        start = (side * 0.09, y, z)
        knee = _knee(start, foot)
        body.limb(_ball(start, 0.088), _ball(knee, 0.062), role="legs", owner=1)
        body.limb(_ball(knee, 0.058), _ball(foot, 0.045), role=shins, owner=1)
        toe = (foot[0], foot[1] - 0.02, foot[2] + 0.12)
        body.limb(_ball(foot, 0.042), _ball(toe, 0.036), role="shoes", owner=1, fine=True)
        shoulder, grip = (side * 0.17, chest[1], chest[2]), (side * hands[0], hands[1], hands[2])
        elbow = (side * (hands[0] + 0.06), 0.5 * (chest[1] + hands[1]) - 0.08, 0.5 * (chest[2] + hands[2]) - 0.03)
        body.limb(_ball(shoulder, 0.055), _ball(elbow, 0.044), role="top", owner=1)
        body.limb(_ball(elbow, 0.042), _ball(grip, 0.034), role="top", owner=1)
    back = [_ball((side * 0.13, chest[1], chest[2]), 0.075) for side in (-1, 1)]
    seat = [_ball((side * 0.075, y + 0.02, z), 0.1) for side in (-1, 1)]
    body.limb(*back, *seat, role="top", owner=1)
    head = (x, chest[1] + 0.25, chest[2] + 0.06)
    if motor or rng.random() < 0.5:
        _add_helmet(body, head, 0.125 if motor else 0.115, full=motor)
    else:
        _add_head(rng, body, head, 0.115, owner=1)


def _add_helmet(body: BodyBuilder, centre: Point, r: float, full: bool) -> None:
    """A helmet that leaves the face free, or a full one with a visor."""
    x, y, z = centre
    shell = [_ball((x, y + 0.25 * r, z - 0.2 * r), 1.12 * r)]
    if full:
        shell.append(_ball((x, y - 0.35 * r, z), 0.95 * r))
    else:
        body.limb(_ball((x, y - 0.3 * r, z + 0.1 * r), 0.9 * r), role="skin", owner=1)
    body.limb(*shell, role="helmet", owner=1)
    if full:
        body.limb(_ball((x, y - 0.05 * r, z + 0.62 * r), 0.62 * r), role="rubber", owner=1)


def _knee(hip: Point, foot: Point) -> Point:
    """Between hip and foot, and ahead of both by as much as the leg is bent."""
    long = 0.88
    gap = float(np.sqrt(sum((a - b) ** 2 for a, b in zip(hip, foot))))
    ahead = 0.5 * float(np.sqrt(max(long**2 - gap**2, 0.01)))
    return 1.15 * (hip[0] + foot[0]) / 2, (hip[1] + foot[1]) / 2 + 0.45 * ahead, (hip[2] + foot[2]) / 2 + 0.9 * ahead
