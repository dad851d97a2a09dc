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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from tdir.errors import ConfigError, DataError, ShapeError
from tdir.structures import Detections


@dataclass(frozen=True)
class ClassMatches:
    """How the detections of one class matched, over all images and sizes; what the bootstrap resamples.

    Args:
        scores: ``(n,)`` float64, image after image, the highest first within an image.
        images: ``(n,)`` int, the position of the image of every detection.
        matched: ``(10, n)`` bool, whether it matched a truth at each IoU threshold.
        ignored: ``(10, n)`` bool, whether it is not scored there.
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

    Args:
        map: mean over IoU 0.50 to 0.95 and over the classes with truths (mAP50-95).
        ap50: the same at IoU 0.50 alone.
        ap75: the same at IoU 0.75 alone.
        small: mAP50-95 of truths of up to 32 x 32 pixels.
        medium: from there up to 96 x 96 pixels.
        large: from there on.
        per_class: class name -> ``map``, ``ap50`` and ``truths``.
        images: the number of images.
        truths: the number of truths that count.
        matches: one entry per class, for ``tdir.metrics.bootstrap``.
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

    def as_dict(self) -> dict[str, Any]:
        """Everything but the matches, ready for JSON: NaN becomes ``None``."""
        values = {name: value for name, value in vars(self).items() if name not in ("matches", "per_class")}
        per_class = {name: _without_nan(scores) for name, scores in self.per_class.items()}
        return {**_without_nan(values), "per_class": per_class}


def without_objects(per_class: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """The classes, of ``DetectionScores.per_class`` or the same as JSON, that no mean includes: no truth counts."""
    return [name for name, scores in per_class.items() if not scores["truths"]]


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}


class CocoMAP:
    """Mean average precision, fed batch by batch.

    Args:
        classes: the class names; labels are positions in this list.
        max_det: detections scored of each image and class, the highest scores first; 100 is the published protocol.

    Raises:
        ConfigError: if ``classes`` is empty or repeats a name, or ``max_det`` is below 1.
    """

    def __init__(self, classes: list[str], max_det: int = 100):
        if not classes or len(set(classes)) != len(classes):
            raise ConfigError(f"classes must be one or more different names, got {classes}")
        if max_det < 1:
            raise ConfigError(f"max_det must be 1 or more, got {max_det}")
        self.classes, self.max_det = list(classes), max_det
        self.reset()

    def reset(self) -> None:
        """Forget every image."""
        self._images = 0
        self._truths: list[dict[str, Any]] = []
        self._predictions: list[dict[str, Any]] = []

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
        predicted, true = [], []
        for image, (prediction, truth) in enumerate(zip(predictions, truths, strict=True), start=self._images):
            predicted += self._predicted(prediction.labelled, image)
            true += self._true(truth, image)
        self._predictions += predicted
        self._truths += true
        self._images += len(truths)

    def compute(self) -> DetectionScores:
        """The scores of all images so far.

        Raises:
            DataError: if there is no image, or no truth that counts.
        """
        evaluation = self._evaluate()
        matches = [self._matches(evaluation, position) for position in range(len(self.classes))]
        counts = [int(of_class.truths.sum()) for of_class in matches]
        if not sum(counts):
            raise DataError(
                f"no truth of the classes {self.classes} in {self._images} images: average precision is not defined; "
                "check that the annotations were found and that their class names are these"
            )
        everything, small, medium, large = np.moveaxis(evaluation.eval["precision"][..., 0], -1, 0)
        per_class = {
            name: {"map": _mean(everything[:, :, k]), "ap50": _mean(everything[0, :, k]), "truths": counts[k]}
            for k, name in enumerate(self.classes)
        }
        return DetectionScores(
            map=_mean(everything),
            ap50=_mean(everything[0]),
            ap75=_mean(everything[5]),
            small=_mean(small),
            medium=_mean(medium),
            large=_mean(large),
            per_class=per_class,
            images=self._images,
            truths=sum(counts),
            matches=matches,
        )

    def _predicted(self, prediction: Detections, image: int) -> list[dict[str, Any]]:
        if prediction.scores is None:
            raise ShapeError(f"the prediction of image {image} has no scores: average precision ranks by them")
        who = f"the prediction of image {image}"
        scores = _finite(prediction.scores, f"{who}: scores")
        boxes = _finite(prediction.boxes, f"{who}: boxes")
        labels = self._labels(prediction.labels, who)
        return [
            {**_annotation(image, label, box), "score": float(score)}
            for label, box, score in zip(labels, boxes, scores, strict=True)
        ]

    def _true(self, truth: Detections, image: int) -> list[dict[str, Any]]:
        who = f"the truth of image {image}"
        boxes = _finite(truth.boxes, f"{who}: boxes")
        regions, difficult = _mask(truth.ignored, len(truth)), _mask(truth.difficult, len(truth))
        labels = truth.labels.detach().cpu().numpy()
        anywhere = regions & (labels == -1)
        self._labels(truth.labels.detach().cpu()[torch.from_numpy(~anywhere)], who)
        return [
            {**_annotation(image, k, box), "iscrowd": int(region), "difficult": bool(hard)}
            for label, box, region, hard, every in zip(labels, boxes, regions, difficult, anywhere, strict=True)
            for k in (range(len(self.classes)) if every else [int(label)])
        ]

    def _labels(self, labels: Tensor, who: str) -> list[int]:
        positions = [int(label) for label in labels.detach().cpu()]
        wrong = sorted({k for k in positions if not 0 <= k < len(self.classes)})
        if wrong:
            raise ShapeError(
                f"{who} holds the labels {wrong}, but a label is a position among {len(self.classes)} classes "
                f"{self.classes}: map the labels to these classes first"
            )
        return positions

    def _evaluate(self) -> COCOeval:
        truths, predictions = self._dataset(self._truths), self._dataset(self._predictions)
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress by print
            evaluation = _Evaluation(_coco(truths), _coco(predictions), "bbox")
            evaluation.params.maxDets = [self.max_det]  # 1 and 10 serve the average recall only
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _dataset(self, annotations: list[dict[str, Any]]) -> dict[str, Any]:
        # pycocotools takes a match with id 0 for no match, so ids start at 1; it also writes into the annotations
        numbered = [{**annotation, "id": position} for position, annotation in enumerate(annotations, start=1)]
        categories = [{"id": k, "name": name} for k, name in enumerate(self.classes)]
        return {"images": [{"id": k} for k in range(self._images)], "categories": categories, "annotations": numbered}

    def _matches(self, evaluation: COCOeval, position: int) -> ClassMatches:
        # evalImgs is ordered by class, area range and image; "all" is the first of the area ranges
        first = position * len(evaluation.params.areaRng) * self._images
        found = [e for e in evaluation.evalImgs[first : first + self._images] if e is not None]
        thresholds = len(evaluation.params.iouThrs)
        truths = np.zeros(self._images, dtype=np.int64)
        for entry in found:
            truths[entry["image_id"]] = np.count_nonzero(entry["gtIgnore"] == 0)
        return ClassMatches(
            scores=np.concatenate([np.zeros(0), *(e["dtScores"] for e in found)]),
            images=np.repeat([e["image_id"] for e in found], [len(e["dtScores"]) for e in found]).astype(np.int64),
            matched=np.concatenate([np.zeros((thresholds, 0)), *(e["dtMatches"] for e in found)], axis=1) > 0,
            ignored=np.concatenate([np.zeros((thresholds, 0)), *(e["dtIgnore"] for e in found)], axis=1) > 0,
            truths=truths,
        )


class _Evaluation(COCOeval):
    """COCOeval that leaves difficult truths out of the count.

    The original overwrites ``ignore`` with ``iscrowd``, which would also turn their IoU into an intersection over the
    detection's area and let a part of the object pass for it.
    """

    def _prepare(self) -> None:
        super()._prepare()
        for truths in self._gts.values():
            for truth in truths:
                truth["ignore"] = int(truth["iscrowd"] or truth["difficult"])


def _coco(dataset: dict[str, Any]) -> COCO:
    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco


def _annotation(image: int, label: int, box: np.ndarray) -> dict[str, Any]:
    left, top, right, bottom = map(float, box)
    width, height = right - left, bottom - top
    bbox = [left, top, width, height]
    return {"image_id": image, "category_id": label, "bbox": bbox, "area": width * height, "iscrowd": 0}


def _finite(values: Tensor, who: str) -> np.ndarray:
    array = values.detach().cpu().double().numpy()
    if not np.isfinite(array).all():
        raise ShapeError(f"{who} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _mask(values: Tensor | None, length: int) -> np.ndarray:
    return np.zeros(length, dtype=bool) if values is None else values.detach().cpu().numpy().astype(bool)


def _mean(precision: np.ndarray) -> float:
    """Mean over what pycocotools did not mark with -1, its mark of a class without truths."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else math.nan
