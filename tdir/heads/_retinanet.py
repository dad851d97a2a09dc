"""torchvision's RetinaNets by name: the two that it publishes, and two small ones for CPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large, mobilenet_v3_small
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops.feature_pyramid_network import LastLevelP6P7


@dataclass
class Architecture:
    """One network.

    Args:
        build: makes it untrained, from the number of outputs of its classification layer.
        marks: tensors that it has and the architectures after it in :data:`ARCHITECTURES` lack.
    """

    build: Callable[[int], RetinaNet]
    marks: tuple[str, ...]


def _published(factory: Callable[..., RetinaNet], outputs: int) -> RetinaNet:
    return factory(weights=None, weights_backbone=None, num_classes=outputs)


def _mobile(factory: Callable[..., Any], layers: Mapping[int, int], channels: int, outputs: int) -> RetinaNet:
    """A RetinaNet on a MobileNetV3.

    Args:
        factory: of the backbone.
        layers: the last layer at stride 8, 16 and 32 -> its channels.
        channels: of the feature pyramid and of the heads, which cost the most.
        outputs: of the classification layer.
    """
    names = {str(layer): str(level) for level, layer in enumerate(layers)}
    coarse = LastLevelP6P7(channels, channels)
    return RetinaNet(BackboneWithFPN(factory().features, names, list(layers.values()), channels, coarse), outputs)


_RESNET50 = "backbone.body.layer4.2.conv3.weight"
ARCHITECTURES = {
    "resnet50_fpn_v2": Architecture(
        partial(_published, retinanet_resnet50_fpn_v2), (_RESNET50, "head.classification_head.conv.0.1.weight")
    ),
    "resnet50_fpn": Architecture(partial(_published, retinanet_resnet50_fpn), (_RESNET50,)),
    "mobilenet_v3_large_fpn": Architecture(
        partial(_mobile, mobilenet_v3_large, {6: 40, 12: 112, 16: 960}, 128), ("backbone.body.16.0.weight",)
    ),
    "mobilenet_v3_small_fpn": Architecture(
        partial(_mobile, mobilenet_v3_small, {3: 24, 8: 48, 12: 576}, 64), ("backbone.body.12.0.weight",)
    ),
}
"""Name -> how to build it and how to know its weights."""


def told_by(tensors: Mapping[str, Tensor]) -> str | None:
    """The architecture that a file's tensors are of, by their names."""
    for name, architecture in ARCHITECTURES.items():
        if all(mark in tensors for mark in architecture.marks):
            return name
    return None


def as_published_first(network: nn.Module) -> None:
    """Batch norm as in the first published weights: those were trained when torchvision's frozen one had no epsilon."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
