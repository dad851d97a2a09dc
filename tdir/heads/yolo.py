"""Ultralytics detectors as a frozen head: v3u, v5u, v8, v9, v10, 11, 12, 26.

ultralytics is AGPL-3.0; it is imported only when such a head is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms, clip_boxes_to_image

from tdir import weights as weight_files
from tdir.data.images import PAD_VALUE
from tdir.errors import ConfigError, WeightsError
from tdir.frozen import state_hash
from tdir.heads._detector import Detector, on_image
from tdir.heads.base import Background
from tdir.registry import HEADS
from tdir.structures import Detections, check_images

EVERY_CLASS = 0.01  # the largest score threshold that asks for average precision
MOST_CANDIDATES = 30_000  # boxes of an image that enter NMS, as in ultralytics


@dataclass
class YoloOutputs:
    """Raw predictions of a batch.

    Args:
        branches: "boxes" ``(N, 4 * reg_max, A)`` and "scores" ``(N, C, A)`` logits; one branch, or the one-to-many and
            the one-to-one branch of an end-to-end detector.
        features: the maps that the detection layer read, ``(N, C_l, H_l, W_l)`` each.
        size: (H, W) of the images as given, before padding to the stride.
    """

    branches: list[dict[str, Tensor]]
    features: list[Tensor]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.features[0])

    def __getitem__(self, index: Any) -> YoloOutputs:
        """The outputs of some of the images, by a slice or an index tensor."""
        branches = [{name: value[index] for name, value in branch.items()} for branch in self.branches]
        return YoloOutputs(branches, [feature[index] for feature in self.features], self.size)


@HEADS.register_module(name="yolo")
class Yolo(Detector):
    """An ultralytics detector.

    Args:
        weights: a ``.pt`` of ultralytics; with ``model``, any file of tensors for it. It is opened without running
            code.
        model: a model ``.yaml`` of ultralytics or a path to one, when the weights hold tensors only or none are wanted.
        classes: names of the classes of interest (VaT eq. 4): the others are neither detected nor trained on.
        fold: fold batch norm into the convolutions; the same outputs to float rounding, a fifth less time.
        names: all class names of a ``model`` whose weights, being tensors only, do not bring them.

    Raises:
        ConfigError: if ultralytics is not installed, a class is unknown, the model is not a detector's or wants to run
            code, or neither weights nor a model is named.
        WeightsError: if the file is missing, damaged, not a detector, or wants to run code.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        model: str | Path | None = None,
        classes: Sequence[str] | None = None,
        fold: bool = True,
        names: Sequence[str] | None = None,
    ):
        super().__init__()
        require_ultralytics("head 'yolo'")
        if weights is None and model is None:
            raise ConfigError("head 'yolo' needs weights='yolov8n.pt', or model='yolov8n.yaml' to build one untrained")
        if names is not None and model is None:
            raise ConfigError(f"names={list(names)} go with model='....yaml' only: {weights} has its own")
        self.weights_name = str(weights or model)
        file = None if weights is None else weight_files.find(weights)
        self.model: Any = _open(file) if model is None and file else _build(str(model), file, names)
        self.weights_sha256 = state_hash(self.model) if file is None else weight_files.sha256(file)
        chosen = self.choose(classes, _names(self.model, self.weights_name))
        self._columns = torch.tensor(chosen) if classes else None
        self._criteria = self._library_criteria()
        if fold:
            _fold_batch_norm(self.model)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.freeze()

    def _library_criteria(self) -> list[tuple[Any, float]]:
        """ultralytics' criterion of every branch with its weight."""
        criterion = self.model.init_criterion()
        if hasattr(criterion, "one2many"):
            parts = [(criterion.one2many, criterion.o2m), (criterion.one2one, criterion.o2o)]
        else:
            parts = [(criterion, 1.0)]
        for part, _ in parts:
            part.assigner.num_classes = len(self.classes)
        return parts

    def architecture(self) -> dict[str, Any]:
        """Settings that build this network without its weight file, for tensors that are kept elsewhere.

        Raises:
            ConfigError: if the network is not one that ultralytics describes in a model ``.yaml`` of its own.
        """
        recipe = self.model.yaml
        name = Path(str(recipe.get("yaml_file"))).name
        try:
            own = _recipe(name)
        except ConfigError:
            own = {}
        keys = ("backbone", "head", "scale", "scales", "depth_multiple", "width_multiple", "reg_max", "end2end")
        if any(recipe.get(key) != own.get(key) for key in keys):
            raise ConfigError(
                f"the network of {self.weights_name} is none that ultralytics describes, so its tensors alone cannot "
                "be used again: keep its weight file"
            )
        return {"model": name, "names": _names(self.model, self.weights_name)}

    @property
    def detect(self) -> Any:
        """ultralytics' detection layer."""
        return self.model.model[-1]

    @property
    def strides(self) -> list[float]:
        """Of the levels that the detection layer reads."""
        return self.detect.stride.tolist()

    def forward(self, images: Tensor) -> YoloOutputs:
        """Raw outputs of ``(N, 3, H, W)`` RGB images in [0, 1]; other sizes are padded to the stride with grey."""
        check_images(images, "head 'yolo'")
        height, width = images.shape[-2:]
        multiple = int(self.detect.stride.max())
        padded = F.pad(images, (0, -width % multiple, 0, -height % multiple), value=PAD_VALUE)
        features = self._features(padded.contiguous(memory_format=torch.channels_last))
        detect = self.detect
        heads = [detect.one2many] + ([detect.one2one] if len(self._criteria) == 2 else [])
        branches = []
        for head in heads:
            raw = detect.forward_head(features, **head)
            scores = raw["scores"] if self._columns is None else raw["scores"][:, self._columns.to(images.device)]
            branches.append({"boxes": raw["boxes"], "scores": scores})
        return YoloOutputs(branches, features, (height, width))

    def _features(self, x: Any) -> list[Tensor]:
        """Run every layer before the detection layer.

        ultralytics' own forward would also decode, and cache anchors that a later gradient pass cannot use.
        """
        saved: list[Any] = []
        for layer in self.model.model[:-1]:
            if layer.f != -1:
                x = saved[layer.f] if isinstance(layer.f, int) else [x if j == -1 else saved[j] for j in layer.f]
            x = layer(x)
            saved.append(x if layer.i in self.model.save else None)
        return [saved[j] for j in self.detect.f]

    def _anchors(self, outputs: YoloOutputs) -> tuple[Tensor, Tensor]:
        """Anchor centres ``(A, 2)`` in cells and strides ``(A, 1)``."""
        from ultralytics.utils.tal import make_anchors

        # As float32: bf16 features would give bf16 centres, of which there are fewer than pixels.
        return make_anchors([feature[:1, :1].float() for feature in outputs.features], self.detect.stride, 0.5)

    @staticmethod
    def _inside(outputs: YoloOutputs, anchors: tuple[Tensor, Tensor]) -> Tensor:
        """``(A,)`` bool: anchors on the image, not on the padding to the stride."""
        return on_image(anchors[0] * anchors[1], outputs.size)

    def decode(
        self, outputs: YoloOutputs, score: float = 0.25, iou: float = 0.7, max_det: int = 300
    ) -> list[Detections]:
        """Detections above ``score`` after NMS per class; end-to-end detectors (v10, 26) need no NMS.

        As ultralytics does: for average precision, at a ``score`` up to 0.01, an anchor counts for every class; above,
        for its best one alone.
        """
        anchors = self._anchors(outputs)
        branch = outputs.branches[-1]
        confidence = branch["scores"].float().sigmoid() * self._inside(outputs, anchors)
        use_nms = len(outputs.branches) == 1
        if score > EVERY_CLASS:
            confidence = confidence * (confidence == confidence.amax(1, keepdim=True))
        found = []
        for i in range(len(outputs)):
            labels, index = (confidence[i] > score).nonzero(as_tuple=True)
            scores = confidence[i][labels, index]
            if not use_nms or len(scores) > MOST_CANDIDATES:
                scores, best = scores.topk(min(len(scores), MOST_CANDIDATES if use_nms else max_det))
                labels, index = labels[best], index[best]
            boxes = self._boxes(branch["boxes"][i][:, index], anchors[0][index], anchors[1][index])
            if use_nms:
                keep = batched_nms(boxes, scores, labels, iou)[:max_det]
                boxes, labels, scores = boxes[keep], labels[keep], scores[keep]
            found.append(Detections(clip_boxes_to_image(boxes, outputs.size), labels, scores))
        return found

    def _boxes(self, raw: Tensor, points: Tensor, strides: Tensor) -> Tensor:
        """xyxy boxes ``(k, 4)`` in pixels from the raw distances ``(4 * reg_max, k)`` of k anchors."""
        return self._criteria[0][0].bbox_decode(points, raw.float().t()[None])[0] * strides

    def criterion(self, outputs: YoloOutputs, targets: Sequence[Detections], background: Background) -> Tensor:
        """``(N,)``: ultralytics' criterion on each image alone."""
        from tdir.heads._yolo_loss import branch_loss

        anchors = self._anchors(outputs)
        inside = self._inside(outputs, anchors)
        canvas = anchors[0].new_tensor(outputs.features[0].shape[2:]) * self.strides[0]
        total = canvas.new_zeros(len(outputs))
        for branch, (criterion, weight) in zip(outputs.branches, self._criteria):
            raw = {**branch, "canvas": canvas}
            total = total + weight * branch_loss(criterion, raw, anchors, targets, inside, background)
        return total

    def _apply(self, fn: Any, recurse: bool = True) -> Yolo:
        """Move ultralytics' criteria along with the model."""
        super()._apply(fn, recurse)
        device = next(self.model.parameters()).device
        for criterion, _ in self._criteria:
            criterion.device, criterion.proj = device, criterion.proj.to(device)
            criterion.stride = criterion.stride.to(device)
        return self


