"""Confidence intervals of average precision, by resampling images with replacement.

A resample gives every image a multiplicity. Which detection matches which truth does not depend on the other images, so
nothing is matched again: the curve of precision over recall is drawn anew from weighted counts. In the
ranking the copies of a detection stand next to each other; where one image holds equal scores of one class, pycocotools
would rank image copy by image copy instead, an order as arbitrary.
"""

from __future__ import annotations

import numpy as np

from tdir.errors import ConfigError, DataError
from tdir.metrics.detection import ClassMatches, DetectionScores

_RECALLS = np.linspace(0.0, 1.0, 101)
_ROWS = 64  # resamples at a time: their running counts over all detections stay in the processor's cache


def average_precisions(matches: list[ClassMatches], multiplicities: np.ndarray) -> np.ndarray:
    """The average precision of every resample at every IoU threshold, mean over the classes with truths in it.

    Args:
        matches: one entry per class, from ``DetectionScores.matches``.
        multiplicities: ``(samples, images)`` int, how often each image stands in each resample.

    Returns:
        ``(samples, 10)`` float64 in [0, 1] at IoU 0.50, 0.55 ... 0.95; NaN for a resample without any truth. A row of
        ones gives what pycocotools gives.
    """
    total = np.zeros((len(multiplicities), 10))
    classes = np.zeros((len(multiplicities), 1))
    for of_class in matches:
        truths = multiplicities @ of_class.truths
        present = truths > 0
        ranked = _ranked(of_class)
        for rows in np.array_split(np.flatnonzero(present), range(_ROWS, int(present.sum()), _ROWS)):
            total[rows] += _class_precisions(ranked, multiplicities[rows], truths[rows])
        classes[present] += 1
    return np.divide(total, classes, out=np.full_like(total, np.nan), where=classes > 0)


def interval(a: DetectionScores, samples: int = 1000, seed: int = 0) -> dict[str, dict[str, float]]:
    """How far the scores of one row would move on other images like these.

    Args:
        a: scores from ``CocoMAP.compute``.
        samples: resamples; 1000 place each end of the interval to about 2 % of its width.
        seed: of the resampling.

    Returns:
        For ``map`` and ``ap50``: ``value``, and the 2.5 and 97.5 percentiles ``low`` and ``high``.

    Raises:
        ConfigError: if ``samples`` is below 1.
        DataError: if no resample holds a truth.
    """
    drawn = _headline(average_precisions(a.matches, _multiplicities(a.images, samples, seed)))
    return {name: {"value": getattr(a, name), **_percentiles(values)} for name, values in drawn.items()}


def paired_bootstrap(
    a: DetectionScores, b: DetectionScores, samples: int = 1000, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Whether row ``a`` scores above row ``b``, both measured on the same images; each resample serves both.

    Args:
        a: the row of interest.
        b: the row to compare with.
        samples: resamples; the smallest p-value is 2 / (samples + 1).
        seed: of the resampling.

    Returns:
        For ``map`` and ``ap50``: the ``difference`` a - b on all images, the 2.5 and 97.5 percentiles ``low`` and
        ``high`` of the difference, the share of resamples in which it is ``above`` 0, and the two-sided ``p``.

    Raises:
        DataError: if the rows were not scored on the same classes, images and truths, or no resample holds a truth.
        ConfigError: if ``samples`` is below 1.
    """
    _check_paired(a, b)
    multiplicities = _multiplicities(a.images, samples, seed)
    first = _headline(average_precisions(a.matches, multiplicities))
    second = _headline(average_precisions(b.matches, multiplicities))
    result = {}
    for name in first:
        differences = first[name] - second[name]
        # one is added to both counts, so that a p-value never claims more than the number of resamples can show
        tail = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
        result[name] = {
            "difference": getattr(a, name) - getattr(b, name),
            **_percentiles(differences),
            "above": float((differences > 0).mean()),
            "p": min(1.0, 2.0 * float(tail) / (len(differences) + 1)),
        }
    return result


def _class_precisions(ranked: ClassMatches, multiplicities: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Average precisions ``(rows, 10)`` of one class, ``ranked`` from the highest score down, ``truths`` above 0."""
    weights = multiplicities[:, ranked.images]
    everything = weights.cumsum(axis=1)
    precisions = np.zeros((len(weights), len(ranked.matched)))
    for t, (matched, ignored) in enumerate(zip(ranked.matched, ranked.ignored, strict=True)):
        hits, unscored = np.flatnonzero(matched & ~ignored), np.flatnonzero(ignored)
        true = weights[:, hits].cumsum(axis=1)
        # the unscored are few: counting them apart spares a pass over all detections at every threshold
        before = np.pad(weights[:, unscored].cumsum(axis=1), ((0, 0), (1, 0)))[:, np.searchsorted(unscored, hits)]
        precisions[:, t] = _area(true / truths[:, None], true / (everything[:, hits] - before + np.spacing(1)))
    return precisions


def _area(recall: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Mean over the 101 recall points of the best precision at that recall or beyond.

    Both are ``(rows, hits)``, taken at the true positives only: between two of them precision only falls, so no other
    place can hold the best. A hit answers for the recall points after the last hit's recall, up to its own.
    """
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(_RECALLS, recall, side="right")
    return (np.diff(reached, axis=1, prepend=0) * best).sum(axis=1) / len(_RECALLS)


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


def _multiplicities(images: int, samples: int, seed: int) -> np.ndarray:
    if samples < 1:
        raise ConfigError(f"samples must be 1 or more, got {samples}")
    return np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=samples)


def _headline(precisions: np.ndarray) -> dict[str, np.ndarray]:
    """The two scores of every resample that holds a truth."""
    defined = precisions[~np.isnan(precisions[:, 0])]
    if not len(defined):
        raise DataError(f"none of {len(precisions)} resamples holds a truth: score more images or draw more samples")
    return {"map": defined.mean(axis=1), "ap50": defined[:, 0]}


def _percentiles(values: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}


def _check_paired(a: DetectionScores, b: DetectionScores) -> None:
    if list(a.per_class) != list(b.per_class):
        raise DataError(
            f"the rows were scored on the classes {list(a.per_class)} and {list(b.per_class)}: score the same"
        )
    if a.images != b.images:
        raise DataError(f"the rows were scored on {a.images} and {b.images} images: score both on the same images")
    for name, first, second in zip(a.per_class, a.matches, b.matches, strict=True):
        differing = np.flatnonzero(first.truths != second.truths)
        if len(differing):
            raise DataError(
                f"image {differing[0]} has {first.truths[differing[0]]} truths of {name!r} in one row and "
                f"{second.truths[differing[0]]} in the other: score both rows on the same images, in the same order"
            )
