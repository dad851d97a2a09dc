"""Heads trained on a labelled data set of tdir's: the small ones of the built-in scenes, or a user's.

They are what translators are trained in front of, not a part of VaT: clean images, with their labels.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.evaluation import evaluate, readable
from tdir.heads.base import Head
from tdir.metrics.scores import names_of, shortly
from tdir.pipeline import Pipeline
from tdir.ranges import COUNT, NATURAL
from tdir.registry import closest
from tdir.report.records import environment, portable, portable_command
from tdir.restorers.identity import Identity
from tdir.training.by_openclip import OpenCLIPTraining
from tdir.training.by_smp import SMPTraining
from tdir.training.by_torchvision import TorchvisionTraining
from tdir.training.by_ultralytics import UltralyticsTraining
from tdir.training.config import build_data, checked, read_config
from tdir.weights import find, sha256

log = logging.getLogger("tdir")
BY = {
    "ultralytics": UltralyticsTraining,
    "torchvision": TorchvisionTraining,
    "smp": SMPTraining,
    "open_clip": OpenCLIPTraining,
}
"""Name -> how a library's networks are trained."""


@dataclass
class HeadConfig:
    """A training of a head, with the names that a config file uses.

    Args:
        by: ``{"type": a key of :data:`BY`, ...}`` with the settings of that training, see :data:`BY`.
        train: labelled images, as "val" of a translator's training.
        val: the same, of images that the training does not see.
        size: the longest side, pixels.
        seed: of the initial weights and the order of images.
        name: of the weight file.

    Raises:
        ConfigError: if a name is unknown or a value is out of range.
    """

    by: UltralyticsTraining | TorchvisionTraining | SMPTraining | OpenCLIPTraining
    train: dict[str, Any]
    val: dict[str, Any]
    size: int = 320
    seed: int = 0
    name: str = "head"

    def __post_init__(self) -> None:
        COUNT.check("size", self.size)
        NATURAL.check("seed", self.seed)

    @classmethod
    def from_file(cls, path: str | Path, options: Mapping[str, Any] | None = None) -> HeadConfig:
        """A config file, with ``options`` such as ``{"by.epochs": 3}`` on top.

        Raises:
            ConfigError: if the file is missing, or holds a wrong name or value.
        """
        values = read_config(path, options)
        by = dict(values.get("by") or {})
        kind = by.pop("type", None)
        if kind not in BY:
            raise ConfigError(f"{path}: by is a table with a 'type', got {kind!r}: {closest(str(kind), BY)}")
        return checked(cls, {**values, "by": checked(BY[kind], by, "by")})


def train_head(config: HeadConfig, work_dir: Path, device: torch.device | str = "cpu") -> Path:
    """Train a head, and score it on ``val``.

    Args:
        config: the whole training.
        work_dir: where the weights go, ``<name>.pt``, ``.pth`` or ``.safetensors``, and ``<name>.json`` with the
            command, the config, the scores, how long the training took, and the sha256 of the weights and of those
            that an encoder began with.
        device: where to train.

    Returns:
        The path of the weight file: the averaged weights after the last step.

    Raises:
        ConfigError: if the library is not installed, or does not know the model or an option.
        DataError: if more than 1 % of the images of a set cannot be read, or there are no labels.
        TrainingError: if a loss is not finite.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    if not isinstance(config.by, UltralyticsTraining):  # whose settings are its own
        config = replace(config, by=replace(config.by, optim=config.by.optim.on(device)))  # what is recorded
    sets = {split: readable(build_data(getattr(config, split)))[0] for split in ("train", "val")}
    file = work_dir / f"{config.name}{config.by.suffix}"
    started = time.perf_counter()
    config.by.train(sets, config.size, config.seed, file, device)
    seconds = round(time.perf_counter() - started)
    head = config.by.head(file, sets["train"].classes).to(device)
    record = {**_record(config, head, sets["val"]), "seconds": seconds, "sha256": sha256(file)}
    file.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return file


def _record(config: HeadConfig, head: Head, val: ImageSet) -> dict[str, Any]:
    scores = evaluate(Pipeline(Identity(), None, head, config.size), val)
    log.info("%s %s on %d images", names_of(scores), shortly(scores), len(val))
    began_with = {
        name: sha256(find(value)) for name, value in vars(config.by).items() if name.endswith("_weights") and value
    }
    return {
        "command": portable_command(sys.argv),
        "config": portable(asdict(config)),
        "began_with": began_with,
        "scores": scores.as_dict(),
        "environment": environment(),
    }
