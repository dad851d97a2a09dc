from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from tdir.errors import ConfigError, DataError, ShapeError
from tdir.metrics.coco import CocoMAP
from tdir.metrics.scores import DetectionScores
from tdir.structures import Detections, concatenate
from tests.metrics.scenes import CLASSES, detections, pycocotools_says, random_rows

LEFT, RIGHT = [0, 0, 40, 40], [100, 0, 140, 40]
STRAY = [0, 200, 40, 240]


def score(prediction: Detections, truth: Detections, **settings: int) -> DetectionScores:
    metric = CocoMAP(CLASSES, **settings)
    metric.update([prediction], [truth])
    return metric.compute()


def test_a_miss_between_two_hits_costs_a_third_of_the_precision_beyond_recall_one_half() -> None:
    scores = score(detections([LEFT, STRAY, RIGHT], [0, 0, 0], [0.9, 0.8, 0.7]), detections([LEFT, RIGHT], [0, 0]))
    by_hand = (51 * 1 + 50 * 2 / 3) / 101
    assert scores.map == pytest.approx(by_hand)
    assert scores.ap50 == pytest.approx(by_hand)


def test_an_overlap_of_62_percent_counts_at_three_of_ten_thresholds() -> None:
    scores = score(detections([[0, 0, 100, 62]], [0], [0.9]), detections([[0, 0, 100, 100]], [0]))
    assert (scores.map, scores.ap50, scores.ap75) == pytest.approx((0.3, 1.0, 0.0))


def test_sizes_are_told_apart_by_the_area_of_the_truth() -> None:
    small, medium, large = [0, 0, 20, 20], [100, 0, 150, 50], [200, 0, 400, 200]
    scores = score(detections([small, large], [0, 0], [0.9, 0.8]), detections([small, medium, large], [0, 0, 0]))
    assert (scores.small, scores.medium, scores.large) == pytest.approx((1.0, 0.0, 1.0))
    assert math.isnan(score(detections([small], [0], [0.9]), detections([small], [0])).large)


def test_a_class_without_truths_is_left_out_of_the_mean() -> None:
    scores = score(detections([LEFT, RIGHT], [0, 2], [0.9, 0.8]), detections([LEFT, STRAY], [0, 1]))
    assert scores.map == pytest.approx(0.5)
    assert scores.per_class["person"] == pytest.approx({"map": 1.0, "ap50": 1.0, "truths": 1})
    assert scores.per_class["car"] == pytest.approx({"map": 0.0, "ap50": 0.0, "truths": 1})
    assert scores.per_class["dog"] == pytest.approx({"map": math.nan, "ap50": math.nan, "truths": 0}, nan_ok=True)


def test_only_the_best_detections_of_an_image_and_class_count() -> None:
    prediction = detections([STRAY, LEFT, RIGHT], [0, 0, 1], [0.9, 0.8, 0.7])
    truth = detections([LEFT, RIGHT], [0, 1])
    assert score(prediction, truth, max_det=2).map == pytest.approx(0.75)
    assert score(prediction, truth, max_det=1).map == pytest.approx(0.5)


@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize("kind", ["difficult", "ignored"])
def test_a_truth_that_does_not_count_neither_helps_nor_harms(kind: str, found: bool) -> None:
    truth = detections([LEFT, RIGHT], [0, 0], **{kind: [False, True]})
    prediction = detections([RIGHT, LEFT, STRAY], [0, 0, 0], [0.9, 0.8, 0.85])
    kept = prediction if found else prediction[torch.tensor([1, 2])]
    scores = score(kept, truth)
    assert scores.map == pytest.approx(0.5)
    assert scores.truths == 1


def test_a_part_of_a_difficult_object_is_a_false_positive_but_a_part_of_a_region_is_not() -> None:
    prediction = detections([[100, 0, 110, 10], LEFT], [0, 0], [0.9, 0.8])
    boxes, labels = [LEFT, RIGHT], [0, 0]
    assert score(prediction, detections(boxes, labels, difficult=[False, True])).map == pytest.approx(0.5)
    assert score(prediction, detections(boxes, labels, ignored=[False, True])).map == pytest.approx(1.0)


def test_a_second_detection_is_excused_in_a_region_and_not_on_a_difficult_object() -> None:
    prediction = detections([RIGHT, RIGHT, LEFT], [0, 0, 0], [0.9, 0.85, 0.8])
    boxes, labels = [LEFT, RIGHT], [0, 0]
    assert score(prediction, detections(boxes, labels, difficult=[False, True])).map == pytest.approx(0.5)
    assert score(prediction, detections(boxes, labels, ignored=[False, True])).map == pytest.approx(1.0)


def test_a_region_without_a_label_holds_for_every_class() -> None:
    truth = detections([LEFT, LEFT, RIGHT], [0, 1, -1], ignored=[False, False, True])
    prediction = detections([RIGHT, LEFT, RIGHT, LEFT], [0, 0, 1, 1], [0.9, 0.8, 0.9, 0.8])
    assert score(prediction, truth).map == pytest.approx(1.0)


def test_an_ignored_prediction_is_left_out() -> None:
    prediction = detections([STRAY, LEFT], [-1, 0], [0.9, 0.8], ignored=[True, False])
    assert score(prediction, detections([LEFT], [0])).map == pytest.approx(1.0)


