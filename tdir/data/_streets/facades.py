"""Fronts of buildings, made once for a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tdir.data._streets.draws import one_of
from tdir.data._streets.noise import SIDE, fractal
from tdir.data._streets.textures import Texture, pyramid
from tdir.data._streets.windows import (
    PIXELS,
    Colour,
    Picture,
    draw_window,
    paint_door,
    paint_shop,
    paint_window,
    shade,
)

_FLOOR = round(3.1 * PIXELS)
_GROUND = round(3.4 * PIXELS)  # the ground floor is higher
_EAVES = round(0.5 * PIXELS)


@dataclass(frozen=True)
class _Kind:
    """The fronts of one kind of street: how many, and ranges of floors and windows beside each other."""

    count: int
    floors: tuple[int, int]
    bays: tuple[int, int]
    bricks: float
    shops: float


_KINDS = {
    "rows": _Kind(26, (3, 6), (3, 5), bricks=0.45, shops=0.6),
    "houses": _Kind(12, (1, 2), (2, 4), bricks=0.45, shops=0.0),
    "blocks": _Kind(12, (4, 8), (4, 7), bricks=0.0, shops=0.0),
}
_BRICK: list[Colour] = [(142, 84, 66), (160, 98, 74), (121, 76, 66), (170, 120, 92), (112, 70, 58), (150, 132, 112)]
_PLASTER: list[Colour] = [
    (226, 214, 190), (214, 192, 150), (232, 226, 214), (196, 176, 152), (206, 160, 128), (186, 196, 190),
    (222, 196, 176), (176, 184, 196), (236, 222, 172), (200, 148, 132), (158, 168, 150), (240, 236, 228),
]  # fmt: skip
_PANEL: list[Colour] = [
    (178, 180, 184), (140, 146, 152), (204, 204, 200), (120, 110, 104), (92, 98, 108), (190, 174, 156),
]  # fmt: skip
_ROOF: list[Colour] = [(126, 68, 54), (98, 60, 52), (84, 84, 92), (70, 72, 78), (140, 88, 66), (106, 92, 84)]


@dataclass(frozen=True)
class Front:
    """The front of a building.

    Args:
        texture: of the whole front.
        wall: the texture of a wall without windows, for its ends.
        roof: the texture of a roof.
    """

    texture: Texture
    wall: Texture
    roof: Texture

    @property
    def height(self) -> float:
        """In metres."""
        return self.texture.sizes[0].shape[0] / PIXELS

    @property
    def width(self) -> float:
        """In metres."""
        return self.texture.sizes[0].shape[1] / PIXELS


@lru_cache(maxsize=len(_KINDS))
def fronts(kind: str) -> list[Front]:
    """The fronts for a kind of street: "rows", "houses" or "blocks"."""
    rng = np.random.default_rng([7, sorted(_KINDS).index(kind)])
    return [_front(rng, kind) for _ in range(_KINDS[kind].count)]


def _front(rng: np.random.Generator, kind: str) -> Front:
    settings = _KINDS[kind]
    floors, bays = (int(rng.integers(low, high + 1)) for low, high in (settings.floors, settings.bays))
    bay = rng.uniform(2.3, 3.2)
    brick = rng.random() < settings.bricks
    panel = kind == "blocks" and rng.random() < 0.7
    colour = one_of(rng, _BRICK if brick else _PANEL if panel else _PLASTER)
    height = _FLOOR * (floors - 1) + _GROUND + _EAVES
    picture = _wall(rng, height, round(bay * bays * PIXELS), colour, brick)
    wall = picture[: 6 * PIXELS, : 6 * PIXELS].copy()
    window, banded = draw_window(rng, kind == "blocks", bay), rng.random() < 0.5
    for floor in range(1, floors):
        bottom = height - _GROUND - (floor - 1) * _FLOOR
        for i in range(bays):
            paint_window(rng, picture, _middle(picture, i, bays), bottom - PIXELS, window)
        if banded:
            shade(picture[bottom - 3 : bottom], 1.18)
            shade(picture[bottom : bottom + 2], 0.7)
    if rng.random() < settings.shops:
        paint_shop(rng, picture, _GROUND)
    else:
        door = int(rng.integers(bays))
        for i in set(range(bays)) - {door}:
            paint_window(rng, picture, _middle(picture, i, bays), height - round(1.1 * PIXELS), window)
        paint_door(rng, picture, _middle(picture, door, bays), height)
    _paint_eaves(picture, colour)
    shade(picture[-PIXELS // 2 :], 0.78)
    return Front(_texture(picture), _texture(wall), _texture(_tiles(rng, one_of(rng, _ROOF))))


def _middle(picture: Picture, bay: int, bays: int) -> int:
    return round((bay + 0.5) * picture.shape[1] / bays)


def _wall(rng: np.random.Generator, height: int, width: int, colour: Colour, brick: bool) -> Picture:
    """A wall with its stains, ``(height, width, 3)``."""
    noise = np.tile(_stains(), (-(-height // SIDE) + 1, -(-width // SIDE) + 1))
    y, x = rng.integers(SIDE, size=2)
    wall = np.array(colour) * (1 + 0.045 * noise[y : y + height, x : x + width, None])
    if brick:
        rows, columns = np.arange(height)[:, None], np.arange(width)[None]
        shifted = columns + 3 * (rows // 3 % 2)
        each = rng.uniform(0.86, 1.12, (height // 3 + 1, width // 6 + 2))[rows // 3, shifted // 6]
        wall = wall * (each * np.where((rows % 3 == 0) | (shifted % 6 == 0), 0.86, 1.0))[..., None]
    streaks = np.repeat(rng.normal(0, 0.02, (1, width // 8 + 1)), 8, axis=1)[:, :width]
    return np.clip(wall * (1 + streaks * np.linspace(1, 0, height)[:, None])[..., None], 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _stains() -> np.ndarray:
    return fractal(4, coarsest=8, finest=256, fall=0.75)


def _paint_eaves(picture: Picture, colour: Colour) -> None:
    picture[:_EAVES] = np.clip(np.array(colour) * 0.55 + 105, 0, 250)
    shade(picture[_EAVES // 2 : _EAVES // 2 + 2], 0.8)
    shade(picture[_EAVES : _EAVES + 5], 0.62)


def _tiles(rng: np.random.Generator, colour: Colour) -> Picture:
    """A tiled roof, ``(96, 192, 3)``."""
    rows, columns = np.arange(96)[:, None], np.arange(192)[None]
    each = rng.uniform(0.82, 1.15, (13, 49))[rows // 8, (columns + 4 * (rows // 8 % 2)) // 4 % 49]
    edge = np.where(rows % 8 == 7, 0.72, np.where(rows % 8 == 0, 1.12, 1.0))
    return np.clip(np.array(colour) * (each * edge)[..., None], 0, 255).astype(np.uint8)


def _texture(picture: Picture) -> Texture:
    return pyramid(np.dstack([picture, np.full(picture.shape[:2], 255, dtype=np.uint8)]))
