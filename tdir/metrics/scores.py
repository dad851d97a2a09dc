"""What a detection protocol says of a row: average precisions, and the matches that they were computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ClassMatches:
    """How the detections of one class matched, over all images and sizes; what the bootstrap resamples.

    Args:
        scores: ``(n,)`` float64, image after image, the highest first within an image.
        images: ``(n,)`` int, the position of the image of every detection.
        matched: ``(T, n)`` bool, whether it matched a truth at each of T IoU thresholds.
        ignored: ``(T, n)`` bool, whether it is not scored there.
        truths: ``(images,)`` int, the truths that count in each image.
    """

    scores: np.ndarray
    images: np.ndarray
    matched: np.ndarray
    ignored: np.ndarray
    truths: np.ndarray


@dataclass(frozen=True)
class DetectionScores:
    """Average precisions in [0, 1], higher is better; NaN where there is no truth to find.

    By the rules of Pascal VOC there is one overlap only: ``map`` and ``ap50`` are the same then, and ``ap75`` and the
    sizes are NaN.

    Args:
        map: mean over the classes with truths and, by COCO's rules, over IoU 0.50 to 0.95 (mAP50-95).
        ap50: the same at IoU 0.50 alone.
        ap75: the same at IoU 0.75 alone.
        small: mAP50-95 of truths of up to 32 x 32 pixels.
        medium: from there up to 96 x 96 pixels.
        large: from there on.
        per_class: class name -> ``map``, ``ap50`` and ``truths``.
        images: the number of images.
        truths: the number of truths that count.
        matches: one entry per class, for ``tdir.metrics.bootstrap``.
        curve: how precision over recall becomes one number, a key of ``tdir.metrics.curves.RECALLS``.
    """

    map: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float
    per_class: dict[str, dict[str, float]]
    images: int
    truths: int
    matches: list[ClassMatches] = field(repr=False, compare=False)
    curve: str = "coco"

    def as_dict(self) -> dict[str, Any]:
        """Everything but how it was computed, ready for JSON: NaN becomes ``None``."""
        values = {name: value for name, value in vars(self).items() if name not in ("matches", "curve", "per_class")}
        per_class = {name: _without_nan(scores) for name, scores in self.per_class.items()}
        return {**_without_nan(values), "per_class": per_class}


def without_objects(per_class: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """The classes, of ``DetectionScores.per_class`` or the same as JSON, that no mean includes: no truth counts."""
    return [name for name, scores in per_class.items() if not scores["truths"]]


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}
