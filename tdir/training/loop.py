"""The training loop.

Not mmengine's Runner: that one keeps no random state, re-reads every past batch to resume, insists on CUDA for mixed
precision, copies the frozen head into every checkpoint and needs a GPU to launch several processes. Here every batch
is a function of (seed, step), so that a loop of a page resumes bit for bit.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from tdir import distributed
from tdir.errors import ConfigError, TrainingError
from tdir.training.batches import Batch, Batches
from tdir.training.checkpoint import LAST, load_checkpoint, save_checkpoint
from tdir.training.objective import Losses, VaTObjective
from tdir.training.optim import PRECISIONS, Average, OptimSettings

log = logging.getLogger("tdir")
STUDIED = "studied"
"""In a record: a key of the images of each set, the frozen weights and the teacher's settings."""
_PLACES = ("root", "weights", "cache_dir")  # what lies there is in these keys, and may be moved
_LOOKS_ON = ("val", "validate_every", "checkpoint_every", "pictures", "name")  # settings that no weight depends on


class Hook:
    """Something that looks on, on the first process; the names are mmengine's, and each does nothing by itself."""

    def before_train(self, trainer: Trainer) -> None:
        """Called before the first step, of a resumed training too."""

    def after_train_iter(self, trainer: Trainer, losses: Losses) -> None:
        """Called after every step."""

    def after_train(self, trainer: Trainer) -> None:
        """Called at the end, when the bundle is written."""


class Trainer:
    """Trains a translator.

    Args:
        objective: the translator, its inverse and the losses.
        batches: where batches come from.
        settings: optimiser, schedule, precision.
        work_dir: where checkpoints go.
        record: how the training was set up; a resume with another one is refused.
        hooks: who looks on; none but on the first process.
        checkpoint_every: steps between checkpoints.
        device: where to train.

    Raises:
        ConfigError: if fp16 is asked for on a CPU.
    """

    def __init__(
        self,
        objective: VaTObjective,
        batches: Batches,
        settings: OptimSettings,
        work_dir: Path,
        record: dict[str, Any] | None = None,
        hooks: Sequence[Hook] = (),
        checkpoint_every: int = 250,
        device: torch.device | str = "cpu",
    ):
        self.device = torch.device(device)
        if settings.precision == "fp16" and self.device.type == "cpu":
            raise ConfigError("precision 'fp16' needs a GPU: use 'bf16' on a CPU")
        self.objective, self.batches, self.settings = objective.to(self.device), batches, settings.on(self.device)
        self.work_dir, self.hooks = Path(work_dir), list(hooks)
        self.checkpoint_every = checkpoint_every
        self.world = distributed.world_size()
        self.record = {**(record or {}), "processes": self.world}
        per_epoch = -(-batches.plan.steps_per_epoch // self.world)
        self.steps = settings.steps if settings.steps is not None else (settings.epochs or 0) * per_epoch
        self.step = 0
        self.optimizer = torch.optim.AdamW(objective.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "fp16")
        self.average = Average(objective, settings.ema)
        self._model: nn.Module = DistributedDataParallel(objective) if self.world > 1 else objective

    def fit(self) -> None:
        """Train from where it stands to the last step.

        Raises:
            TrainingError: if a loss or a gradient is not finite; the last checkpoint stays as it was.
        """
        first = distributed.is_first()
        with distributed.together():
            for hook in self.hooks:
                hook.before_train(self)
        with tqdm(
            total=self.steps, initial=self.step, desc="train", unit="step", disable=None if first else True
        ) as bar:
            while self.step < self.steps:
                losses = self._train_step()
                self.step += 1
                self.average.update(self.objective, self.step)
                with distributed.together():
                    self._look_on(losses, first)
                if first:
                    bar.set_postfix(
                        {name: f"{value.item():.3f}" for name, value in losses.terms.items()}, refresh=False
                    )
                bar.update()

    def _look_on(self, losses: Losses, first: bool) -> None:
        # The checkpoint before the hooks: one that fails, on a damaged validation image for instance, costs no step.
        if first and (self.step % self.checkpoint_every == 0 or self.step == self.steps):
            self.save()
        for hook in self.hooks:
            hook.after_train_iter(self, losses)

    def end(self) -> None:
        """Tell the hooks that it is over; apart from ``fit``, so that what is trained can be saved first."""
        with distributed.together():
            for hook in self.hooks:
                hook.after_train(self)

    def _train_step(self) -> Losses:
        number = self.step * self.world + distributed.rank()  # no two processes draw the same images or lambdas
        batch = self.batches[number].to(self.device)
        rate = self.settings.learning_rate(self.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.objective.train()
        precision = PRECISIONS[self.settings.precision]
        with torch.autocast(self.device.type, precision, enabled=precision is not None):
            losses: Losses = self._model(batch, number)
        self._check_finite(losses.total, "loss", batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(losses.total).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.settings.clip)
        if not self.scaler.is_enabled():  # fp16 skips such a step by itself and lowers its scale
            self._check_finite(norm, "gradient", batch)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < 1:
            self._check_finite(norm * math.inf, "gradient in fp16, at any scale,", batch)
        return losses

    def _check_finite(self, value: torch.Tensor, what: str, batch: Batch) -> None:
        with distributed.together():
            if torch.isfinite(value):
                return
            raise TrainingError(
                f"the {what} is {value.item()} at step {self.step}, on {', '.join(batch.names)}; the last checkpoint "
                f"in {self.work_dir} is intact: look at these images, lower lr, or train with precision='fp32'"
            )

    def averaged_translator(self) -> dict[str, torch.Tensor]:
        """The averaged weights of the translator, which are what is kept."""
        prefix = "translator."
        return {n.removeprefix(prefix): v for n, v in self.average.state.items() if n.startswith(prefix)}

    def save(self) -> None:
        """Write ``last.pth``; the frozen parts are not in it."""
        state = {
            "step": self.step,
            "objective": self.objective.state_dict(),
            "average": self.average.state,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
        }
        save_checkpoint(self.work_dir / LAST, state, self.record)

    def resume(self) -> None:
        """Go on from ``last.pth``.

        Raises:
            WeightsError: if it cannot be read.
            ConfigError: if it comes from a training set up otherwise.
        """
        state = load_checkpoint(self.work_dir / LAST)
        differing = _differences(state["record"], self.record)
        if differing:
            raise ConfigError(
                f"{self.work_dir / LAST} was trained with other settings ({'; '.join(differing)}): resume with the "
                "same ones, or use another --work-dir"
            )
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.average.state = {name: value.to(self.device) for name, value in state["average"].items()}
        self.step = state["step"]
        torch.set_rng_state(state["random"])
        log.info("resumed at step %d of %d", self.step, self.steps)


def _differences(stored: str, record: dict[str, Any]) -> list[str]:
    old, new = _flat(json.loads(stored)), _flat(json.loads(json.dumps(record)))
    names = sorted(
        name
        for name in old.keys() | new.keys()
        if name.split(".")[0] not in _LOOKS_ON and name.split(".")[-1] not in _PLACES
    )
    differing = [name for name in names if old.get(name) != new.get(name)]
    settings = [f"{name}={old.get(name)}, now {new.get(name)}" for name in differing if not name.startswith(STUDIED)]
    sets = [name.split(".")[1] for name in differing if name.startswith(STUDIED)]
    # A setting of the teacher or of the data changes the keys too, and says more.
    others = f"the {' and the '.join(sets)} images, or the weights of the frozen parts, are others"
    return settings or ([others] if sets else [])


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
