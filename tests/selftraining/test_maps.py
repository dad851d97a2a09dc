"""The teacher, its cache and pseudo-labels where the head says maps."""

from __future__ import annotations

import pytest
import torch

from tdir import parts
from tdir.data.images import to_tensor
from tdir.heads.deeplab import DeepLab
from tdir.selftraining import labels as labels_module
from tdir.selftraining.labels import (
    fit_risk,
    label_clean,
    label_degraded,
    predictions_on_clean,
    predictions_on_degraded,
)
from tdir.selftraining.store import TeacherStore
from tdir.selftraining.teacher import Teacher
from tdir.structures import IGNORE, SemanticMap
from tdir.structures.maps import merged

CLASSES = ["road", "sky", "car"]
BOTH = ("image", "restored")


@pytest.fixture(scope="module")
def segmenter() -> DeepLab:
    """Untrained, but that it sees each of its classes somewhere."""
    torch.manual_seed(3)
    head = parts.head("deeplab", model="deeplabv3plus", encoder="mobilenet_v2", names=CLASSES)
    logits = head(torch.rand(2, 3, 64, 64)).logits
    with torch.no_grad():
        last = head.network.segmentation_head[0]
        last.bias -= logits.mean((0, 2, 3))
        for parameter in (last.weight, last.bias):
            parameter *= 3 / (logits - logits.mean((2, 3), keepdim=True)).std()
    return head


@pytest.fixture
def teacher(restorer, segmenter, tmp_path) -> Teacher:
    return Teacher(restorer, segmenter, 48, tmp_path / "cache", score=0.0, batch_size=3)


@pytest.fixture
def stores(teacher, hazy, clean) -> tuple[TeacherStore, TeacherStore]:
    return teacher.study(hazy.subset(range(3)), BOTH), teacher.study(clean, ("image",))


def test_the_size_of_a_cache_is_told_for_networks_of_large_images_alone(restorer, hazy, tmp_path):
    head = parts.head("deeplab", model="pan", encoder="mobilenet_v2", names=CLASSES)
    with torch.no_grad(), pytest.raises(RuntimeError):
        head(torch.rand(1, 3, 64, 64))
    teacher = Teacher(restorer, head, 160, tmp_path / "cache")
    assert teacher.expected_bytes(hazy, BOTH) > teacher.expected_bytes(hazy, ("image",)) > teacher.expected_bytes(hazy)


def test_the_cache_keeps_what_the_head_said(teacher, segmenter, stores):
    again = TeacherStore(stores[0].folder)
    seen = set()
    for i in range(3):
        for version, name in enumerate(BOTH):
            with torch.no_grad():
                outputs = segmenter(to_tensor(again.pixels(i)[version])[None])
                (found,) = segmenter.decode(outputs, score=0.0)
                (vectors,) = segmenter.embed(outputs, [found])
            kept = again.source(name, i)
            assert isinstance(kept.found, SemanticMap)
            assert kept.found.labels.shape == again.sizes[i]
            # Images of one size were asked about together, and rounding may turn a pixel that is undecided.
            assert (kept.found.labels != found.labels).float().mean() < 0.002
            torch.testing.assert_close(kept.found.confidence, found.confidence, rtol=0, atol=0.501 / 255 + 1e-4)
            assert len(kept.embeddings) == len(kept.found.embedded_labels)
            torch.testing.assert_close(kept.embeddings, vectors, rtol=2e-3, atol=2e-3)
            seen |= set(kept.found.labels.unique().tolist())
    assert seen == {0, 1, 2}
    assert len(set(again.sizes)) > 1


def test_degraded_labels_are_merged_and_what_is_risky_is_left_out(segmenter, stores):
    degraded, clean = stores
    risk = fit_risk(clean, len(CLASSES), dims=4, neighbours=8)
    found = predictions_on_degraded(degraded, segmenter, risk)
    epsilon = float(torch.cat([one.risk.flatten() for one in found]).median())
    left_out = 0
    for i, (one, label) in enumerate(zip(found, label_degraded(degraded, segmenter, risk, epsilon), strict=True)):
        sources = [degraded.source(name, i) for name in BOTH]
        first, second = (source.found.with_risk(risk.risk(source.embeddings).total) for source in sources)
        expected = merged(first, second)
        assert torch.equal(one.labels, expected.labels)
        assert torch.equal(one.risk, expected.risk)
        risky = one.risk > epsilon
        assert torch.equal(label.target.labels, expected.labels.masked_fill(risky, IGNORE))
        assert label.uncertainty == pytest.approx(float(one.risk[~risky].mean()) if not risky.all() else 0)
        left_out += int(risky.sum())
    assert left_out
    every = label_degraded(degraded, segmenter, None, epsilon=0.0)
    assert all((label.target.labels != IGNORE).all() and label.uncertainty == 0 for label in every)


def test_clean_labels_are_all_kept(stores):
    clean = stores[1]
    risk = fit_risk(clean, len(CLASSES), dims=4, neighbours=8)
    for i, label in enumerate(label_clean(clean, risk)):
        assert torch.equal(label.target.labels, clean.source("image", i).found.labels)
        assert 0 < label.uncertainty < 1


def test_cells_without_a_label_tell_the_risk_nothing(teacher, clean):
    teacher.score = 0.5
    store = teacher.study(clean, ("image",))
    labels = torch.cat([store.source("image", i).found.embedded_labels for i in range(len(store))])
    known = int((labels >= 0).sum())
    assert 8 < known < len(labels)
    risk = fit_risk(store, len(CLASSES), dims=4, neighbours=4)
    assert len(risk.state()["points"]) + risk.ranks == known
    assert all(one.risk.isfinite().all() for one in predictions_on_clean(store, risk))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(labels_module, "MOST", 40)
    return 40


def test_a_risk_is_fitted_on_a_part_drawn_from_all(stores, few):
    clean = stores[1]
    first, again, other = (fit_risk(clean, len(CLASSES), dims=4, neighbours=4, seed=seed) for seed in (0, 0, 1))
    assert len(first.state()["points"]) + first.ranks == few
    assert all(torch.equal(value, again.state()[name]) for name, value in first.state().items())
    assert not torch.equal(first.state()["mean"], other.state()["mean"])
    # Cells of one image come one after another: a part from the start would be of a few images.
    assert len(first.state()["images"].unique()) > len(clean) / 2


def test_what_was_left_out_of_a_risk_is_no_part_of_it(stores, few, monkeypatch):
    clean = stores[1]
    embeddings = [clean.source("image", i).embeddings for i in range(len(clean))]
    for most, whole in ((few, False), (sum(map(len, embeddings)), True)):
        monkeypatch.setattr(labels_module, "MOST", most)
        risk = fit_risk(clean, len(CLASSES), dims=4, neighbours=4)
        for one, vectors, found in zip(
            predictions_on_clean(clean, risk), embeddings, (clean.source("image", i).found for i in range(len(clean)))
        ):
            assert torch.equal(one.risk, found.with_risk(risk.risk(vectors, fitted=whole).total).risk)
