"""What every detector does alike, whatever its network: classes of interest, embeddings, merging, background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import batched_nms, roi_align

from tdir.errors import ShapeError
from tdir.heads.base import Background, Head
from tdir.structures import Detections, concatenate


class Detector(Head[Detections]):
    """Base of the detectors.

    Outputs have ``features``, maps ``(N, C_l, H_l, W_l)`` of every level, a length, and can be indexed by image. A
    subclass implements ``forward``, ``decode``, ``strides`` and ``criterion``.
    """

    task = "detection"

    @property
    def strides(self) -> list[float]:
        """Pixels of the image between neighbours in every level's feature map."""
        raise NotImplementedError(f"{type(self).__name__} must implement strides")

    def criterion(self, outputs: Any, targets: Sequence[Detections], background: Background) -> Tensor:
        """``(N,)``: the library's criterion on each image alone; every target has a labelled box."""
        raise NotImplementedError(f"{type(self).__name__} must implement criterion()")

    def loss(self, outputs: Any, targets: Sequence[Detections | None], background: Background = "all") -> Tensor:
        """``(N,)``: the library's criterion on each image alone; 0 where a target has no labelled box."""
        if len(targets) != len(outputs):
            raise ShapeError(f"{len(outputs)} images but {len(targets)} targets: give one per image, None for none")
        result = outputs.features[0].new_zeros(len(outputs), dtype=torch.float32)
        wanted = {i: target for i, target in enumerate(targets) if target is not None and len(target.labelled)}
        if not wanted:
            return result
        index = torch.tensor(list(wanted), device=result.device)
        with torch.autocast(result.device.type, enabled=False):  # boxes in bf16 would be off by a third of a pixel
            return result.index_add(0, index, self.criterion(outputs[index], list(wanted.values()), background))

    def embed(self, outputs: Any, predictions: Sequence[Detections]) -> list[Tensor]:
        """RoIAlign of every prediction on every level, joined: ``(n_i, sum of the levels' channels)`` each."""
        boxes = [prediction.boxes.to(outputs.features[0].device, torch.float32) for prediction in predictions]
        levels = [
            roi_align(feature.float(), boxes, output_size=1, spatial_scale=1 / stride, sampling_ratio=2, aligned=True)
            for feature, stride in zip(outputs.features, self.strides)
        ]
        return list(torch.cat(levels, 1).flatten(1).split([len(b) for b in boxes]))

    def merge(self, first: Detections, second: Detections, iou: float = 0.7) -> Detections:
        """Both predictions after NMS per class over all of them: the higher confidence wins."""
        both = concatenate([first, second])
        assert both.scores is not None
        return both[batched_nms(both.boxes, both.scores, both.labels, iou)]


def on_image(points: Tensor, size: tuple[int, int]) -> Tensor:
    """``(A,)`` bool: which of the points ``(A, 2)`` lie on an image of (height, width), not on padding."""
    return (points[:, 0] < size[1]) & (points[:, 1] < size[0])


def carries_background(
    targets: Sequence[Detections], claimed: Tensor, points: Tensor, inside: Tensor, background: Background
) -> Tensor:
    """``(N, A)`` bool: the anchors that carry a classification loss.

    Args:
        targets: one per image.
        claimed: ``(N, A)`` bool, anchors that a label claims; they always carry the loss.
        points: ``(A, 2)`` anchor centres in pixels.
        inside: ``(A,)`` bool, anchors on the image itself, not on padding.
        background: which of the unclaimed anchors carry it too.
    """
    if background == "ignore_unclaimed":
        return claimed
    carries = inside.expand_as(claimed).clone()
    if background == "ignore_dropped":
        for i, target in enumerate(targets):
            carries[i] &= ~_centres_inside(points, target.ignored_boxes.to(points.device))
    return carries | claimed


def _centres_inside(points: Tensor, boxes: Tensor) -> Tensor:
    """``(A,)`` bool: which of the points ``(A, 2)`` lie in any of the boxes ``(m, 4)``."""
    x, y = points[:, None, 0], points[:, None, 1]
    return ((x >= boxes[:, 0]) & (y >= boxes[:, 1]) & (x < boxes[:, 2]) & (y < boxes[:, 3])).any(1)
