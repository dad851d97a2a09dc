"""What looks on while a translator trains: scalars, the four rows, pictures."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from tdir.data.images import resize_longest
from tdir.data.sample import ImageSet
from tdir.errors import DataError
from tdir.evaluation import base_rows, readable, recovered, vat_rows
from tdir.metrics.scores import Scores, names_of, shortly
from tdir.pipeline import Pipeline
from tdir.training.config import TrainConfig, build_data
from tdir.training.loop import Hook, Trainer
from tdir.training.objective import Losses

log = logging.getLogger("tdir")


def duration(seconds: float) -> str:
    """Hours and minutes, or seconds if there is less than a minute."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _keep_until(file: Path, step: int) -> None:
    """Cut a file of JSON lines back to a step: a training that was broken off had come further than its checkpoint."""
    if not file.exists():
        return
    kept = [line for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]
    file.write_text("".join(line for line in kept if json.loads(line)["step"] <= step))


def _warn_of_seen(scored: ImageSet, config: TrainConfig) -> None:
    """Say so if images to score on are trained on too."""
    trained = {file for settings in (config.degraded, config.clean) for file in _files(build_data(settings))}
    if seen := len(trained & _files(scored)):
        log.warning(
            "%d of the %d images in 'val' are training images too: the scores are not those on unseen images",
            seen,
            len(scored),
        )


def _files(data_set: ImageSet) -> set[Path]:
    """The image files, wherever links lead; none for a set that has no files."""
    return {path.resolve() for path in data_set.paths if path.is_file()}


class ScalarLog(Hook):
    """Losses and learning rate, to TensorBoard and as JSON lines; without a terminal, progress to the log.

    Args:
        work_dir: where ``losses.jsonl`` and the event files go.
        every: steps between entries.
    """

    def __init__(self, work_dir: Path, every: int = 10):
        self.every, self.log_dir, self.file = every, work_dir / "tensorboard", work_dir / "losses.jsonl"

    def before_train(self, trainer: Trainer) -> None:
        """Forget what was written of steps that will be made again."""
        _keep_until(self.file, trainer.step)
        self.writer = SummaryWriter(str(self.log_dir), purge_step=trainer.step + 1)
        self.first, self.started = trainer.step, time.perf_counter()

    def after_train_iter(self, trainer: Trainer, losses: Losses) -> None:
        """Write the terms of a step."""
        if trainer.step % self.every:
            return
        if not sys.stderr.isatty() and trainer.step % (5 * self.every) == 0:  # then there is no progress bar
            log.info(self._progress(trainer, losses))
        values = {name: value.item() for name, value in losses.terms.items()} | {"total": losses.total.item()}
        for name, value in values.items():
            self.writer.add_scalar(f"loss/{name}", value, trainer.step)
        self.writer.add_scalar("lr", trainer.optimizer.param_groups[0]["lr"], trainer.step)
        with self.file.open("a") as file:
            file.write(json.dumps({"step": trainer.step, **values}) + "\n")

    def _progress(self, trainer: Trainer, losses: Losses) -> str:
        terms = ", ".join(f"{name} {value.item():.3f}" for name, value in losses.terms.items())
        a_step = (time.perf_counter() - self.started) / (trainer.step - self.first)
        left = duration(a_step * (trainer.steps - trainer.step))
        return f"step {trainer.step} of {trainer.steps}, about {left} left: {terms}"

    def after_train(self, trainer: Trainer) -> None:
        """Close the event file."""
        self.writer.close()


class Validation(Hook):
    """The four rows on the labelled set, and pictures before and after.

    Args:
        pipeline: holds the translator that trains.
        config: names the set, how often, and how many pictures.
        work_dir: where ``validation.jsonl`` and the event files go.

    Raises:
        DataError: if more than 1 % of the labelled images cannot be read.
    """

    def __init__(self, pipeline: Pipeline, config: TrainConfig, work_dir: Path):
        self.pipeline, self.every, self.pictures = pipeline, config.validate_every, config.pictures
        self.data_set: ImageSet | None = None
        self.unreadable: list[str] = []
        if config.val:
            self.data_set, self.unreadable = readable(build_data(config.val))
            _warn_of_seen(self.data_set, config)
        self.shown = self.data_set or build_data(config.degraded)
        # A folder of its own: TensorBoard follows one event file in a folder.
        self.file, self.log_dir = work_dir / "validation.jsonl", work_dir / "tensorboard" / "validation"
        self._base: dict[str, Scores] = {}

    def before_train(self, trainer: Trainer) -> None:
        """Forget what was written of steps that will be made again."""
        ended = trainer.step == trainer.steps  # then the last step is validated anew
        _keep_until(self.file, trainer.step - 1 if ended else trainer.step)

    def after_train_iter(self, trainer: Trainer, losses: Losses) -> None:
        """Validate when it is time."""
        if self.every and trainer.step % self.every == 0 and trainer.step < trainer.steps:
            self.validate(trainer)

    def after_train(self, trainer: Trainer) -> None:
        """Validate what is kept."""
        self.validate(trainer)

    def validate(self, trainer: Trainer) -> None:
        """Score the averaged weights and write rows and pictures."""
        with trainer.average.applied(trainer.objective), SummaryWriter(str(self.log_dir)) as writer:
            for name, picture in self._drawn():
                writer.add_image(f"before and after/{name}", picture, trainer.step, dataformats="HWC")
            if self.data_set is None:
                return
            self._base = self._base or base_rows(self.pipeline, self.data_set)
            rows = {**self._base, **vat_rows(self.pipeline, self.data_set)}
            for name, scores in rows.items():
                writer.add_scalar(f"{scores.TAG}/{name}", scores.main, trainer.step)
            self._report(rows, trainer.step)

    def _drawn(self) -> Iterator[tuple[str, np.ndarray]]:
        """Degraded images beside what the head sees of them, ``(H, 2 W, 3)`` uint8, by name."""
        for i in range(min(self.pictures, len(self.shown))):
            try:
                image = resize_longest(self.shown.image(i), self.pipeline.size)
            except DataError as error:
                log.warning("no picture: %s", error)
                continue
            yield self.shown.names[i], np.concatenate([image, self.pipeline.enhance(image)], 1)

    def _report(self, rows: dict[str, Scores], step: int) -> None:
        share = recovered(rows)
        told = ", ".join(f"{name} {shortly(scores)}" for name, scores in rows.items())
        names = names_of(next(iter(rows.values())))
        log.info("step %d, %s: %s%s", step, names, told, f"; recovered {share:.0%}" if share is not None else "")
        entry = {"step": step, "recovered": share, "unreadable": self.unreadable}
        with self.file.open("a") as file:
            file.write(json.dumps(entry | {name: scores.as_dict() for name, scores in rows.items()}) + "\n")
