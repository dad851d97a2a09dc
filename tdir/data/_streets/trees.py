"""Trees and bushes as a layer of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.canvas import levels
from tdir.data._streets.foliage import leaf_table
from tdir.data._streets.kinds import VEGETATION
from tdir.data._streets.light import Light
from tdir.data._streets.outlines import fixed
from tdir.data._streets.road import KERB, Road
from tdir.data._streets.stage import Layer, Painter, Stage
from tdir.data._streets.textures import Texture

_BARK = np.array([0.075, 0.055, 0.04])
_CIRCLE = np.linspace(0, 2 * np.pi, 18, endpoint=False)


@dataclass
class Tree:
    """A tree, or a bush if it has no trunk; lengths in metres.

    Args:
        s: along the road.
        t: beside it.
        crown: the sprite of its leaves.
        height: of the whole tree.
        trunk: the height of the lowest leaves.
        wide: the width of the crown.
        leaf: albedo.
    """

    s: float
    t: float
    crown: Texture
    height: float
    trunk: float
    wide: float
    leaf: Floats


class Trees(Layer):
    """Every tree of a scene.

    Args:
        members: the trees.
    """

    def __init__(self, members: list[Tree]):
        self.members = members
        self.extents = np.array([(m.s - 0.3, m.s + 0.3, m.t - 0.3, m.t + 0.3) for m in members]).reshape(-1, 4)

    def _feet(self, road: Road) -> Floats:
        return road.place(np.array([m.s for m in self.members]), np.array([m.t for m in self.members]), KERB)

    def painters(self, stage: Stage) -> list[Painter | None]:
        """What paints each tree: its trunk, then its crown."""
        if not self.members:
            return []
        camera, feet = stage.canvas.camera, self._feet(stage.road)
        foot, depths = camera.project(feet)
        tops, _ = camera.project(feet + np.array([[0, m.height, 0] for m in self.members]))
        scale = camera.focal / depths
        high, half = foot[:, 1] - tops[:, 1], 0.5 * scale * [m.wide for m in self.members]
        low = foot[:, 1] - high * [0.85 * m.trunk / m.height for m in self.members]
        boxes = np.stack([foot[:, 0] - half, tops[:, 1], foot[:, 0] + half, low], axis=1)
        seen = (depths > 1.5) & (boxes[:, 2] > 0) & (boxes[:, 0] < camera.width) & (boxes[:, 3] > 0)
        # The sun reaches crowns above the shadows of the street, but not what grows close to the ground.
        lit = np.where([m.trunk > 0 for m in self.members], 1, stage.lit(feet))
        first = stage.canvas.upright(depths, VEGETATION)
        return [
            partial(self._paint, stage, k, foot[k], boxes[k], float(scale[k]), float(lit[k]), first + k) if ok else None
            for k, ok in enumerate(seen.tolist())
        ]

    def _paint(self, stage: Stage, k: int, foot: Floats, box: Floats, scale: float, lit: float, surface: int) -> None:
        canvas, light, tree = stage.canvas, stage.light, self.members[k]
        right, _, ahead = canvas.camera.turn
        if tree.trunk:
            half = max(0.018 * tree.height * scale, 0.5)
            (x, y), top = foot.tolist(), 0.5 * float(box[1] + box[3])
            halves = [
                np.array([(x + a * half, y), (x + 0.6 * a * half, top), (x + 0.6 * b * half, top), (x + b * half, y)])
                for a, b in ((-1, 0.2), (0.2, 1))
            ]
            colours = _BARK * light.arriving(np.stack([-right, right]))
            canvas.fill([fixed(part) for part in halves], levels(colours, np.array([surface, surface])))
        table = leaf_table(light, tree.leaf, lit, surface, -float(ahead @ light.sun))
        canvas.sprite(box, tree.crown, table, mirrored=bool(right @ light.sun > 0))

    def shadows(self, road: Road, light: Light) -> list[Floats]:
        """Uneven discs where the crowns are, and the trunks."""
        if not self.members:
            return []
        feet = self._feet(road) * np.array([1, 0, 1])
        height, trunk, wide = np.array([(m.height, m.trunk, m.wide) for m in self.members]).T[..., None]
        middle = feet + 0.5 * (height + trunk) * light.cast
        uneven = 0.45 * wide * (1 + 0.16 * np.sin(5 * _CIRCLE + height) + 0.1 * np.sin(9 * _CIRCLE))
        long = 0.4 * (height - trunk) * np.sin(_CIRCLE)
        discs = middle[:, None] + long[..., None] * light.cast
        discs[..., 0] += uneven * np.cos(_CIRCLE)
        discs[..., 2] += uneven * np.sin(_CIRCLE)
        side = 0.018 * height * np.array([1, 0, 0])
        trunks = np.stack([feet - side, feet + side, middle + side, middle - side], axis=1)
        return [*discs, *trunks[trunk[:, 0] > 0]]
