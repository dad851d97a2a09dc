"""The four rows of every accuracy claim: clean, degraded, restorer only, VaT."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from tdir import distributed
from tdir.data.classes import match_classes, unmatched_classes
from tdir.data.degradations import Degraded
from tdir.data.sample import ImageSet, Sample, check_skipped
from tdir.errors import ConfigError, DataError
from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.protocols import USUAL, Protocol
from tdir.metrics.scores import Scores, without_objects
from tdir.metrics.segmentation import MapScores
from tdir.pipeline import Pipeline
from tdir.restorers.identity import Identity
from tdir.structures import Prediction

log = logging.getLogger("tdir")


def readable(data_set: ImageSet, limit: int | None = None) -> tuple[ImageSet, list[str]]:
    """The images of a set that can be read, found out once, so that all rows are scored on the same ones.

    Args:
        data_set: any set; where its clean images are at hand, these are read too.
        limit: only the first images.

    Returns:
        These images, and the names of those that cannot be read.

    Raises:
        DataError: if the latter are more than 1 %.
    """
    # What tdir degrades itself is read once, before the degradation.
    read = [data_set.data_set] if isinstance(data_set, Degraded) else [data_set, data_set.clean]
    sources = [source for source in read if source is not None]
    count = min(len(data_set), limit or len(data_set))
    skipped: dict[int, str] = {}
    for i in tqdm(range(count), desc="reading", unit="image", disable=None, leave=False):
        try:
            for source in sources:
                source.image(i)
        except DataError as error:
            log.warning("skipped: %s", error)
            skipped[i] = str(error)
            check_skipped(list(skipped.values()), count)
    if skipped:
        log.warning("%d of %d images cannot be read and are left out of every row", len(skipped), count)
    kept = [i for i in range(count) if i not in skipped]
    return data_set.subset(kept), [data_set.names[i] for i in skipped]


@dataclass(frozen=True)
class Scoring:
    """How rows are scored.

    Args:
        protocol: what counts as right; ``None`` takes the usual one for the task of the set.
        batch_size: images at a time.
        shared: each process of the group predicts on its share of the images, and all of them get the scores.
    """

    protocol: Protocol[Any] | None = None
    batch_size: int = 8
    shared: bool = False

    def batches(self, count: int) -> list[range]:
        """The images of this process, batch by batch."""
        first, step = (distributed.rank(), distributed.world_size()) if self.shared else (0, 1)
        own = range(first, count, step)
        return [own[start : start + self.batch_size] for start in range(0, len(own), self.batch_size)]


def evaluate(pipeline: Pipeline, data_set: ImageSet, name: str = "evaluate", scoring: Scoring = Scoring()) -> Scores:
    """The scores of a pipeline on the classes that a data set labels.

    Args:
        pipeline: predicts; its size is the protocol's.
        data_set: labelled images, each of them readable. A class that the head does not know scores 0, one without
            an object to find is left out of the mean.
        name: of the progress bar.
        scoring: protocol, batches and processes.

    Raises:
        DataError: if the set has no truth.
        ConfigError: if head and set have no class in common, or the set's truths are for another task.
    """
    classes = data_set.classes
    protocol, count = scoring.protocol or USUAL[data_set.task], len(data_set)
    if not pipeline.head.task == data_set.task == protocol.task:
        raise ConfigError(
            f"a head for {pipeline.head.task} on a set for {data_set.task} by protocol {protocol.name!r}, which is for "
            f"{protocol.task}: all three have to be for one task"
        )
    table = _table(classes, pipeline.head.classes)
    metric = protocol.metric(classes)
    # An error of one process is one of all: the others would wait for it.
    with distributed.together() if scoring.shared else nullcontext():
        for batch in tqdm(scoring.batches(count), desc=name, unit="batch", disable=None, leave=False):
            samples = [data_set[i] for i in batch]
            images = [sample.image for sample in samples]
            found = pipeline.predict(
                images, score=protocol.score, iou=protocol.iou, max_det=protocol.max_det, batch_size=scoring.batch_size
            )
            relabelled = [one.to("cpu").relabelled(table, len(classes)) for one in found]
            metric.update(list(map(protocol.predictions, relabelled)), [_truth(sample, protocol) for sample in samples])
    if scoring.shared:
        metric.gather(count)
    scores = metric.compute()
    return scores.with_groups([data_set.group(i) for i in range(count)]) if isinstance(scores, MapScores) else scores


def _truth(sample: Sample, protocol: Protocol[Any]) -> Prediction:
    if sample.truth is None:
        raise DataError(f"{sample.path} has no truth: a score needs a labelled set, Pascal VOC or YOLO layout")
    truth: Prediction = protocol.truths(sample.truth)
    return truth


def _table(set_classes: Sequence[str], head_classes: Sequence[str]) -> torch.Tensor:
    """The data set's label for each of the head's, ``(K,)``; -1 for what the set does not label."""
    table = torch.full((len(head_classes),), -1)
    for own, head in match_classes(set_classes, head_classes).items():
        table[head] = own
    return table


def stages(pipeline: Pipeline) -> dict[str, Pipeline]:
    """Row -> what an image goes through for it: the head alone, the restorer before it, and the translator if any."""
    restorer, head, size = pipeline.restorer, pipeline.head, pipeline.size
    found = {"degraded": Pipeline(Identity(), None, head, size), "restorer": Pipeline(restorer, None, head, size)}
    return found if pipeline.translator is None else {**found, "vat": pipeline}


def base_rows(pipeline: Pipeline, data_set: ImageSet, scoring: Scoring = Scoring()) -> dict[str, Scores]:
    """The rows that no training changes, and what the restorer alone does to clean images.

    The clean rows exist where the clean images are at hand.
    """
    systems = stages(pipeline)
    raw, restored = systems["degraded"], systems["restorer"]
    rows = {}
    if data_set.clean is not None:
        rows["clean"] = evaluate(raw, data_set.clean, "clean", scoring)
        rows["clean + restorer"] = evaluate(restored, data_set.clean, "clean + restorer", scoring)
    rows["degraded"] = evaluate(raw, data_set, "degraded", scoring)
    rows["restorer"] = evaluate(restored, data_set, "restorer", scoring)
    _warn_of_classes(rows["degraded"], pipeline.head.classes)
    return rows


def _warn_of_classes(scores: Scores, known: Sequence[str]) -> None:
    """Name the classes that pull the mean to 0 and those that do not enter it."""
    for name in unmatched_classes(list(scores.per_class), known):
        if scores.per_class[name]["truths"]:
            log.warning("the head does not know the class %r of the data set: it scores 0", name)
    if absent := without_objects(scores.per_class):
        log.warning("no object of these classes to find, they are left out of the mean: %s", ", ".join(absent))


def vat_rows(pipeline: Pipeline, data_set: ImageSet, scoring: Scoring = Scoring()) -> dict[str, Scores]:
    """The pipeline on the degraded images and, where they exist, the whole pipeline on the clean ones."""
    rows = {"vat": evaluate(pipeline, data_set, "vat", scoring)}
    if data_set.clean is not None:
        rows["clean + vat"] = evaluate(pipeline, data_set.clean, "clean + vat", scoring)
    return rows


def recovered(rows: Mapping[str, Scores], row: str = "vat") -> float | None:
    """The share of the gap from degraded to clean that a row wins back, by the main score; ``None`` without clean."""
    if "clean" not in rows:
        return None
    gap = rows["clean"].main - rows["degraded"].main
    return (rows[row].main - rows["degraded"].main) / gap if gap else None


def differences(rows: Mapping[str, Scores], bootstrap: Bootstrap) -> dict[str, object]:
    """Paired bootstraps over images: what VaT and the restorer win on the same images, and their harm to clean ones."""
    pairs = [("vat", "degraded"), ("vat", "restorer"), ("restorer", "degraded")]
    pairs += [("clean + vat", "clean"), ("clean + restorer", "clean")]
    return {f"{a} - {b}": bootstrap.difference(rows[a], rows[b]) for a, b in pairs if a in rows and b in rows}
