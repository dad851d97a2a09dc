"""From a config to a bundle: build the parts, ask the teacher, train, score, save."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from tdir import distributed, parts
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError, DataError
from tdir.heads.base import Head
from tdir.pipeline import Pipeline, load
from tdir.report.records import portable
from tdir.restorers.base import Restorer
from tdir.selftraining.labels import Align, PseudoLabel, fit_risk, label_clean, label_degraded
from tdir.selftraining.nuq import NUQ
from tdir.selftraining.store import TeacherStore
from tdir.selftraining.teacher import Teacher
from tdir.training.batches import Batches, BatchPlan
from tdir.training.checkpoint import LAST, load_checkpoint
from tdir.training.config import TrainConfig, build_data
from tdir.training.hooks import ScalarLog, Validation
from tdir.training.loop import STUDIED, Trainer
from tdir.training.objective import VaTObjective
from tdir.translators.base import Translator

FEW_RANKS = 100
log = logging.getLogger("tdir")


@dataclass
class Taught:
    """What the teacher says of both sets, and what aligns it with the clean one, if that is wanted."""

    degraded: TeacherStore
    degraded_labels: list[PseudoLabel]
    clean: TeacherStore
    clean_labels: list[PseudoLabel]
    risk: NUQ | None
    align: Align | None = None


def build_frozen(config: TrainConfig, device: torch.device | str = "cpu") -> tuple[Restorer, Head]:
    """The frozen restorer and head of a config.

    Raises:
        ConfigError: if the restorer is a network without weights.
    """
    restorer, head = parts.working_restorer(config.restorer), parts.build_part("head", config.head)
    return restorer.to(device), head.to(device)


def ask_teacher(
    config: TrainConfig,
    restorer: Restorer,
    head: Head,
    work_dir: Path,
    device: torch.device | str = "cpu",
    translator: Translator | None = None,
) -> Taught:
    """Pseudo-labels and caches of both sets; the first process makes the caches, the others find them.

    Args:
        config: the whole training.
        restorer: frozen.
        head: frozen.
        work_dir: for the caches, unless the config names another folder.
        device: where the frozen parts run.
        translator: of the round before; the labels are of its images then.
    """
    cache_dir = Path(config.teacher.cache_dir) if config.teacher.cache_dir else work_dir / "cache"
    teacher = build_teacher(config, restorer, head, cache_dir, device, translator)
    for turn_of_first in (True, False):
        with distributed.together():
            if distributed.is_first() is turn_of_first:
                taught = taught_by(teacher, config, build_data(config.degraded), build_data(config.clean))
    return taught


def build_teacher(
    config: TrainConfig,
    restorer: Restorer,
    head: Head,
    cache_dir: Path,
    device: torch.device | str = "cpu",
    translator: Translator | None = None,
) -> Teacher:
    """The teacher of a config, with the translator of the round before if there was one.

    Raises:
        ConfigError: if an alignment is wanted of a head that cannot.
    """
    settings = config.teacher
    if settings.align and not head.aligns:
        raise ConfigError(
            "teacher.align=True needs a head that keeps the probability of every class, and "
            f"{head.weights_name} is for {head.task}: set teacher.align=False"
        )
    score = 0.0 if settings.align else settings.score  # which labels are sure is seen after the alignment
    return Teacher(restorer, head, config.size, cache_dir, score, settings.iou, settings.batch_size, device, translator)


def taught_by(teacher: Teacher, config: TrainConfig, degraded_set: ImageSet, clean_set: ImageSet) -> Taught:
    """What a teacher says of these two sets, by the settings of a config."""
    settings, head = config.teacher, teacher.head
    sources = ("original",) if settings.oracle else tuple(settings.sources)
    if teacher.translator is not None:
        sources = ("translated",)
    clean, degraded = teacher.study_all([(clean_set, ("image",)), (degraded_set, sources)])
    risk = _fitted_risk(config, clean, len(head.classes)) if settings.nuq else None
    align: Align | None = None
    if settings.align:
        reference = [clean.source("image", i).found for i in range(len(clean))]
        align = partial(head.align, reference=reference, score=settings.score)
    labels = label_degraded(degraded, head, risk, settings.epsilon, settings.iou, align)
    return Taught(degraded, labels, clean, label_clean(clean, risk, align), risk, align)


def _fitted_risk(config: TrainConfig, clean: TeacherStore, classes: int) -> NUQ | None:
    """The risk estimate; a clean set too small for one stops only a training that would use it."""
    settings = config.teacher
    in_use = settings.epsilon < 1 or config.objective.uncertainty != "none"
    try:
        risk = fit_risk(clean, classes, settings.dims, settings.neighbours)
    except DataError as error:
        if in_use:
            raise DataError(f"{error}; or set teacher.nuq=False") from error
        log.warning("no risk estimate: %s", error)
        return None
    if in_use and risk.ranks < FEW_RANKS:
        log.warning(
            "the risk is a rank among %d predictions on clean images, and below %d a quantile such as teacher.epsilon "
            "means little: give more clean images, or lower teacher.score (%s)",
            risk.ranks, FEW_RANKS, settings.score,
        )  # fmt: skip
    return risk


def build_trainer(
    config: TrainConfig,
    translator: Translator,
    head: Head,
    taught: Taught,
    work_dir: Path,
    device: torch.device | str = "cpu",
) -> Trainer:
    """The trainer of a config, at its first step and without hooks."""
    sizes = taught.degraded.sizes, taught.clean.sizes
    plan = BatchPlan(*sizes, config.optim.batch_size, config.seed, head.pads)
    return Trainer(
        VaTObjective(translator, head, config.objective, config.seed),
        Batches(taught.degraded, taught.degraded_labels, taught.clean, taught.clean_labels, plan),
        config.optim,
        work_dir,
        record={**config.record(), STUDIED: {"degraded": taught.degraded.key, "clean": taught.clean.key}},
        checkpoint_every=config.checkpoint_every,
        device=device,
    )


def train(
    config: TrainConfig, work_dir: Path, resume: bool = False, device: torch.device | str = "cpu"
) -> tuple[Pipeline, Path]:
    """Train a translator, in as many rounds as the config says.

    Args:
        config: the whole training.
        work_dir: checkpoints, logs, scores and the bundle go here; those of rounds before the last into folders in it.
        resume: go on from the last checkpoint in it.
        device: where to train.

    Returns:
        The trained pipeline and the path of its bundle.

    Raises:
        TrainingError: if a loss is not finite.
        ConfigError: if there is a training in ``work_dir`` already and it is not to be resumed, or a round in it had
            other settings.
    """
    config = replace(config, optim=config.optim.on(device))  # what is recorded, and compared by a resumed training
    folders = _folders(config, work_dir)
    with distributed.together():
        _check_work_dir(config, work_dir, resume)
    restorer, head = build_frozen(config, device)  # on its own: ultralytics has a barrier in its import
    translator: Translator | None = None
    for number, folder in enumerate(folders, start=1):
        if resume and folder != work_dir and (bundle := folder / f"{config.name}.tdir").exists():
            translator = reopened(config, bundle, head, device).translator
            continue
        if len(folders) > 1:
            log.info("round %d of %d", number, len(folders))
        taught = ask_teacher(config, restorer, head, work_dir, device, translator)
        pipeline, bundle = _train(config, restorer, head, taught, folder, resume and (folder / LAST).exists(), device)
        translator = pipeline.translator
    return pipeline, bundle


def begun(config: TrainConfig, work_dir: Path) -> list[Path]:
    """The checkpoints of a training that are there already, that of its latest round last."""
    return [folder / LAST for folder in _folders(config, work_dir) if (folder / LAST).exists()]


def _folders(config: TrainConfig, work_dir: Path) -> list[Path]:
    """The work dirs of the rounds of a training, the whole training's own last."""
    return [*(work_dir / f"round-{number}" for number in range(1, config.teacher.rounds)), work_dir]


