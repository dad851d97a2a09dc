"""Windows, doors and shops, painted on the picture of a front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.draws import one_of

PIXELS = 24
"""Pixels of a picture in a metre."""

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

_FRAMES: list[Colour] = [(238, 238, 234), (232, 228, 218), (70, 62, 58), (46, 50, 54), (120, 88, 62), (62, 84, 70)]
_BOARDS: list[Colour] = [
    (150, 32, 38), (28, 70, 120), (30, 92, 66), (208, 160, 40), (52, 52, 58), (120, 60, 120), (226, 226, 220),
    (210, 92, 40), (24, 118, 128),
]  # fmt: skip
_IRON = (40, 40, 42)
_STONE = (150, 147, 142)


@dataclass(frozen=True)
class Window:
    """What the windows of one front look like, lengths in pixels.

    Args:
        width: with its frame.
        height: with its frame.
        frame: its colour.
        panes: how many, across and down.
        sill: whether there is one.
        shutters: their colour, or ``None``.
        balcony: how many of the windows have one, as a share.
    """

    width: int
    height: int
    frame: Colour
    panes: tuple[int, int]
    sill: bool
    shutters: Colour | None
    balcony: float


def draw_window(rng: np.random.Generator, wide: bool, bay: float) -> Window:
    """The windows of a front.

    Args:
        rng: chooses.
        wide: as wide as there is room for, as on blocks of flats.
        bay: metres from one to the next.
    """
    width = rng.uniform(1.5, bay - 0.4) if wide else rng.uniform(0.95, min(1.5, bay - 0.8))
    shutters = not wide and width < 0.45 * bay and rng.random() < 0.35
    return Window(
        width=round(width * PIXELS),
        height=round(rng.uniform(1.35, 1.85) * PIXELS),
        frame=one_of(rng, _FRAMES),
        panes=(int(rng.integers(1, 4)), int(rng.integers(1, 3))),
        sill=bool(rng.random() < 0.8),
        shutters=one_of(rng, _BOARDS) if shutters else None,
        balcony=0.35 if rng.random() < 0.3 else 0.0,
    )


def shade(part: Picture, factor: float) -> None:
    """Darken or brighten a part of a picture."""
    part[:] = np.clip(part * factor, 0, 255)


def paint_window(rng: np.random.Generator, picture: Picture, middle: int, bottom: int, window: Window) -> None:
    """A window above a row, unless there is no room for it."""
    left, top = middle - window.width // 2, bottom - window.height
    right = left + window.width
    if top < 2 or left < 2 or right > picture.shape[1] - 2:
        return
    shade(picture[top - 2 : top + 1, left - 2 : right + 2], 0.72)
    picture[top:bottom, left:right] = window.frame
    picture[top + 2 : bottom - 2, left + 2 : right - 2] = _glass(rng, window.height - 4, window.width - 4)
    columns, rows = window.panes
    for i in range(1, columns):
        x = left + round(i * window.width / columns)
        picture[top:bottom, x : x + 2] = window.frame
    for i in range(1, rows):
        y = top + round(0.4 * i * window.height)
        picture[y : y + 2, left:right] = window.frame
    shade(picture[top + 2 : top + 5, left + 2 : right - 2], 0.55)
    if window.sill:
        picture[bottom : bottom + 3, left - 3 : right + 3] = np.clip(np.array(window.frame) * 0.6 + 90, 0, 245)
        shade(picture[bottom + 3 : bottom + 6, left - 2 : right + 3], 0.72)
    if window.shutters is not None:
        _paint_shutters(picture, (left, top, right, bottom), window.shutters)
    if rng.random() < window.balcony:
        _paint_balcony(picture, (left, top, right, bottom))


def _paint_shutters(picture: Picture, box: tuple[int, int, int, int], colour: Colour) -> None:
    left, top, right, bottom = box
    wide = (right - left) // 2
    for start in (left - wide - 1, right + 1):
        if start >= 0 and start + wide <= picture.shape[1]:
            picture[top:bottom, start : start + wide] = colour
            shade(picture[top:bottom:3, start : start + wide], 0.75)


def _paint_balcony(picture: Picture, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    rail, left = (top + bottom) // 2, max(left, 7)
    picture[rail : rail + 2, left - 5 : right + 5] = _IRON
    picture[rail:bottom, left - 5 : right + 5 : 3] = _IRON
    picture[bottom : bottom + 3, left - 7 : right + 7] = _STONE
    shade(picture[bottom + 3 : bottom + 9, left - 6 : right + 7], 0.66)


def _glass(rng: np.random.Generator, height: int, width: int) -> Picture:
    """What a window shows: a dark room, a reflection of the sky, and perhaps curtains or a blind."""
    dark = np.array([44, 52, 60]) * rng.uniform(0.5, 1.4)
    sky = np.array([150, 172, 190]) * rng.uniform(0.6, 1.1)
    share = rng.uniform(0, 0.75) * np.linspace(1, 0.1, height)[:, None] + rng.uniform(-0.1, 0.1)
    slope = (np.arange(width)[None] + np.arange(height)[:, None]) % max(width, 1) < rng.uniform(0, 0.8) * width
    glass = dark + (sky - dark) * np.clip(share + 0.12 * slope, 0, 1)[..., None]
    inside = rng.random()
    cloth = 0.72 * np.array([202, 195, 182]) * rng.uniform(0.55, 1.0)
    if inside < 0.4:
        side = max(1, round(rng.uniform(0.12, 0.3) * width))
        glass[:, :side] = 0.28 * glass[:, :side] + cloth
        glass[:, -side:] = 0.28 * glass[:, -side:] + cloth
    elif inside < 0.6:
        drawn = round(rng.uniform(0.2, 0.8) * height)
        glass[:drawn] = 0.28 * glass[:drawn] + cloth
    return np.clip(glass, 0, 255).astype(np.uint8)


def paint_door(rng: np.random.Generator, picture: Picture, middle: int, bottom: int) -> None:
    """A door in its frame above a row."""
    half, top = round(0.55 * PIXELS), bottom - round(2.2 * PIXELS)
    left, right = max(middle - half, 5), middle + half
    picture[top - 4 : bottom, left - 3 : right + 3] = (214, 210, 202)
    picture[top:bottom, left:right] = one_of(rng, _BOARDS)
    shade(picture[top : top + 4, left:right], 0.5)
    picture[top + 5 : top + 15, left + 4 : right - 4] = (70, 80, 88)
    shade(picture[top + 20 : bottom - 5, left + 4 : right - 4], 0.85)
    picture[bottom - 3 : bottom, left - 5 : right + 5] = _STONE


def paint_shop(rng: np.random.Generator, picture: Picture, height: int) -> None:
    """A ground floor of glass below a board, the lowest ``height`` rows of a front."""
    bottom, width = picture.shape[:2]
    top, colour = bottom - height + 6, one_of(rng, _BOARDS)
    board = top + round(0.7 * PIXELS)
    picture[top:bottom] = np.array(colour) * 0.6
    picture[top:board] = colour
    shade(picture[top - 3 : top], 0.7)
    _paint_words(rng, picture[top + 4 : board - 5], colour)
    panes = max(2, round(width / PIXELS / 2.2))
    edges, door = np.linspace(4, width - 4, panes + 1).round().astype(int).tolist(), int(rng.integers(panes))
    for i, (left, right) in enumerate(zip(edges, edges[1:])):
        low = bottom - (2 if i == door else round(0.45 * PIXELS))
        _paint_goods(rng, picture[board + 5 : low, left + 2 : right - 2])
    if rng.random() < 0.4:
        _paint_awning(rng, picture[board : board + round(0.75 * PIXELS) + 9])
    else:
        shade(picture[board : board + 5], 0.5)


def _paint_words(rng: np.random.Generator, board: Picture, colour: Colour) -> None:
    """Letters that nobody can read."""
    ink = (244, 240, 228) if sum(colour) < 480 else (40, 40, 44)
    x = round(board.shape[1] * rng.uniform(0.1, 0.3))
    for _ in range(int(rng.integers(5, 11))):
        wide, low = int(rng.integers(3, 8)), int(rng.integers(0, 3))
        if x + wide > 0.92 * board.shape[1]:
            break
        board[low:, x : x + wide] = ink
        board[low + 3 : -3, x + 1 : x + wide - 1] = colour
        x += wide + 2


def _paint_goods(rng: np.random.Generator, pane: Picture) -> None:
    """A shop window with something bright in it."""
    height, width = pane.shape[:2]
    glow = np.array([226, 196, 140]) * rng.uniform(0.3, 0.9)
    spots = np.asarray(cv2.resize(rng.random((4, 5)).astype(np.float32), (width, height)))
    goods = _glass(rng, height, width) + 0.55 * np.clip(spots - 0.35, 0, 1)[..., None] * glow
    pane[:] = np.clip(goods, 0, 255)


def _paint_awning(rng: np.random.Generator, part: Picture) -> None:
    """A striped awning, and its shadow in the lowest nine rows."""
    cloth, stripe = part[:-9], one_of(rng, _BOARDS)
    slats = (np.arange(part.shape[1]) // 7 % 2)[None, :, None]
    cloth[:] = np.where(slats, stripe, (236, 232, 222)) * np.linspace(1.0, 0.8, len(cloth))[:, None, None]
    shade(part[-9:], 0.55)
