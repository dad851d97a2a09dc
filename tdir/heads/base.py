"""The contract of a head: a frozen vision model of which one forward pass serves everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Literal, TypeVar

from torch import Tensor

from tdir.errors import ConfigError, shown
from tdir.frozen import Frozen
from tdir.ranges import POSITIVE, Range
from tdir.registry import closest
from tdir.structures import Prediction

Background = Literal["all", "ignore_dropped", "ignore_unclaimed"]
"""What of an image carries the loss of "there is nothing here": everything; everything but ignored regions; nothing
that no label claims. A missed object must not teach that it is background."""


Said = TypeVar("Said", bound=Prediction)


class Head(Frozen, Generic[Said]):
    """Base of every head; ``Said`` is what it predicts.

    Attributes:
        classes: the class names; a label is a position in this list.
        task: "detection", "segmentation" or "classification".
        pads: whether images of several sizes may share a canvas, padded. A head whose answer depends on the whole image
            wants images of one size together only.
        aligns: whether predictions hold the probability of every class, which ``align`` weighs.
        weights_name: the name or path that the weights were asked for by.
        weights_sha256: of the weight file; a bundle refers to it.
    """

    classes: list[str]
    task: Literal["detection", "segmentation", "classification"]
    pads: bool = True
    aligns: bool = False
    weights_name: str
    weights_sha256: str

    def forward(self, images: Tensor) -> Any:
        """Outputs of ``(N, 3, H, W)`` RGB images in [0, 1], differentiable with respect to the images only.

        The result can be sliced along the batch and carries the features that ``embed`` needs.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement forward()")

    def decode(self, outputs: Any, score: float = 0.25, iou: float = 0.7, max_det: int = 300) -> list[Said]:
        """Predictions, one per image, in pixels of the images given to ``forward``.

        Args:
            outputs: what ``forward`` returned.
            score: the least confidence, in [0, 1]: 0.001 for average precision, higher for labels and pictures. What
                is below it has no label.
            iou: boxes of one class that overlap more are one object; detectors only.
            max_det: the most boxes of an image; detectors only.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement decode()")

    def loss(self, outputs: Any, targets: Sequence[Said | None], background: Background = "all") -> Tensor:
        """The library's own criterion, image by image.

        Args:
            outputs: what ``forward`` returned.
            targets: one per image, in pixels, with labelled and ignored parts; ``None`` or no part at all gives 0.
            background: what carries the loss of "nothing here"; detectors only.

        Returns:
            ``(N,)``: value i is the criterion on image i alone.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement loss()")

    def embed(self, outputs: Any, predictions: Sequence[Said]) -> list[Tensor]:
        """Embeddings for the risk estimate, one ``(n_i, D)`` tensor an image; see ``Prediction.embedded_labels``."""
        raise NotImplementedError(f"{type(self).__name__} must implement embed()")

    def merge(self, first: Said, second: Said, iou: float = 0.7) -> Said:
        """Two predictions on the same scene as one, the higher confidence wins (Algorithm 1, line 4)."""
        raise NotImplementedError(f"{type(self).__name__} must implement merge()")

    def align(self, found: Sequence[Said], reference: Sequence[Said], score: float = 0.0) -> list[Said]:
        """The predictions on a set with the shares of the classes that those on another set, the reference, have.

        Args:
            found: one per image, of any confidence.
            reference: likewise, on images that show about the same.
            score: what has less confidence than this afterwards has no label, in [0, 1].
        """
        raise NotImplementedError(f"{type(self).__name__} must implement align(), or leave aligns False")

    @staticmethod
    def checked_names(names: Any, source: str) -> list[str]:
        """The names of a network's outputs, which its file or a setting says.

        Raises:
            ConfigError: if they are no list of different names; ``source`` is in the message.
        """
        several = isinstance(names, list | tuple) and len(names) > 0 and all(isinstance(name, str) for name in names)
        if not several or len(set(names)) != len(names):
            raise ConfigError(
                f"{source} does not say what its classes are: give names=[a list of different names], got "
                f"{shown(names)}"
            )
        return list(names)

    @staticmethod
    def check_normalisation(mean: Any, std: Any) -> None:
        """Raise a ConfigError unless these are what colours are normalised by, three numbers each."""
        for values, allowed in ((mean, Range()), (std, POSITIVE)):
            if not isinstance(values, list | tuple) or len(values) != 3 or any(one not in allowed for one in values):
                raise ConfigError(f"mean and std are three numbers, std above 0, got {mean!r} and {std!r}")

    def choose(self, classes: Sequence[str] | None, names: Sequence[str]) -> list[int]:
        """Note the classes of interest, all if ``None``; their positions among the names that the network knows.

        Raises:
            ConfigError: if a class is unknown, or one name is given instead of a list.
        """
        if isinstance(classes, str):
            raise ConfigError(f"classes is a list of names, got {classes!r}: give [{classes!r}]")
        self.classes = list(classes or names)
        for name in self.classes:
            if name not in names:
                raise ConfigError(f"{self.weights_name} has no class {name!r}: {closest(name, names)}")
        return [list(names).index(name) for name in self.classes]