def reopened(config: TrainConfig, bundle: Path, head: Head, device: torch.device | str = "cpu") -> Pipeline:
    """The pipeline of a bundle that a config made.

    Raises:
        ConfigError: if the bundle was trained with other settings.
    """
    pipeline = load(bundle, head=head, device=device)
    if not config.made(pipeline.trained["config"]):
        raise ConfigError(
            f"{bundle} was trained with other settings than {config.name} has now: remove {bundle.parent}"
        )
    return pipeline


def _train(
    config: TrainConfig,
    restorer: Restorer,
    head: Head,
    taught: Taught,
    work_dir: Path,
    resume: bool,
    device: torch.device | str,
) -> tuple[Pipeline, Path]:
    """One round."""
    torch.manual_seed(config.seed)  # the initial weights; the order of images and lambda have keys of their own
    translator = parts.build_part("translator", config.translator)
    pipeline = Pipeline(restorer, translator, head, config.size)
    pipeline.trained = {"config": portable(config.record())}
    trainer = build_trainer(config, translator, head, taught, work_dir, device)
    with distributed.together():
        if distributed.is_first():
            trainer.hooks = [ScalarLog(work_dir), Validation(pipeline, config, work_dir)]
        if resume:
            trainer.resume()
    trainer.fit()
    bundle = work_dir / f"{config.name}.tdir"
    translator.load_state_dict(trainer.averaged_translator())
    with distributed.together():
        if distributed.is_first():
            pipeline.save(bundle)
            (work_dir / "config.json").write_text(json.dumps(config.record(), indent=2))
            log.info("wrote %s", bundle)
    trainer.end()
    return pipeline, bundle


def _check_work_dir(config: TrainConfig, work_dir: Path, resume: bool) -> None:
    """Find out before the teacher's work whether there is what to resume, or what would be overwritten."""
    checkpoints = begun(config, work_dir)
    if resume:
        load_checkpoint(checkpoints[-1] if checkpoints else work_dir / LAST)
    elif checkpoints and distributed.is_first():
        raise ConfigError(f"{checkpoints[-1]} is a training already: add --resume, or give another --work-dir")
    for folder in _folders(config, work_dir):
        folder.mkdir(parents=True, exist_ok=True)
