"""What each stage of a pipeline costs, and how much memory the process took."""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tdir.data.images import Pixels
from tdir.pipeline import Pipeline

REST = "the rest"
"""Sizes, padding, boxes: what is no part of the pipeline."""


def stage_times(pipeline: Pipeline, images: Sequence[Pixels], rounds: int = 3) -> dict[str, Any]:
    """How long a prediction takes, one image at a time, stage by stage.

    Args:
        pipeline: predicts.
        images: ``(H, W, 3)`` uint8 RGB; one is predicted on before, unmeasured.
        rounds: how often each is predicted on.

    Returns:
        "milliseconds" of an image, the median, for "restorer", "translator" where there is one, "head" and
        :data:`REST`; "device", and how many "images".
    """
    parts = {"restorer": pipeline.restorer, "translator": pipeline.translator, "head": pipeline.head}
    present: dict[str, nn.Module] = {name: part for name, part in parts.items() if part is not None}
    device = next(pipeline.head.parameters()).device
    seconds: dict[str, list[float]] = {name: [] for name in [*present, REST]}
    pipeline.predict(images[0])
    for image in [*images] * rounds:
        with _timed(present, device) as spent:
            start = _now(device)
            pipeline.predict(image)
            whole = _now(device) - start
        for name, value in {**spent, REST: whole - sum(spent.values())}.items():
            seconds[name].append(value)
    medians = {name: round(1000 * statistics.median(values), 2) for name, values in seconds.items()}
    return {"milliseconds": medians, "device": device.type, "images": len(images)}


def peak_memory() -> dict[str, int]:
    """The most memory that this process has held, MB: "process" (not on Windows), "gpu" if it used one."""
    found = {}
    if sys.platform != "win32":
        resource = importlib.import_module("resource")
        unit = 2**20 if sys.platform == "darwin" else 2**10
        found["process"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        found["gpu"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return found


def speed_sentence(record: Mapping[str, Any]) -> list[str]:
    """What "speed" and "memory" of a record say, in a sentence, where they are there."""
    speed, memory = record.get("speed"), record.get("memory")
    if speed is None or memory is None:
        return []
    stages = ", ".join(f"{name} {value:.1f}" for name, value in speed["milliseconds"].items())
    total = sum(speed["milliseconds"].values())
    held = ", ".join(f"{amount:,} MB of {name} memory" for name, amount in memory.items())
    said = f"An image at a time on {speed['device']}: {stages}; {total:.1f} milliseconds in all."
    return [f"{said} At most {held}." if held else said]


@contextmanager
def _timed(parts: Mapping[str, nn.Module], device: torch.device) -> Iterator[dict[str, float]]:
    """Seconds that every part spends in its forward passes while the block runs."""
    spent = dict.fromkeys(parts, 0.0)
    started: dict[str, float] = {}
    handles = []
    for name, part in parts.items():

        def before(module: nn.Module, given: Any, name: str = name) -> None:
            started[name] = _now(device)

        def after(module: nn.Module, given: Any, result: Any, name: str = name) -> None:
            spent[name] += _now(device) - started[name]

        handles += [part.register_forward_pre_hook(before), part.register_forward_hook(after)]
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


def _now(device: torch.device) -> float:
    """Seconds, after all that the device was given is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
