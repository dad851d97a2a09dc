"""Accuracy, and the area under the ROC curves, of a class for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tdir import distributed
from tdir.errors import ConfigError, DataError, ShapeError
from tdir.metrics.scores import Scores, defined, known_mean, without_nan
from tdir.structures import ClassScores

RATES = np.linspace(0, 1, 201)
"""False positive rates that a mean ROC curve is drawn at."""


@dataclass(frozen=True)
class AccuracyScores(Scores):
    """Accuracy and areas in [0, 1], higher is better; NaN where a class is not there.

    Args:
        top1: the share of images whose most probable class is the true one.
        auc: area under the ROC curve of one class against the rest, the mean over the classes.
        per_class: class name -> ``top1``, the share of its images that are told so, ``auc`` and ``truths``, its images.
        images: the number of images.
        probabilities: ``(images, C)`` float64.
        labels: ``(images,)`` int64.
    """

    top1: float
    auc: float
    per_class: dict[str, dict[str, float]]
    images: int
    probabilities: np.ndarray = field(repr=False, compare=False)
    labels: np.ndarray = field(repr=False, compare=False)

    MAIN: ClassVar[str] = "top1"
    HEADINGS: ClassVar[Mapping[str, str]] = {"top1": "accuracy", "auc": "AUC"}
    SAMPLED: ClassVar[tuple[str, ...]] = ("top1", "auc")
    TAG: ClassVar[str] = "accuracy"
    TRUTHS: ClassVar[str] = "images"
    BY_IMAGE: ClassVar[str] = "probability of the right class"

    def as_dict(self) -> dict[str, Any]:
        """Everything but the probabilities, ready for JSON: NaN becomes ``None``."""
        values = {name: getattr(self, name) for name in ("top1", "auc", "images")}
        return {**without_nan(values), "per_class": {name: without_nan(one) for name, one in self.per_class.items()}}

    def resampled(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """``top1`` and ``auc`` of resamples of the images."""
        # A resample of one class alone has no curve; which ones these are is the same for every row.
        areas = np.array([self._areas(k, times) for k in range(len(self.per_class))])
        return defined({"top1": times @ self._right() / times.sum(1), "auc": known_mean(areas, 0)})

    def resampled_by_class(self, times: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """``top1`` and ``auc`` of every class."""
        found = {}
        for k, name in enumerate(self.per_class):
            own = times * (self.labels == k)
            count = own.sum(1)
            top1 = np.divide(own @ self._right(), count, out=np.full(len(times), np.nan), where=count > 0)
            found[name] = defined({"top1": top1, "auc": self._areas(k, times)})
        return found

    def _right(self) -> np.ndarray:
        """1 for every image that is told right, ``(images,)`` float64."""
        return (self.probabilities.argmax(1) == self.labels).astype(np.float64)

    def _areas(self, label: int, times: np.ndarray) -> np.ndarray:
        return areas_under_roc(self.probabilities[:, label], self.labels == label, times)

    def by_image(self) -> np.ndarray:
        """The probability of the true class."""
        return np.asarray(self.probabilities[np.arange(self.images), self.labels])

    def truths_by_image(self) -> np.ndarray:
        """1 for the class of each image."""
        return (np.arange(len(self.per_class))[:, None] == self.labels).astype(np.int64)

    def mean_roc(self) -> np.ndarray | None:
        """The true positive rate at each of :data:`RATES`, mean over the classes; ``None`` if there is one alone."""
        from sklearn.metrics import roc_curve  # here: who scores boxes does without its 70 MB

        curves = [
            np.interp(RATES, *roc_curve(self.labels == k, p)[:2])
            for k, p in enumerate(self.probabilities.T)
            if 0 < (self.labels == k).sum() < self.images
        ]
        return np.mean(curves, axis=0) if curves else None


class Accuracy:
    """Probabilities and true classes, fed batch by batch.

    Args:
        classes: the class names.

    Raises:
        ConfigError: if there are less than two, or a name repeats.
    """

    def __init__(self, classes: Sequence[str]):
        if len(classes) < 2 or len(set(classes)) != len(classes):
            raise ConfigError(f"classes must be two or more different names, got {list(classes)}")
        self.classes = list(classes)
        self.reset()

    def reset(self) -> None:
        """Forget every image."""
        self._seen: list[tuple[np.ndarray, int]] = []

    def update(self, predictions: Sequence[ClassScores], truths: Sequence[ClassScores]) -> None:
        """Add images.

        Raises:
            ShapeError: if the two differ in length, or scores are not one finite number for each class.
            DataError: if a truth has no label.
        """
        if len(predictions) != len(truths):
            raise ShapeError(f"{len(predictions)} predictions but {len(truths)} truths: give one of each per image")
        for prediction, truth in zip(predictions, truths, strict=True):
            scores = prediction.scores.detach().cpu().double().numpy()
            if scores.shape != (len(self.classes),) or not np.isfinite(scores).all():
                raise ShapeError(f"scores are one finite number for each of {len(self.classes)} classes, got {scores}")
            if not 0 <= truth.label < len(self.classes):
                raise DataError(f"image {len(self._seen)} has no label: leave it out")
            self._seen.append((scores, truth.label))

    def gather(self, count: int, together: int = 1) -> None:
        """Take in what the other processes of the group were fed, so that each computes the same as one alone.

        Args:
            count: of all images.
            together: see ``tdir.distributed.gathered``.
        """
        self._seen = distributed.gathered(self._seen, count, together)

    def compute(self) -> AccuracyScores:
        """The scores of all images so far.

        Raises:
            DataError: if there is none.
        """
        if not self._seen:
            raise DataError("no image to score: check that the set is not empty")
        probabilities, labels = np.stack([one for one, _ in self._seen]), np.array([label for _, label in self._seen])
        right, once = probabilities.argmax(1) == labels, np.ones((1, len(labels)))
        per_class = {}
        for k, name in enumerate(self.classes):
            own = labels == k
            area = float(areas_under_roc(probabilities[:, k], own, once)[0])
            share = float(right[own].mean()) if own.any() else float("nan")
            per_class[name] = {"top1": share, "auc": area, "truths": int(own.sum())}
        auc = float(known_mean(np.array([one["auc"] for one in per_class.values()]), 0))
        return AccuracyScores(float(right.mean()), auc, per_class, len(labels), probabilities, labels)


def areas_under_roc(scores: np.ndarray, positive: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of resamples: how often a positive scores above a negative, a tie counting half.

    Args:
        scores: ``(n,)``.
        positive: ``(n,)`` bool.
        times: ``(samples, n)``, how often each stands in each resample.

    Returns:
        ``(samples,)`` in [0, 1]; NaN where a resample has none of either kind.
    """
    order = np.argsort(scores, kind="stable")
    _, starts = np.unique(scores[order], return_index=True)
    above, below = (
        np.add.reduceat(times[:, order] * kind[order], starts, axis=1, dtype=np.float64)
        for kind in (positive, ~positive)
    )
    wins = (above * (below.cumsum(1) - below / 2)).sum(1)
    pairs = above.sum(1) * below.sum(1)
    return np.divide(wins, pairs, out=np.full(len(times), np.nan), where=pairs > 0)
