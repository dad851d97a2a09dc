"""How detections matched truths: what an average precision is computed from."""

from __future__ import annotations

from dataclasses import dataclass

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
