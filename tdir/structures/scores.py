"""A class for the whole image."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdir.errors import ShapeError
from tdir.structures.base import Prediction, Size

_ROUNDS, _CLOSE = 100, 1e-4  # the most rounds of an alignment, and how near to the wanted one every mean has to be
_NONE = 1e-12  # a mean probability of nothing
log = logging.getLogger("tdir")


@dataclass
class ClassScores(Prediction):
    """The class of one image.

    Args:
        scores: ``(C,)`` float, the probability of every class; of a truth, 1 for its class and 0 for the others; all 0
            where there is no label.
        risk: ``(1,)`` float in [0, 1], how uncertain a pseudo-label is.

    Raises:
        ShapeError: if the scores are not ``(C,)``.
    """

    scores: Tensor
    risk: Tensor | None = None

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or not len(self.scores):
            raise ShapeError(f"class scores have shape (C,), got {tuple(self.scores.shape)}")

    @classmethod
    def of(cls, label: int, count: int) -> ClassScores:
        """The truth that an image is of class ``label`` among ``count``."""
        scores = torch.zeros(count)
        scores[label] = 1
        return cls(scores)

    @property
    def label(self) -> int:
        """The most probable class; -1 where there is no label: 255 is a class where there are many."""
        return int(self.scores.argmax()) if float(self.scores.max()) > 0 else -1

    @property
    def embedded_labels(self) -> Tensor:
        """``(1,)`` int64: the most probable class; -1 where there is no label."""
        return self.scores.argmax(0, keepdim=True).where(self.scores.max() > 0, -1)

    def to(self, device: torch.device | str) -> ClassScores:
        """The same scores on another device."""
        return ClassScores(self.scores.to(device), None if self.risk is None else self.risk.to(device))

    def clipped(self, size: Size) -> ClassScores:
        """The same: a class has no place in the image."""
        return self

    def resized(self, before: Size, after: Size) -> ClassScores:
        """The same: a class has no place in the image."""
        return self

    def relabelled(self, table: Tensor, classes: int) -> ClassScores:
        """The score of class k becomes that of ``table[k]``; a class that the table does not name has none."""
        found = self.scores.new_zeros(classes)
        return ClassScores(found.index_add(0, table[table >= 0].to(found.device), self.scores[table >= 0]), self.risk)

    def with_risk(self, risk: Tensor | None) -> ClassScores:
        """The same scores with a risk ``(1,)``."""
        return ClassScores(self.scores, self.scores.new_zeros(1) if risk is None else risk.float())

    def filtered(self, epsilon: float) -> tuple[ClassScores, float]:
        """The most probable class as the target, and its risk; no label if that is above ``epsilon``."""
        assert self.risk is not None
        if self.label < 0 or float(self.risk) > epsilon:
            return ClassScores(torch.zeros_like(self.scores)), 0.0
        return ClassScores.of(self.label, len(self.scores)).to(self.scores.device), float(self.risk)

    def beside(self, other: ClassScores) -> ClassScores:
        """The label itself."""
        return self

    def on_canvas(self, mask: Tensor) -> ClassScores:
        """The label itself: it is of the image, with or without padding."""
        return self

    def amounts(self, classes: int) -> Tensor:
        """1 for the class, or last for no label."""
        found = self.scores.new_zeros(classes + 1)
        found[self.label] = 1  # -1, no label, is the last one
        return found

    def columns(self) -> dict[str, Tensor]:
        """The scores."""
        return {"scores": self.scores}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Tensor]) -> ClassScores:
        """The scores as they were kept."""
        return cls(columns["scores"])


def more_confident(first: ClassScores, second: ClassScores) -> ClassScores:
    """Of two predictions on the same scene the one with the higher score, the first where they are equal."""
    return second if float(second.scores.max()) > float(first.scores.max()) else first


def aligned(found: Sequence[ClassScores], reference: Sequence[ClassScores], score: float = 0.0) -> list[ClassScores]:
    """The predictions with one weight for each class, so that the mean probability of every class is the reference's.

    Distribution alignment (Berthelot et al., ReMixMatch, ICLR 2020, section 3.1), over the whole set instead of a
    running mean, and repeated until the means meet. Images without a label have no part in it and stay without one.

    Args:
        found: one per image.
        reference: one per image of another set.
        score: the least confidence of a label afterwards, in [0, 1].
    """
    if all(one.label < 0 for one in found) or all(one.label < 0 for one in reference):
        return list(found)
    logarithms = _logarithms(found)
    wanted, bias = _logarithms(reference).exp().mean(0), torch.zeros_like(logarithms[0])
    for _ in range(_ROUNDS):
        means = (logarithms + bias).softmax(1).mean(0)
        if (off := float((means - wanted).abs().max())) < _CLOSE:
            break
        bias += wanted.clamp_min(_NONE).log() - means.clamp_min(_NONE).log()
    else:
        log.warning("the shares of the classes cannot be aligned: one is still off by %.3f", off)
    scores = (logarithms + bias).softmax(1).float()
    rows = iter(scores.masked_fill(scores.amax(1, keepdim=True) < score, 0))
    return [ClassScores(next(rows), one.risk) if one.label >= 0 else one for one in found]


def _logarithms(found: Sequence[ClassScores]) -> Tensor:
    """``(n, C)`` float64, of the scores of those with a label: a product of many weights is a sum of these."""
    return torch.stack([one.scores for one in found if one.label >= 0]).double().log()