def require_ultralytics(purpose: str) -> Any:
    """The library, or a ConfigError that says what ``purpose`` needs."""
    try:
        import ultralytics
    except ImportError as error:
        raise ConfigError(f"{purpose} needs ultralytics (AGPL-3.0): pip install 'tdir[yolo]'") from error
    return ultralytics


def _open(path: Path) -> nn.Module:
    """The detector in an ultralytics ``.pt``, read without unpickling code."""
    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.nn.tasks import torch_safe_load
    from ultralytics.utils import IterableSimpleNamespace

    if path.suffix != ".pt":
        raise WeightsError(
            f"{path}: ultralytics weights end in .pt; for a file of tensors name its model='....yaml' too"
        )
    try:
        # An absolute path: a damaged file named like one of theirs would be deleted and downloaded anew.
        checkpoint, _ = torch_safe_load(str(path.absolute()), safe_only=True)
    except (
        Exception
    ) as error:  # the library raises TypeError, AttributeError, ModuleNotFoundError, UnpicklingError, ...
        said = f"{type(error).__name__}: {error}"
        raise WeightsError(f"{path} is not a readable ultralytics checkpoint, nothing in it was run: {said}") from error
    model = checkpoint.get("ema") or checkpoint.get("model") if isinstance(checkpoint, dict) else None
    _check_detector(model, path)
    assert model is not None
    settings = checkpoint.get("train_args") or {}
    model.args = IterableSimpleNamespace(**{**DEFAULT_CFG_DICT, **settings})
    return model.float()


