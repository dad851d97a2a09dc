"""The four rows of every accuracy claim: clean, degraded, restorer only, VaT."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from tqdm import tqdm

from tdir.data.classes import match_classes, unmatched_classes
from tdir.data.degradations import Degraded
from tdir.data.sample import DetectionSet
from tdir.errors import DataError
from tdir.metrics.bootstrap import paired_bootstrap
from tdir.metrics.detection import CocoMAP, DetectionScores
from tdir.pipeline import Pipeline
from tdir.restorers.identity import Identity
from tdir.structures import Detections

SCORE, IOU, MAX_DET = 0.001, 0.7, 300  # what ultralytics validates with
log = logging.getLogger("tdir")


def evaluate(
    pipeline: Pipeline, data_set: DetectionSet, name: str = "evaluate", batch_size: int = 8, limit: int | None = None
) -> DetectionScores:
    """mAP of a pipeline on the classes that a data set labels.

    Args:
        pipeline: predicts; its size is the protocol's.
        data_set: labelled images; a class that the head does not know scores 0.
        name: of the progress bar.
        batch_size: images at a time.
        limit: only the first images.

    Raises:
        DataError: if the set has no truth.
        ConfigError: if head and set have no class in common.
    """
    classes = data_set.classes
    to_set = {head: own for own, head in match_classes(classes, pipeline.head.classes).items()}
    metric = CocoMAP(classes)
    count = min(len(data_set), limit or len(data_set))
    for start in tqdm(range(0, count, batch_size), desc=name, unit="batch", disable=None, leave=False):
        samples = [data_set[i] for i in range(start, min(start + batch_size, count))]
        images = [sample.image for sample in samples]
        found = pipeline.predict(images, score=SCORE, iou=IOU, max_det=MAX_DET, batch_size=batch_size)
        truths = [sample.truth for sample in samples]
        if any(truth is None for truth in truths):
            raise DataError(f"{samples[0].path} has no truth: a score needs a labelled set, Pascal VOC or YOLO layout")
        metric.update([_relabelled(one.to("cpu"), to_set, len(pipeline.head.classes)) for one in found], truths)  # type: ignore[arg-type]
    return metric.compute()


def _relabelled(found: Detections, to_set: Mapping[int, int], classes: int) -> Detections:
    """The predictions with the data set's labels; what the set does not label is left out."""
    table = torch.full((classes,), -1)
    for head, own in to_set.items():
        table[head] = own
    labels = table[found.labels]
    return Detections(found.boxes, labels, found.scores)[labels >= 0]


def base_rows(pipeline: Pipeline, data_set: DetectionSet, **settings: int | None) -> dict[str, DetectionScores]:
    """The rows that no training changes, and what the restorer alone does to clean images.

    The clean rows exist where tdir made the degradation itself.
    """
    restorer, head, size = pipeline.restorer, pipeline.head, pipeline.size
    for missing in unmatched_classes(data_set.classes, head.classes):
        log.warning("the head does not know the class %r of the data set: it scores 0", missing)
    raw, restored = Pipeline(Identity(), None, head, size), Pipeline(restorer, None, head, size)
    rows = {}
    if isinstance(data_set, Degraded):
        rows["clean"] = evaluate(raw, data_set.data_set, "clean", **settings)  # type: ignore[arg-type]
        rows["clean + restorer"] = evaluate(restored, data_set.data_set, "clean + restorer", **settings)  # type: ignore[arg-type]
    rows["degraded"] = evaluate(raw, data_set, "degraded", **settings)  # type: ignore[arg-type]
    rows["restorer"] = evaluate(restored, data_set, "restorer", **settings)  # type: ignore[arg-type]
    return rows


def vat_rows(pipeline: Pipeline, data_set: DetectionSet, **settings: int | None) -> dict[str, DetectionScores]:
    """The pipeline on the degraded images and, where they exist, the whole pipeline on the clean ones."""
    rows = {"vat": evaluate(pipeline, data_set, "vat", **settings)}  # type: ignore[arg-type]
    if isinstance(data_set, Degraded):
        rows["clean + vat"] = evaluate(pipeline, data_set.data_set, "clean + vat", **settings)  # type: ignore[arg-type]
    return rows


def recovered(rows: Mapping[str, DetectionScores], row: str = "vat") -> float | None:
    """The share of the gap from degraded to clean that a row wins back, in mAP; ``None`` without a clean row."""
    if "clean" not in rows:
        return None
    gap = rows["clean"].map - rows["degraded"].map
    return (rows[row].map - rows["degraded"].map) / gap if gap else None


def differences(rows: Mapping[str, DetectionScores], samples: int = 1000, seed: int = 0) -> dict[str, object]:
    """Paired bootstraps over images: what VaT and the restorer win on the same images, and their harm to clean ones."""
    pairs = [("vat", "degraded"), ("vat", "restorer"), ("restorer", "degraded")]
    pairs += [("clean + vat", "clean"), ("clean + restorer", "clean")]
    return {
        f"{a} - {b}": paired_bootstrap(rows[a], rows[b], samples, seed) for a, b in pairs if a in rows and b in rows
    }
