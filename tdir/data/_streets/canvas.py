"""A canvas painted from far to near that remembers what it shows: light and surface of every pixel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats
from tdir.data._streets.colours import UNIT
from tdir.data._streets.outlines import NEAR, SHIFT, ahead_of, fixed, pieces, starts_of
from tdir.data._streets.textures import Table, Texture, fitting

Level = tuple[float, ...]
"""A pixel: red, green, blue in units of ``UNIT``, and the number of the surface."""
Box = tuple[slice, slice]
"""Rows and columns of a canvas."""


@dataclass
class Thing:
    """An object with a box.

    Args:
        label: its class.
        first: the number of its first surface.
        last: the number of its last surface.
        box: the rows and columns that it may cover.
        within: the share of the box around it that is on the canvas.
        painted: how many pixels it had when it was painted, before anything nearer came.
    """

    label: int
    first: int
    last: int
    box: Box
    within: float
    painted: int = 0


@dataclass(frozen=True)
class Stretched:
    """How to paint a texture on a rectangle seen in perspective.

    Args:
        box: what of the canvas it may cover.
        target: where the corners of the texture lie in the box, ``(4, 2)``.
        picture: of the texture, in a size that fits.
        method: OpenCV's, for sampling it.
        outline: what of the box is painted.
    """

    box: Box
    target: NDArray[np.float32]
    picture: NDArray[np.uint8]
    method: int
    outline: NDArray[np.int32]


@dataclass(frozen=True)
class Sprite:
    """How to paint a texture with holes upright: its picture, and ``(2, 3)`` from that to a box of the canvas."""

    box: Box
    picture: NDArray[np.uint8]
    matrix: Floats


class Canvas:
    """Linear light and a surface number in every pixel, and a plane for every surface.

    Args:
        camera: whose image it is.

    Attributes:
        pixels: ``(H, W, 4)`` uint16, a ``Level`` in every pixel.
        things: the objects with boxes.
    """

    def __init__(self, camera: Camera):
        self.camera = camera
        self.pixels = np.zeros((camera.height, camera.width, 4), dtype=np.uint16)
        self.things: list[Thing] = []
        self._surfaces: list[tuple[Floats, Floats, Floats, NDArray[np.integer] | int]] = []
        self._count = 0

    def surfaces(self, planes: Floats, nearest: Floats, farthest: Floats, kinds: NDArray[np.integer] | int) -> int:
        """Register surfaces.

        Args:
            planes: ``(n, 3)``, as ``Camera.planes`` returns them.
            nearest: ``(n,)``, the least depth of each.
            farthest: ``(n,)``, the greatest depth.
            kinds: the semantic class of each, or of all.

        Returns:
            The number of the first one.
        """
        first, self._count = self._count, self._count + len(planes)
        self._surfaces.append((planes, nearest, farthest, kinds))
        return first

    def upright(self, depths: Floats, kinds: NDArray[np.integer] | int) -> int:
        """Register surfaces that face the camera at depths ``(n,)`` -> the number of the first one."""
        planes = np.zeros((len(depths), 3))
        planes[:, 2] = 1 / depths
        return self.surfaces(planes, depths, depths, kinds)

    def tables(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        """Planes ``(n, 3)``, least and greatest depth ``(n,)`` and semantic class ``(n,)`` of every surface."""
        planes, nearest, farthest, kinds = zip(*self._surfaces)
        spread = [np.broadcast_to(np.asarray(kind, np.uint8), len(plane)) for kind, plane in zip(kinds, planes)]
        numbers = [np.concatenate(parts).astype(np.float32) for parts in (planes, nearest, farthest)]
        return numbers[0], numbers[1], numbers[2], np.concatenate(spread)

    def inside(self, low: Floats, high: Floats) -> tuple[list[Box | None], list[float]]:
        """What of boxes is on the canvas.

        Args:
            low: ``(n, 2)``, left and top of each, pixels.
            high: ``(n, 2)``, right and bottom.

        Returns:
            The rows and columns that what is painted in each may touch, ``None`` for one off the canvas; and the share
            of it that is on the canvas.
        """
        size = np.array([self.camera.width, self.camera.height])
        first, last = (np.minimum(np.maximum(edge, 0), size) for edge in (low, high))
        cut = last - first
        whole = high - low
        share = cut[:, 0] * cut[:, 1] / np.maximum(whole[:, 0] * whole[:, 1], 1e-6)
        # OpenCV paints every pixel that an outline touches.
        return self._around(low - 1, high + 1), share.tolist()

    def count(self, things: Iterable[Thing]) -> None:
        """Note how many pixels things have that were painted just now."""
        for thing in things:
            thing.painted = int(np.count_nonzero(self.shows(thing)))

    def shows(self, thing: Thing) -> NDArray[np.bool_]:
        """Where a thing is seen, within its box."""
        # Below the first, the difference of unsigned numbers is large.
        return self.pixels[thing.box][..., 3] - np.uint16(thing.first) <= np.uint16(thing.last - thing.first)

    def fill(self, outlines: Iterable[NDArray[np.int32]], levels: Iterable[Level]) -> None:
        """Fill polygons, each ``(n, 2)`` as ``fixed`` returns it, in this order."""
        for outline, pixel in zip(outlines, levels):
            # What has so few corners is convex here, and filled in half the time.
            if len(outline) <= 4:
                cv2.fillConvexPoly(self.pixels, outline, pixel, shift=SHIFT)
            else:
                cv2.fillPoly(self.pixels, [outline], pixel, shift=SHIFT)

    def lines(self, lines: Sequence[NDArray[np.int32]], width: float, pixel: Level, closed: bool = False) -> None:
        """Draw lines through points, each ``(n, 2)`` as ``fixed`` returns it, at least one pixel wide."""
        cv2.polylines(self.pixels, lines, closed, pixel, max(1, round(width)), cv2.LINE_8, shift=SHIFT)

    def flat(
        self, polygons: Sequence[Floats], normals: Floats, colours: Floats, kinds: NDArray[np.integer] | int
    ) -> None:
        """Paint world polygons ``(n_i, 3)``, each flat and in one colour, in this order.

        Args:
            polygons: m of them.
            normals: of their planes, ``(m, 3)`` or ``(3,)``.
            colours: linear RGB, ``(m, 3)`` or ``(3,)``.
            kinds: semantic classes, ``(m,)`` or one for all.
        """
        count = len(polygons)
        shown, polygons = ahead_of(self.camera, polygons, NEAR)
        if not polygons:
            return
        starts, points = starts_of(polygons), np.concatenate(polygons)
        pixels, depths = self.camera.project(points)
        normals, colours = (np.broadcast_to(part, (count, 3))[shown] for part in (normals, colours))
        nearest, farthest = np.minimum.reduceat(depths, starts), np.maximum.reduceat(depths, starts)
        kinds = np.broadcast_to(kinds, count)[shown]
        surface = self.surfaces(self.camera.planes(normals, points[starts]), nearest, farthest, kinds)
        seen = np.flatnonzero(self.touches(pixels, starts))
        self.fill(pieces(fixed(pixels), starts, seen), levels(colours[seen], surface + seen))

    def touches(self, pixels: Floats, starts: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of the groups of pixels that begin at ``starts`` may touch the canvas."""
        least, most = np.minimum.reduceat(pixels, starts), np.maximum.reduceat(pixels, starts)
        return np.asarray(((most > 0) & (least < (self.camera.width, self.camera.height))).all(1))

    def stretched(self, pixels: Floats, textures: Sequence[Texture], outlines: Floats) -> list[Stretched | None]:
        """Textures without holes on rectangles seen in perspective.

        Args:
            pixels: ``(n, 4, 2)``: top left, top right, bottom right, bottom left of each texture.
            textures: n of them.
            outlines: ``(n, m, 2)``, the convex part of each rectangle that is painted.

        Returns:
            How to paint each; ``None`` for one off the canvas.
        """
        if not textures:
            return []
        boxes = self._around(outlines.min(1), outlines.max(1))
        corner = _corners(boxes)[:, None]
        # Pixel centres lie at whole numbers for OpenCV.
        targets, drawn = (pixels - corner - 0.5).astype(np.float32), fixed(outlines - corner)
        return [
            None if box is None else Stretched(box, target, *fit, outline)
            for box, target, fit, outline in zip(boxes, targets, fitting(textures, pixels), drawn)
        ]

    def stretch(self, what: Stretched, table: Table) -> None:
        """Paint a texture in perspective; ``table`` is what becomes of its levels, see ``lit_table``."""
        rows, columns = what.box
        shape = rows.stop - rows.start, columns.stop - columns.start
        height, width = what.picture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
        matrix = cv2.getPerspectiveTransform(source - np.float32(0.5), what.target)
        warped = cv2.warpPerspective(
            what.picture, matrix, shape[::-1], flags=what.method, borderMode=cv2.BORDER_REPLICATE
        )
        mask = np.zeros(shape, dtype=np.uint8)
        cv2.fillConvexPoly(mask, what.outline, 1, shift=SHIFT)
        cv2.copyTo(cv2.LUT(warped, table), mask, self.pixels[what.box])

    def sprites(self, places: Floats, textures: Sequence[Texture], mirrored: bool = False) -> list[Sprite | None]:
        """Textures with holes, upright.

        Args:
            places: ``(n, 4)``: left, top, right, bottom of each in pixels.
            textures: n of them; where their alpha is below half, there is a hole.
            mirrored: left and right.

        Returns:
            How to paint each; ``None`` for one off the canvas.
        """
        boxes = self._around(places[:, :2], places[:, 2:])
        pictures = [one.least(high) for one, high in zip(textures, (places[:, 3] - places[:, 1]).tolist())]
        corner = _corners(boxes)
        steps = (places[:, 2:] - places[:, :2]) / [picture.shape[1::-1] for picture in pictures]
        starts = places[:, :2] - corner
        if mirrored:
            starts[:, 0] = places[:, 2] - corner[:, 0]
            steps[:, 0] *= -1
        matrices = np.zeros((len(boxes), 2, 3))
        matrices[:, 0, 0], matrices[:, 1, 1] = steps.T
        # Pixel centres lie at whole numbers for OpenCV.
        matrices[:, :, 2] = starts + 0.5 * steps - 0.5
        found = zip(boxes, pictures, matrices)
        return [None if box is None else Sprite(box, picture, matrix) for box, picture, matrix in found]

    def sprite(self, what: Sprite, table: Table) -> None:
        """Paint a texture with holes; ``table`` is what becomes of its levels."""
        rows, columns = what.box
        shape = columns.stop - columns.start, rows.stop - rows.start
        scaled = cv2.warpAffine(what.picture, what.matrix, shape)
        cv2.copyTo(cv2.LUT(scaled, table), (scaled[..., 3] >= 128).view(np.uint8), self.pixels[what.box])

    def _around(self, low: Floats, high: Floats) -> list[Box | None]:
        """The rows and columns that pixels from ``low`` ``(n, 2)`` to ``high`` touch, ``None`` off the canvas."""
        size = self.camera.width, self.camera.height
        first, last = (np.minimum(np.maximum(edge, 0), size) for edge in (np.floor(low), np.ceil(high)))
        edges = np.concatenate([first, last], axis=1).astype(int).tolist()
        return [(slice(b, d), slice(a, c)) if a < c and b < d else None for a, b, c, d in edges]


def _corners(boxes: Sequence[Box | None]) -> NDArray[np.integer]:
    """The left and the top of boxes, ``(n, 2)``; 0 for none."""
    return np.array([(0, 0) if box is None else (box[1].start, box[0].start) for box in boxes])


def levels(colours: Floats, surfaces: NDArray[np.integer]) -> list[Level]:
    """Linear colours ``(n, 3)`` of surfaces ``(n,)`` as pixels."""
    pixels = np.empty((len(colours), 4))
    pixels[:, :3] = np.minimum(colours * UNIT, 65535)
    pixels[:, 3] = surfaces
    return [tuple(pixel) for pixel in pixels.tolist()]
