"""Segmentation networks of segmentation-models-pytorch, trained by a plain loop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from tdir import parts
from tdir import weights as weight_files
from tdir.data.images import resize_longest
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError, DataError
from tdir.heads.base import Head
from tdir.heads.deeplab import HEADER, MEAN, MULTIPLE, STD, network
from tdir.ranges import Range
from tdir.structures import IGNORE, SemanticMap
from tdir.training.optim import OptimSettings
from tdir.training.supervised import check_steps, fit, halved

_LEAST_SCALE = 0.5  # of an example: crops of it show what is far away, and it as a whole what is near


@dataclass
class SMPTraining:
    """A network of SMP; images are kept in memory at the training's size.

    Every example is resized by a factor between 0.5 and ``scale``, cut or padded to ``crop`` and mirrored by chance,
    and its brightness and contrast change a little.

    Args:
        model: an architecture of SMP.
        encoder: an encoder of SMP.
        encoder_weights: a file of the tensors that the encoder starts with, such as torchvision's of ImageNet for
            "mobilenet_v2"; ``None`` starts it at random. Nothing is downloaded.
        crop: (height, width) of what a step sees, multiples of 32.
        scale: the greatest factor.
        optim: optimiser and schedule.

    Raises:
        ConfigError: if ``crop`` or ``scale`` are out of range, or ``optim`` names epochs or fp16.
    """

    model: str = "deeplabv3plus"
    encoder: str = "mobilenet_v2"
    encoder_weights: str | None = None
    crop: tuple[int, int] = (224, 288)
    scale: float = 2.0
    optim: OptimSettings = field(default_factory=lambda: OptimSettings(steps=1400, batch_size=8, lr=1e-3))

    suffix = ".safetensors"

    def __post_init__(self) -> None:
        sides = Range(MULTIPLE, whole=True)
        if len(self.crop) != 2 or any(side not in sides or side % MULTIPLE for side in self.crop):
            raise ConfigError(f"by.crop is (height, width), each a multiple of {MULTIPLE}, got {self.crop!r}")
        Range(1).check("by.scale", self.scale)
        check_steps(self.optim)
        Range(2, whole=True).check("optim.batch_size", self.optim.batch_size)  # DeepLab's batch norm of one pixel

    def train(self, sets: Mapping[str, ImageSet], size: int, seed: int, file: Path, device: torch.device | str) -> None:
        """Train on ``sets["train"]`` at a longest side of ``size``, and write the averaged weights to ``file``.

        Raises:
            ConfigError: if SMP is not installed, or does not know the network.
            DataError: if the set has no maps.
            WeightsError: if ``encoder_weights`` is missing, damaged, or of another encoder.
        """
        torch.manual_seed(seed)
        described = {"model": self.model, "encoder": self.encoder, "names": sets["train"].classes}
        module = network(described, "the training")
        if self.encoder_weights is not None:
            start = weight_files.find(self.encoder_weights)
            fault = f"by.encoder_weights: {start} is not of {self.encoder!r}"
            weight_files.fill(module.get_submodule("encoder"), weight_files.read_tensors(start), fault)
        examples = [_example(sets["train"], i, size) for i in tqdm(range(len(sets["train"])), "reading", disable=None)]
        module.to(device).train()
        mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))

        def loss_of(step: int) -> Tensor:
            rng = np.random.default_rng([seed, step])
            chosen = [examples[i] for i in rng.choice(len(examples), self.optim.batch_size)]
            drawn = [self._varied(image, labels, rng) for image, labels in chosen]
            images, labels = (torch.from_numpy(np.stack(part)).to(device) for part in zip(*drawn, strict=True))
            logits = module((images.permute(0, 3, 1, 2) - mean) / std)
            return F.cross_entropy(logits, labels.long(), ignore_index=IGNORE)

        weights = fit(module, loss_of, self.optim, device)
        save_file(halved(weights), file, {HEADER: json.dumps(described)})

    def head(self, file: Path, classes: list[str]) -> Head:
        """The trained network as a head; its file names the classes."""
        return parts.head("deeplab", file)

    def _varied(self, image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """``(h, w, 3)`` float32 in [0, 1] and ``(h, w)`` uint8 of the size of ``crop``."""
        factor = rng.uniform(_LEAST_SCALE, self.scale)
        height, width = (max(1, round(side * factor)) for side in image.shape[:2])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        # OpenCV's other nearest neighbour moves them by half a pixel against the image.
        labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        rows, columns = (_window(side, wanted, rng) for side, wanted in zip((height, width), self.crop))
        image, labels = image[rows, columns], labels[rows, columns]
        beside = [(0, wanted - side) for side, wanted in zip(labels.shape, self.crop, strict=True)]
        image = np.pad(image, [*beside, (0, 0)], mode="edge")
        labels = np.pad(labels, beside, constant_values=IGNORE)
        if rng.random() < 0.5:
            image, labels = image[:, ::-1], labels[:, ::-1]
        light = image.astype(np.float32) / 255 * rng.uniform(0.8, 1.2) + np.float32(rng.uniform(-0.05, 0.05))
        return np.clip(light, 0, 1, dtype=np.float32), np.ascontiguousarray(labels)


def _window(side: int, wanted: int, rng: np.random.Generator) -> slice:
    start = int(rng.integers(0, max(0, side - wanted), endpoint=True))
    return slice(start, start + min(side, wanted))


def _example(data_set: ImageSet, index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    sample = data_set[index]
    if not isinstance(sample.truth, SemanticMap):
        raise DataError(f"{sample.name} has no map of labels, and a segmentation network is trained with them")
    image = resize_longest(sample.image, size)
    height, width = sample.image.shape[:2]
    truth = sample.truth.resized((height, width), (image.shape[0], image.shape[1]))
    return image, truth.labels.numpy()
