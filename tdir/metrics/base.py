"""What every detection metric does alike: it is fed predictions and truths, checks them, and keeps them as arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tdir import distributed
from tdir.errors import ConfigError, DataError, ShapeError
from tdir.metrics.matches import ClassMatches
from tdir.metrics.scores import DetectionScores
from tdir.structures import Detections


@dataclass(frozen=True)
class Objects:
    """The boxes of one image, predicted or true, as arrays.

    Args:
        boxes: ``(n, 4)`` float64, xyxy.
        labels: ``(n,)`` int64.
        scores: ``(n,)`` float64; of truths, zeros.
        regions: ``(n,)`` bool, the ignored ones; of predictions, none.
        difficult: ``(n,)`` bool, likewise.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    regions: np.ndarray
    difficult: np.ndarray


class DetectionMetric(ABC):
    """Base of the average precisions, fed batch by batch.

    Args:
        classes: the class names; labels are positions in this list.

    Raises:
        ConfigError: if ``classes`` is empty or repeats a name.
    """

    def __init__(self, classes: list[str]):
        if not classes or len(set(classes)) != len(classes):
            raise ConfigError(f"classes must be one or more different names, got {classes}")
        self.classes = list(classes)
        self.reset()

    def reset(self) -> None:
        """Forget every image."""
        self._predictions: list[Objects] = []
        self._truths: list[Objects] = []

    def update(self, predictions: Sequence[Detections], truths: Sequence[Detections]) -> None:
        """Add images.

        Args:
            predictions: one per image, with scores; an ignored one is left out.
            truths: one per image, boxes in the pixels of the same image; an ignored one may carry the label -1, which
                stands for every class.

        Raises:
            ShapeError: if the two differ in length, a prediction has no scores, a label is not a position in
                ``classes``, or a box or a score is not finite. Nothing of the batch is kept then.
        """
        if len(predictions) != len(truths):
            raise ShapeError(f"{len(predictions)} predictions but {len(truths)} truths: give one of each per image")
        first = len(self._truths)
        predicted = [self._predicted(one.labelled, i) for i, one in enumerate(predictions, first)]
        true = [self._true(one, i) for i, one in enumerate(truths, first)]
        self._predictions += predicted
        self._truths += true

    def gather(self, count: int, together: int = 1) -> None:
        """Take in what the other processes of the group were fed, so that each computes the same as one alone.

        Args:
            count: of all images.
            together: see ``tdir.distributed.gathered``.
        """
        pairs = distributed.gathered(list(zip(self._predictions, self._truths, strict=True)), count, together)
        self._predictions, self._truths = ([pair[k] for pair in pairs] for k in (0, 1))

    @abstractmethod
    def compute(self) -> DetectionScores:
        """The scores of all images so far.

        Raises:
            DataError: if there is no image, or no truth that counts.
        """

    def _predicted(self, prediction: Detections, image: int) -> Objects:
        who = f"the prediction of image {image}"
        if prediction.scores is None:
            raise ShapeError(f"{who} has no scores: average precision ranks by them")
        boxes, scores = _finite(prediction.boxes, f"{who}: boxes"), _finite(prediction.scores, f"{who}: scores")
        nowhere = np.zeros(len(boxes), dtype=bool)
        return Objects(boxes, self._positions(_array(prediction.labels), who), scores, nowhere, nowhere)

    def _true(self, truth: Detections, image: int) -> Objects:
        who = f"the truth of image {image}"
        boxes, labels = _finite(truth.boxes, f"{who}: boxes"), _array(truth.labels)
        regions, difficult = (
            np.zeros(len(boxes), dtype=bool) if mask is None else _array(mask).astype(bool)
            for mask in (truth.ignored, truth.difficult)
        )
        anywhere = regions & (labels == -1)
        self._positions(labels[~anywhere], who)
        copies = np.where(anywhere, len(self.classes), 1)
        labels = np.repeat(labels, copies)
        labels[np.repeat(anywhere, copies)] = np.tile(np.arange(len(self.classes)), anywhere.sum())
        rows = np.repeat(np.arange(len(boxes)), copies)
        return Objects(boxes[rows], labels, np.zeros(len(rows)), regions[rows], difficult[rows])

    def _positions(self, labels: np.ndarray, who: str) -> np.ndarray:
        wrong = np.unique(labels[(labels < 0) | (labels >= len(self.classes))]).tolist()
        if wrong:
            raise ShapeError(
                f"{who} holds the labels {wrong}, but a label is a position among {len(self.classes)} classes "
                f"{self.classes}: map the labels to these classes first"
            )
        return labels

    def _check_truths(self, matches: Sequence[ClassMatches]) -> None:
        if not any(of_class.truths.sum() for of_class in matches):
            raise DataError(
                f"no truth of the classes {self.classes} in {len(self._truths)} images: average precision is not "
                "defined; check that the annotations were found and that their class names are these"
            )


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


def _finite(values: Tensor, who: str) -> np.ndarray:
    array = values.detach().cpu().double().numpy()
    if not np.isfinite(array).all():
        raise ShapeError(f"{who} must be finite, got {array[~np.isfinite(array)][0]}")
    return array
