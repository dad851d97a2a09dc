from __future__ import annotations

import math

import numpy as np
import pytest

from tdir.errors import ConfigError, DataError
from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.coco import CocoMAP
from tdir.metrics.curves import average_precisions
from tdir.metrics.voc import VocAP
from tests.metrics.scenes import CLASSES, Rows, detections, random_rows

LEFT, RIGHT, STRAY = [0, 0, 40, 40], [100, 0, 140, 40], [0, 200, 40, 240]


def overlap(a: list[float], b: list[float], extra: int) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + extra) * (box[3] - box[1] + extra) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def by_the_rules(rows: Rows, label: int, curve: str, extra: int) -> float:
    """The development kit's evaluation of one class, detection by detection."""
    ranked = [
        (-score, image, k)
        for image, prediction in enumerate(rows[0])
        for k, score in enumerate(prediction.scores.tolist())
        if prediction.labels[k] == label
    ]
    found, true, false = set(), [], []
    for _, image, k in sorted(ranked, key=lambda one: one[0]):
        box, truth = rows[0][image].boxes[k].tolist(), rows[1][image]
        best, most = None, -math.inf
        for j, other in enumerate(truth.boxes.tolist()):
            if truth.labels[j] == label and overlap(box, other, extra) > most:
                best, most = j, overlap(box, other, extra)
        hit = best is not None and most >= 0.5
        unscored = hit and bool(truth.difficult[best])
        first = hit and (image, best) not in found
        true.append(first and not unscored)
        false.append(not unscored and not first)
        if hit and not unscored:
            found.add((image, best))
    wanted = sum(int(((t.labels == label) & ~t.difficult).sum()) for t in rows[1])
    tp, fp = np.cumsum(true), np.cumsum(false)
    keep = (tp + fp) > 0
    recall, precision = tp[keep] / wanted, tp[keep] / (tp + fp)[keep]
    if curve == "voc07":
        return sum(max([*precision[recall >= t / 10], 0]) for t in range(11)) / 11
    recall, precision = np.array([0, *recall, 1]), np.array([0, *precision, 0])
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    return sum((recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1))


def fed(rows: Rows, **settings) -> VocAP:
    metric = VocAP(CLASSES, **settings)
    metric.update(*rows)
    return metric


def without_regions(rows: Rows) -> Rows:
    for truth in rows[1]:
        truth.ignored = None
    return rows


@pytest.mark.parametrize("curve", ["voc07", "voc12"])
@pytest.mark.parametrize("plus_one", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_class_scores_as_the_development_kit_s_rules_say(seed, plus_one, curve):
    rows = without_regions(random_rows(seed, images=25, tied_within_image=False))
    scores = fed(rows, curve=curve, plus_one=plus_one).compute()
    expected = [by_the_rules(rows, k, curve, int(plus_one)) for k in range(len(CLASSES))]
    assert [one["map"] for one in scores.per_class.values()] == pytest.approx(expected, abs=1e-12)
    assert scores.map == scores.ap50 == pytest.approx(np.mean(expected), abs=1e-12)
    assert 0 < scores.map < 1
    assert all(math.isnan(value) for value in (scores.ap75, scores.small, scores.medium, scores.large))


def test_the_two_curves_by_hand():
    """Of two objects one is found first and the other third: precision is 1 up to a recall of 1/2, then 2/3."""
    rows = [detections([LEFT, STRAY, RIGHT], [0] * 3, [0.9, 0.8, 0.7])], [detections([LEFT, RIGHT], [0, 0])]
    assert fed(rows, curve="voc12").compute().map == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert fed(rows, curve="voc07").compute().map == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_a_recall_that_is_a_tenth_reaches_its_point():
    """Three of ten: 0.3 is reached, though three times 0.1 is more than that in binary."""
    ten = [[50 * k, 0, 50 * k + 40, 40] for k in range(10)]
    rows = [detections(ten[:3], [0] * 3, [0.9] * 3)], [detections(ten, [0] * 10)]
    assert fed(rows, curve="voc07").compute().map == pytest.approx(4 / 11)


def test_the_best_overlap_decides_even_if_that_truth_is_found_already():
    """COCO would give the second detection the other truth; the development kit counts it as a false positive."""
    near = [0, 0, 40, 36]
    rows = [detections([LEFT, LEFT], [0, 0], [0.9, 0.8])], [detections([LEFT, near], [0, 0])]
    coco = CocoMAP(CLASSES)
    coco.update(*rows)
    assert coco.compute().ap50 == pytest.approx(1)
    assert fed(rows).compute().map == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["difficult", "ignored"])
def test_what_need_not_be_found_costs_nothing_however_often_it_is_found(kind):
    rows = (
        [detections([RIGHT, RIGHT, LEFT], [0] * 3, [0.9, 0.8, 0.7])],
        [detections([LEFT, RIGHT], [0, 0], **{kind: [False, True]})],
    )
    scores = fed(rows).compute()
    assert (scores.map, scores.truths) == (pytest.approx(1), 1)


def test_one_pixel_more_can_be_enough():
    """10 x 5 of 10 x 11 pixels, or 11 x 6 of 11 x 12 of them."""
    rows = [detections([[0, 0, 10, 5]], [0], [0.9])], [detections([[0, 0, 10, 11]], [0])]
    assert fed(rows, plus_one=False).compute().map == 0
    assert fed(rows, plus_one=True).compute().map == pytest.approx(1)


@pytest.mark.parametrize("curve", ["voc07", "voc12"])
def test_a_resample_gives_what_copies_of_the_images_give(curve):
    predictions, truths = random_rows(4, images=9, tied_within_image=False)
    times = np.array([2, 0, 1, 3, 0, 1, 0, 1, 1])
    copies = [k for k, count in enumerate(times) for _ in range(count)]
    again = fed(([predictions[k] for k in copies], [truths[k] for k in copies]), curve=curve).compute()
    scores = fed((predictions, truths), curve=curve).compute()
    assert average_precisions(scores.matches, times[None], curve)[0, 0] == pytest.approx(again.map, abs=1e-12)


def test_rows_of_other_curves_are_not_compared():
    rows = random_rows(0)
    first, second = (fed(rows, curve=curve).compute() for curve in ("voc07", "voc12"))
    assert first.map != second.map
    with pytest.raises(DataError, match="protocols voc07 and voc12"):
        Bootstrap(5).difference(first, second)


def test_a_class_without_truths_is_left_out_of_the_mean():
    scores = fed(([detections([LEFT, RIGHT], [0, 2], [0.9, 0.8])], [detections([LEFT], [0])])).compute()
    assert scores.map == pytest.approx(1)
    assert math.isnan(scores.per_class["dog"]["map"])


@pytest.mark.parametrize("images", [0, 2])
def test_without_a_truth_there_is_no_score(images):
    metric = fed(([detections([LEFT], [0], [0.9])] * images, [detections([], [])] * images))
    with pytest.raises(DataError, match=f"no truth of the classes .* in {images} images"):
        metric.compute()


def test_an_unknown_curve_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="no curve 'voc2007': did you mean 'voc07'"):
        VocAP(CLASSES, curve="voc2007")
