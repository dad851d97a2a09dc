"""A label for every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tdir.errors import ShapeError
from tdir.structures.base import IGNORE, Prediction, Size

STRIDE = 16
"""Pixels between neighbours of the grid that embeddings and risk of a map are on."""


def grid_size(size: Size) -> Size:
    """(rows, columns) of the grid of an image of (height, width): one cell for each ``STRIDE`` pixels begun."""
    return -(-size[0] // STRIDE), -(-size[1] // STRIDE)


@dataclass
class SemanticMap(Prediction):
    """The classes of an image's pixels.

    Args:
        labels: ``(H, W)`` uint8, positions in the class list they belong to, 255 where there is no label.
        confidence: ``(H, W)`` float in [0, 1]; ``None`` for truths.
        risk: ``(H, W)`` float in [0, 1], how uncertain a pseudo-label is.

    Raises:
        ShapeError: if labels are not ``(H, W)`` uint8, or a field has another shape than they.
    """

    labels: Tensor
    confidence: Tensor | None = None
    risk: Tensor | None = None

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != torch.uint8:
            raise ShapeError(f"labels are (H, W) uint8, got {self.labels.dtype} {tuple(self.labels.shape)}")
        for name in ("confidence", "risk"):
            value = getattr(self, name)
            if value is not None and value.shape != self.labels.shape:
                raise ShapeError(f"labels are {tuple(self.labels.shape)} but {name} is {tuple(value.shape)}")

    def _mapped(self, labels: Tensor) -> SemanticMap:
        return SemanticMap(labels, self.confidence, self.risk)

    @property
    def embedded_labels(self) -> Tensor:
        """``(n,)`` int64: the label in the middle of every cell of the grid, row by row; -1 where there is none."""
        rows, columns = (
            (torch.arange(count, device=self.labels.device) * STRIDE + STRIDE // 2).clamp(max=side - 1)
            for count, side in zip(grid_size(_size(self.labels)), self.labels.shape, strict=True)
        )
        labels = self.labels[rows[:, None], columns].flatten().long()
        return labels.where(labels != IGNORE, -1)

    def to(self, device: torch.device | str) -> SemanticMap:
        """The same map on another device."""
        confidence, risk = (None if value is None else value.to(device) for value in (self.confidence, self.risk))
        return SemanticMap(self.labels.to(device), confidence, risk)

    def clipped(self, size: Size) -> SemanticMap:
        """The map of an image of this size in the top left corner."""
        confidence, risk = (
            None if value is None else value[: size[0], : size[1]] for value in (self.confidence, self.risk)
        )
        return SemanticMap(self.labels[: size[0], : size[1]], confidence, risk)

    def resized(self, before: Size, after: Size) -> SemanticMap:
        """The map at another size, each pixel as the nearest one."""
        cut = self.clipped(before)
        if before == after:
            return cut
        confidence, risk = (None if value is None else _nearest(value, after) for value in (cut.confidence, cut.risk))
        return SemanticMap(_nearest(cut.labels, after), confidence, risk)

    def relabelled(self, table: Tensor, classes: int) -> SemanticMap:
        """Label k becomes ``table[k]``, and 255 where that is -1."""
        whole = torch.full((IGNORE + 1,), IGNORE, dtype=torch.uint8)
        whole[: len(table)] = torch.where(table < 0, IGNORE, table).to(torch.uint8)
        return self._mapped(whole.to(self.labels.device)[self.labels.long()])

    def with_risk(self, risk: Tensor | None) -> SemanticMap:
        """The same map with the risk ``(n,)`` of the cells of its grid, which every pixel of a cell takes."""
        height, width = self.labels.shape
        if risk is None:
            spread = self.labels.new_zeros((height, width), dtype=torch.float32)
        else:
            cells = risk.float().view(grid_size(_size(self.labels)))
            spread = cells.repeat_interleave(STRIDE, 0).repeat_interleave(STRIDE, 1)[:height, :width]
        return SemanticMap(self.labels, self.confidence, spread.to(self.labels.device))

    def filtered(self, epsilon: float) -> tuple[SemanticMap, float]:
        """The labels of pixels with a risk of at most ``epsilon``, and their mean risk; the others become 255."""
        assert self.risk is not None
        keep = (self.risk <= epsilon) & (self.labels != IGNORE)
        target = SemanticMap(self.labels.masked_fill(~keep, IGNORE))
        return target, float(self.risk[keep].mean()) if bool(keep.any()) else 0.0

    def beside(self, other: SemanticMap) -> SemanticMap:
        """The map itself: each of its pixels has a label, and none stands for background."""
        return self

    def on_canvas(self, mask: Tensor) -> SemanticMap:
        """The map on a canvas, 255 beside the image."""
        height, width = mask.shape[-2:]
        return SemanticMap(
            F.pad(self.labels, (0, width - self.labels.shape[1], 0, height - self.labels.shape[0]), value=IGNORE)
        )

    def amounts(self, classes: int) -> Tensor:
        """The share of the pixels that each class has, and last of those without a label."""
        labels = self.labels.long().flatten()
        return labels.where(labels != IGNORE, classes).bincount(minlength=classes + 1) / len(labels)

    def columns(self) -> dict[str, Tensor]:
        """Size, labels and, where there is one, the confidence in steps of 1/255."""
        kept = {"size": torch.tensor(self.labels.shape), "labels": self.labels.flatten()}
        if self.confidence is not None:
            kept["confidence"] = (self.confidence * 255).round().to(torch.uint8).flatten()
        return kept

    @classmethod
    def from_columns(cls, columns: Mapping[str, Tensor]) -> SemanticMap:
        """The map as it was kept."""
        size = columns["size"].tolist()
        confidence = columns.get("confidence")
        return cls(columns["labels"].view(size), None if confidence is None else confidence.view(size).float() / 255)


def merged(first: SemanticMap, second: SemanticMap) -> SemanticMap:
    """Two maps of the same scene as one: at each pixel the more confident of the two, the first where they are equal.

    Raises:
        ShapeError: if they differ in size.
    """
    if first.labels.shape != second.labels.shape:
        raise ShapeError(
            f"maps of one scene have one size, got {tuple(first.labels.shape)} and {tuple(second.labels.shape)}"
        )
    assert first.confidence is not None and second.confidence is not None
    takes = second.confidence > first.confidence
    risk = None
    if first.risk is not None and second.risk is not None:
        risk = torch.where(takes, second.risk, first.risk)
    labels = torch.where(takes, second.labels, first.labels)
    return SemanticMap(labels, torch.where(takes, second.confidence, first.confidence), risk)


def _size(labels: Tensor) -> Size:
    return labels.shape[0], labels.shape[1]


def _nearest(values: Tensor, size: Size) -> Tensor:
    return F.interpolate(values[None, None].float(), size, mode="nearest-exact")[0, 0].to(values.dtype)
