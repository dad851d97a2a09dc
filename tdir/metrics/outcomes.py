"""What the matches behind an average precision say of single images and classes, at IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdir.metrics.curves import COCO_RECALLS
from tdir.metrics.matches import ClassMatches
from tdir.metrics.scores import DetectionScores

CONFIDENCE = 0.25
"""From which a detection is one that a person would be shown."""


@dataclass(frozen=True)
class Outcomes:
    """How many objects were found and missed, and how many detections were false, ``(classes, images)`` int each."""

    found: np.ndarray
    missed: np.ndarray
    false: np.ndarray

    def f1(self) -> np.ndarray:
        """F1 of every image, ``(images,)`` in [0, 1]; NaN where there is nothing to find and nothing was detected."""
        found, wrong = self.found.sum(0), self.missed.sum(0) + self.false.sum(0)
        total = 2 * found + wrong
        return np.divide(2 * found, total, out=np.full(len(total), np.nan), where=total > 0)


def outcomes(scores: DetectionScores, confidence: float = CONFIDENCE) -> Outcomes:
    """The outcomes of a row.

    Args:
        scores: of a row.
        confidence: detections below it are left out.
    """
    counted = [_counted(of_class, scores.images, confidence) for of_class in scores.matches]
    found, false = (np.array([one[k] for one in counted]) for k in (0, 1))
    truths = np.array([of_class.truths for of_class in scores.matches])
    return Outcomes(found, truths - found, false)


def _counted(of_class: ClassMatches, images: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives of a class in every image."""
    shown = (of_class.scores >= confidence) & ~of_class.ignored[0]
    return tuple(  # type: ignore[return-value]
        np.bincount(of_class.images[shown & hit], minlength=images)
        for hit in (of_class.matched[0], ~of_class.matched[0])
    )


def mean_curve(scores: DetectionScores) -> np.ndarray:
    """The best precision at each of :data:`COCO_RECALLS` or beyond, mean over the classes with truths, ``(101,)``."""
    curves = [_curve(of_class) for of_class in scores.matches if of_class.truths.sum()]
    return np.mean(curves, axis=0)


def _curve(of_class: ClassMatches) -> np.ndarray:
    order = np.argsort(-of_class.scores, kind="stable")
    order = order[~of_class.ignored[0][order]]
    true = np.cumsum(of_class.matched[0][order])
    recall, precision = true / of_class.truths.sum(), true / np.arange(1, len(true) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, COCO_RECALLS, side="left")
    return np.append(best, 0.0)[np.minimum(at, len(best))]
