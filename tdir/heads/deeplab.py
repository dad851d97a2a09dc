"""segmentation-models-pytorch's networks as a frozen head: DeepLabV3+ and the others that it has, but for DPT."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tdir import weights as weight_files
from tdir.errors import ConfigError, ShapeError, WeightsError
from tdir.frozen import state_hash
from tdir.heads.base import Background, Head
from tdir.ranges import NOT_NEGATIVE
from tdir.registry import HEADS, closest
from tdir.structures import IGNORE, SemanticMap, check_images
from tdir.structures.maps import grid_size, merged

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, with which SMP's encoders are trained."""
MULTIPLE = 32
"""Of the sides, for every encoder of SMP's."""
HEADER = "segmentation"
"""The name, among the metadata of a safetensors file, under which the network is described."""
_UNLIKE = ("DPT",)  # its decoder takes more than the encoder's maps
_FREE = ("activation", "classes", "encoder_name", "encoder_weights")  # settings that leave the tensors' use as it is


@dataclass
class MapOutputs:
    """Raw predictions of a batch.

    Args:
        logits: ``(N, K, H, W)`` at the size of the images as given.
        features: ``(N, C, h, w)`` of the decoder, on the padded images.
        padded: (H, W) of the padded images.
    """

    logits: Tensor
    features: Tensor
    padded: tuple[int, int]

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: Any) -> MapOutputs:
        """The outputs of some of the images, by a slice or an index tensor."""
        return MapOutputs(self.logits[index], self.features[index], self.padded)


@HEADS.register_module(name="deeplab")
class DeepLab(Head[SemanticMap]):
    """A segmentation network of SMP; sizes are padded to a multiple of 32 by repeating the border, and cropped back.

    Args:
        weights: a file of its tensors, or the folder that SMP's ``save_pretrained`` writes. Their network is told by
            ``model`` and ``encoder``, or by the file: ``tdir train-head`` writes it into the header, SMP into
            ``config.json`` beside the file.
        model: an architecture of SMP with its default settings, such as "deeplabv3plus" or "unet"; not DPT.
        encoder: an encoder of SMP, such as "mobilenet_v2".
        names: of the outputs, in order.
        classes: names of the classes of interest (VaT eq. 4): pixels of others have no label.
        dice: the weight of the Dice loss beside the cross-entropy.
        mean: of the red, green and blue values, that are taken off before the network sees an image in [0, 1].
        std: by which they are then divided; a network that was trained on images in [0, 1] has mean 0 and std 1.

    Raises:
        ConfigError: if segmentation-models-pytorch is not installed, network, names or a class are unknown, or mean or
            std is not three numbers.
        WeightsError: if the file is missing, damaged, of another network, or wants to run code.
    """

    task = "segmentation"
    pads = False
    network: Any
    _own: Tensor
    _outputs: Tensor
    _mean: Tensor
    _std: Tensor

    def __init__(
        self,
        weights: str | Path | None = None,
        model: str | None = None,
        encoder: str | None = None,
        names: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
        dice: float = 0.0,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ):
        super().__init__()
        NOT_NEGATIVE.check("dice", dice)
        self.check_normalisation(mean, std)
        file = None if weights is None else weight_files.find(weights)
        self.weights_name = str(weights or model or "head 'deeplab'")
        given = {"model": model, "encoder": encoder, "names": names}
        told = {key: value for key, value in given.items() if value is not None}
        self._network = {**(_described(file) if len(told) < len(given) else {}), **told}
        self.network = network(self._network, self.weights_name)
        if file is not None:
            weight_files.fill(self.network, weight_files.read_tensors(file), f"{file} is of another network")
        self.weights_sha256 = state_hash(self.network) if file is None else weight_files.sha256(file)
        known: list[str] = self._network["names"]
        chosen = self.choose(classes, known)
        position = {output: own for own, output in enumerate(chosen)}
        self.register_buffer(
            "_own", torch.tensor([position.get(k, IGNORE) for k in range(len(known))], dtype=torch.uint8), False
        )
        self.register_buffer("_outputs", torch.tensor(chosen), False)
        self.register_buffer("_mean", torch.tensor(mean, dtype=torch.float32)[:, None, None], False)
        self.register_buffer("_std", torch.tensor(std, dtype=torch.float32)[:, None, None], False)
        self._dice = dice
        self.freeze()

    def architecture(self) -> dict[str, Any]:
        """Settings that build this network without its weight file, for tensors that are kept elsewhere."""
        return dict(self._network)

    def forward(self, images: Tensor) -> MapOutputs:
        """Logits of ``(N, 3, H, W)`` RGB images in [0, 1]."""
        check_images(images, "head 'deeplab'")
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        maps = self.network.encoder((padded - self._mean) / self._std)
        features = self.network.decoder(maps)
        logits = self.network.segmentation_head(features)
        size = (padded.shape[-2], padded.shape[-1])
        return MapOutputs(logits[..., :height, :width], features, size)

    def decode(
        self, outputs: MapOutputs, score: float = 0.0, iou: float = 0.7, max_det: int = 300
    ) -> list[SemanticMap]:
        """The most probable class of every pixel and its probability; no label where that is below ``score``."""
        confidence, best = outputs.logits.float().softmax(1).max(1)
        labels = self._own[best].masked_fill(confidence < score, IGNORE)
        return [SemanticMap(*one) for one in zip(labels, confidence, strict=True)]

    def loss(
        self, outputs: MapOutputs, targets: Sequence[SemanticMap | None], background: Background = "all"
    ) -> Tensor:
        """``(N,)``: cross-entropy, the mean over the labelled pixels of each image, and Dice where it is asked for."""
        if len(targets) != len(outputs):
            raise ShapeError(f"{len(outputs)} images but {len(targets)} targets: give one per image, None for none")
        logits = outputs.logits.float()
        result = logits.new_zeros(len(outputs))
        for i, target in enumerate(targets):
            if target is not None and bool((target.labels != IGNORE).any()):
                truth = self._as_outputs(target, logits[i])
                result = result.index_add(0, truth.new_tensor([i]), self._criterion(logits[i : i + 1], truth)[None])
        return result

    def _as_outputs(self, target: SemanticMap, logits: Tensor) -> Tensor:
        """``(1, H, W)`` int64: the outputs that a target's labels stand for."""
        if target.labels.shape != logits.shape[-2:]:
            raise ShapeError(f"a target of {tuple(target.labels.shape)} for an image of {tuple(logits.shape[-2:])}")
        labels = target.labels.to(logits.device).long()
        ignored = labels == IGNORE
        if int(labels.masked_fill(ignored, 0).max()) >= len(self.classes):
            raise ShapeError(f"a target has the label {int(labels[~ignored].max())}, and there are {self.classes}")
        return self._outputs[labels.masked_fill(ignored, 0)].masked_fill(ignored, IGNORE)[None]

    def _criterion(self, logits: Tensor, truth: Tensor) -> Tensor:
        loss = F.cross_entropy(logits, truth, ignore_index=IGNORE)
        if not self._dice:
            return loss
        from segmentation_models_pytorch.losses import DiceLoss

        return loss + self._dice * DiceLoss("multiclass", ignore_index=IGNORE)(logits, truth)

    def embed(self, outputs: MapOutputs, predictions: Sequence[SemanticMap]) -> list[Tensor]:
        """The decoder's features, averaged over the cells of a grid of 16 pixels: ``(n_i, C)`` each."""
        means = F.adaptive_avg_pool2d(outputs.features.float(), grid_size(outputs.padded))
        grids = [grid_size((one.labels.shape[0], one.labels.shape[1])) for one in predictions]
        return [mean[:, :rows, :columns].flatten(1).T for mean, (rows, columns) in zip(means, grids, strict=True)]

    def merge(self, first: SemanticMap, second: SemanticMap, iou: float = 0.7) -> SemanticMap:
        """At each pixel the more confident of the two."""
        return merged(first, second)


