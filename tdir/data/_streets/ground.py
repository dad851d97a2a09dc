"""Painting the ground, and lighting it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats
from tdir.data._streets.canvas import Canvas, levels
from tdir.data._streets.kinds import PAVEMENT, ROAD, VEGETATION
from tdir.data._streets.light import Light
from tdir.data._streets.noise import grain
from tdir.data._streets.outlines import NEAR, fixed
from tdir.data._streets.paving import Ground
from tdir.data._streets.road import END, KERB, START, Road

_UP = np.array([0.0, 1.0, 0.0])
_FAR = 3000.0
_WIDE = 90.0  # how far a crossing street goes to either side
_STONE = 0.16  # the width of kerbstones
_JOINTS = 26.0  # where joints between slabs can no longer be seen
_WALK = 2.5  # the pavements of a crossing street
_ONE = 16384  # the 16-bit level of a factor of 1
_FINE, _COARSE = 40.0, 5.0  # pixels of the grain in a metre


@dataclass
class _Sheets:
    """Flat pieces of the ground in the order in which they are painted."""

    outlines: list[Floats] = field(default_factory=list)
    colours: list[Floats] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)

    def add(self, outlines: Iterable[Floats], colour: Floats, kind: int) -> None:
        """Pieces of one colour."""
        found = list(outlines)
        self.outlines += found
        self.colours += [colour] * len(found)
        self.kinds += [kind] * len(found)


def paint_ground(canvas: Canvas, road: Road, ground: Ground) -> None:
    """The albedo of the ground; ``light_ground`` lights it."""
    _paint_land(canvas, road, ground)
    sheets = _Sheets()
    wear = road.strips(np.array([(*_roadway(road), START, END), *(strip for strip, _ in ground.wear)]))
    for outline, bright in zip(wear, (1.0, *(bright for _, bright in ground.wear))):
        sheets.add([outline], bright * ground.asphalt, ROAD)
    for sign in (-1, 1):
        _add_side(sheets, road, ground, sign)
    if road.junction is not None:
        _add_crossing_street(sheets, road, ground, road.junction)
    if ground.markings:
        sheets.add(road.strips(np.array(ground.markings)), ground.paint, ROAD)
    canvas.flat(sheets.outlines, _UP, np.array(sheets.colours), np.array(sheets.kinds))
    _paint_joints(canvas, road, ground)


def _roadway(road: Road) -> tuple[float, float]:
    """Where the left and the right kerb are, t."""
    return -road.edges(-1)[2], road.edges(1)[2]


def _paint_land(canvas: Canvas, road: Road, ground: Ground) -> None:
    """Everything below the horizon, before the street is built on it."""
    green = road.left.kind in ("houses", "park") or road.right.kind in ("houses", "park")
    planes = canvas.camera.planes(_UP[None], np.zeros((1, 3)))
    surface = canvas.surfaces(planes, np.array([NEAR]), np.array([_FAR]), VEGETATION if green else PAVEMENT)
    top, width, height = max(canvas.camera.horizon, 0), canvas.camera.width, canvas.camera.height
    below = fixed(np.array([[0, top], [width, top], [width, height], [0, height]]))
    canvas.fill([below], levels((ground.grass if green else ground.pavement)[None], np.array([surface])))


def _add_side(sheets: _Sheets, road: Road, ground: Ground, sign: int) -> None:
    """Grass, the face and the top of the kerb, and the pavement."""
    _, _, kerb, pavement, _ = road.edges(sign)
    if road.side(sign).kind != "rows":
        sheets.add([road.strip(sign * pavement, sign * (pavement + 45), START, END, KERB)], ground.grass, VEGETATION)
    edges = np.array([(kerb, kerb, 0, 0), (kerb, kerb + _STONE, 0, 0), (kerb + _STONE, pavement, 0, 0)])
    face, top, walk = road.strips(sign * edges + np.array([0, 0, START, END]), KERB)
    face[: len(face) // 2, 1] = 0
    for outline, colour in ((face, 0.7 * ground.kerb), (top, ground.kerb), (walk, ground.pavement)):
        sheets.add([outline], colour, PAVEMENT)


def _add_crossing_street(sheets: _Sheets, road: Road, ground: Ground, junction: tuple[float, float]) -> None:
    s0, s1 = junction
    corners: list[Floats] = []
    for sign in (-1, 1):
        kerb = road.edges(sign)[2]
        for near, far, colour in (
            (s0 - _WALK, s0, ground.pavement),
            (s1, s1 + _WALK, ground.pavement),
            (s1, s1 + _STONE, ground.kerb),
        ):
            sheets.add([road.strip(sign * kerb, sign * _WIDE, near, far, KERB)], colour, PAVEMENT)
        corners += [_rounded(road, sign, kerb, s0, -1), _rounded(road, sign, kerb, s1, 1)]
    sheets.add([*corners, road.strip(-_WIDE, _WIDE, s0, s1)], ground.asphalt, ROAD)


def _paint_joints(canvas: Canvas, road: Road, ground: Ground) -> None:
    """The joints between the slabs of the pavements near the camera."""
    ends = []
    s = np.arange(START + 1, _JOINTS, ground.slab)
    s = s[[not road.crossed(place, _WALK + 0.5) for place in s.tolist()]]
    for sign in (-1, 1):
        _, _, kerb, pavement, _ = road.edges(sign)
        ends.append(road.place(s[:, None], sign * np.array([[kerb + _STONE, pavement]]), KERB))
        t = np.arange(kerb + _STONE + ground.slab, pavement, ground.slab)
        ends.append(road.place(np.array([[START + 1, 8.0]]), sign * np.repeat(t[:, None], 2, axis=1), KERB))
    pixels, _ = canvas.camera.project(np.concatenate(ends).reshape(-1, 3))
    planes = canvas.camera.planes(_UP[None], np.array([[0, KERB, 0]]))
    surface = canvas.surfaces(planes, np.array([NEAR]), np.array([_JOINTS + 1]), PAVEMENT)
    pixel = levels(0.82 * ground.pavement[None], np.array([surface]))[0]
    canvas.lines(list(fixed(pixels).reshape(-1, 2, 2)), 1, pixel)


def _rounded(road: Road, sign: int, kerb: float, s: float, ahead: int, radius: float = 3.0) -> Floats:
    """The asphalt that rounds a corner of the junction."""
    angle = np.linspace(0, np.pi / 2, 6)
    t = np.append(kerb + radius * (1 - np.sin(angle)), kerb)
    along = np.append(s + ahead * radius * (1 - np.cos(angle)), s)
    return road.place(along, sign * t)


def light_ground(
    canvas: Canvas, coarse: Camera, light: Light, shade: NDArray[np.uint8], contact: NDArray[np.uint8]
) -> None:
    """Light what ``paint_ground`` painted.

    Args:
        canvas: with the albedo of the ground.
        coarse: its camera with fewer pixels: light on the ground has no sharp edges.
        light: of the scene.
        shade: how much of the sun is missing in each pixel of ``coarse``.
        contact: how much of the sky is missing, below cars for instance.
    """
    top = int(np.clip(coarse.horizon, 0, coarse.height - 1))
    share = np.linspace(1, 0, 256)[:, None]
    arriving = np.full((256, 4), _ONE, dtype=np.uint16)
    sun = max(float(light.sun[1]), 0) * light.sun_colour
    arriving[:, :3] = np.minimum((share * sun + light.sky_colour) * _ONE, 65535)
    rough = cv2.multiply(_grain(coarse, top), 255 - contact[top:], scale=1 / 255)
    factors = cv2.multiply(_looked_up(arriving, shade[top:]), _looked_up(_greys(), rough), scale=1 / _ONE)
    below = canvas.pixels[canvas.camera.height // coarse.height * top :]
    smooth = cv2.resize(factors, below.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    cv2.multiply(below, smooth, dst=below, scale=1 / _ONE)


@lru_cache(maxsize=1)
def _greys() -> NDArray[np.uint16]:
    """From the levels of the grain to factors ``(256, 4)``; the number of the surface stays as it is."""
    table = np.full((256, 4), _ONE, dtype=np.uint16)
    table[:, :3] = np.linspace(0, 255 / 128 * _ONE, 256)[:, None]
    return table


def _looked_up(table: NDArray[np.uint16], levels: Any) -> NDArray[np.uint16]:
    """The rows of a table ``(256, 4)`` that ``levels`` ``(H, W)`` point to, ``(H, W, 4)``."""
    # A row is one number of 64 bits: NumPy looks those up many times faster than rows.
    return np.asarray(table.view(np.uint64)[:, 0].take(levels)[..., None].view(np.uint16))


def _grain(camera: Camera, top: int) -> NDArray[np.uint8]:
    """The grain of the ground below row ``top``, 128 in the middle: fine near the camera, coarse far away."""
    shape, ground = (camera.width, camera.height - top), camera.ground()
    ground = np.array([[1, 0, 0], [0, 1, -top], [0, 0, 1]]) @ ground
    near, far = (
        cv2.warpPerspective(grain(), ground @ np.diag([1 / density, 1 / density, 1]), shape, borderMode=cv2.BORDER_WRAP)
        for density in (_FINE, _COARSE)
    )
    rows = np.maximum(np.arange(top, camera.height) + 0.5 - camera.horizon, 0.5)
    distance = (camera.focal * camera.position[1] / rows).astype(np.float32)[:, None]
    fine, coarse = 1 / (1 + (distance / 9) ** 2), 0.7 / (1 + (distance / 60) ** 2)
    mixed = 128 + fine * (near - np.float32(128)) + coarse * (far - np.float32(128))
    return np.clip(mixed, 0, 255).astype(np.uint8)
