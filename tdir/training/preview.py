"""A look, before any training, at what it would learn from and how long it would take."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch

from tdir import parts
from tdir.data.sample import ImageSet
from tdir.errors import DataError
from tdir.heads.base import Head
from tdir.report.pictures import spread
from tdir.selftraining.labels import PseudoLabel, predictions_on_degraded
from tdir.selftraining.teacher import Teacher
from tdir.training.config import VERSIONS, TrainConfig, build_data
from tdir.training.contact_sheet import contact_sheet
from tdir.training.hooks import duration
from tdir.training.loop import Hook, Trainer
from tdir.training.objective import Losses
from tdir.training.run import Taught, build_frozen, build_teacher, build_trainer, taught_by

SCARCE = 0.3
"""Boxes an image on the degraded set below which a training has too little to learn from."""
MANY = 20
"""Boxes an image on the clean set above which most are likely to be wrong: street photos hold about eight."""
UNITS = {"boxes": "box", "labelled share": "labelled pixel", "labels": "label"}
"""What pseudo-labels are counted in, an image, and one of it."""
_UNIT = {"detection": "boxes", "segmentation": "labelled share", "classification": "labels"}
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
STEPS = 4  # the first one warms up and does not count
log = logging.getLogger("tdir")


@dataclass
class Figures:
    """What a preview found.

    Args:
        degraded_images: in the whole set.
        clean_images: in the whole set.
        looked_at: degraded and clean images in the sample.
        degraded_kept: pseudo-labels an image on the degraded sample.
        degraded_dropped: predictions an image that are dropped for their risk.
        clean: pseudo-labels an image on the clean sample.
        classes: pseudo-labels of each class on the degraded and on the clean sample.
        risk_quantiles: of the predictions on the degraded sample; empty without an estimate.
        risk_missing: the estimate was wanted, but the sample has too few clean predictions.
        cache_bytes: the expected size of the teacher's caches of the whole sets.
        teacher_seconds: the expected time to make them.
        step_seconds: of one step.
        steps: of the whole training, all rounds.
        training_seconds: the expected time for them.
        advice: what to change, if anything.
        unit: what pseudo-labels are counted in, a key of :data:`UNITS`.
    """

    degraded_images: int
    clean_images: int
    looked_at: tuple[int, int]
    degraded_kept: float
    degraded_dropped: float
    clean: float
    classes: dict[str, tuple[float, float]]
    risk_quantiles: dict[float, float]
    risk_missing: bool
    cache_bytes: int
    teacher_seconds: float
    step_seconds: float
    steps: int
    training_seconds: float
    advice: list[str]
    unit: str = "boxes"


def preview(config: TrainConfig, work_dir: Path, device: torch.device | str = "cpu", limit: int = 32) -> None:
    """Write ``preview.png`` and ``preview.json`` and log the figures; no cache or checkpoint stays behind.

    Args:
        config: the training to come.
        work_dir: where the files go.
        device: where to train.
        limit: images of each set to look at, spread over it.

    Raises:
        DataError: if a set has no readable image.
        TrainingError: if a loss is not finite already now.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    _, head = frozen = build_frozen(config, device)
    degraded_set, clean_set = build_data(config.degraded), build_data(config.clean)
    low, high = _sample(degraded_set, limit), _sample(clean_set, limit)
    with TemporaryDirectory(prefix="preview-", dir=work_dir) as folder:
        teacher = build_teacher(config, *frozen, Path(folder), device)
        started = time.perf_counter()
        taught = _taught(teacher, config, low, high)
        an_image = (time.perf_counter() - started) / (len(low) + len(high))
        a_step = _seconds_a_step(config, head, taught, Path(folder), device)
        contact_sheet(taught, head, config.teacher, work_dir / "preview.png")
        figures = _figures(config, teacher, taught, (degraded_set, clean_set), (an_image, a_step))
    figures.advice = advice(config, figures)
    (work_dir / "preview.json").write_text(json.dumps(asdict(figures), indent=2))
    _report(figures, work_dir)


def _sample(data_set: ImageSet, limit: int) -> ImageSet:
    readable = []
    for i in spread(len(data_set), limit):
        try:
            data_set.image(i)  # and not its labels, which no training looks at
        except DataError as error:
            log.warning("left out of the preview: %s", error)
        else:
            readable.append(i)
    if not readable:
        raise DataError(f"none of the images looked at can be read, {data_set.paths[0]} for one: check the folder")
    return data_set.subset(readable)


def _taught(teacher: Teacher, config: TrainConfig, low: ImageSet, high: ImageSet) -> Taught:
    """What the teacher says; without a risk where the sample, unlike perhaps the whole set, is too small for one."""
    try:
        return taught_by(teacher, config, low, high)
    except DataError:
        return taught_by(teacher, replace(config, teacher=replace(config.teacher, nuq=False)), low, high)


