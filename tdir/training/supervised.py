"""The plain loop for the parts around a translator: a module, a loss for every step, and nothing to resume."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from tqdm import tqdm

from tdir.errors import ConfigError, TrainingError
from tdir.training.optim import PRECISIONS, Average, OptimSettings

log = logging.getLogger("tdir")
_TOLD_EVERY = 100  # steps, where no progress bar is shown


def fit(
    module: nn.Module, loss_of: Callable[[int], Tensor], settings: OptimSettings, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Train a module for ``settings.steps``.

    Args:
        module: its parameters that require a gradient are trained.
        loss_of: the loss of a step, from 0.
        settings: optimiser and schedule; fp16 is not supported.
        device: where the module is.

    Returns:
        The averaged weights.

    Raises:
        TrainingError: if a loss is not finite.
    """
    steps, precision = settings.steps or 0, PRECISIONS[settings.on(device).precision]
    kind = torch.device(device).type
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.lr, weight_decay=settings.weight_decay)
    average = Average(module, settings.ema)
    bar = tqdm(range(steps), desc="train", unit="step", disable=None)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate(step, steps)
        with torch.autocast(kind, precision, enabled=precision is not None):
            loss = loss_of(step)
        if not torch.isfinite(loss):
            raise TrainingError(f"the loss is {loss.item()} at step {step}: lower optim.lr ({settings.lr})")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, settings.clip)
        optimizer.step()
        average.update(module, step + 1)
        bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
        if bar.disable and (step + 1) % _TOLD_EVERY == 0:
            log.info("step %d of %d: loss %.4f", step + 1, steps, loss.item())
    return average.state


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision, as ultralytics writes its own too: half the file, the same predictions."""
    return {
        name: (value.half() if value.is_floating_point() else value).contiguous() for name, value in weights.items()
    }


def check_steps(settings: OptimSettings) -> None:
    """Raise a ConfigError unless :func:`fit` takes these settings."""
    if settings.steps is None or settings.precision == "fp16":
        raise ConfigError(
            f"such a training is one of optim.steps in fp32, bf16 or auto, got steps={settings.steps}, "
            f"precision={settings.precision!r}"
        )
