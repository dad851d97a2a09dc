from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tdir import distributed
from tdir.errors import ConfigError, DataError, ShapeError
from tdir.metrics.classification import RATES, Accuracy, AccuracyScores, areas_under_roc
from tdir.structures import ClassScores

CLASSES = ["cat", "dog", "owl", "fox"]


def drawn(count: int, seed: int = 0, levels: int | None = None) -> tuple[list[ClassScores], list[ClassScores]]:
    """Predictions that are right more often than not, and truths; few ``levels`` make ties."""
    rng = np.random.default_rng(seed)
    labels = np.r_[0:4, rng.integers(0, 4, count - 4)]
    scores = rng.random((count, 4)) + 0.5 * np.eye(4)[labels]
    if levels is not None:
        scores = np.floor(scores * levels) + 1
    scores /= scores.sum(1, keepdims=True)
    predictions = [ClassScores(torch.from_numpy(one)) for one in scores]
    return predictions, [ClassScores.of(int(label), 4) for label in labels]


def scored(predictions: list[ClassScores], truths: list[ClassScores]) -> AccuracyScores:
    metric = Accuracy(CLASSES)
    metric.update(predictions, truths)
    return metric.compute()


def of(*rows: list[float]) -> list[ClassScores]:
    return [ClassScores(torch.tensor(row)) for row in rows]


def test_by_hand() -> None:
    rows = [[0.7, 0.3, 0, 0], [0.4, 0.6, 0, 0], [0.3, 0.7, 0, 0], [0.1, 0.9, 0, 0]]
    scores = scored(of(*rows), [ClassScores.of(label, 4) for label in (0, 0, 1, 1)])
    assert scores.top1 == 0.75
    assert scores.auc == pytest.approx(1.0)
    assert scores.images == 4
    assert scores.per_class["cat"] == pytest.approx({"top1": 0.5, "auc": 1.0, "truths": 2})
    assert scores.per_class["dog"] == pytest.approx({"top1": 1.0, "auc": 1.0, "truths": 2})
    assert scores.per_class["owl"] == pytest.approx({"top1": math.nan, "auc": math.nan, "truths": 0}, nan_ok=True)
    assert scores.by_image() == pytest.approx([0.7, 0.4, 0.7, 0.9])
    assert scores.truths_by_image().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [0] * 4, [0] * 4]
    assert json.loads(json.dumps(scores.as_dict()))["per_class"]["fox"] == {"top1": None, "auc": None, "truths": 0}


@pytest.mark.parametrize("levels", [None, 3, 1])
@pytest.mark.parametrize("seed", range(3))
def test_the_area_is_scikit_learns(seed: int, levels: int | None) -> None:
    scores = scored(*drawn(60, seed, levels))
    theirs = roc_auc_score(scores.labels, scores.probabilities, multi_class="ovr", labels=range(4))
    assert scores.auc == pytest.approx(theirs, abs=1e-12)
    for k, name in enumerate(CLASSES):
        own = roc_auc_score(scores.labels == k, scores.probabilities[:, k])
        assert scores.per_class[name]["auc"] == pytest.approx(own, abs=1e-12)
    right = scores.probabilities.argmax(1) == scores.labels
    assert scores.top1 == pytest.approx(right.mean())


@pytest.mark.parametrize("levels", [None, 3])
def test_resamples_are_scored_as_scikit_learn_scores_weighted_images(levels: int | None) -> None:
    predictions, truths = drawn(60, levels=levels)
    scores = scored(predictions, truths)
    times = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=20)
    resampled, by_class = scores.resampled(times), scores.resampled_by_class(times)
    assert list(by_class) == CLASSES
    for n, (row, top1, auc) in enumerate(zip(times, resampled["top1"], resampled["auc"], strict=True)):
        written_out = np.repeat(np.arange(60), row)
        again = scored([predictions[i] for i in written_out], [truths[i] for i in written_out])
        assert (top1, auc) == pytest.approx((again.top1, again.auc), abs=1e-12)
        for name, one in by_class.items():
            for key, values in one.items():
                assert values[n] == pytest.approx(again.per_class[name][key], abs=1e-12)
        areas = [roc_auc_score(scores.labels == k, scores.probabilities[:, k], sample_weight=row) for k in range(4)]
        assert auc == pytest.approx(np.mean(areas), abs=1e-12)


