"""Average precision of detections by COCO's protocol, computed by pycocotools in memory.

IoU 0.50 to 0.95 in steps of 0.05, 101 recall points, at most 100 detections of each image and class. Sizes go by the
area of the box. Truths that do not count are of two kinds:

- An *ignored* one is a region (COCO's ``iscrowd``): the overlap is intersection over the detection's area, and every
  detection in it goes unscored.
- A *difficult* one is an object that need not be found (COCO's ``ignore``): the detection that matches it at the usual
  IoU goes unscored; a second detection of it is a false positive, as for any other object.
"""

from __future__ import annotations

import contextlib
import io
import math
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tdir.errors import ConfigError
from tdir.metrics.base import DetectionMetric, Objects
from tdir.metrics.matches import ClassMatches
from tdir.metrics.scores import AT_75, DetectionScores

SIZES = ("small", "medium", "large")
"""pycocotools' ranges of areas, after that of all sizes."""


class CocoMAP(DetectionMetric):
    """COCO's mean average precision, fed batch by batch.

    Args:
        classes: the class names; labels are positions in this list.
        max_det: detections scored of each image and class, the highest scores first; 100 is the published protocol.

    Raises:
        ConfigError: if ``classes`` is empty or repeats a name, or ``max_det`` is below 1.
    """

    def __init__(self, classes: list[str], max_det: int = 100):
        super().__init__(classes)
        if max_det < 1:
            raise ConfigError(f"max_det must be 1 or more, got {max_det}")
        self.max_det = max_det

    def compute(self) -> DetectionScores:
        """The scores of all images so far.

        Raises:
            DataError: if there is no image, or no truth that counts.
        """
        evaluation = self._evaluate()
        matches, *by_size = (self._matches(evaluation, area) for area in range(len(SIZES) + 1))
        self._check_truths(matches)
        counts = [int(of_class.truths.sum()) for of_class in matches]
        everything, small, medium, large = np.moveaxis(evaluation.eval["precision"][..., 0], -1, 0)
        per_class = {
            name: {"map": _mean(everything[:, :, k]), "ap50": _mean(everything[0, :, k]), "truths": counts[k]}
            for k, name in enumerate(self.classes)
        }
        return DetectionScores(
            map=_mean(everything),
            ap50=_mean(everything[0]),
            ap75=_mean(everything[AT_75]),
            small=_mean(small),
            medium=_mean(medium),
            large=_mean(large),
            per_class=per_class,
            images=len(self._truths),
            truths=sum(counts),
            matches=matches,
            sized=dict(zip(SIZES, by_size, strict=True)),
        )

    def _evaluate(self) -> COCOeval:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress by print
            evaluation = _Evaluation(self._coco(self._truths), self._coco(self._predictions), "bbox")
            evaluation.params.maxDets = [self.max_det]  # 1 and 10 serve the average recall only
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _coco(self, images: list[Objects]) -> COCO:
        coco = COCO()
        coco.dataset = {
            "images": [{"id": k} for k in range(len(images))],
            "categories": [{"id": k, "name": name} for k, name in enumerate(self.classes)],
            "annotations": _annotations(images),
        }
        coco.createIndex()
        return coco

    def _matches(self, evaluation: COCOeval, area: int) -> list[ClassMatches]:
        """How the detections of each class matched; area 0 stands for all sizes, those after it for :data:`SIZES`."""
        images, areas = len(self._truths), len(SIZES) + 1
        # evalImgs is ordered by class, area range and image.
        firsts = [(position * areas + area) * images for position in range(len(self.classes))]
        return [self._class_matches(evaluation, evaluation.evalImgs[first : first + images]) for first in firsts]

    def _class_matches(self, evaluation: COCOeval, entries: list[dict[str, Any] | None]) -> ClassMatches:
        images = len(self._truths)
        found = [e for e in entries if e is not None]
        thresholds = len(evaluation.params.iouThrs)
        truths = np.zeros(images, dtype=np.int64)
        for entry in found:
            truths[entry["image_id"]] = np.count_nonzero(entry["gtIgnore"] == 0)
        return ClassMatches(
            scores=np.concatenate([np.zeros(0), *(e["dtScores"] for e in found)]),
            images=np.repeat([e["image_id"] for e in found], [len(e["dtScores"]) for e in found]).astype(np.int64),
            matched=np.concatenate([np.zeros((thresholds, 0), bool), *(e["dtMatches"] for e in found)], axis=1),
            ignored=np.concatenate([np.zeros((thresholds, 0), bool), *(e["dtIgnore"] for e in found)], axis=1),
            truths=truths,
        )


class _Evaluation(COCOeval):
    """COCOeval that leaves difficult truths out of the count, and keeps of each image what it needs later.

    The original overwrites ``ignore`` with ``iscrowd``, which would also turn their IoU into an intersection over the
    detection's area and let a part of the object pass for it.
    """

    def evaluateImg(self, *args: Any) -> dict[str, Any] | None:  # noqa: N802
        """How the detections of an image, a class and a range of areas matched."""
        found = super().evaluateImg(*args)
        if found is None:
            return None
        kept = {name: found[name] for name in ("image_id", "dtScores", "gtIgnore")}
        # A match is the id of a truth, as a float: eight times what is asked of it.
        return {**kept, "dtMatches": found["dtMatches"] > 0, "dtIgnore": found["dtIgnore"] > 0}

    def _prepare(self) -> None:
        super()._prepare()
        for truths in self._gts.values():
            for truth in truths:
                truth["ignore"] = int(truth["iscrowd"] or truth["difficult"])


def _annotations(images: list[Objects]) -> list[dict[str, Any]]:
    """pycocotools' own form, made anew for every evaluation since it writes into it."""
    annotations: list[dict[str, Any]] = []
    for image, objects in enumerate(images):
        sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
        columns = (
            np.concatenate([objects.boxes[:, :2], sides], 1), sides.prod(1), objects.labels, objects.scores,
            objects.regions.astype(int), objects.difficult,
        )  # fmt: skip
        for bbox, area, label, score, region, hard in zip(*(column.tolist() for column in columns), strict=True):
            # It takes a match with id 0 for no match, so ids start at 1.
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": image, "category_id": label, "bbox": bbox, "area": area,
                    "score": score, "iscrowd": region, "difficult": hard,
                }
            )  # fmt: skip
    return annotations


def _mean(precision: np.ndarray) -> float:
    """Mean over what pycocotools did not mark with -1, its mark of a class without truths."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else math.nan
