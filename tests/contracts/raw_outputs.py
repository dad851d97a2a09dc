"""Where the raw outputs of each detector keep its scores, and which anchor they are of."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from tdir.heads.retinanet import RetinaNetOutputs
from tdir.heads.yolo import YoloOutputs


@singledispatch
def detached_scores(outputs: Any) -> list[Tensor]:
    """Replace the scores of every branch by leaves that gradients can be read from, and give these."""
    raise NotImplementedError(f"say where {type(outputs).__name__} keeps its scores")


@singledispatch
def anchor_centres(outputs: Any) -> Tensor:
    """The centres ``(A, 2)`` of the anchors in the order of the scores, pixels."""
    raise NotImplementedError(f"say where the anchors of {type(outputs).__name__} are")


def gradient_by_anchor(scores: Tensor, outputs: Any) -> Tensor:
    """The gradient of the first image's scores as ``(A, C)``, whichever way round they are."""
    assert scores.grad is not None
    gradient = scores.grad[0]
    return gradient if len(gradient) == len(anchor_centres(outputs)) else gradient.t()


def grid(feature: Tensor, offset: float) -> Tensor:
    """``(h * w, 2)``: the cells of a map, in cells."""
    y, x = torch.meshgrid(*(torch.arange(n) + offset for n in feature.shape[2:]), indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)


@detached_scores.register
def _(outputs: YoloOutputs) -> list[Tensor]:
    for branch in outputs.branches:
        branch["scores"] = branch["scores"].detach().requires_grad_()
    return [branch["scores"] for branch in outputs.branches]


@anchor_centres.register
def _(outputs: YoloOutputs) -> Tensor:
    strides = [outputs.size[1] / feature.shape[-1] for feature in outputs.features]
    return torch.cat([grid(feature, 0.5) * stride for feature, stride in zip(outputs.features, strides, strict=True)])


@detached_scores.register
def _(outputs: RetinaNetOutputs) -> list[Tensor]:
    outputs.logits = outputs.logits.detach().requires_grad_()
    return [outputs.logits]


@anchor_centres.register
def _(outputs: RetinaNetOutputs) -> Tensor:
    """Nine at the corner of every cell, whose size in pixels torchvision rounds down."""
    height, width = outputs.size
    cells = [
        grid(feature, 0) * torch.tensor([width // feature.shape[-1], height // feature.shape[-2]])
        for feature in outputs.features
    ]
    return torch.cat(cells).repeat_interleave(9, dim=0)
