"""Pseudo-labels where the head says a class, and their alignment with the clean set."""

from __future__ import annotations

import pytest
import torch

from tdir import parts
from tdir.data.degradations import Degraded, LowLight
from tdir.data.streets_crops import StreetsCrops
from tdir.heads.base import Head
from tdir.selftraining.labels import fit_risk, label_degraded, predictions_on_degraded
from tdir.selftraining.store import TeacherStore
from tdir.selftraining.teacher import Teacher
from tdir.training.config import TeacherSettings, TrainConfig
from tdir.training.run import taught_by

BOTH = ("image", "restored")
BY_DAY, CLEAN = (StreetsCrops("train", 60, seed) for seed in (1, 2))
DARK = Degraded(BY_DAY, LowLight(gamma=(4.0, 5.0), shot=0.0, read=0.0))


@pytest.fixture(scope="module")
def clip() -> Head:
    return parts.head("clip", "clip_streets.safetensors")


@pytest.fixture(scope="module")
def teacher(clip: Head, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    restorer = parts.restorer("sci", weights="sci_dark.safetensors")
    return Teacher(restorer, clip, 64, tmp_path_factory.mktemp("cache"), score=0.4, batch_size=30)


@pytest.fixture(scope="module")
def stores(teacher: Teacher) -> tuple[TeacherStore, TeacherStore]:
    """Dark crops, and others by day."""
    return teacher.study(DARK, BOTH), teacher.study(CLEAN, ("image",))


def mean_scores(found) -> torch.Tensor:
    return torch.stack([one.scores for one in found if one.label >= 0]).mean(0)


def test_labels_are_those_of_the_more_confident_version(stores, clip):
    dark = stores[0]
    chosen = set()
    for i, found in enumerate(predictions_on_degraded(dark, clip, None)):
        versions = [dark.source(name, i).found.scores for name in BOTH]
        best = int(versions[1].max() > versions[0].max())
        assert torch.equal(found.scores, versions[best])
        chosen.add(best)
    assert chosen == {0, 1}


@pytest.mark.parametrize("version", BOTH)
def test_each_version_is_aligned_before_the_merge(stores, clip, version):
    dark, clean = stores
    before = [dark.source(version, i).found for i in range(len(dark))]
    wanted = [clean.source("image", i).found for i in range(len(clean))]
    aligned = clip.align(before, wanted)
    assert (mean_scores(before) - mean_scores(wanted)).abs().max() > 0.03
    torch.testing.assert_close(mean_scores(aligned), mean_scores(wanted), atol=1e-3, rtol=0)
    merged = predictions_on_degraded(dark, clip, None, like=clean)
    other = clip.align([dark.source(BOTH[version == BOTH[0]], i).found for i in range(len(dark))], wanted)
    for one, two, found in zip(aligned, other, merged, strict=True):
        assert float(found.scores.max()) == max(float(one.scores.max()), float(two.scores.max()))


def test_more_labels_are_right_once_aligned(stores, clip):
    dark, clean = stores
    truth = [BY_DAY.truth(i).label for i in range(len(dark))]
    risk = fit_risk(clean, len(clip.classes), neighbours=5)
    right = []
    for like in (None, clean):
        labels = label_degraded(dark, clip, risk, epsilon=1.0, like=like)
        right.append(sum(one.target.label == label for one, label in zip(labels, truth, strict=True)))
    assert right[1] > right[0]


@pytest.mark.parametrize("align", [False, True])
def test_a_training_aligns_where_its_config_says_so(teacher, stores, clip, align):
    wanted = {"score": 0.4, "align": align, "neighbours": 5}
    config = TrainConfig("dcp", "clip", degraded={}, clean={}, teacher=TeacherSettings(**wanted))
    taught = taught_by(teacher, config, DARK, CLEAN)
    labels = label_degraded(stores[0], clip, taught.risk, 1.0, like=stores[1] if align else None)
    assert [one.target.label for one in taught.degraded_labels] == [one.target.label for one in labels]
    seen = predictions_on_degraded(taught.degraded, clip, None, like=taught.like)
    assert [one.target.label for one in taught.degraded_labels] == [one.label for one in seen]
