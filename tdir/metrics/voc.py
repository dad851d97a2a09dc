"""Average precision by the rules of Pascal VOC's development kit, at one overlap.

A detection belongs to the truth of its class that it overlaps most, found already or not. Where that overlap is too
small it is a false positive; where the truth is difficult it goes unscored; otherwise the first detection of a truth,
by score, is a true positive and every further one a false positive. An ignored region is taken as a difficult truth.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torchvision.ops import box_iou

from tdir.errors import ConfigError
from tdir.metrics.base import DetectionMetric, Objects
from tdir.metrics.curves import RECALLS, average_precisions
from tdir.metrics.matches import ClassMatches
from tdir.metrics.scores import DetectionScores
from tdir.registry import closest


class VocAP(DetectionMetric):
    """Mean average precision of Pascal VOC, fed batch by batch.

    Args:
        classes: the class names; labels are positions in this list.
        curve: "voc07", the mean precision at eleven recalls, or "voc12", the area under the whole curve.
        plus_one: whether a box names its last pixel inclusively, as in the annotation files and in the development
            kit, and is ``x2 - x1 + 1`` pixels wide. What ``tdir.data.voc.VOC`` reads is continuous already.
        threshold: the least overlap of a true positive.

    Raises:
        ConfigError: if ``classes`` is empty or repeats a name, or there is no such curve.
    """

    def __init__(self, classes: list[str], curve: str = "voc12", plus_one: bool = False, threshold: float = 0.5):
        super().__init__(classes)
        if curve not in RECALLS:
            raise ConfigError(f"no curve {curve!r}: {closest(curve, RECALLS)}")
        self.curve, self.plus_one, self.threshold = curve, plus_one, threshold

    def compute(self) -> DetectionScores:
        """The scores of all images so far.

        Raises:
            DataError: if there is no image, or no truth that counts.
        """
        matches = self._matches()
        self._check_truths(matches)
        once = np.ones((1, len(self._truths)), dtype=np.int64)
        each = [float(average_precisions([of_class], once, self.curve)[0, 0]) for of_class in matches]
        mean, nothing = float(np.nanmean(each)), math.nan
        counts = [int(of_class.truths.sum()) for of_class in matches]
        per_class = {
            name: {"map": value, "ap50": value, "truths": count}
            for name, value, count in zip(self.classes, each, counts, strict=True)
        }
        return DetectionScores(
            mean, mean, ap75=nothing, small=nothing, medium=nothing, large=nothing, per_class=per_class,
            images=len(self._truths), truths=sum(counts), matches=matches, curve=self.curve,
        )  # fmt: skip

    def _matches(self) -> list[ClassMatches]:
        """How the detections of every class matched."""
        images = len(self._truths)
        ranked = [_ranked(one) for one in self._predictions]
        outcomes = [self._outcomes(a, b) for a, b in zip(ranked, self._truths, strict=True)]
        owners = np.repeat(np.arange(images), [len(one.labels) for one in ranked])
        labels, scores = _joined([one.labels for one in ranked]), _joined([one.scores for one in ranked])
        matched, ignored = (_joined([outcome[k] for outcome in outcomes]) == 1 for k in (0, 1))
        true_owners = np.repeat(np.arange(images), [len(one.labels) for one in self._truths])
        true_labels = _joined([one.labels for one in self._truths])
        counts = _joined([one.regions | one.difficult for one in self._truths]) == 0
        found = []
        for label in range(len(self.classes)):
            own, true = labels == label, (true_labels == label) & counts
            truths = np.bincount(true_owners[true], minlength=images)
            found.append(ClassMatches(scores[own], owners[own], matched[None, own], ignored[None, own], truths))
        return found

    def _outcomes(self, found: Objects, truths: Objects) -> tuple[np.ndarray, np.ndarray]:
        """Of the detections of an image, highest score first: which are true positives, and which are not scored."""
        matched, ignored = np.zeros((2, len(found.labels)), dtype=bool)
        if not len(found.labels) or not len(truths.labels):
            return matched, ignored
        overlaps = self._overlaps(found.boxes, truths.boxes)
        overlaps[found.labels[:, None] != truths.labels] = -1
        best = overlaps.argmax(1)
        near = np.flatnonzero(overlaps.max(1) >= self.threshold)
        unscored = (truths.regions | truths.difficult)[best[near]]
        ignored[near[unscored]] = True
        counted = near[~unscored]
        matched[counted[np.unique(best[counted], return_index=True)[1]]] = True
        return matched, ignored

    def _overlaps(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        extra = [0, 0, 1, 1] if self.plus_one else [0, 0, 0, 0]
        return box_iou(torch.from_numpy(first + extra), torch.from_numpy(second + extra)).nan_to_num().numpy()


def _ranked(objects: Objects) -> Objects:
    order = np.argsort(-objects.scores, kind="stable")
    return Objects(**{name: values[order] for name, values in vars(objects).items()})


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=arrays[0].dtype if arrays else bool), *arrays])
