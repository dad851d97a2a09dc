"""The contract of a head: a frozen vision model of which one forward pass serves everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor

from tdir.frozen import Frozen
from tdir.structures import Detections

Background = Literal["all", "ignore_dropped", "ignore_unclaimed"]
"""What of an image carries the loss of "there is nothing here": everything; everything but ignored regions; nothing
that no label claims. A missed object must not teach that it is background."""


class Head(Frozen):
    """Base of every head.

    Attributes:
        classes: the class names; a label is a position in this list.
        task: "detection", "segmentation" or "classification".
        weights_name: the name or path that the weights were asked for by.
        weights_sha256: of the weight file; a bundle refers to it.
    """

    classes: list[str]
    task: Literal["detection", "segmentation", "classification"]
    weights_name: str
    weights_sha256: str

    def forward(self, images: Tensor) -> Any:
        """Outputs of ``(N, 3, H, W)`` RGB images in [0, 1], differentiable with respect to the images only.

        The result can be sliced along the batch and carries the features that ``embed`` needs.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")

    def decode(self, outputs: Any, score: float = 0.25, iou: float = 0.7, max_det: int = 300) -> list[Detections]:
        """Predictions, one per image, in pixels of the images given to ``forward``.

        Args:
            outputs: what ``forward`` returned.
            score: the least confidence, in [0, 1]: 0.001 for average precision, higher for labels and pictures.
            iou: boxes of one class that overlap more are one object.
            max_det: the most predictions of an image.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement decode()")

    def loss(self, outputs: Any, targets: Sequence[Detections | None], background: Background = "all") -> Tensor:
        """The library's own criterion, image by image.

        Args:
            outputs: what ``forward`` returned.
            targets: one per image, in pixels, with labelled and ignored parts; ``None`` or no part at all gives 0.
            background: what carries the loss of "nothing here".

        Returns:
            ``(N,)``: value i is the criterion on image i alone.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement loss()")

    def embed(self, outputs: Any, predictions: Sequence[Detections]) -> list[Tensor]:
        """An embedding of every prediction, one ``(n_i, D)`` tensor an image, for the risk estimate."""
        raise NotImplementedError(f"{type(self).__name__} must implement embed()")

    def merge(self, first: Detections, second: Detections, iou: float = 0.7) -> Detections:
        """Two predictions on the same scene as one, the higher confidence wins (Algorithm 1, line 4)."""
        raise NotImplementedError(f"{type(self).__name__} must implement merge()")
