from __future__ import annotations

import math

import numpy as np
import pytest

from tdir.metrics.coco import CocoMAP
from tdir.metrics.curves import COCO_RECALLS
from tdir.metrics.outcomes import mean_curve, outcomes
from tdir.metrics.scores import DetectionScores
from tests.metrics.scenes import CLASSES, Rows, detections, pycocotools_says, random_rows

LEFT, RIGHT, STRAY = [0, 0, 40, 40], [100, 0, 140, 40], [0, 200, 40, 240]


def scored(rows: Rows) -> DetectionScores:
    metric = CocoMAP(CLASSES)
    metric.update(*rows)
    return metric.compute()


def test_what_is_found_missed_and_false_in_every_image():
    rows = (
        [
            detections([LEFT, STRAY], [0, 0], [0.9, 0.5]),
            detections([LEFT, RIGHT], [1, 1], [0.2, 0.9]),
            detections([], [], []),
        ],
        [
            detections([LEFT, RIGHT], [0, 1]),
            detections([LEFT, RIGHT], [1, 1], difficult=[False, True]),
            detections([], []),
        ],
    )
    found = outcomes(scored(rows))
    assert found.found.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert found.missed.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert found.false.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert found.f1().tolist() == pytest.approx([0.5, 0, math.nan], nan_ok=True)
    assert outcomes(scored(rows), confidence=0.1).found[1].tolist() == [0, 1, 0]


@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_the_one_of_pycocotools(seed):
    rows = random_rows(seed, images=20, difficult=False)
    expected = pycocotools_says(*rows).eval["precision"][0, :, :, 0, 2].mean(1)
    np.testing.assert_allclose(mean_curve(scored(rows)), expected, atol=1e-9)
    assert len(expected) == len(COCO_RECALLS)


def test_a_class_that_nothing_detects_pulls_the_curve_down():
    rows = [detections([LEFT], [0], [0.9])], [detections([LEFT, RIGHT], [0, 1])]
    assert mean_curve(scored(rows)).tolist() == [0.5] * 101
