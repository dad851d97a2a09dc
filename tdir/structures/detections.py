"""The boxes of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tdir.errors import ShapeError
from tdir.structures.base import Prediction, Size


@dataclass
class Detections(Prediction):
    """The boxes of one image.

    Args:
        boxes: ``(n, 4)`` float, xyxy in pixels of the image they belong to.
        labels: ``(n,)`` int64, positions in the class list they belong to; -1 where only ``ignored`` matters.
        scores: ``(n,)`` float in [0, 1]; ``None`` for truths.
        ignored: ``(n,)`` bool; such a box is a region without a label: it neither trains nor counts.
        difficult: ``(n,)`` bool, as Pascal VOC marks truths.
        risk: ``(n,)`` float in [0, 1], how uncertain a pseudo-label is (VaT Algorithm 1, U).

    Raises:
        ShapeError: if the boxes are not ``(n, 4)`` or a field has another length than the boxes.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor | None = None
    ignored: Tensor | None = None
    difficult: Tensor | None = None
    risk: Tensor | None = None

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ShapeError(f"boxes must have shape (n, 4), got {tuple(self.boxes.shape)}")
        for name, value in self._columns():
            if len(value) != len(self.boxes):
                raise ShapeError(f"{len(self.boxes)} boxes but {len(value)} {name}: give one per box")

    def _columns(self) -> list[tuple[str, Tensor]]:
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return [(name, value) for name, value in named if value is not None]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Tensor) -> Detections:
        """The boxes that a mask or an index tensor selects."""
        return Detections(**{name: value[index] for name, value in self._columns()})

    @classmethod
    def empty(cls, device: torch.device | str = "cpu", scored: bool = False) -> Detections:
        """No boxes at all."""
        scores = torch.zeros(0, device=device) if scored else None
        labels = torch.zeros(0, dtype=torch.long, device=device)
        return cls(torch.zeros(0, 4, device=device), labels, scores)

    @classmethod
    def regions(cls, boxes: Tensor) -> Detections:
        """Boxes ``(n, 4)`` as ignored regions."""
        labels = torch.full((len(boxes),), -1, dtype=torch.long, device=boxes.device)
        return cls(boxes, labels, ignored=torch.ones_like(labels, dtype=torch.bool))

    def to(self, device: torch.device | str) -> Detections:
        """The same boxes on another device."""
        return Detections(**{name: value.to(device) for name, value in self._columns()})

    def scaled(self, x: float, y: float) -> Detections:
        """The same boxes in an image resized by factors ``x`` and ``y``."""
        columns = dict(self._columns())
        columns["boxes"] = self.boxes * self.boxes.new_tensor([x, y, x, y])
        return Detections(**columns)

    def clipped(self, size: tuple[int, int]) -> Detections:
        """The boxes cut at the border of an image of (height, width), without those that lie outside it alone."""
        columns = dict(self._columns())
        limit = self.boxes.new_tensor([size[1], size[0], size[1], size[0]])
        columns["boxes"] = boxes = self.boxes.clamp(min=0).minimum(limit)
        return Detections(**columns)[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]

    @property
    def labelled(self) -> Detections:
        """The boxes that carry a label."""
        return self if self.ignored is None else self[~self.ignored]

    @property
    def ignored_boxes(self) -> Tensor:
        """The ignored regions, ``(m, 4)``."""
        return self.boxes[:0] if self.ignored is None else self.boxes[self.ignored]

    def with_ignored(self, *boxes: Tensor) -> Detections:
        """These boxes with ``(m, 4)`` regions added as ignored; only labels and boxes come along."""
        parts = [self, *(Detections.regions(b.to(self.boxes)) for b in boxes)]
        masks = [torch.zeros_like(p.labels, dtype=torch.bool) if p.ignored is None else p.ignored for p in parts]
        return Detections(
            torch.cat([p.boxes for p in parts]), torch.cat([p.labels for p in parts]), ignored=torch.cat(masks)
        )

    @property
    def embedded_labels(self) -> Tensor:
        """``(n,)`` int64: the labels of the boxes."""
        return self.labels

    def resized(self, before: Size, after: Size) -> Detections:
        """The same boxes on an image of size ``after`` that was of size ``before``, without what lies outside it."""
        return self.scaled(after[1] / before[1], after[0] / before[0]).clipped(after)

    def relabelled(self, table: Tensor, classes: int) -> Detections:
        """Label k becomes ``table[k]``; boxes of which that is -1 are left out."""
        columns = dict(self._columns())
        known = table.to(self.labels.device)[self.labels.clamp(min=0)]
        columns["labels"] = labels = known.where(self.labels >= 0, -1)
        return Detections(**columns)[labels >= 0]

    def with_risk(self, risk: Tensor | None) -> Detections:
        """The same boxes with the risk ``(n,)`` of each."""
        columns = dict(self._columns())
        columns["risk"] = torch.zeros(len(self), device=self.boxes.device) if risk is None else risk.float()
        return Detections(**columns)

    def filtered(self, epsilon: float) -> tuple[Detections, float]:
        """The boxes with a risk of at most ``epsilon``, and their mean risk; the others become ignored regions."""
        assert self.risk is not None
        keep = self.risk <= epsilon
        kept = self[keep]
        assert kept.risk is not None
        target = Detections(kept.boxes, kept.labels).with_ignored(self.boxes[~keep])
        return target, float(kept.risk.mean()) if len(kept) else 0.0

    def beside(self, other: Detections) -> Detections:
        """These boxes with those of the other image as ignored regions: they are in the mix too."""
        return self.with_ignored(other.boxes)

    def on_canvas(self, mask: Tensor) -> Detections:
        """These boxes with the padding as two ignored regions."""
        return self.with_ignored(padding_regions(mask[None])[0])

    def amounts(self, classes: int) -> Tensor:
        """How many boxes each class has, and last how many regions are ignored."""
        return torch.cat([self.labelled.labels, self.labels.new_full((len(self.ignored_boxes),), classes)]).bincount(
            minlength=classes + 1
        )

    def columns(self) -> dict[str, Tensor]:
        """Boxes, labels and scores."""
        assert self.scores is not None
        return {"boxes": self.boxes, "labels": self.labels, "scores": self.scores}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Tensor]) -> Detections:
        """The boxes as they were kept."""
        return cls(columns["boxes"], columns["labels"], columns["scores"])


def concatenate(parts: Sequence[Detections]) -> Detections:
    """All boxes of several predictions on one image; a field must be set in all parts or in none.

    Raises:
        ShapeError: if a field is set in some parts only.
    """
    columns: dict[str, Tensor | None] = {}
    for field in fields(Detections):
        values = [getattr(part, field.name) for part in parts]
        present = [value for value in values if value is not None]
        if present and len(present) != len(values):
            raise ShapeError(f"'{field.name}' is set in {len(present)} of {len(values)} parts: set it in all or none")
        columns[field.name] = torch.cat(present) if present else None
    return Detections(**columns)  # type: ignore[arg-type]


def padding_regions(mask: Tensor) -> list[Tensor]:
    """The padding of every image as ``(2, 4)`` boxes, right and below, from masks ``(N, 1, H, W)``."""
    height, width = mask.shape[-2:]
    rows, columns = mask[:, 0, :, 0].sum(1).tolist(), mask[:, 0, 0].sum(1).tolist()
    return [
        torch.tensor([[w, 0, width, height], [0, h, width, height]], device=mask.device) for h, w in zip(rows, columns)
    ]