def network(described: Mapping[str, Any], source: str) -> nn.Module:
    """An untrained network.

    Args:
        described: "model", "encoder" and "names", one for each output.
        source: what it is for, in messages.

    Raises:
        ConfigError: if SMP is not installed, or a part of the description is missing or unknown.
    """
    smp, known = _library(), _architectures()
    for key in ("model", "encoder", "names"):
        if not described.get(key):
            raise ConfigError(
                f"{source} does not say its {key}: give head 'deeplab' model='deeplabv3plus', encoder='mobilenet_v2', "
                "names=[one for each output] as they were in its training"
            )
    names = Head.checked_names(described["names"], source)
    if len(names) > IGNORE:
        raise ConfigError(f"{source} has {len(names)} classes, and a map has {IGNORE} at most")
    name = str(described["model"]).lower()
    if name not in known:
        raise ConfigError(f"SMP has no architecture {name!r}: {closest(name, known)}")
    try:
        made: nn.Module = known[name](described["encoder"], encoder_weights=None, classes=len(names))
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:  # as the encoder's library does
        raise ConfigError(
            f"SMP cannot build {name!r} on encoder {described['encoder']!r}: "
            f"{closest(str(described['encoder']), smp.encoders.get_encoder_names())} ({str(error)[:200]})"
        ) from error
    return made


def _library() -> Any:
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise ConfigError(
            f"head 'deeplab' needs segmentation-models-pytorch ({error}): pip install 'tdir[segmentation]'"
        ) from error
    return smp


def _architectures() -> dict[str, Any]:
    """SMP's networks by the name of their class, in lower case."""
    kinds = _library().MODEL_ARCHITECTURES_MAPPING.values()
    return {kind.__name__.lower(): kind for kind in kinds if kind.__name__ not in _UNLIKE}


def _described(file: Path | None) -> dict[str, Any]:
    """What network a file says that its tensors are of; nothing if it does not say."""
    if file is None:
        return {}
    if (header := weight_files.header(file, HEADER)) is not None:
        return _from_header(header, file)
    beside = file.with_name("config.json")
    return _from_smp(beside) if beside.is_file() else {}


def _from_header(header: str, file: Path) -> dict[str, Any]:
    try:
        said = json.loads(header)
        return {"model": str(said["model"]), "encoder": str(said["encoder"]), "names": list(map(str, said["names"]))}
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"the header of {file} does not describe a network as tdir does ({error!r}): copy or download it again"
        ) from error


def _from_smp(beside: Path) -> dict[str, Any]:
    """What SMP's ``save_pretrained`` says of the network beside its file."""
    try:
        saved = dict(json.loads(beside.read_text(encoding="utf-8")))
        if "_model_class" not in saved:
            return {}  # somebody else's: trainings of tdir write one too
        described = {"model": saved["_model_class"], "encoder": saved["encoder_name"]}
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{beside} is not what SMP's save_pretrained writes ({error!r}): repair or move it"
        ) from error
    kind = _architectures().get(str(described["model"]).lower())
    usual = {} if kind is None else inspect.signature(kind).parameters
    # Some, such as the stride of the encoder, fit the same tensors and give other predictions.
    for name in [name for name in saved if name in usual and name not in _FREE]:
        default = json.loads(json.dumps(usual[name].default))
        if saved[name] != default:
            raise WeightsError(
                f"{beside} is of a network with {name}={saved[name]!r}, and head 'deeplab' has SMP's {default!r}: "
                "train it with that, or have it predict by a program of your own"
            )
    return described
