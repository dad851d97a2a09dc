"""Learning rate, averaging and precision of a training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from tdir.errors import ConfigError
from tdir.ranges import COUNT, NATURAL, NOT_NEGATIVE, POSITIVE, SHARE, Range

_RANGES = {
    "batch_size": COUNT,
    "lr": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "warmup": NATURAL,
    "last_lr": SHARE,
    "clip": POSITIVE,
    "ema": Range(0, 1, with_most=False),
}
AUTO = "auto"
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class OptimSettings:
    """How the weights move.

    Args:
        steps: optimiser steps; or give ``epochs`` over the degraded set.
        epochs: instead of ``steps``.
        batch_size: degraded images in a step, with as many clean ones, on every process.
        lr: peak learning rate of AdamW.
        weight_decay: of AdamW.
        warmup: steps from 0 to the peak.
        last_lr: the share of the peak that the cosine ends at.
        schedule: "cosine" or, as in the paper, "constant".
        clip: the largest gradient norm.
        ema: decay of the averaged weights, which are what is kept; 0 keeps the last ones.
        precision: "fp32", "bf16", "fp16" (GPU only), or "auto" for bf16 where it is fast and fp32 elsewhere.

    Raises:
        ConfigError: if a value is out of range.
    """

    steps: int | None = 1000
    epochs: int | None = None
    batch_size: int = 6
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 100
    last_lr: float = 0.02
    schedule: str = "cosine"
    clip: float = 1.0
    ema: float = 0.995
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ConfigError(
                f"give steps or epochs, and None for the other, got steps={self.steps}, epochs={self.epochs}"
            )
        length = "epochs" if self.steps is None else "steps"
        for name, allowed in {length: COUNT, **_RANGES}.items():
            allowed.check(f"optim.{name}", getattr(self, name))
        if self.precision not in (AUTO, *PRECISIONS):
            raise ConfigError(f"precision must be one of {', '.join((AUTO, *PRECISIONS))}, got {self.precision!r}")
        if self.schedule not in ("cosine", "constant"):
            raise ConfigError(f"schedule must be 'cosine' or 'constant', got {self.schedule!r}")

    def on(self, device: torch.device | str) -> OptimSettings:
        """These settings with the precision that "auto" stands for on a device."""
        return replace(self, precision=_fast_precision(torch.device(device))) if self.precision == AUTO else self

    def learning_rate(self, step: int, steps: int) -> float:
        """The learning rate of a step of a training of ``steps``."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.schedule == "constant":
            return self.lr
        progress = (step - self.warmup) / max(1, steps - self.warmup)
        return self.lr * (self.last_lr + (1 - self.last_lr) * 0.5 * (1 + math.cos(math.pi * progress)))


def _fast_precision(device: torch.device) -> str:
    """bf16 on a GPU from Ampere on and on a CPU with AMX; other CPUs are slower in it than in fp32, or emulate it."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "fp32"


class Average:
    """Exponential moving average of a module's weights, with a short memory at first.

    Args:
        module: what is averaged.
        decay: the weight of the past, in [0, 1); 0 follows the module.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """The module with the averaged weights, and its own ones afterwards."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.state)
        try:
            yield
        finally:
            module.load_state_dict(own)
