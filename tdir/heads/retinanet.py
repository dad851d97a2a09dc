"""torchvision's RetinaNet (Lin et al., ICCV 2017, arXiv 1708.02002) as a frozen head, under the BSD licence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.models.detection import RetinaNet, RetinaNet_ResNet50_FPN_Weights
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from tdir import weights as weight_files
from tdir.errors import ConfigError, WeightsError
from tdir.frozen import state_hash
from tdir.heads._detector import Detector, carries_background, on_image
from tdir.heads._retinanet import ARCHITECTURES, as_published_first, told_by
from tdir.heads.base import Background
from tdir.registry import HEADS, closest
from tdir.structures import Detections, check_images

COCO = list(RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
BACKGROUND, NOTHING = "__background__", "N/A"  # outputs that torchvision's numbering of the classes leaves unused
ANCHORS = 9  # three sizes of three shapes at every place
STRIDES = [8.0, 16.0, 32.0, 64.0, 128.0]
MULTIPLE = 32  # of the sides, as torchvision pads them
_BIAS = "head.classification_head.cls_logits.bias"


@dataclass
class RetinaNetOutputs:
    """Raw predictions of a batch.

    Args:
        logits: ``(N, A, K)``, of A anchors, level by level, for the outputs of interest.
        offsets: ``(N, A, 4)``, of boxes from anchors.
        features: the maps of the pyramid, ``(N, C, H_l, W_l)`` each.
        size: (H, W) of the images as given, before padding.
    """

    logits: Tensor
    offsets: Tensor
    features: list[Tensor]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: Any) -> RetinaNetOutputs:
        """The outputs of some of the images, by a slice or an index tensor."""
        features = [feature[index] for feature in self.features]
        return RetinaNetOutputs(self.logits[index], self.offsets[index], features, self.size)


@HEADS.register_module(name="retinanet")
class RetinaNetHead(Detector):
    """A RetinaNet of torchvision, on images as they are: its own resizing is left out.

    The published networks were trained on images with a shortest side of 800 pixels, and see best at such a size.

    Args:
        weights: a file of its tensors, such as ``retinanet_resnet50_fpn_v2_coco-5905b1c5.pth``; never downloaded.
        model: the architecture, one of ``tdir.heads._retinanet.ARCHITECTURES``; ``None`` tells it from the weights.
        names: of the outputs; "__background__" and "N/A" are no classes. One name less than there are outputs leaves
            out output 0, torchvision's background. ``None`` stands for COCO's 91.
        classes: names of the classes of interest (VaT eq. 4): the others are neither detected nor trained on.

    Raises:
        ConfigError: if neither weights nor a model are named, the model or a class is unknown, or the names are not as
            many as the outputs.
        WeightsError: if the file is missing, damaged, of another model, or wants to run code.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        model: str | None = None,
        names: Sequence[str] | None = None,
        classes: Sequence[str] | None = None,
    ):
        super().__init__()
        if weights is None and model is None:
            raise ConfigError(
                "head 'retinanet' needs weights='....pth', or model='resnet50_fpn' to build one untrained"
            )
        if model is not None and model not in ARCHITECTURES:
            raise ConfigError(f"head 'retinanet' has no model {model!r}: {closest(model, ARCHITECTURES)}")
        self.weights_name = str(weights or model)
        file = None if weights is None else weight_files.find(weights)
        tensors = {} if file is None else weight_files.read_tensors(file)
        self._architecture = model or _told(tensors, self.weights_name)
        self._names = _named(tensors, names, self.weights_name)
        self.model: RetinaNet = ARCHITECTURES[self._architecture].build(len(self._names))
        if self._architecture == "resnet50_fpn" and self._names == COCO:
            as_published_first(self.model)
        if file is not None:
            weight_files.fill(self.model, tensors, f"{file} does not fit model {self._architecture!r}")
        self.weights_sha256 = state_hash(self.model) if file is None else weight_files.sha256(file)
        outputs = [i for i, name in enumerate(self._names) if name not in (BACKGROUND, NOTHING)]
        chosen = torch.tensor([outputs[i] for i in self.choose(classes, [self._names[i] for i in outputs])])
        # Without a choice the unused outputs stay too: they are a part of torchvision's loss.
        self._kept = None if classes is None else chosen
        self._columns = chosen if classes is None else torch.arange(len(chosen))
        self.freeze()

    def architecture(self) -> dict[str, Any]:
        """Settings that build this network without its weight file, for tensors that are kept elsewhere."""
        return {"model": self._architecture, "names": self._names}

    @property
    def strides(self) -> list[float]:
        """Of the five levels of the pyramid."""
        return STRIDES

    def forward(self, images: Tensor) -> RetinaNetOutputs:
        """Raw outputs of ``(N, 3, H, W)`` RGB images in [0, 1]; other sizes are padded to a multiple of 32."""
        check_images(images, "head 'retinanet'")
        height, width = images.shape[-2:]
        normal = self.model.transform.normalize(images)
        # With 0 after the normalisation, the mean colour, as torchvision does.
        padded = F.pad(normal, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        features = list(self.model.backbone(padded).values())
        raw = self.model.head(features)
        logits = raw["cls_logits"]
        kept = logits if self._kept is None else logits[..., self._kept.to(logits.device)]
        return RetinaNetOutputs(kept, raw["bbox_regression"], features, (height, width))

    def _anchors(self, outputs: RetinaNetOutputs) -> list[Tensor]:
        """The anchors of every level, ``(A_l, 4)`` in pixels, as float32: bf16 has fewer numbers than pixels."""
        maps = [feature[:1].float() for feature in outputs.features]
        canvas = [int(length * STRIDES[0]) for length in maps[0].shape[-2:]]
        anchors = self.model.anchor_generator(ImageList(maps[0].new_empty(0, 3, *canvas), [outputs.size]), maps)[0]
        return list(anchors.split([ANCHORS * level.shape[-2] * level.shape[-1] for level in maps]))

    def decode(
        self, outputs: RetinaNetOutputs, score: float = 0.25, iou: float = 0.7, max_det: int = 300
    ) -> list[Detections]:
        """torchvision's own detections: of each level the thousand best above ``score``, then NMS per class."""
        model = self.model
        model.score_thresh, model.nms_thresh, model.detections_per_img = score, iou, max_det
        anchors = self._anchors(outputs)
        counts = [len(level) for level in anchors]
        raw = {
            "cls_logits": outputs.logits[..., self._columns.to(outputs.logits.device)].float().split(counts, 1),
            "bbox_regression": outputs.offsets.float().split(counts, 1),
        }
        images = len(outputs)
        found = model.postprocess_detections(raw, [anchors] * images, [outputs.size] * images)
        return [Detections(one["boxes"], one["labels"], one["scores"]) for one in found]

    def criterion(self, outputs: RetinaNetOutputs, targets: Sequence[Detections], background: Background) -> Tensor:
        """``(N,)``: torchvision's criterion on each image alone; its matcher's "ignore" marks what is no background."""
        anchors = torch.cat(self._anchors(outputs))
        device, matcher = anchors.device, self.model.proposal_matcher
        wanted = [target.labelled.to(device) for target in targets]
        matched = torch.stack([matcher(box_iou(target.boxes, anchors)) for target in wanted])
        centres = (anchors[:, :2] + anchors[:, 2:]) / 2
        inside = on_image(centres, outputs.size)
        carries = carries_background(targets, matched >= 0, centres, inside, background)
        matched = matched.masked_fill(~carries, matcher.BETWEEN_THRESHOLDS)
        columns = self._columns.to(device)
        losses = []
        for i, target in enumerate(wanted):
            truth = {"boxes": target.boxes, "labels": columns[target.labels]}
            raw = {
                "cls_logits": outputs.logits[i : i + 1].float(),
                "bbox_regression": outputs.offsets[i : i + 1].float(),
            }
            losses.append(sum(self.model.head.compute_loss([truth], raw, [anchors], [matched[i]]).values()))
        return torch.stack(losses)


def _told(tensors: Mapping[str, Tensor], source: str) -> str:
    """The architecture of a file."""
    told = told_by(tensors)
    if told is None or _BIAS not in tensors:
        raise WeightsError(
            f"{source} holds none of torchvision's RetinaNets that tdir knows ({', '.join(ARCHITECTURES)}), its first "
            f"tensor is {next(iter(tensors))!r}: give the state_dict() of one"
        )
    return told


def _named(tensors: Mapping[str, Tensor], names: Sequence[str] | None, source: str) -> list[str]:
    """One name for every output: as many as a file has, if there is one."""
    given = COCO if names is None else list(names)
    outputs = len(tensors[_BIAS]) // ANCHORS if _BIAS in tensors else len(given)
    if names is not None and len(given) == outputs - 1:
        return [BACKGROUND, *given]
    if len(given) != outputs:
        what = "its classes are not COCO's" if names is None else f"names= has {len(given)}"
        raise ConfigError(
            f"{source} has {outputs} outputs, and {what}: pass names=[...], one for each, or {outputs - 1} for all but "
            "output 0, the background"
        )
    return given
