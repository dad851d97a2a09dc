"""Detectors trained by a plain loop on torchvision's networks and losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from tqdm import tqdm

from tdir import parts
from tdir.data.images import resize_longest
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.heads._retinanet import ARCHITECTURES
from tdir.heads.base import Head
from tdir.registry import closest
from tdir.training.optim import OptimSettings
from tdir.training.supervised import check_steps, fit, halved

Example = tuple[Tensor, dict[str, Tensor]]
"""An image ``(3, H, W)`` uint8, and its "boxes" and "labels" as torchvision's losses take them."""


@dataclass
class TorchvisionTraining:
    """A RetinaNet from the first weights; images are kept in memory at the training's size, and mirrored by chance.

    Args:
        model: one of ``tdir.heads._retinanet.ARCHITECTURES``.
        optim: optimiser and schedule.

    Raises:
        ConfigError: if the model is unknown, or ``optim`` names epochs or fp16.
    """

    model: str
    optim: OptimSettings = field(default_factory=lambda: OptimSettings(steps=2000, batch_size=8))

    suffix = ".pth"

    def __post_init__(self) -> None:
        if self.model not in ARCHITECTURES:
            raise ConfigError(f"torchvision has no RetinaNet {self.model!r}: {closest(str(self.model), ARCHITECTURES)}")
        check_steps(self.optim)

    def train(self, sets: Mapping[str, ImageSet], size: int, seed: int, file: Path, device: torch.device | str) -> None:
        """Train on ``sets["train"]`` at a longest side of ``size``, and write the averaged weights to ``file``.

        Raises:
            DataError: if the set has no labels.
        """
        torch.manual_seed(seed)
        examples = [_example(sets["train"], i, size) for i in tqdm(range(len(sets["train"])), "reading", disable=None)]
        network = ARCHITECTURES[self.model].build(len(sets["train"].classes))
        normal = network.transform
        # The longest side stays as it is.
        network.transform = GeneralizedRCNNTransform(size, size, normal.image_mean, normal.image_std)
        network.to(device).train()

        def loss_of(step: int) -> Tensor:
            rng = np.random.default_rng([seed, step])
            drawn = [examples[i] for i in rng.choice(len(examples), self.optim.batch_size)]
            images, targets = zip(*(_mirrored(*one) if rng.random() < 0.5 else one for one in drawn))
            losses = network(
                [image.to(device).float() / 255 for image in images],
                [{name: value.to(device) for name, value in target.items()} for target in targets],
            )
            return torch.stack(list(losses.values())).sum()

        torch.save(halved(fit(network, loss_of, self.optim, device)), file)

    def head(self, file: Path, classes: list[str]) -> Head:
        """The trained detector as a head, whose file holds tensors only."""
        return parts.head("retinanet", file, names=classes)


def _example(data_set: ImageSet, index: int, size: int) -> Example:
    sample = data_set[index]
    image = resize_longest(sample.image, size)
    height, width = (after / before for after, before in zip(image.shape[:2], sample.image.shape[:2], strict=True))
    truth = sample.objects().scaled(width, height)
    return torch.from_numpy(image).permute(2, 0, 1), {"boxes": truth.boxes, "labels": truth.labels}


def _mirrored(image: Tensor, target: dict[str, Tensor]) -> Example:
    left, top, right, bottom = target["boxes"].unbind(1)
    width = image.shape[2]
    return image.flip(2), {**target, "boxes": torch.stack([width - right, top, width - left, bottom], 1)}