def _figures(
    config: TrainConfig,
    teacher: Teacher,
    taught: Taught,
    sets: tuple[ImageSet, ImageSet],
    seconds: tuple[float, float],
) -> Figures:
    """The figures from both whole sets and the seconds an image of the teacher and a step took."""
    counts = len(sets[0]), len(sets[1])
    optim, head, again = config.optim, teacher.head, config.teacher.rounds - 1
    steps = optim.steps if optim.steps is not None else (optim.epochs or 0) * -(-counts[0] // optim.batch_size)
    steps *= config.teacher.rounds
    low, high = taught.degraded_labels, taught.clean_labels
    *occur, dropped = (row.tolist() for row in _amounts(low, head.classes))
    *high_occur, _ = (row.tolist() for row in _amounts(high, head.classes))
    return Figures(
        degraded_images=counts[0],
        clean_images=counts[1],
        looked_at=(len(low), len(high)),
        degraded_kept=sum(occur) / len(low),
        degraded_dropped=dropped / len(low),
        clean=sum(high_occur) / len(high),
        classes={name: (a, b) for name, a, b in zip(head.classes, occur, high_occur, strict=True) if a or b},
        risk_quantiles=_risk_quantiles(config, taught, head),
        risk_missing=config.teacher.nuq and taught.risk is None,
        cache_bytes=teacher.expected_bytes(sets[0], VERSIONS)
        + teacher.expected_bytes(sets[1], ["image"])
        + again * teacher.expected_bytes(sets[0], ["translated"]),
        teacher_seconds=seconds[0] * (sum(counts) + again * counts[0]),
        step_seconds=seconds[1],
        steps=steps,
        training_seconds=seconds[1] * steps,
        advice=[],
        unit=_UNIT[head.task],
    )


def _amounts(labels: list[PseudoLabel], classes: list[str]) -> torch.Tensor:
    """How much of every class there is in all targets, and last how much is ignored."""
    return torch.stack([one.target.amounts(len(classes)) for one in labels]).sum(0)


def _risk_quantiles(config: TrainConfig, taught: Taught, head: Head) -> dict[float, float]:
    found = predictions_on_degraded(taught.degraded, head, taught.risk, config.teacher.iou, taught.align)
    risks = torch.cat([one.risk.flatten() for one in found if one.risk is not None])
    if taught.risk is None or config.teacher.oracle or not len(risks):
        return {}
    # torch's own refuses more than 16 million, and maps have as many pixels.
    return {share: float(np.quantile(risks.numpy(), share)) for share in QUANTILES}


class _Clock(Hook):
    """A hook that notes when steps end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def after_train_iter(self, trainer: Trainer, losses: Losses) -> None:
        self.ends.append(time.perf_counter())


def _seconds_a_step(config: TrainConfig, head: Head, taught: Taught, folder: Path, device: torch.device | str) -> float:
    """Measured over real steps of a translator that is thrown away."""
    short = replace(config, optim=replace(config.optim, steps=STEPS, epochs=None), checkpoint_every=STEPS)
    trainer = build_trainer(short, parts.build_part("translator", config.translator), head, taught, folder, device)
    clock = _Clock()
    trainer.hooks = [clock]
    trainer.fit()
    return median(end - start for start, end in zip(clock.ends, clock.ends[1:]))


def advice(config: TrainConfig, figures: Figures) -> list[str]:
    """What to change before training, in sentences; nothing if the labels look sufficient."""
    said = []
    teacher, classes = config.teacher, ", ".join(config.head.get("classes") or ["all of the head's"])
    if figures.clean == 0:
        said.append(
            f"no {UNITS[figures.unit]} on the clean images in {config.clean.get('root')}: wrong classes ({classes}), "
            "or the wrong folder"
        )
    if figures.clean > MANY:
        said.append(
            f"{figures.clean:.0f} {figures.unit} an image on the clean set are more than photos hold: see in the "
            f"preview whether they are objects, and raise teacher.score ({teacher.score}) if not; RetinaNets want "
            "about 0.5"
        )
    if figures.degraded_kept < SCARCE:
        epsilon = f", raise teacher.epsilon ({teacher.epsilon})" if figures.degraded_dropped else ""
        said.append(
            f"{figures.degraded_kept:.2f} {figures.unit} an image on the degraded set are too few to learn from: lower "
            f"teacher.score ({teacher.score}){epsilon}, name classes that occur (now: {classes}), or use a restorer "
            "that suits these images"
        )
    if figures.risk_missing:
        said.append(
            f"too few predictions on these {figures.looked_at[1]} clean images for a risk estimate, so nothing was "
            "dropped here: the whole set may have enough, otherwise set teacher.nuq=False"
        )
    return said


def _report(figures: Figures, work_dir: Path) -> None:
    for line in report(figures):
        log.info(line)
    log.info("look at %s", work_dir / "preview.png")
    for sentence in figures.advice:
        log.warning(sentence)


def report(figures: Figures) -> list[str]:
    """The figures as lines for people."""
    f, (low, high) = figures, figures.looked_at
    classes = ", ".join(f"{name} {a:.3g} + {b:.3g}" for name, (a, b) in f.classes.items())
    risks = ", ".join(f"{share:.0%} {risk:.2f}" for share, risk in f.risk_quantiles.items())
    return [
        f"preview of {low} of {f.degraded_images} degraded and {high} of {f.clean_images} clean images",
        f"{f.unit} an image: degraded {f.degraded_kept:.2f} kept, {f.degraded_dropped:.2f} dropped; "
        f"clean {f.clean:.2f}",
        f"{f.unit} by class, degraded + clean: {classes or 'none'}",
        f"risk quantiles on the degraded images: {risks or 'no estimate'}",
        f"teacher: {f.cache_bytes / 1e9:.2f} GB of cache, about {duration(f.teacher_seconds)}",
        f"training: {f.steps} steps of {f.step_seconds:.2f} s, about {duration(f.training_seconds)}",
    ]
