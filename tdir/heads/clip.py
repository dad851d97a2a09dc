"""open_clip's networks as a frozen head that classifies by the names of classes alone (Radford et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tdir import weights as weight_files
from tdir.errors import ShapeError, WeightsError
from tdir.frozen import state_hash
from tdir.heads import _clip
from tdir.heads.base import Background, Head
from tdir.registry import HEADS
from tdir.structures import ClassScores, check_images
from tdir.structures.scores import aligned, more_confident


@dataclass
class ClassOutputs:
    """Raw predictions of a batch.

    Args:
        logits: ``(N, K)``, of the classes of interest.
        features: ``(N, D)`` of length 1, the embeddings of the images.
    """

    logits: Tensor
    features: Tensor

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: Any) -> ClassOutputs:
        """The outputs of some of the images, by a slice or an index tensor."""
        return ClassOutputs(self.logits[index], self.features[index])


@HEADS.register_module(name="clip")
class CLIP(Head[ClassScores]):
    """A CLIP whose classes are texts; the texts are embedded once, and their tower is left behind.

    An image is resized and cut to the network's own size inside, as CLIP's protocol has it.

    Args:
        weights: a file of the whole network's tensors. What network it is, is told by ``model`` or by the file: ``tdir
            train-head`` writes it into the header, open_clip's hub into ``open_clip_config.json`` beside it.
        model: a name that open_clip knows, such as "ViT-B-32" or "ViT-B-32-quickgelu" (as OpenAI's were trained), a
            JSON file of a config, or that as a dict: "embed_dim", "vision_cfg", "text_cfg"; or, with these as
            "model_cfg", a "preprocess_cfg" of "mean", "std", "interpolation" and "resize_mode".
        names: of the classes, as they stand in a text.
        templates: texts with ``{}`` for the name, whose embeddings are averaged; default "a photo of a {}.".
        classes: names of the classes of interest (VaT eq. 4): an image is of one of these.

    Raises:
        ConfigError: if open_clip is not installed, the network is unknown or would need a download, or names,
            templates or a class are wrong.
        WeightsError: if the file is missing, damaged, of another network, or wants to run code.
    """

    task = "classification"
    pads = False
    aligns = True
    visual: Any
    _texts: Tensor
    _scale: Tensor
    _mean: Tensor
    _std: Tensor

    def __init__(
        self,
        weights: str | Path | None = None,
        model: str | Path | Mapping[str, Any] | None = None,
        names: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
    ):
        super().__init__()
        _clip.library()
        file = None if weights is None else _file(weights, model)
        self.weights_name = str(weights or (model if isinstance(model, str | Path) else "an own CLIP"))
        described = _clip.described(file, model)
        self._network = {key: described[key] for key in ("model_cfg", "preprocess_cfg")}
        self._names = self.checked_names(described.get("names") if names is None else names, self.weights_name)
        known = described.get("templates", _clip.TEMPLATES)
        self._templates = _clip.check_templates(known if templates is None else templates)
        chosen = self.choose(classes, self._names)
        network = _clip.network(self._network["model_cfg"], self.weights_name)
        if file is not None:
            _clip.fill(network, file)
        texts = _clip.class_features(network, self._network["model_cfg"], self._names, self._templates)
        # On a CPU its convolutions are faster this way, and a transformer is no slower.
        self.visual: Any = network.visual.to(memory_format=torch.channels_last)
        # In the state: where tensors are kept elsewhere, no text is embedded again.
        self.register_buffer("_texts", texts[chosen])
        self.register_buffer("_scale", network.logit_scale.detach().exp().reshape(()))
        self._prepare = _clip.preprocessing(network, self._network)
        for name, values in (("_mean", self._prepare.mean), ("_std", self._prepare.std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], False)
        self.weights_sha256 = state_hash(self) if file is None else weight_files.sha256(file)
        self.freeze()

    def architecture(self) -> dict[str, Any]:
        """Settings that build this head without its weight file, for tensors that are kept elsewhere."""
        return {"model": self._network, "names": self._names, "templates": self._templates}

    def forward(self, images: Tensor) -> ClassOutputs:
        """Logits and embeddings of ``(N, 3, H, W)`` RGB images in [0, 1]."""
        check_images(images, "head 'clip'")
        fitted = self._prepare.fitted(images)
        features = F.normalize(self.visual((fitted - self._mean) / self._std), dim=-1)
        return ClassOutputs(self._scale * features @ self._texts.T, features)

    def decode(
        self, outputs: ClassOutputs, score: float = 0.0, iou: float = 0.7, max_det: int = 300
    ) -> list[ClassScores]:
        """The probability of every class of interest; no label where the highest is below ``score``."""
        probabilities = outputs.logits.float().softmax(1)
        unsure = probabilities.amax(1, keepdim=True) < score
        return [ClassScores(one) for one in probabilities.masked_fill(unsure, 0)]

    def loss(
        self, outputs: ClassOutputs, targets: Sequence[ClassScores | None], background: Background = "all"
    ) -> Tensor:
        """``(N,)``: cross-entropy between the classes of interest and the label of each image.

        Raises:
            ShapeError: if there is not one target per image, or one has scores of another number of classes.
        """
        if len(targets) != len(outputs):
            raise ShapeError(f"{len(outputs)} images but {len(targets)} targets: give one per image, None for none")
        labels = [self._label(target) for target in targets]
        truth = torch.tensor([max(label, 0) for label in labels], device=outputs.logits.device)
        losses = F.cross_entropy(outputs.logits.float(), truth, reduction="none")
        return torch.where(torch.tensor(labels, device=losses.device) < 0, 0, losses)

    def _label(self, target: ClassScores | None) -> int:
        """The class of a target, -1 for none."""
        if target is None:
            return -1
        if len(target.scores) != len(self.classes):
            raise ShapeError(f"a target of {len(target.scores)} classes for a head of {len(self.classes)}")
        return int(target.embedded_labels)

    def embed(self, outputs: ClassOutputs, predictions: Sequence[ClassScores]) -> list[Tensor]:
        """The embedding of each image, ``(1, D)``."""
        return list(outputs.features.float().split(1))

    def merge(self, first: ClassScores, second: ClassScores, iou: float = 0.7) -> ClassScores:
        """The more confident of the two."""
        return more_confident(first, second)

    def align(
        self, found: Sequence[ClassScores], reference: Sequence[ClassScores], score: float = 0.0
    ) -> list[ClassScores]:
        """The predictions with the mean probability of every class that the reference has."""
        return aligned(found, reference, score)


def _file(weights: str | Path, model: Any) -> Path:
    try:
        return weight_files.find(weights)
    except WeightsError:
        _clip.refuse_tag(weights, model)
        raise
