"""The criterion of ultralytics' detectors, image by image and with regions that carry no loss.

The assigner, the IoU and the distribution loss are the library's own. What is ours is the normalisation by each image's
own target sum, so that the loss of an image does not depend on its batch, and the mask of what counts as background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from ultralytics.utils.metrics import bbox_iou
from ultralytics.utils.tal import bbox2dist

from tdir.heads._detector import carries_background
from tdir.heads.base import Background
from tdir.structures import Detections


def pad_targets(targets: Sequence[Detections], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Labels ``(N, n, 1)``, boxes ``(N, n, 4)`` and the mask ``(N, n, 1)`` of rows in use, n the largest count."""
    most = max(len(target) for target in targets)
    labels = torch.zeros(len(targets), most, 1, device=device)
    boxes = torch.zeros(len(targets), most, 4, device=device)
    used = torch.zeros(len(targets), most, 1, dtype=torch.bool, device=device)
    for i, target in enumerate(targets):
        n = len(target)
        labels[i, :n, 0] = target.labels.to(device, torch.float32)
        boxes[i, :n] = target.boxes.to(device)
        used[i, :n] = True
    return labels, boxes, used


def branch_loss(
    criterion: Any,
    raw: dict[str, Tensor],
    anchors: tuple[Tensor, Tensor],
    targets: Sequence[Detections],
    inside: Tensor,
    background: Background,
) -> Tensor:
    """``(N,)``: box, class and distribution loss of one branch of a detector, times ultralytics' gains.

    Args:
        criterion: ultralytics' ``v8DetectionLoss`` of that branch; its assigner and gains are used.
        raw: "boxes" ``(N, 4 * reg_max, A)`` and "scores" ``(N, C, A)`` before any decoding, "canvas" ``(2,)`` height
            and width in pixels.
        anchors: centres ``(A, 2)`` in cells and strides ``(A, 1)``.
        targets: one per image, with at least one labelled box each.
        inside: ``(A,)`` bool, anchors on the image, not on padding.
        background: see ``tdir.heads.base.Background``.
    """
    gains: Any = criterion.hyp
    points, strides = anchors
    distances = raw["boxes"].float().permute(0, 2, 1).contiguous()
    scores = raw["scores"].float().permute(0, 2, 1).contiguous()
    boxes = criterion.bbox_decode(points, distances)
    labels, truth, used = pad_targets([target.labelled for target in targets], scores.device)
    _, target_boxes, target_scores, claimed, _ = criterion.assigner(
        scores.detach().sigmoid(), (boxes.detach() * strides), points * strides, labels, truth, used
    )
    total = target_scores.sum((1, 2)).clamp(min=1)
    carries = carries_background(targets, claimed, points * strides, inside, background)
    entropy = F.binary_cross_entropy_with_logits(scores, target_scores, reduction="none").sum(-1)
    loss = gains.cls * (entropy * carries).sum(1) / total

    image, anchor = claimed.nonzero(as_tuple=True)
    weight = target_scores[image, anchor].sum(-1)
    wanted = target_boxes[image, anchor] / strides[anchor]
    overlap = bbox_iou(boxes[image, anchor], wanted, xywh=False, CIoU=True).squeeze(-1)
    spread = _side_loss(criterion, distances[image, anchor], points[anchor], strides[anchor], wanted, raw["canvas"])
    box_loss = (gains.box * (1 - overlap) + gains.dfl * spread) * weight
    return loss + torch.zeros_like(total).index_add(0, image, box_loss) / total


def _side_loss(
    criterion: Any, distances: Tensor, points: Tensor, strides: Tensor, wanted: Tensor, canvas: Tensor
) -> Tensor:
    """``(k,)``: how far the predicted sides of k claimed anchors lie from the wanted ones."""
    if criterion.bbox_loss.dfl_loss is not None:
        sides = bbox2dist(points, wanted, criterion.reg_max - 1)
        return criterion.bbox_loss.dfl_loss(distances.reshape(-1, criterion.reg_max), sides).squeeze(-1)
    sides = bbox2dist(points, wanted)
    scale = strides / canvas[[1, 0, 1, 0]]
    return F.l1_loss(distances * scale, sides * scale, reduction="none").mean(-1)
