"""What every prediction can do, so that teacher, trainer, metrics and pictures need not know its task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from tdir.errors import ShapeError

IGNORE = 255
"""The label of a pixel that neither trains nor counts."""
Size = tuple[int, int]
"""Height and width, pixels."""
Own = TypeVar("Own", bound="Prediction")


class Prediction(ABC):
    """What a head says of one image: a prediction, and as a target a truth or a pseudo-label.

    Attributes:
        risk: how uncertain each part of a pseudo-label is, in [0, 1] (VaT Algorithm 1, U); ``None`` if not estimated.
    """

    risk: Tensor | None

    @property
    @abstractmethod
    def embedded_labels(self) -> Tensor:
        """``(n,)`` int64: the labels of the n things that ``Head.embed`` gives a vector of, in order; -1 for none."""

    @abstractmethod
    def to(self: Own, device: torch.device | str) -> Own:
        """The same on another device."""

    @abstractmethod
    def clipped(self: Own, size: Size) -> Own:
        """What lies on an image of this size, in the top left corner of the canvas that the head saw."""

    @abstractmethod
    def resized(self: Own, before: Size, after: Size) -> Own:
        """What is said of an image of size ``before`` as said of the same image at size ``after``."""

    @abstractmethod
    def relabelled(self: Own, table: Tensor, classes: int) -> Own:
        """Label k becomes ``table[k]``, one of ``classes``; what becomes -1 is left out. ``table``: ``(K,)`` int64."""

    @abstractmethod
    def with_risk(self: Own, risk: Tensor | None) -> Own:
        """The same with the risk ``(n,)`` of each embedded thing, see :attr:`embedded_labels`; 0 if ``None``."""

    @abstractmethod
    def filtered(self: Own, epsilon: float) -> tuple[Own, float]:
        """What has a risk of at most ``epsilon``, as a target; the rest is ignored (Algorithm 1, line 6).

        Returns:
            The target, and U, the mean risk of what is kept; 0 if nothing is.
        """

    @abstractmethod
    def beside(self: Own, other: Own) -> Own:
        """This target in a mix with the image of ``other``, of which nothing may be learnt to be background."""

    @abstractmethod
    def on_canvas(self: Own, mask: Tensor) -> Own:
        """This target on a canvas of which ``mask`` ``(1, H, W)`` is 1 where there is an image: the rest is ignored."""

    @abstractmethod
    def amounts(self, classes: int) -> Tensor:
        """``(classes + 1,)``: how much of each class there is in a target, and last how much of it is ignored.

        In boxes, in shares of the pixels, or 1 for the class of the image.
        """

    @abstractmethod
    def columns(self) -> dict[str, Tensor]:
        """All that a cache keeps of a prediction, as tensors by name; those of several images can be concatenated."""

    @classmethod
    @abstractmethod
    def from_columns(cls: type[Own], columns: Mapping[str, Tensor]) -> Own:
        """A prediction from its :meth:`columns`."""


def check_images(images: Tensor, who: str) -> None:
    """Raise a ShapeError unless ``images`` is a float ``(N, 3, H, W)`` tensor."""
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ShapeError(
            f"{who} takes RGB images (N, 3, H, W) as floats in [0, 1], got {images.dtype} {tuple(images.shape)}"
        )
