"""Pseudo-labels where the head says a class, and their alignment with the clean set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import pytest
import torch

from tdir import parts
from tdir.data.degradations import Degraded, LowLight
from tdir.data.streets_crops import StreetsCrops
from tdir.heads.base import Head
from tdir.restorers.base import Restorer
from tdir.selftraining.labels import label_degraded, predictions_on_clean, predictions_on_degraded
from tdir.selftraining.store import TeacherStore
from tdir.selftraining.teacher import Teacher
from tdir.structures import ClassScores
from tdir.training.config import TeacherSettings, TrainConfig
from tdir.training.run import build_teacher, taught_by

BOTH = ("image", "restored")
BY_DAY, CLEAN = (StreetsCrops("train", 60, seed) for seed in (1, 2))
DARK = Degraded(BY_DAY, LowLight(gamma=(4.0, 5.0), shot=0.0, read=0.0))


@pytest.fixture(scope="module")
def clip() -> Head:
    return parts.head("clip", "clip_streets.safetensors")


@pytest.fixture(scope="module")
def sci() -> Restorer:
    return parts.restorer("sci", weights="sci_dark.safetensors")


@pytest.fixture(scope="module")
def stores(clip: Head, sci: Restorer, tmp_path_factory: pytest.TempPathFactory) -> tuple[TeacherStore, TeacherStore]:
    """Dark crops, and others by day."""
    teacher = Teacher(sci, clip, 64, tmp_path_factory.mktemp("cache"), score=0.0, batch_size=30)
    return teacher.study(DARK, BOTH), teacher.study(CLEAN, ("image",))


def said(store: TeacherStore, version: str) -> list[ClassScores]:
    return [store.source(version, i).found for i in range(len(store))]


def mean_scores(found: Iterable[ClassScores]) -> torch.Tensor:
    return torch.stack([one.scores for one in found]).mean(0)


def test_labels_are_those_of_the_more_confident_version(stores, clip):
    dark = stores[0]
    chosen = set()
    for i, found in enumerate(predictions_on_degraded(dark, clip, None)):
        versions = [dark.source(name, i).found.scores for name in BOTH]
        best = int(versions[1].max() > versions[0].max())
        assert torch.equal(found.scores, versions[best])
        chosen.add(best)
    assert chosen == {0, 1}


def test_each_version_is_aligned_before_the_merge(stores, clip):
    dark, clean = stores
    reference = said(clean, "image")
    align = partial(clip.align, reference=reference)
    aligned = [align(said(dark, version)) for version in BOTH]
    for version, after in zip(BOTH, aligned, strict=True):
        assert (mean_scores(said(dark, version)) - mean_scores(reference)).abs().max() > 0.03
        torch.testing.assert_close(mean_scores(after), mean_scores(reference), atol=1e-3, rtol=0)
    merged = predictions_on_degraded(dark, clip, None, align=align)
    for one, other, found in zip(*aligned, merged, strict=True):
        assert torch.equal(found.scores, max(one.scores, other.scores, key=lambda scores: float(scores.max())))


def test_what_is_sure_is_seen_after_the_alignment(stores, clip):
    dark, clean = stores
    align = partial(clip.align, reference=said(clean, "image"))
    before, after, sure = (
        predictions_on_degraded(dark, clip, None, align=how) for how in (None, align, partial(align, score=0.6))
    )
    for one, kept in zip(after, sure, strict=True):
        assert kept.label == (one.label if float(one.scores.max()) >= 0.6 else -1)
    confident = [[float(one.scores.max()) >= 0.6 for one in found] for found in (before, after)]
    assert {(True, False), (False, True)} <= set(zip(*confident, strict=True))


def test_more_labels_are_right_once_aligned(stores, clip):
    dark, clean = stores
    truth = [BY_DAY.truth(i).label for i in range(len(dark))]
    right = []
    for align in (None, partial(clip.align, reference=said(clean, "image"))):
        labels = label_degraded(dark, clip, None, epsilon=1.0, align=align)
        right.append(sum(one.target.label == label for one, label in zip(labels, truth, strict=True)))
    assert right[1] > right[0]


@pytest.mark.parametrize("align", [False, True])
def test_a_training_aligns_where_its_config_says_so(stores, clip, sci, align):
    """And takes only what is sure: without an alignment the teacher's cache holds nothing else."""
    settings = TeacherSettings(score=0.6, align=align, neighbours=5, batch_size=30)
    config = TrainConfig("sci", "clip", degraded={}, clean={}, size=64, teacher=settings)
    teacher = build_teacher(config, sci, clip, stores[0].folder.parent)
    taught = taught_by(teacher, config, DARK, CLEAN)
    assert (taught.degraded.folder == stores[0].folder) is align
    reference = said(stores[1], "image")
    how = partial(clip.align, reference=reference) if align else None
    low = predictions_on_degraded(taught.degraded, clip, None, align=taught.align)
    high = predictions_on_clean(taught.clean, None, taught.align)
    for expected, seen, labels in (
        (predictions_on_degraded(stores[0], clip, None, align=how), low, taught.degraded_labels),
        (reference, high, taught.clean_labels),
    ):
        wanted = [one.label if float(one.scores.max()) >= 0.6 else -1 for one in expected]
        assert [one.target.label for one in labels] == [one.label for one in seen] == wanted
        assert -1 in wanted
