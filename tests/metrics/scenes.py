"""Random images for the tests, and pycocotools as its own documentation uses it, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tdir.structures import Detections

CLASSES = ["person", "car", "dog"]
Rows = tuple[list[Detections], list[Detections]]


def detections(
    boxes: Sequence[Any], labels: Sequence[int], scores: Sequence[float] | None = None, **masks: Any
) -> Detections:
    return Detections(
        torch.as_tensor(np.asarray(boxes, dtype=np.float64).reshape(-1, 4)),
        torch.as_tensor(np.asarray(labels, dtype=np.int64)),
        None if scores is None else torch.as_tensor(np.asarray(scores, dtype=np.float64)),
        **{name: torch.as_tensor(np.asarray(mask, dtype=bool)) for name, mask in masks.items()},
    )


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 200, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(5, 150, (count, 2))], axis=1)


def random_rows(seed: int, images: int = 12, difficult: bool = True, tied_within_image: bool = True) -> Rows:
    """Predictions near the truths, doubles and strays; scores in steps of 0.1, so that many are equal."""
    rng = np.random.default_rng(seed)
    predictions, truths = [], []
    for _ in range(images):
        count = int(rng.integers(0, 6))
        boxes, labels = _boxes(rng, count), rng.integers(0, len(CLASSES), count)
        found = np.concatenate([np.repeat(boxes, 2, axis=0) + rng.normal(0, 6, (2 * count, 4)), _boxes(rng, 4)])
        guessed = np.concatenate([np.repeat(labels, 2), rng.integers(0, len(CLASSES), 4)])
        steps = rng.choice(20, len(found), replace=tied_within_image) / 20
        predictions.append(detections(found, guessed, steps))
        ignored, hard = rng.random((2, count)) < 0.15
        truths.append(detections(boxes, labels, ignored=ignored, difficult=hard & difficult))
    return predictions, truths


def _coco(images: int, annotations: list[dict[str, Any]]) -> COCO:
    coco = COCO()
    categories = [{"id": k, "name": name} for k, name in enumerate(CLASSES)]
    coco.dataset = {"images": [{"id": k} for k in range(images)], "categories": categories, "annotations": annotations}
    coco.createIndex()
    return coco


def pycocotools_says(predictions: Sequence[Detections], truths: Sequence[Detections]) -> COCOeval:
    """The evaluation of truths none of which is difficult, through ``loadRes`` and ``summarize``."""
    true, predicted = [], []
    for image, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        for k, (left, top, right, bottom) in enumerate(truth.boxes.tolist()):
            bbox, area = [left, top, right - left, bottom - top], (right - left) * (bottom - top)
            crowd, label = int(truth.ignored[k]), int(truth.labels[k])
            identity = {"id": len(true) + 1, "image_id": image, "category_id": label}
            true.append({**identity, "bbox": bbox, "area": area, "iscrowd": crowd})
        for k, (left, top, right, bottom) in enumerate(prediction.boxes.tolist()):
            guess = {"image_id": image, "category_id": int(prediction.labels[k]), "score": float(prediction.scores[k])}
            predicted.append({**guess, "bbox": [left, top, right - left, bottom - top]})
    ground_truth = _coco(len(truths), true)
    evaluation = COCOeval(ground_truth, ground_truth.loadRes(predicted), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation
