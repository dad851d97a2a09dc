"""Trees and bushes as a layer of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats
from tdir.data._streets.canvas import Level, Sprite, levels
from tdir.data._streets.foliage import leaf_table
from tdir.data._streets.kinds import VEGETATION
from tdir.data._streets.light import Light
from tdir.data._streets.outlines import fixed
from tdir.data._streets.road import KERB, Road
from tdir.data._streets.stage import Layer, Painter, Stage
from tdir.data._streets.textures import Texture

_BARK = np.array([0.075, 0.055, 0.04])
_TRUNK = np.array([(-1, -0.6, 0.12, 0.2), (0.2, 0.12, 0.6, 1)])
"""The left and the right part of a trunk, in halves of its width at the foot."""
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
        mirrored = bool(camera.turn[0] @ stage.light.sun > 0)
        trunks, bark = self._trunks(foot, boxes, scale), self._bark(stage, first)
        crowns = stage.canvas.sprites(boxes, [m.crown for m in self.members], mirrored)
        return [
            partial(self._paint, stage, k, trunks[k], bark[k], crown, float(lit[k]), first + k)
            if crown is not None and seen[k]
            else None
            for k, crown in enumerate(crowns)
        ]

    def _trunks(self, foot: Floats, boxes: Floats, scale: Floats) -> NDArray[np.int32]:
        """The left and the right part of each trunk, ``(n, 2, 4, 2)``: foot, top, top, foot."""
        half = np.maximum(0.018 * scale * [m.height for m in self.members], 0.5)
        outlines = np.empty((len(half), *_TRUNK.shape, 2))
        outlines[..., 0] = foot[:, 0, None, None] + half[:, None, None] * _TRUNK
        outlines[..., [0, 3], 1] = foot[:, 1, None, None]
        outlines[..., [1, 2], 1] = 0.5 * (boxes[:, 1] + boxes[:, 3])[:, None, None]
        return fixed(outlines)

    def _bark(self, stage: Stage, first: int) -> list[list[Level]]:
        """What the two parts of each trunk are painted with."""
        right, count = stage.canvas.camera.turn[0], len(self.members)
        colours = np.tile(_BARK * stage.light.arriving(np.stack([-right, right])), (count, 1))
        both = levels(colours, first + np.repeat(np.arange(count), 2))
        return [both[k : k + 2] for k in range(0, 2 * count, 2)]

    def _paint(
        self, stage: Stage, k: int, trunk: NDArray[np.int32], bark: list[Level], crown: Sprite, lit: float, surface: int
    ) -> None:
        tree = self.members[k]
        if tree.trunk:
            stage.canvas.fill(trunk, bark)
        facing = -float(stage.canvas.camera.turn[2] @ stage.light.sun)
        stage.canvas.sprite(crown, leaf_table(stage.light, tree.leaf, lit, surface, facing))

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
