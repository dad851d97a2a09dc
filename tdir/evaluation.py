"""The four rows of every accuracy claim: clean, degraded, restorer only, VaT."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tdir import distributed
from tdir.data.classes import match_classes, unmatched_classes
from tdir.data.degradations import Degraded
from tdir.data.sample import ImageSet, check_skipped
from tdir.errors import ConfigError, DataError
from tdir.memory import BatchSize
from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.protocols import USUAL, Protocol
from tdir.metrics.quality import QUALITY, Measure, Quality, Score
from tdir.metrics.scores import Scores, without_objects
from tdir.pipeline import BATCH_SIZE, COMPANY, Pipeline, whole_companies
from tdir.predictions import Predictions, prediction_key
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
        batch_size: images at a time to start from, fewer where they do not fit into memory; no score depends on it.
        shared: each process of the group predicts on its share of the images, and all of them get the scores.
        folder: where predictions are kept as they are made and found again after an interruption; ``None`` keeps none.
    """

    protocol: Protocol[Any] | None = None
    batch_size: int = BATCH_SIZE
    shared: bool = False
    folder: Path | None = None

    def rules(self, data_set: ImageSet) -> Protocol[Any]:
        """The protocol for a set.

        Raises:
            ConfigError: if it is for another task.
        """
        protocol = self.protocol or USUAL[data_set.task]
        if protocol.task != data_set.task:
            raise ConfigError(f"protocol {protocol.name!r} is for {protocol.task}, and the set for {data_set.task}")
        return protocol

    def own(self, count: int) -> list[int]:
        """The images of this process; those that share a canvas stay together, so that its company changes no image."""
        rank, world = self._place()
        return [i for i in range(count) if i // COMPANY % world == rank]

    def kept(self, name: str, pipeline: Pipeline, data_set: ImageSet) -> Predictions | None:
        """The predictions of a row that this process made before."""
        if self.folder is None:
            return None
        rank, world = self._place()
        key = prediction_key(pipeline, data_set, self.rules(data_set))
        return Predictions(self.folder / f"{name}.{rank}of{world}", key)

    def _place(self) -> tuple[int, int]:
        return (distributed.rank(), distributed.world_size()) if self.shared else (0, 1)


def evaluate(pipeline: Pipeline, data_set: ImageSet, name: str = "evaluate", scoring: Scoring = Scoring()) -> Scores:
    """The scores of a pipeline on the classes that a data set labels.

    Args:
        pipeline: predicts; its size is the protocol's.
        data_set: labelled images, each of them readable. A class that the head does not know scores 0, one without
            an object to find is left out of the mean.
        name: of the row, for the progress bar and the predictions that are kept.
        scoring: protocol, batches and processes.

    Raises:
        DataError: if the set has no truth.
        ConfigError: if head and set have no class in common, or head, set and protocol are not for one task.
    """
    classes, count, protocol = data_set.classes, len(data_set), scoring.rules(data_set)
    if pipeline.head.task != data_set.task:
        raise ConfigError(
            f"the head is for {pipeline.head.task}, and the set for {data_set.task}: give two for one task"
        )
    table, metric, own = _table(classes, pipeline.head.classes), protocol.metric(classes), scoring.own(count)
    # An error of one process is one of all: the others would wait for it.
    with distributed.together() if scoring.shared else nullcontext():
        # The truths first: a damaged one is not to be found after an hour. Maps are too many pixels to be held.
        truths = {} if data_set.task == "segmentation" else {i: _truth(data_set, i, protocol) for i in own}
        place = 0
        for found in _predicted(pipeline, data_set, own, name, scoring):
            block = own[place : place + len(found)]
            place += len(found)
            relabelled = [protocol.predictions(one.relabelled(table, len(classes))) for one in found]
            metric.update(relabelled, [truths[i] if truths else _truth(data_set, i, protocol) for i in block])
    if scoring.shared:
        metric.gather(count, COMPANY)
    return metric.compute().with_groups([data_set.group(i) for i in range(count)])


def _truth(data_set: ImageSet, index: int, protocol: Protocol[Any]) -> Prediction:
    truth = data_set.truth(index)
    if truth is None:
        raise DataError(f"{data_set.paths[index]} has no truth: a score needs a labelled set")
    looked_at: Prediction = protocol.truths(truth)
    return looked_at


def _predicted(
    pipeline: Pipeline, data_set: ImageSet, own: Sequence[int], name: str, scoring: Scoring
) -> Iterator[list[Prediction]]:
    """What the pipeline says of each of these images of the set, on the CPU, some at a time."""
    kept = scoring.kept(name, pipeline, data_set)
    done = 0
    for batch in kept or ():
        done += len(batch)
        yield batch
    if done and distributed.is_first():
        log.info("going on: %d of %d images of row %r are there already", done, len(own), name)
    size, step, settings = BatchSize(scoring.batch_size), whole_companies(scoring.batch_size), scoring.rules(data_set)
    blocks = [own[start : start + step] for start in range(done, len(own), step)]
    for block in tqdm(blocks, desc=name, unit="batch", disable=None, leave=False):
        predict = partial(pipeline.predict, [data_set.image(i) for i in block])
        predict = partial(predict, score=settings.score, iou=settings.iou, max_det=settings.max_det)
        batch = [settings.kept(one.to("cpu")) for one in size.fit(predict, len(block))]
        if kept is not None:
            kept.add(batch)
        yield batch


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
    """Name the classes that pull the mean to 0, those that do not enter it, and those that are not asked about."""
    of_the_set = list(scores.per_class)
    for name in unmatched_classes(of_the_set, known):
        if scores.per_class[name]["truths"]:
            log.warning("the head does not know the class %r of the data set: it scores 0", name)
    if absent := without_objects(scores.per_class):
        log.warning("no object of these classes to find, they are left out of the mean: %s", ", ".join(absent))
    if others := unmatched_classes(known, of_the_set):
        log.info("classes of the head that the data set does not label, %d: %s", len(others), ", ".join(others))


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


def recovered_by_class(rows: Mapping[str, Scores], row: str) -> dict[str, float]:
    """Class name -> the same share in the score of one class, of those that the degradation takes something from."""
    if "clean" not in rows:
        return {}
    clean, degraded = rows["clean"].per_class, rows["degraded"].per_class
    main = rows["clean"].MAIN
    gaps = {name: scores[main] - degraded[name][main] for name, scores in clean.items()}
    return {
        name: (rows[row].per_class[name][main] - degraded[name][main]) / gap for name, gap in gaps.items() if gap > 0
    }


def differences(rows: Mapping[str, Scores], bootstrap: Bootstrap) -> dict[str, object]:
    """Paired bootstraps over images: VaT against every row of the same images, the restorer against none, and both on
    clean images."""
    pairs = [("vat", row) for row in rows if row != "vat" and "clean" not in row.split(" + ")]
    pairs += [("restorer", "degraded"), ("clean + vat", "clean"), ("clean + restorer", "clean")]
    return {f"{a} - {b}": bootstrap.difference(rows[a], rows[b]) for a, b in pairs if a in rows and b in rows}


def check_quality(data_set: ImageSet, metrics: Sequence[Quality]) -> None:
    """Do nothing if these metrics can be computed on a set, by the sizes of its images, none of which is decoded.

    Raises:
        ConfigError: if a metric needs clean images and they are not at hand.
        DataError: if an image is too small for a metric, or not of the size of its clean image.
    """
    compared = [metric.title for metric in metrics if metric.needs_clean]
    if compared and data_set.clean is None:
        raise ConfigError(
            f"{', '.join(compared)}: clean images are needed, and there are none: make the degraded ones with "
            "--degradation, name the clean ones of a made set with --originals, or ask for niqe alone"
        )
    for i, name in enumerate(data_set.names):
        size = data_set.image_size(i)
        for metric in metrics:
            if min(size) < metric.least:
                raise DataError(
                    f"{name} is {size[1]} x {size[0]} pixels, and {metric.title} needs {metric.least} on each side: "
                    f"leave {metric.name} or the image out"
                )
        if compared and data_set.clean is not None and data_set.clean.image_size(i) != size:
            height, width = data_set.clean.image_size(i)
            raise DataError(
                f"{name} is {size[1]} x {size[0]} pixels and its clean image {width} x {height}: two of one size are "
                f"needed for {', '.join(compared)}"
            )


def quality_rows(
    pipeline: Pipeline, data_set: ImageSet, measures: Mapping[str, Measure]
) -> dict[str, dict[str, Score]]:
    """How the images look: as they are, restored, translated, and clean for what needs nothing to compare with.

    Computed at the size of each image: brought to the pipeline's size and back, all of them would be blurred.

    Args:
        pipeline: whatever its size.
        data_set: that :func:`check_quality` has nothing to say of.
        measures: name -> a metric of ``tdir.metrics.quality.QUALITY``.

    Returns:
        Row -> name -> score; the rows of :func:`stages`, and "clean" where there is one.
    """
    blind = {name: measure for name, measure in measures.items() if not QUALITY[name].needs_clean}
    systems = stages(Pipeline(pipeline.restorer, pipeline.translator, pipeline.head))
    rows = {}
    if data_set.clean is not None and blind:
        rows["clean"] = _quality(systems["degraded"], data_set.clean, blind, "clean")
    return rows | {row: _quality(system, data_set, measures, row) for row, system in systems.items()}


def _quality(pipeline: Pipeline, data_set: ImageSet, measures: Mapping[str, Measure], row: str) -> dict[str, Score]:
    needs_clean = any(QUALITY[name].needs_clean for name in measures)
    for i in tqdm(range(len(data_set)), desc=f"quality, {row}", unit="image", disable=None, leave=False):
        seen = pipeline.enhance(data_set.image(i))
        clean = data_set.clean.image(i) if needs_clean and data_set.clean is not None else None
        for measure in measures.values():
            measure.update(seen, clean)
    return {name: measure.compute() for name, measure in measures.items()}