def test_a_resample_without_a_class_leaves_it_out() -> None:
    positive, once = np.array([True, False, False]), np.array([[1, 1, 1], [0, 2, 1], [3, 0, 0]])
    areas = areas_under_roc(np.array([0.5, 0.5, 0.1]), positive, once)
    assert areas == pytest.approx([0.75, math.nan, math.nan], nan_ok=True)
    scores = scored(of([0.9, 0.1, 0, 0], [0.2, 0.8, 0, 0]), [ClassScores.of(label, 4) for label in (0, 1)])
    resampled = scores.resampled(np.array([[1, 1], [2, 0]]))
    assert resampled["auc"].tolist() == [1.0]  # the second resample holds one class alone
    assert resampled["top1"].tolist() == [1.0, 1.0]
    by_class = scores.resampled_by_class(np.array([[1, 1], [2, 0]]))
    assert {key: values.tolist() for key, values in by_class[CLASSES[0]].items()} == {"top1": [1.0, 1.0], "auc": [1.0]}
    assert {key: values.tolist() for key, values in by_class[CLASSES[1]].items()} == {"top1": [1.0], "auc": [1.0]}
    assert by_class[CLASSES[2]] == {}
    alone = scored(of([0.9, 0.1, 0, 0], [0.8, 0.2, 0, 0]), [ClassScores.of(0, 4)] * 2)
    assert set(alone.resampled(np.array([[1, 1]]))) == {"top1"}
    assert alone.mean_roc() is None


def test_the_mean_curve_rises_to_one_over_the_area() -> None:
    scores = scored(*drawn(200))
    curve = scores.mean_roc()
    assert curve.shape == RATES.shape
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == 1
    assert ((curve[1:] + curve[:-1]) / 2).mean() == pytest.approx(scores.auc, abs=0.01)


def test_batches_and_processes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, truths = drawn(21)
    parts = [Accuracy(CLASSES) for _ in range(3)]
    for rank, metric in enumerate(parts):  # one image at a time
        for i in range(rank, 21, 3):
            metric.update(predictions[i : i + 1], truths[i : i + 1])
    kept = [list(metric._seen) for metric in parts]

    def all_gather_object(found: list[Any], own: Any) -> None:
        assert own == kept[1]
        found[:] = kept

    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    monkeypatch.setattr("tdir.distributed.dist.all_gather_object", all_gather_object)
    parts[1].gather(21)
    together, alone = parts[1].compute(), scored(predictions, truths)
    assert together == alone
    assert (together.probabilities == alone.probabilities).all()
    assert (together.labels == alone.labels).all()


def test_reset_forgets() -> None:
    metric = Accuracy(CLASSES)
    metric.update(*drawn(5))
    metric.reset()
    with pytest.raises(DataError, match="no image to score"):
        metric.compute()


@pytest.mark.parametrize(
    ("predictions", "truths", "message"),
    [
        (of([1, 0, 0, 0]), [], "1 predictions but 0 truths"),
        (of([1, 0, 0]), [ClassScores.of(0, 4)], "one finite number for each of 4 classes"),
        (of([math.nan, 0, 0, 1]), [ClassScores.of(0, 4)], "one finite number for each of 4 classes"),
        (of([1, 0, 0, 0]), [ClassScores(torch.zeros(4))], "image 0 has no label"),
        (of([1, 0, 0, 0]), [ClassScores.of(4, 5)], "image 0 has no label"),
    ],
)
def test_what_cannot_be_scored_is_named(
    predictions: list[ClassScores], truths: list[ClassScores], message: str
) -> None:
    with pytest.raises((ShapeError, DataError), match=message):
        Accuracy(CLASSES).update(predictions, truths)


@pytest.mark.parametrize("classes", [[], ["cat"], ["cat", "cat"]])
def test_two_different_classes_are_the_least(classes: list[str]) -> None:
    with pytest.raises(ConfigError, match="two or more different names"):
        Accuracy(classes)
