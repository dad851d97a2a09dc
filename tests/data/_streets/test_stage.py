from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tdir.data._streets.stage import far_to_near

LANE_AHEAD, BUS_BESIDE = (20, 25, 0, 2), (10, 22, -4, -1.5)
PEDESTRIAN_BEHIND_BUS, TREE, FRONT = (13, 13.4, -7, -6.6), (19.8, 20.2, -5.2, -4.8), (10, 25, -20, -8)


@pytest.mark.parametrize(
    ("behind", "ahead"),
    [
        (PEDESTRIAN_BEHIND_BUS, BUS_BESIDE),
        (FRONT, TREE),
        (FRONT, BUS_BESIDE),
        (LANE_AHEAD, (8, 12, 0, 2)),
        ((30, 34, -2, 2), FRONT),
    ],
)
def test_what_lies_behind_is_painted_first(behind, ahead):
    for order in permutations((behind, ahead)):
        painted = [order[i] for i in far_to_near(np.array(order, dtype=float), camera=1.0)]
        assert painted == [behind, ahead]


def test_no_part_is_painted_over_by_one_that_a_line_puts_behind_it():
    rng = np.random.default_rng(0)
    for _ in range(30):
        low, size = rng.uniform([2, -12], [60, 12], (25, 2)), rng.uniform(0.2, 9, (25, 2))
        extents = np.stack([low[:, 0], low[:, 0] + size[:, 0], low[:, 1], low[:, 1] + size[:, 1]], axis=1)
        place = np.argsort(far_to_near(extents, camera=0.0))
        for i, j in permutations(range(25), 2):
            if extents[i, 1] <= extents[j, 0]:  # i is nearer along the road
                assert place[i] > place[j]


def test_every_part_is_painted_once():
    extents = np.random.default_rng(1).uniform(0, 10, (40, 4))
    extents[:, 1], extents[:, 3] = extents[:, 0] + 3, extents[:, 2] + 3
    assert sorted(far_to_near(extents, 0.0)) == list(range(40))
