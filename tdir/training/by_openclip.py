"""Small CLIPs of open_clip, trained from the first weights on labelled images by a plain loop."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from tdir import parts
from tdir.data.images import PAD_VALUE, resize_longest, to_tensor, to_uint8
from tdir.data.sample import ImageSet
from tdir.errors import DataError
from tdir.heads import _clip
from tdir.heads.base import Head
from tdir.ranges import SHARE
from tdir.structures import ClassScores
from tdir.training.optim import OptimSettings
from tdir.training.supervised import check_steps, fit, halved

_SHARPEST = math.log(100)  # CLIP's bound of the logits' scale
_GREY = round(PAD_VALUE * 255)
_PADDED = 8  # the share of a side by which a crop may miss: 4 pixels of 32, as is usual with CIFAR-10


@dataclass
class OpenCLIPTraining:
    """A CLIP from the first weights; images are kept in memory at the network's size.

    The captions are the class names in a template that every step draws. CLIP's own loss takes every other caption of
    a batch to be wrong, and with few classes most batches hold a caption many times: so an image is compared with the
    caption of every class, once each, and a caption with all images of the batch, of which all that it fits are right
    (UniCL, Yang et al., 2022).

    Every example is mirrored by chance and moved by up to an eighth of its sides, and a square of it is blanked
    (Cutout, DeVries and Taylor, 2017), without which a few thousand images are soon known by heart.

    Args:
        model: a name that open_clip knows, a JSON file of a config, or that as a dict; see head "clip".
        templates: texts with ``{}`` for the name.
        cut: the side of the square, as a share of the shorter side of the image; 0 for none.
        optim: optimiser and schedule.

    Raises:
        ConfigError: if the templates are no such texts, ``cut`` is no share, or ``optim`` names epochs or fp16.
    """

    model: str | dict[str, Any]
    templates: Sequence[str] = _clip.TEMPLATES
    cut: float = 0.5
    optim: OptimSettings = field(default_factory=lambda: OptimSettings(steps=5000, batch_size=64))

    suffix = ".safetensors"

    def __post_init__(self) -> None:
        self.templates = _clip.check_templates(self.templates)
        SHARE.check("by.cut", self.cut)
        check_steps(self.optim)

    def train(self, sets: Mapping[str, ImageSet], size: int, seed: int, file: Path, device: torch.device | str) -> None:
        """Train on ``sets["train"]`` at a longest side of ``size``, and write the averaged weights to ``file``.

        Raises:
            ConfigError: if open_clip is not installed, or cannot build the network.
            DataError: if an image of the set has no class.
        """
        torch.manual_seed(seed)
        described = _clip.described(None, self.model)
        network = _clip.network(described["model_cfg"], "the training")
        prepare = _clip.preprocessing(network, described)
        data = sets["train"]
        examples = [_example(data, i, size, prepare) for i in tqdm(range(len(data)), "reading", disable=None)]
        images, truth = np.stack([image for image, _ in examples]), torch.tensor([label for _, label in examples])
        captions = torch.stack([_clip.tokens(described["model_cfg"], self._captions(t, data)) for t in self.templates])
        mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (prepare.mean, prepare.std))
        # A fifth faster on a CPU.
        network.to(device, memory_format=torch.channels_last).train()
        captions, truth = captions.to(device), truth.to(device)

        def loss_of(step: int) -> Tensor:
            with torch.no_grad():
                network.logit_scale.clamp_(max=_SHARPEST)
            rng = np.random.default_rng([seed, step])
            chosen = rng.choice(len(images), self.optim.batch_size)
            batch = torch.from_numpy(np.stack([_varied(images[i], self.cut, rng) for i in chosen])).to(device)
            pixels = (batch.permute(0, 3, 1, 2).float() / 255 - mean) / std
            seen = network.encode_image(pixels, normalize=True)
            read = network.encode_text(captions[rng.integers(len(captions))], normalize=True)
            return contrast(network.logit_scale.exp() * seen.float() @ read.float().T, truth[chosen])

        weights = fit(network, loss_of, self.optim, device)
        header = {**described, "names": data.classes, "templates": self.templates}
        save_file(halved(weights), file, {_clip.HEADER: json.dumps(header)})

    def head(self, file: Path, classes: list[str]) -> Head:
        """The trained network as a head; its file names the classes and the templates."""
        return parts.head("clip", file)

    def _captions(self, template: str, data: ImageSet) -> list[str]:
        return [template.format(name) for name in data.classes]


def contrast(logits: Tensor, truth: Tensor) -> Tensor:
    """The loss of images against captions and of captions against images.

    Args:
        logits: ``(N, K)``, of each image of a batch with the caption of each class.
        truth: ``(N,)`` int64, the class of each image.

    Returns:
        A scalar: the mean of both, each a mean over the images.
    """
    right = truth[:, None]
    of_captions = logits.log_softmax(0).gather(1, right)
    return F.cross_entropy(logits, truth) / 2 - of_captions.mean() / 2


def _varied(image: np.ndarray, cut: float, rng: np.random.Generator) -> np.ndarray:
    """``(H, W, 3)`` uint8, moved, what comes in being a reflection; mirrored by chance; a square of it grey."""
    height, width = image.shape[:2]
    beside = [(height // _PADDED,) * 2, (width // _PADDED,) * 2]
    padded = np.pad(image, [*beside, (0, 0)], mode="reflect")
    top, left = (int(rng.integers(0, 2 * one, endpoint=True)) for one, _ in beside)
    moved = padded[top : top + height, left : left + width]
    varied = (moved[:, ::-1] if rng.random() < 0.5 else moved).copy()
    half = round(cut * min(height, width) / 2)
    row, column = (int(rng.integers(side)) for side in (height, width))  # its middle: some of it may lie outside
    varied[max(0, row - half) : row + half, max(0, column - half) : column + half] = _GREY
    return varied


def _example(data_set: ImageSet, index: int, size: int, prepare: _clip.Preprocessing) -> tuple[np.ndarray, int]:
    sample = data_set[index]
    if not isinstance(sample.truth, ClassScores) or not sample.truth.scores.any():
        raise DataError(f"{sample.name} has no class, and a CLIP is trained with them")
    image = to_tensor(resize_longest(sample.image, size))
    return to_uint8(prepare.fitted(image[None])[0]), int(sample.truth.embedded_labels)
