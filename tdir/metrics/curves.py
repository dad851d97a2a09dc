"""From matches to average precision: the curve of precision over recall, and one number for it.

Images have multiplicities, so that a resample of them needs no matching anew: which detection matches which truth does
not depend on the other images. In the ranking the copies of a detection stand next to each other; where one image holds
equal scores of one class, pycocotools would rank image copy by image copy instead, an order as arbitrary.
"""

from __future__ import annotations

import numpy as np

from tdir.metrics.matches import ClassMatches

COCO_RECALLS = np.linspace(0.0, 1.0, 101)
RECALLS = {"coco": COCO_RECALLS, "voc07": np.arange(11) / 10, "voc12": None}
"""Name of a curve -> the recalls at which the best precision is averaged; ``None`` for the area under all of it."""

_ROWS = 64  # resamples at a time: their running counts over all detections stay in the processor's cache


def average_precisions(matches: list[ClassMatches], multiplicities: np.ndarray, curve: str = "coco") -> np.ndarray:
    """The average precision of every resample at every IoU threshold, mean over the classes with truths in it.

    Args:
        matches: one entry per class, from ``DetectionScores.matches``.
        multiplicities: ``(samples, images)`` int, how often each image stands in each resample.
        curve: a key of :data:`RECALLS`.

    Returns:
        ``(samples, T)`` float64 in [0, 1] at the T overlaps of the matches; NaN for a resample without any truth. A row
        of ones gives what pycocotools gives, or Pascal VOC's development kit.
    """
    total = np.zeros((len(multiplicities), len(matches[0].matched)))
    classes = np.zeros((len(multiplicities), 1))
    for of_class in matches:
        truths = multiplicities @ of_class.truths
        present = truths > 0
        ranked = _ranked(of_class)
        for rows in np.array_split(np.flatnonzero(present), range(_ROWS, int(present.sum()), _ROWS)):
            total[rows] += _class_precisions(ranked, multiplicities[rows], truths[rows], RECALLS[curve])
        classes[present] += 1
    return np.divide(total, classes, out=np.full_like(total, np.nan), where=classes > 0)


def _class_precisions(
    ranked: ClassMatches, multiplicities: np.ndarray, truths: np.ndarray, recalls: np.ndarray | None
) -> np.ndarray:
    """Average precisions ``(rows, T)`` of one class, ``ranked`` from the highest score down, ``truths`` above 0."""
    weights = multiplicities[:, ranked.images]
    everything = weights.cumsum(axis=1)
    precisions = np.zeros((len(weights), len(ranked.matched)))
    for t, (matched, ignored) in enumerate(zip(ranked.matched, ranked.ignored, strict=True)):
        hits, unscored = np.flatnonzero(matched & ~ignored), np.flatnonzero(ignored)
        true = weights[:, hits].cumsum(axis=1)
        # the unscored are few: counting them apart spares a pass over all detections at every threshold
        before = np.pad(weights[:, unscored].cumsum(axis=1), ((0, 0), (1, 0)))[:, np.searchsorted(unscored, hits)]
        precision = true / (everything[:, hits] - before + np.spacing(1))
        precisions[:, t] = _area(true / truths[:, None], precision, recalls)
    return precisions


def _area(recall: np.ndarray, precision: np.ndarray, recalls: np.ndarray | None) -> np.ndarray:
    """Mean over recalls, or over all of them, of the best precision at that recall or beyond.

    ``recall`` and ``precision`` are ``(rows, hits)``, taken at the true positives only: between two of them precision
    only falls, so no other place can hold the best. A hit answers for what lies after the last hit's recall, up to its
    own.
    """
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    if recalls is None:
        return (np.diff(recall, axis=1, prepend=0) * best).sum(axis=1)
    reached = np.searchsorted(recalls, recall, side="right")
    return (np.diff(reached, axis=1, prepend=0) * best).sum(axis=1) / len(recalls)


def _ranked(matches: ClassMatches) -> ClassMatches:
    # mergesort is stable: equal scores keep the order of the images, as in pycocotools
    order = np.argsort(-matches.scores, kind="mergesort")
    return ClassMatches(
        matches.scores[order],
        matches.images[order],
        matches.matched[:, order],
        matches.ignored[:, order],
        matches.truths,
    )
