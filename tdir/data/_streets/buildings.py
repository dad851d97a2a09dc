"""Buildings as a layer of a scene: boxes with fronts, end walls and roofs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats
from tdir.data._streets.canvas import Canvas, Level, Stretched, levels
from tdir.data._streets.facades import Front
from tdir.data._streets.kinds import BUILDING
from tdir.data._streets.light import Light
from tdir.data._streets.outlines import NEAR, fixed
from tdir.data._streets.road import KERB, Road
from tdir.data._streets.stage import Layer, Painter, Stage
from tdir.data._streets.textures import Texture, lit_table

_SIDES = ((0, 1), (1, 2), (2, 3), (3, 0))
_THIN = 12.0  # pixels: a wall that is seen narrower is painted in one colour
_OVERHANG = 1.07  # how far a roof reaches, where the wall is 1


@dataclass
class Building:
    """A building beside the street, or across its end.

    Args:
        s0: where it begins along the road.
        s1: where it ends.
        near: t of its front.
        far: t of its back.
        front: its look.
        rise: the height of its gable roof, 0 for a flat one.
        across: its front faces the camera.
        tint: RGB factors on its colours.
        opposite: height of and distance to what stands on the other side of the street.
        open_end: nothing stands against the end that faces the camera.
    """

    s0: float
    s1: float
    near: float
    far: float
    front: Front
    rise: float
    across: bool
    tint: Floats
    opposite: tuple[float, float] = (0.0, 1.0)
    open_end: bool = True


@dataclass
class _Walls:
    """Textured rectangles, and the outlines of what is painted of them; world points."""

    owners: NDArray[np.intp]
    textures: list[Texture]
    rectangles: Floats  # (n, 4, 3): top left, top right, bottom right, bottom left
    outlines: Floats  # (n, 4, 3)
    gains: Floats  # (n, 3), the light on them

    def joined(self, other: _Walls) -> _Walls:
        """These, then others."""
        arrays = ("owners", "rectangles", "outlines", "gains")
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in arrays}
        return _Walls(textures=self.textures + other.textures, **both)


@dataclass
class _Seen:
    """Walls on a canvas: how to paint each, in one colour if there is nothing else."""

    first: int  # the surface of the first one
    gains: Floats
    stretched: dict[int, Stretched | None]
    outlines: NDArray[np.int32]
    plain: list[Level]

    def paint(self, canvas: Canvas, which: list[int]) -> None:
        """Paint some of them."""
        for i in which:
            stretched = self.stretched.get(i)
            if stretched is None:
                canvas.fill([self.outlines[i]], [self.plain[i]])
            else:
                canvas.stretch(stretched, lit_table(self.gains[i], self.first + i))


class Buildings(Layer):
    """Every building of a scene.

    Args:
        members: in any order.
    """

    def __init__(self, members: list[Building]):
        self.members = members
        bounds = [(m.s0, m.s1, min(m.near, m.far), max(m.near, m.far)) for m in members]
        self.extents = np.array(bounds).reshape(-1, 4)

    def painters(self, stage: Stage) -> list[Painter | None]:
        """What paints each building: its end, then its front, then its roof."""
        canvas, camera, walls = stage.canvas, stage.canvas.camera, self._walls(stage)
        count = len(walls.owners)
        pixels, depths = camera.project(np.concatenate([walls.rectangles, walls.outlines]).reshape(-1, 3))
        rectangles, outlines = np.split(pixels.reshape(-1, 4, 2), 2)
        nearest, farthest = depths.reshape(-1, 4).min(1)[:count], depths.reshape(-1, 4).max(1)[:count]
        planes = camera.planes(_normals(walls.rectangles), walls.rectangles[:, 0])
        first = canvas.surfaces(planes, nearest, farthest, BUILDING)
        low, high = outlines.min(1), outlines.max(1)
        width = high[:, 0] - low[:, 0]
        shown = (nearest > NEAR) & (high > 0).all(1) & (low < (camera.width, camera.height)).all(1) & (width > 0.7)
        plain = levels(walls.gains * np.array([one.mean for one in walls.textures]), first + np.arange(count))
        wide = np.flatnonzero(shown & (width >= _THIN))
        textures = [walls.textures[i] for i in wide.tolist()]
        stretched = dict(zip(wide.tolist(), canvas.stretched(rectangles[wide], textures, outlines[wide])))
        seen = _Seen(first, walls.gains, stretched, fixed(outlines), plain)
        which: list[list[int]] = [[] for _ in self.members]
        for i in np.flatnonzero(shown).tolist():
            which[walls.owners[i]].append(i)
        return [partial(seen.paint, canvas, own) if own else None for own in which]

    def _ground(self, road: Road) -> Floats:
        """The corners ``(n, 4, 3)`` on the ground: front far, front near, back near, back far; far and near by s."""
        s = np.array([(m.s1, m.s0, m.s0, m.s1) for m in self.members])
        t = np.array([(m.near, m.near, m.far, m.far) for m in self.members])
        return road.place(s, t, KERB)

    def _walls(self, stage: Stage) -> _Walls:
        """All walls and roofs that may be seen, those of a building in the order in which they are painted."""
        ground, members = self._ground(stage.road), self.members
        ends = [k for k, m in enumerate(members) if not m.across and m.open_end]
        along = [k for k, m in enumerate(members) if not m.across]
        across = [k for k, m in enumerate(members) if m.across]
        owners = np.array([*ends, *along, *across])
        feet = np.concatenate([ground[ends][:, [1, 2]], ground[along][:, [0, 1]], ground[across][:, [1, 2]]])
        textures = [members[k].front.wall for k in ends] + [members[k].front.texture for k in along + across]
        walls = self._lit(stage.light, owners, textures, feet, stage.canvas.camera.position)
        roofed = [k for k, m in enumerate(members) if m.rise]
        return walls.joined(self._roofs(stage.light, ground, roofed)) if roofed else walls

    def _lit(
        self, light: Light, owners: NDArray[np.intp], textures: list[Texture], feet: Floats, viewer: Floats
    ) -> _Walls:
        """Walls above ``feet`` ``(n, 2, 3)``, cut where the shadow of the other side of the street ends on them."""
        tops = np.array([KERB + m.front.height for m in self.members])[owners]
        tints = np.array([m.tint for m in self.members])[owners]
        height, distance = np.array([m.opposite for m in self.members])[owners].T
        normals = _upright(feet, viewer)
        facing = normals @ light.sun
        line = np.where(facing > 0.02, KERB + height - distance * light.sun[1] / np.maximum(facing, 0.02), tops)
        line = np.clip(line, KERB, tops)
        whole = _standing(feet, tops, np.full_like(tops, KERB))
        upper, lower = _standing(feet, tops, line), _standing(feet, line, np.full_like(tops, KERB))
        bright, dark = (light.arriving(normals, lit) * tints for lit in (1, 0))
        sunny, shaded = np.flatnonzero(tops - line > 0.1), np.flatnonzero(line > KERB + 0.1)
        both = np.concatenate([sunny, shaded])
        return _Walls(
            owners=owners[both],
            textures=[textures[i] for i in both.tolist()],
            rectangles=whole[both],
            outlines=np.concatenate([upper[sunny], lower[shaded]]),
            gains=np.concatenate([bright[sunny], dark[shaded]]),
        )

    def _roofs(self, light: Light, ground: Floats, which: list[int]) -> _Walls:
        """The gable and the slope towards the street of roofs."""
        members = [self.members[k] for k in which]
        high = ground[which] + np.array([[[0, m.front.height, 0]] for m in members])
        rise = np.array([[0, m.rise, 0] for m in members])
        left, right = high[:, 1], high[:, 2]
        gables = np.stack([left + rise, right + rise, right, left], axis=1)
        peak = 0.5 * (gables[:, 0] + gables[:, 1])
        ridge = np.stack([0.5 * (high[:, 0] + high[:, 3]) + rise, peak], axis=1)
        eaves = ridge + _OVERHANG * (high[:, :2] - ridge)
        slopes = np.stack([ridge[:, 0], ridge[:, 1], eaves[:, 1], eaves[:, 0]], axis=1)
        normals = _normals(slopes)
        normals *= np.sign(normals[:, 1:2]) / np.sqrt((normals**2).sum(1, keepdims=True))
        ahead = np.tile([0.0, 0.0, -1.0], (len(which), 1))
        tints = np.array([m.tint for m in members])
        return _Walls(
            owners=np.array(which * 2),
            textures=[m.front.wall for m in members] + [m.front.roof for m in members],
            rectangles=np.concatenate([gables, slopes]),
            outlines=np.concatenate([np.stack([peak, right, left, left], axis=1), slopes]),
            gains=np.concatenate([light.arriving(ahead) * tints, light.arriving(normals)]),
        )

    def shadows(self, road: Road, light: Light) -> list[Floats]:
        """The shadows of the boxes: of their four walls and of their flat tops."""
        ground = self._ground(road) * np.array([1, 0, 1])
        high = np.array([m.front.height + 0.5 * m.rise for m in self.members])
        tops = ground + high[:, None, None] * light.cast
        walls = [np.stack([ground[:, a], ground[:, b], tops[:, b], tops[:, a]], axis=1) for a, b in _SIDES]
        return [*np.concatenate(walls), *tops]


def _standing(feet: Floats, tops: Floats, bottoms: Floats) -> Floats:
    """Upright rectangles ``(n, 4, 3)`` above ``feet`` ``(n, 2, 3)``: top left, top right, bottom right, bottom left."""
    corners = feet[:, [0, 1, 1, 0]]
    corners[..., 1] = np.stack([tops, tops, bottoms, bottoms], axis=1)
    return corners


def _normals(rectangles: Floats) -> Floats:
    """The normals ``(n, 3)`` of rectangles ``(n, 4, 3)``, of any length and sign."""
    (ax, ay, az), (bx, by, bz) = (rectangles[:, 1] - rectangles[:, 0]).T, (rectangles[:, 3] - rectangles[:, 0]).T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)


def _upright(feet: Floats, viewer: Floats) -> Floats:
    """The unit normals, towards the viewer, of walls above ``feet`` ``(n, 2, 3)``."""
    along = feet[:, 1] - feet[:, 0]
    normals = np.stack([along[:, 2], np.zeros(len(along)), -along[:, 0]], axis=1)
    normals /= np.sqrt((normals**2).sum(1, keepdims=True))
    return normals * np.where(((viewer - feet[:, 0]) * normals).sum(1, keepdims=True) < 0, -1, 1)
