"""Restorers trained on pairs that tdir makes itself: the weights that come with it, and a user's own.

No paper's recipe: every network learns to undo a degradation, and to leave a clean image alone, by the same loss.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from tdir import parts
from tdir.data.degradations import Degraded
from tdir.data.images import Pixels, resize_longest, to_tensor
from tdir.errors import ConfigError, DataError
from tdir.evaluation import readable
from tdir.ranges import COUNT, NATURAL, SHARE
from tdir.report.records import environment, portable
from tdir.restorers.base import Restorer
from tdir.training.config import build_data, checked, read_config
from tdir.training.optim import OptimSettings
from tdir.training.supervised import check_steps, fit
from tdir.weights import sha256

log = logging.getLogger("tdir")
_RANGES = {"size": COUNT, "crop": COUNT, "left_alone": SHARE, "seed": NATURAL}

Pair = tuple[Pixels, Pixels]
"""An image, degraded and clean."""


@dataclass
class RestorerConfig:
    """A training of a restorer, with the names that a config file uses.

    Args:
        restorer: ``{"type": name, ...}``; with "weights" the training starts from them.
        pairs: clean images with the "degradation" to undo, as "degraded" of a translator's training.
        val: the same, of images that the training does not see.
        size: the longest side that images are reduced to after the degradation, pixels.
        crop: the side of the squares that are trained on, pixels.
        left_alone: the share of squares, in [0, 1], that are clean and have to stay as they are.
        optim: optimiser and schedule.
        seed: of the initial weights and of what is drawn.
        name: of the weight file.

    Raises:
        ConfigError: if a value is out of range, or ``pairs`` or ``val`` names no degradation.
    """

    restorer: dict[str, Any]
    pairs: dict[str, Any]
    val: dict[str, Any]
    size: int = 320
    crop: int = 128
    left_alone: float = 0.25
    optim: OptimSettings = field(default_factory=lambda: OptimSettings(steps=3000, batch_size=8))
    seed: int = 0
    name: str = "restorer"

    def __post_init__(self) -> None:
        for name, allowed in _RANGES.items():
            allowed.check(name, getattr(self, name))
        for name in ("pairs", "val"):
            if "degradation" not in getattr(self, name):
                raise ConfigError(f"{name} needs a 'degradation', of which the restorer is to be trained, got none")
        check_steps(self.optim)

    @classmethod
    def from_file(cls, path: str | Path, options: Mapping[str, Any] | None = None) -> RestorerConfig:
        """A config file, with ``options`` such as ``{"optim.lr": 1e-4}`` on top.

        Raises:
            ConfigError: if the file is missing, or holds a wrong name or value.
        """
        return checked(cls, read_config(path, options))


def build_trainable(settings: Mapping[str, Any]) -> Restorer:
    """A restorer whose weights may move; its batch norm stays in eval, as it will be used.

    Raises:
        ConfigError: if it has no weights that could be trained.
    """
    restorer = parts.build_part("restorer", settings)
    if restorer.is_code or not list(restorer.parameters()):
        raise ConfigError(f"restorer {settings['type']!r} has no weights of tdir's that could be trained")
    restorer.requires_grad_(True)
    return restorer


def read_pairs(settings: Mapping[str, Any], size: int, least: int = 1) -> list[Pair]:
    """Every image of a set, degraded at native size and clean, both reduced to ``size``.

    Args:
        settings: of the set, with a "degradation".
        size: the longest side, pixels.
        least: images with a shorter side than this are left out.

    Raises:
        DataError: if more than 1 % of the images cannot be read, or none is large enough.
    """
    data_set, _ = readable(build_data(settings))
    assert isinstance(data_set, Degraded)
    pairs = []
    for i in tqdm(range(len(data_set)), desc="pairs", unit="image", disable=None):
        pair = resize_longest(data_set.image(i), size), resize_longest(data_set.data_set.image(i), size)
        if min(pair[0].shape[:2]) >= least:
            pairs.append(pair)
    if not pairs:
        raise DataError(f"no image of {len(data_set)} is {least} pixels wide and high at size {size}: lower crop")
    if len(pairs) < len(data_set):
        log.info("%d images are narrower than a crop of %d and left out", len(data_set) - len(pairs), least)
    return pairs


def batch(pairs: list[Pair], config: RestorerConfig, step: int) -> tuple[Tensor, Tensor]:
    """What a step is given and what it is to make of it, ``(N, 3, crop, crop)`` each; a function of (seed, step)."""
    rng = np.random.default_rng([config.seed, step])
    drawn = list(_squares(pairs, config, rng))
    return torch.stack([given for given, _ in drawn]), torch.stack([wanted for _, wanted in drawn])


def _squares(pairs: list[Pair], config: RestorerConfig, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    for i in rng.choice(len(pairs), config.optim.batch_size):
        degraded, clean = pairs[i]
        top, left = (int(rng.integers(side - config.crop + 1)) for side in clean.shape[:2])
        window = (slice(top, top + config.crop), slice(left, left + config.crop))
        given = clean if rng.random() < config.left_alone else degraded
        yield to_tensor(given[window]), to_tensor(clean[window])


def train_restorer(config: RestorerConfig, work_dir: Path, device: torch.device | str = "cpu") -> Path:
    """Train a restorer by the mean absolute error.

    Args:
        config: the whole training.
        work_dir: where ``<name>.safetensors`` goes, and ``<name>.json`` with the config and the errors.
        device: where to train.

    Returns:
        The path of the weight file, which ``tdir.restorer(name, weights=...)`` opens.

    Raises:
        ConfigError: if the restorer has nothing to train.
        DataError: if more than 1 % of the images of a set cannot be read.
        TrainingError: if the loss is not finite.
    """
    config = replace(config, optim=config.optim.on(device))  # what is recorded
    torch.manual_seed(config.seed)
    restorer = build_trainable(config.restorer).to(device)
    pairs = read_pairs(config.pairs, config.size, config.crop)

    def loss_of(step: int) -> Tensor:
        given, wanted = (images.to(device) for images in batch(pairs, config, step))
        # Not what forward() gives: a pixel that is clamped would have no gradient to come back by.
        return (restorer.restore(given).float() - wanted).abs().mean()

    restorer.load_state_dict(fit(restorer, loss_of, config.optim, device))
    errors = mean_errors(restorer.to("cpu"), read_pairs(config.val, config.size))
    work_dir.mkdir(parents=True, exist_ok=True)
    file = work_dir / f"{config.name}.safetensors"
    save_file(restorer.state_dict(), file)
    about = {"config": portable(asdict(config)), "sha256": sha256(file), "error": errors, "environment": environment()}
    file.with_suffix(".json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    log.info("error in grey levels of 255: %s", ", ".join(f"{name} {value:.1f}" for name, value in errors.items()))
    return file


@torch.no_grad()
def mean_errors(restorer: Restorer, pairs: list[Pair]) -> dict[str, float]:
    """Mean absolute differences to the clean images, grey levels of 255: "degraded", "restored", "clean restored"."""
    errors: dict[str, list[float]] = {"degraded": [], "restored": [], "clean restored": []}
    for degraded, clean in ((to_tensor(a)[None], to_tensor(b)[None]) for a, b in pairs):
        seen = {"degraded": degraded, "restored": restorer(degraded), "clean restored": restorer(clean)}
        for name, image in seen.items():
            errors[name].append(255 * (image - clean).abs().mean().item())
    return {name: float(np.mean(values)) for name, values in errors.items()}
