from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tdir.errors import DataError
from tdir.selftraining import labels as labels_module
from tdir.selftraining.labels import (
    filtered,
    fit_risk,
    label_clean,
    label_degraded,
    predictions_on_clean,
    predictions_on_degraded,
    with_risk,
)
from tdir.selftraining.nuq import NUQ
from tdir.selftraining.store import Source, TeacherStore
from tdir.selftraining.teacher import Teacher
from tdir.structures import Detections


@pytest.fixture
def teacher(restorer, head, tmp_path) -> Teacher:
    return Teacher(restorer, head, 64, tmp_path / "cache", score=0.3)


@pytest.fixture
def stores(teacher, hazy, clean) -> tuple[TeacherStore, TeacherStore]:
    return teacher.study(hazy, ("image", "restored")), teacher.study(clean, ("image",))


@pytest.fixture
def risk(stores) -> NUQ:
    return fit_risk(stores[1], classes=2, dims=4, neighbours=4)


def predictions() -> Detections:
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40], [5, 30, 25, 50]])
    scores, risks = torch.tensor([0.9, 0.5, 0.4]), torch.tensor([0.1, 0.9, 0.5])
    return Detections(boxes, torch.tensor([1, 0, 1]), scores, risk=risks)


def test_what_is_risky_becomes_an_ignored_region():
    label = filtered(predictions(), 0.5)
    assert label.target.labelled.boxes.tolist() == [[0, 0, 10, 10], [5, 30, 25, 50]]
    assert label.target.labelled.labels.tolist() == [1, 1]
    assert label.target.ignored_boxes.tolist() == [[20, 20, 40, 40]]
    assert label.uncertainty == pytest.approx((0.1 + 0.5) / 2)


@pytest.mark.parametrize(("epsilon", "kept"), [(0.0, 0), (0.1, 1), (0.89, 2), (1.0, 3)])
def test_epsilon_is_the_largest_risk_that_is_kept(epsilon, kept):
    label = filtered(predictions(), epsilon)
    assert (len(label.target.labelled), len(label.target.ignored_boxes)) == (kept, 3 - kept)


def test_without_a_kept_box_there_is_no_uncertainty():
    assert filtered(predictions(), 0.0).uncertainty == 0
    empty = Detections(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0), risk=torch.zeros(0))
    label = filtered(empty, 1.0)
    assert (len(label.target), label.uncertainty) == (0, 0)


def test_without_an_estimate_nothing_is_risky():
    found = predictions()
    source = Source(Detections(found.boxes, found.labels, found.scores), torch.zeros(3, 5))
    assert [one.risk.tolist() for one in with_risk([source, source], None)] == [[0, 0, 0]] * 2


def test_degraded_labels_are_merged_from_both_versions(stores, head):
    degraded = stores[0]
    found = predictions_on_degraded(degraded, head, None)
    merged_some = False
    for i, one in enumerate(found):
        first, second = (degraded.source(name, i).found for name in ("image", "restored"))
        expected = head.merge(first, second)
        assert torch.equal(one.boxes, expected.boxes)
        assert torch.equal(one.scores, expected.scores)
        assert min(len(first), len(second), 1) <= len(one) <= len(first) + len(second)
        merged_some |= len(one) < len(first) + len(second)
    assert merged_some
    labels = label_degraded(degraded, head, None, epsilon=0.5)
    assert [label.target.labelled.boxes.tolist() for label in labels] == [one.boxes.tolist() for one in found]


@pytest.mark.parametrize("source", ["image", "restored"])
def test_labels_of_one_version_are_what_was_found_in_it(teacher, hazy, head, stores, source):
    alone = teacher.study(hazy, (source,))
    both = stores[0]
    assert sum(len(one) for one in predictions_on_degraded(alone, head, None)) > 0
    for i, found in enumerate(predictions_on_degraded(alone, head, None)):
        torch.testing.assert_close(found.boxes, both.source(source, i).found.boxes)


