"""Street furniture as a layer of a scene: flat cut-outs that face the camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.canvas import levels
from tdir.data._streets.light import Light
from tdir.data._streets.outlines import fixed, pieces, starts_of
from tdir.data._streets.road import KERB, Road
from tdir.data._streets.stage import Layer, Painter, Stage

_NEAREST = 2.0


@dataclass(frozen=True)
class Piece:
    """A flat piece that faces the camera.

    Args:
        outline: ``(n, 2)``, metres: to the outside of the street, and up.
        colour: albedo, linear RGB.
        kind: semantic class.
        glow: light that it sends by itself, a factor on its colour.
    """

    outline: Floats
    colour: Floats
    kind: int
    glow: float = 0.0


@dataclass(frozen=True)
class Prop:
    """A thing beside the street, made of pieces.

    Args:
        s: along the road.
        t: beside it.
        pieces: in the order in which they are painted.
    """

    s: float
    t: float
    pieces: tuple[Piece, ...]

    @property
    def height(self) -> float:
        """In metres."""
        return float(max(piece.outline[:, 1].max() for piece in self.pieces))


class Furniture(Layer):
    """The furniture of a street.

    Args:
        members: in any order.
    """

    def __init__(self, members: list[Prop]):
        self.members = members
        self.extents = np.array([(m.s - 0.1, m.s + 0.1, m.t - 0.1, m.t + 0.1) for m in members]).reshape(-1, 4)

    def _feet(self, road: Road) -> Floats:
        s, t = np.array([(m.s, m.t) for m in self.members]).reshape(-1, 2).T
        return road.place(s, t, KERB)

    def painters(self, stage: Stage) -> list[Painter | None]:
        """What paints each prop."""
        if not self.members:
            return []
        camera, feet = stage.canvas.camera, self._feet(stage.road)
        pixels, depths = camera.project(feet)
        scale = camera.focal / depths
        shown = (depths > _NEAREST) & (pixels[:, 0] > -3 * scale) & (pixels[:, 0] < camera.width + 3 * scale)
        counts = [len(prop.pieces) for prop in self.members]
        parts = [piece for prop in self.members for piece in prop.pieces]
        owner, starts = np.repeat(np.arange(len(counts)), counts), starts_of([part.outline for part in parts])
        corners = np.repeat(owner, [len(part.outline) for part in parts])
        out = np.where([prop.t > 0 for prop in self.members], 1, -1) * (-1 if stage.road.mirrored else 1)
        outlines = np.concatenate([part.outline for part in parts]) * scale[corners, None]
        drawn = fixed(pixels[corners] + outlines * np.stack([out, -np.ones_like(out)], axis=1)[corners])
        first = stage.canvas.upright(depths[owner], np.array([part.kind for part in parts]))
        arriving = self._arriving(stage, feet)[owner] + np.array([[part.glow] for part in parts])
        painted = levels(np.array([part.colour for part in parts]) * arriving, first + np.arange(len(parts)))
        flat, ends = pieces(drawn, starts, np.arange(len(parts))), np.cumsum([0, *counts]).tolist()
        return [
            partial(stage.canvas.fill, flat[a:b], painted[a:b]) if ok else None
            for a, b, ok in zip(ends, ends[1:], shown.tolist())
        ]

    def _arriving(self, stage: Stage, feet: Floats) -> Floats:
        """The light ``(n, 3)`` on what faces the camera at ``feet`` ``(n, 3)``."""
        towards = -stage.canvas.camera.turn[2:]
        sunny, shaded = stage.light.arriving(towards), stage.light.arriving(towards, lit=0)
        return np.asarray(shaded + stage.lit(feet)[:, None] * (sunny - shaded))

    def shadows(self, road: Road, light: Light) -> list[Floats]:
        """A narrow shadow for each."""
        if not self.members:
            return []
        feet = self._feet(road) * np.array([1, 0, 1])
        half = np.array([max(float(np.ptp(m.pieces[0].outline[:, 0])) / 2, 0.05) for m in self.members])[:, None]
        across = np.array([-light.cast[2], 0, light.cast[0]]) / float(np.hypot(light.cast[0], light.cast[2]) + 1e-6)
        ends = feet + np.array([[m.height] for m in self.members]) * light.cast
        side = half * across
        return list(np.stack([feet - side, feet + side, ends + side, ends - side], axis=1))
