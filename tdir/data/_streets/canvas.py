"""A canvas painted from far to near that remembers what it shows: light and surface of every pixel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats
from tdir.data._streets.colours import UNIT
from tdir.data._streets.outlines import NEAR, SHIFT, ahead_of, fixed, pieces, starts_of
from tdir.data._streets.textures import Table, Texture

Level = tuple[float, ...]
"""A pixel: red, green, blue in units of ``UNIT``, and the number of the surface."""


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
    box: tuple[slice, slice]
    within: float
    painted: int = 0


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

    def inside(self, low: Floats, high: Floats) -> tuple[list[tuple[slice, slice] | None], list[float]]:
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
        touched = np.concatenate([np.floor(low) - 1, np.ceil(high) + 1], axis=1)
        edges = np.minimum(np.maximum(touched, 0), [*size, *size]).astype(int).tolist()
        boxes = [(slice(b, d), slice(a, c)) if a < c and b < d else None for a, b, c, d in edges]
        return boxes, share.tolist()

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

    def stretch(self, pixels: Floats, texture: Texture, table: Table, outline: Floats) -> None:
        """Paint a texture without holes on a rectangle seen in perspective.

        Args:
            pixels: ``(4, 2)``: top left, top right, bottom right, bottom left of the texture.
            texture: what to paint.
            table: what becomes of its levels; see ``lit_table``.
            outline: ``(n, 2)``, the convex part of the rectangle that is painted.
        """
        box = self._around(outline.tolist())
        if box is None:
            return
        rows, columns = box
        shape = rows.stop - rows.start, columns.stop - columns.start
        shifted = (pixels - (columns.start, rows.start)).astype(np.float32)
        picture, method = texture.fitting(pixels.tolist())
        height, width = picture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
        # Pixel centres lie at whole numbers for OpenCV.
        matrix = cv2.getPerspectiveTransform(source - np.float32(0.5), shifted - np.float32(0.5))
        warped = cv2.warpPerspective(picture, matrix, shape[::-1], flags=method, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(shape, dtype=np.uint8)
        cv2.fillConvexPoly(mask, fixed(outline - (columns.start, rows.start)), 1, shift=SHIFT)
        cv2.copyTo(cv2.LUT(warped, table), mask, self.pixels[box])

    def _around(self, corners: Sequence[Sequence[float]]) -> tuple[slice, slice] | None:
        """The rows and columns around some pixels, or ``None`` if they are not on the canvas."""
        (left, top), (right, bottom) = map(min, zip(*corners)), map(max, zip(*corners))
        rows = slice(max(math.floor(top), 0), min(math.ceil(bottom), self.camera.height))
        columns = slice(max(math.floor(left), 0), min(math.ceil(right), self.camera.width))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None

    def sprite(self, place: Floats, texture: Texture, table: Table, mirrored: bool = False) -> None:
        """Paint a texture with holes, upright.

        Args:
            place: left, top, right, bottom in pixels.
            texture: where its alpha is below half, there is a hole.
            table: what becomes of its levels.
            mirrored: left and right.
        """
        left, top, right, bottom = place.tolist()
        box = self._around([(left, top), (right, bottom)])
        if box is None:
            return
        rows, columns = box
        picture = texture.least(bottom - top)
        wide, high = (right - left) / picture.shape[1], (bottom - top) / picture.shape[0]
        x, y = left - columns.start + 0.5 * wide - 0.5, top - rows.start + 0.5 * high - 0.5
        if mirrored:
            x, wide = right - columns.start - 0.5 * wide - 0.5, -wide
        shape = columns.stop - columns.start, rows.stop - rows.start
        scaled = cv2.warpAffine(picture, np.array([[wide, 0, x], [0, high, y]]), shape)
        cv2.copyTo(cv2.LUT(scaled, table), (scaled[..., 3] >= 128).view(np.uint8), self.pixels[box])


def levels(colours: Floats, surfaces: NDArray[np.integer]) -> list[Level]:
    """Linear colours ``(n, 3)`` of surfaces ``(n,)`` as pixels."""
    pixels = np.empty((len(colours), 4))
    pixels[:, :3] = np.minimum(colours * UNIT, 65535)
    pixels[:, 3] = surfaces
    return [tuple(pixel) for pixel in pixels.tolist()]