def test_the_filter_is_for_degraded_images_alone(stores, head, risk):
    degraded, clean = stores
    for epsilon in (0.2, 0.5, 1.0):
        kept = [label.target.labelled for label in label_degraded(degraded, head, risk, epsilon)]
        found = predictions_on_degraded(degraded, head, risk)
        assert [len(one) for one in kept] == [int((one.risk <= epsilon).sum()) for one in found]
    labels = label_clean(clean, risk)
    for i, label in enumerate(labels):
        assert torch.equal(label.target.labelled.boxes, clean.source("image", i).found.boxes)
        assert len(label.target.ignored_boxes) == 0


def test_risk_sorts_the_degraded_predictions(stores, head, risk):
    risks = torch.cat([one.risk for one in predictions_on_degraded(stores[0], head, risk)])
    assert bool(((risks >= 0) & (risks <= 1)).all())
    assert len(risks.unique()) > 1


def test_uncertainty_is_the_mean_risk_of_what_is_kept(stores, risk):
    found = predictions_on_clean(stores[1], risk)
    for label, one in zip(label_clean(stores[1], risk), found):
        assert label.uncertainty == pytest.approx(one.risk.mean().item() if len(one) else 0)


def test_a_clean_prediction_does_not_vouch_for_itself(stores, risk):
    embeddings = torch.cat([stores[1].source("image", i).embeddings for i in range(len(stores[1]))])
    found = torch.cat([one.risk for one in predictions_on_clean(stores[1], risk)])
    assert torch.equal(found, risk.risk(embeddings, fitted=True).total)
    assert not torch.equal(found, risk.risk(embeddings).total)


def test_images_without_a_prediction_have_none_to_ask_about(risk):
    none = Source(Detections.empty(scored=True), torch.zeros(0, 7))  # of no length that the estimate knows
    assert [one.risk.tolist() for one in with_risk([none, none], risk)] == [[], []]


def test_the_risk_of_many_is_asked_for_at_once(stores, risk, monkeypatch):
    """And falls to the images that it is of, however many embeddings these have."""
    store, asked, ask = stores[0], [], risk.risk
    monkeypatch.setattr(risk, "risk", lambda vectors, fitted: asked.append(len(vectors)) or ask(vectors, fitted))
    for most, queries in ((1, None), (20, None), (10_000, 1)):
        monkeypatch.setattr(labels_module, "_AT_ONCE", most)
        asked.clear()
        sources = [store.source("image", i) for i in range(len(store))]
        found = list(with_risk(sources, risk))
        assert sum(asked) == sum(len(one.embeddings) for one in sources)
        assert len(asked) == queries or all(count >= most for count in asked[:-1])
        for one, source in zip(found, sources, strict=True):
            assert torch.equal(one.boxes, source.found.boxes)
            torch.testing.assert_close(one.risk, ask(source.embeddings).total, atol=0.1, rtol=0)


def test_the_same_labels_twice(stores, head):
    first, second = ([fit_risk(stores[1], 2, dims=4, neighbours=4), *stores] for _ in range(2))
    labels = [label_degraded(low, head, risk, 0.5) for risk, low, _ in (first, second)]
    for one, other in zip(*labels):
        assert torch.equal(one.target.boxes, other.target.boxes)
        assert torch.equal(one.target.ignored, other.target.ignored)
        assert one.uncertainty == other.uncertainty


def test_an_oracle_s_labels_are_those_of_the_image_before(teacher, hazy, head, risk):
    teacher.batch_size = 1
    oracle = teacher.study(hazy, ("original",))
    plain = teacher.study(hazy.data_set, ("image",))
    labels = label_degraded(oracle, head, risk, epsilon=0.0)
    assert sum(len(label.target) for label in labels) > 0
    for i, label in enumerate(labels):
        assert torch.equal(label.target.boxes, plain.source("image", i).found.boxes)
        assert len(label.target.ignored_boxes) == 0
        assert label.uncertainty == 0


def test_too_few_clean_predictions_for_a_risk_are_refused(restorer, head, clean, tmp_path: Path):
    sparse = Teacher(restorer, head, 64, tmp_path / "cache", score=0.999).study(clean, ("image",))
    with pytest.raises(DataError, match="give more clean images, lower the confidence"):
        fit_risk(sparse, classes=2)
