"""Which trees grow along a street."""

from __future__ import annotations

import numpy as np

from tdir.data._streets.camera import Floats
from tdir.data._streets.draws import one_of
from tdir.data._streets.foliage import crowns
from tdir.data._streets.road import Road
from tdir.data._streets.textures import Texture
from tdir.data._streets.trees import Tree, Trees

_WIDE = {"round": 0.72, "oval": 0.7, "column": 0.62, "cone": 0.6}
"""The width of a tree, where its height is 1."""


def draw_trees(rng: np.random.Generator, road: Road) -> Trees:
    """Rows of trees on pavements, gardens and parks."""
    autumn = rng.random() < 0.18
    members: list[Tree] = []
    for sign in (-1, 1):
        side = road.side(sign)
        if side.pavement > 2.6 and rng.random() < 0.55:
            members += _draw_avenue(rng, road, sign, autumn)
        if side.kind == "houses":
            members += _draw_gardens(rng, road, sign, autumn)
        if side.kind == "park":
            members += _draw_park(rng, road, sign, autumn)
    return Trees([tree for tree in members if not road.crossed(tree.s, 4)])


def _draw_avenue(rng: np.random.Generator, road: Road, sign: int, autumn: bool) -> list[Tree]:
    shape, gap = one_of(rng, ("round", "oval", "column")), rng.uniform(7, 14)
    height, t = rng.uniform(5, 9), sign * (road.edges(sign)[2] + 0.7)
    places = np.arange(rng.uniform(4, 14), 110, gap)
    return [_tree(rng, s, t, shape, height * rng.uniform(0.85, 1.15), autumn) for s in places if rng.random() < 0.85]


def _draw_gardens(rng: np.random.Generator, road: Road, sign: int, autumn: bool) -> list[Tree]:
    _, _, _, pavement, front = road.edges(sign)
    members, s = [], rng.uniform(3, 8)
    while s < 90:
        t = sign * (pavement + rng.uniform(0.5, max(front - pavement, 0.8)))
        members.append(_any(rng, s, t, 0.6, (3, 7), autumn))
        s += rng.uniform(2.5, 8)
    return members


def _draw_park(rng: np.random.Generator, road: Road, sign: int, autumn: bool) -> list[Tree]:
    pavement = road.edges(sign)[3]
    near = [(rng.uniform(6, 70), sign * (pavement + rng.uniform(1.5, 20))) for _ in range(12)]
    far = [(rng.uniform(60, 130), sign * (pavement + rng.uniform(1.5, 70))) for _ in range(14)]
    return [_any(rng, s, t, 0.3, (5, 12), autumn) for s, t in near + far]


def _any(
    rng: np.random.Generator, s: float, t: float, bushes: float, height: tuple[float, float], autumn: bool
) -> Tree:
    """A bush, with that probability, or a tree."""
    if rng.random() < bushes:
        high = rng.uniform(0.7, 1.8)
        return Tree(s, t, _sprite(rng, "bush"), high, 0.0, high * rng.uniform(1.0, 1.8), _leaf(rng, autumn))
    return _tree(rng, s, t, one_of(rng, ("round", "oval", "cone")), rng.uniform(*height), autumn)


def _tree(rng: np.random.Generator, s: float, t: float, shape: str, height: float, autumn: bool) -> Tree:
    trunk = height * (0.08 if shape == "cone" else rng.uniform(0.24, 0.36))
    wide = height * _WIDE[shape] * rng.uniform(0.9, 1.1)
    return Tree(s, t, _sprite(rng, shape), height, trunk, wide, _leaf(rng, autumn))


def _sprite(rng: np.random.Generator, shape: str) -> Texture:
    return one_of(rng, crowns()[shape])


def _leaf(rng: np.random.Generator, autumn: bool) -> Floats:
    if autumn and rng.random() < 0.7:
        return np.array([0.5, rng.uniform(0.18, 0.34), 0.05]) * rng.uniform(0.6, 1)
    return np.array([0.135, 0.2, 0.06]) * rng.uniform(0.6, 1.2) * (1 + rng.uniform(-0.2, 0.2, 3))