def _check_detector(model: Any, path: Path) -> None:
    from ultralytics.nn.modules.head import Detect, v10Detect
    from ultralytics.nn.tasks import DetectionModel

    kind = "no model" if model is None else f"a {type(model).__name__}"
    if isinstance(model, DetectionModel):
        last: type = type(model.model[-1])  # type: ignore[index]
        if last in (Detect, v10Detect):
            return
        kind = f"a model that ends in {last.__name__}"
    raise WeightsError(f"{path} holds {kind}: head 'yolo' takes a detector, such as yolov8n.pt or yolo11n.pt")


def _names(model: Any, source: str) -> list[str]:
    names = model.names
    if isinstance(names, dict):
        names = [name for _, name in sorted(names.items())]
    if not isinstance(names, list | tuple) or len(names) != model.model[-1].nc:
        raise WeightsError(f"{source} has {model.model[-1].nc} classes, but their names are {names!r}: save it again")
    return [str(name) for name in names]


def _build(name: str, weights: Path | None, names: Sequence[str] | None) -> nn.Module:
    """A detector from a model ``.yaml``, with tensors from ``weights`` if given."""
    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils import IterableSimpleNamespace

    recipe = _recipe(name)
    opened: Any = _open(weights) if weights is not None and weights.suffix == ".pt" else None
    if names is None and opened is not None:
        names = _names(opened, str(weights))
    try:
        model: Any = DetectionModel(recipe, nc=len(names) if names else None, verbose=False)
    except Exception as error:  # whatever a layer says of what it cannot work with
        raise ConfigError(f"model {name!r} cannot be built as a detector ({type(error).__name__}: {error})") from error
    _check_detector(model, Path(name))
    model.names = dict(enumerate(names)) if names else model.names
    model.args = IterableSimpleNamespace(**DEFAULT_CFG_DICT)
    if weights is not None:
        tensors = weight_files.read_tensors(weights) if opened is None else opened.state_dict()
        weight_files.fill(model, tensors, f"{weights} does not fit model {name!r}")
    return model


def _recipe(name: str) -> dict[str, Any]:
    """A model ``.yaml`` of ultralytics, or a path to one, without anything in it that would run.

    ultralytics evaluates an activation, and calls whatever a layer is named after.
    """
    from ultralytics.nn.tasks import yaml_model_load

    try:
        recipe = yaml_model_load(name)
        layers = [str(module) for _, _, module, _ in recipe["backbone"] + recipe["head"]]
    except Exception as error:  # of the file system, of the yaml, of its structure
        raise ConfigError(f"model {name!r} is not a model of ultralytics and no such file is there: {error}") from error
    if "activation" in recipe:
        raise ConfigError(f"model {name!r} has an 'activation' entry, which would be run as code: remove it")
    for layer in layers:
        if not _is_layer(layer):
            raise ConfigError(
                f"model {name!r} names {layer!r}, which is no layer of torch.nn or ultralytics: remove it"
            )
    return recipe


def _is_layer(name: str) -> bool:
    from ultralytics.nn import tasks

    found = getattr(nn, name[3:], None) if name.startswith("nn.") else getattr(tasks, name, None)
    is_module = isinstance(found, type) and issubclass(found, nn.Module)
    # Not the models of ultralytics.nn.tasks: they would read another file.
    return is_module and found.__module__.startswith(("torch.nn.", "ultralytics.nn.modules."))


def _fold_batch_norm(model: Any) -> None:
    """ultralytics' own folding, but both branches of an end-to-end detector stay."""
    detect = model.model[-1]
    detect.fuse = lambda: None
    model.fuse(verbose=False)
    del detect.fuse