def test_no_predictions_score_zero() -> None:
    scores = score(Detections.empty(scored=True), detections([LEFT], [0]))
    assert (scores.map, scores.ap50, scores.ap75, scores.images, scores.truths) == (0, 0, 0, 1, 1)


@pytest.mark.parametrize("seed", range(4))
def test_every_score_is_the_one_of_pycocotools(seed: int) -> None:
    predictions, truths = random_rows(seed, images=20, difficult=False)
    metric = CocoMAP(CLASSES)
    metric.update(predictions, truths)
    scores, expected = metric.compute(), pycocotools_says(predictions, truths)
    found = [scores.map, scores.ap50, scores.ap75, scores.small, scores.medium, scores.large]
    np.testing.assert_allclose(found, expected.stats[:6], rtol=0, atol=1e-12)
    for k, name in enumerate(CLASSES):
        precision = expected.eval["precision"][:, :, k, 0, 2]
        assert scores.per_class[name]["map"] == pytest.approx(precision.mean(), abs=1e-12)
        assert scores.per_class[name]["ap50"] == pytest.approx(precision[0].mean(), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_difficult_objects_that_nothing_finds_change_nothing(seed: int) -> None:
    predictions, truths = random_rows(seed, difficult=False)
    far = detections([[900, 900, 960, 960]], [seed % 3], ignored=[False], difficult=[True])
    both = [concatenate([truth, far]) for truth in truths]
    without, with_far = CocoMAP(CLASSES), CocoMAP(CLASSES)
    without.update(predictions, truths)
    with_far.update(predictions, both)
    assert without.compute() == with_far.compute()


def test_batches_give_what_all_at_once_gives_and_reset_forgets() -> None:
    predictions, truths = random_rows(5)
    at_once, batched = CocoMAP(CLASSES), CocoMAP(CLASSES)
    at_once.update(predictions, truths)
    batched.update([detections([STRAY], [0], [0.99])], [detections([LEFT], [0])])
    batched.reset()
    for start in range(0, len(truths), 5):
        batched.update(predictions[start : start + 5], truths[start : start + 5])
    assert batched.compute() == at_once.compute()
    assert batched.compute() == batched.compute()


def test_boxes_in_half_precision_are_taken() -> None:
    prediction = detections([LEFT], [0], [0.5])
    half = Detections(prediction.boxes.bfloat16(), prediction.labels, prediction.scores.half())
    assert score(half, detections([LEFT], [0])).map == pytest.approx(1.0)


def test_scores_are_json_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    scores = score(detections([LEFT], [0], [0.9]), detections([LEFT], [0]))
    read = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert capsys.readouterr().out == ""
    assert read["map"] == pytest.approx(1.0)
    assert read["large"] is None
    assert read["per_class"]["dog"] == {"map": None, "ap50": None, "truths": 0}
    assert "matches" not in read


@pytest.mark.parametrize("truths", [[], [detections([LEFT], [0], difficult=[True])], [Detections.empty()]])
def test_without_a_truth_that_counts_there_is_no_score(truths: list[Detections]) -> None:
    metric = CocoMAP(CLASSES)
    metric.update([detections([LEFT], [0], [0.9]) for _ in truths], truths)
    with pytest.raises(DataError, match=rf"no truth of the classes .*'dog'.* in {len(truths)} images"):
        metric.compute()


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (detections([LEFT], [3], [0.9]), detections([LEFT], [0]), r"prediction of image 1 .*\[3\].*3 classes.*'dog'"),
        (detections([LEFT], [-1], [0.9]), detections([LEFT], [0]), r"prediction of image 1 .*\[-1\]"),
        (detections([LEFT], [0], [0.9]), detections([LEFT, LEFT], [7, 0]), r"truth of image 1 .*\[7\]"),
        (detections([LEFT], [0], [0.9]), detections([LEFT], [-1]), r"truth of image 1 .*\[-1\]"),
        (detections([LEFT], [0]), detections([LEFT], [0]), "image 1 has no scores"),
        (detections([LEFT], [0], [math.nan]), detections([LEFT], [0]), "image 1: scores must be finite, got nan"),
        (
            detections([[0, 0, math.inf, 1]], [0], [0.5]),
            detections([LEFT], [0]),
            "image 1: boxes must be finite, got inf",
        ),
    ],
)
def test_what_cannot_be_scored_is_named_and_not_kept(prediction: Detections, truth: Detections, message: str) -> None:
    good = detections([LEFT], [0], [0.9]), detections([LEFT], [0])
    metric = CocoMAP(CLASSES)
    with pytest.raises(ShapeError, match=message):
        metric.update([good[0], prediction], [good[1], truth])
    metric.update([good[0]], [good[1]])
    assert metric.compute().images == 1


def test_predictions_and_truths_must_pair_up() -> None:
    with pytest.raises(ShapeError, match="1 predictions but 0 truths"):
        CocoMAP(CLASSES).update([Detections.empty(scored=True)], [])


@pytest.mark.parametrize(
    ("classes", "max_det", "message"),
    [([], 100, "different names"), (["a", "a"], 100, "different"), (["a"], 0, "max_det")],
)
def test_wrong_settings_are_refused(classes: list[str], max_det: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CocoMAP(classes, max_det)
