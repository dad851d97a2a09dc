"""The contract of a restorer: ``(N, 3, H, W)`` RGB in [0, 1] -> the same shape and range, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tdir import weights as weight_files
from tdir.errors import ConfigError, ShapeError, WeightsError
from tdir.frozen import Frozen
from tdir.registry import RESTORERS
from tdir.structures import check_images


class Restorer(Frozen):
    """Base of every restorer.

    A subclass builds its layers, loads its weights, calls ``freeze()`` and implements ``restore``. Any H and W must
    work: what needs a multiple pads and crops by itself, what needs another normalisation does it inside.

    Attributes:
        title: the name that its paper gives it, for messages.
        weights_name: the name or path that the weights were asked for by; ``None`` without weights.
        weights_sha256: of the weight file; ``None`` without weights.
        is_code: whether its weights are a program of the user's, which a bundle refers to and never holds.
    """

    title: str = ""
    is_code: bool = False
    weights_name: str | None = None
    weights_sha256: str | None = None

    @classmethod
    def recognises(cls, tensors: Mapping[str, Tensor]) -> bool:
        """Whether the tensors of a file are this restorer's, by names and shapes; a restorer without weights: never."""
        return False

    def restore(self, images: Tensor) -> Tensor:
        """The paper's inference on ``(N, 3, H, W)`` in [0, 1]; may leave the range, ``forward`` clamps."""
        raise NotImplementedError(f"{type(self).__name__} must implement restore()")

    def forward(self, images: Tensor) -> Tensor:
        """Restore a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB, float in [0, 1].

        Returns:
            The restored images, same shape, clamped to [0, 1].

        Raises:
            ShapeError: if the images are not ``(N, 3, H, W)`` floats of the precision of the weights.
        """
        check_images(images, type(self).__name__)
        self._check_precision(images)
        return self.restore(images).clamp(0, 1)

    def _check_precision(self, images: Tensor) -> None:
        weight = next(self.parameters(), None)
        if weight is None or weight.dtype == images.dtype or torch.is_autocast_enabled(images.device.type):
            return
        raise ShapeError(
            f"{type(self).__name__} computes in {weight.dtype}, got images in {images.dtype}: convert the images with "
            f".to({weight.dtype}) or the restorer with .to({images.dtype})"
        )


def refuse_weights(name: str, weights: str | Path | None) -> None:
    """Raise a ConfigError if weights are given to the restorer of that name, which has none."""
    if weights is not None:
        raise ConfigError(f"restorer {name!r} has no weights, got {str(weights)!r}: leave weights out")


def load_published(restorer: Restorer, weights: str | Path, keep: str | tuple[str, ...] = "") -> None:
    """Load a published weight file as it is into a restorer, and note its name and sha256.

    Args:
        restorer: takes the tensors under the names that the file has.
        weights: a path, or a name that ``tdir.weights.find`` finds.
        keep: only tensors whose names start so are the restorer's; the others serve training only.

    Raises:
        WeightsError: if the file is missing, damaged, wants to run code, or is another model's.
    """
    path = weight_files.find(weights)
    tensors = weight_files.read_tensors(path)
    kept = {name: value for name, value in tensors.items() if name.startswith(keep)}
    difference = _difference(restorer.state_dict(), kept)
    if difference:
        raise WeightsError(_of_another_model(restorer, path, tensors, difference))
    restorer.load_state_dict({name: _without_subnormals(value) for name, value in kept.items()})
    restorer.weights_name, restorer.weights_sha256 = str(weights), weight_files.sha256(path)


def _without_subnormals(tensor: Tensor) -> Tensor:
    """The tensor with numbers below about 1e-38 as 0.

    Weight decay leaves them in dead filters. They do not change an image, but a CPU takes many times longer for each:
    AOD-Net's published file runs 25 times faster without them, with bit-equal output.
    """
    if not tensor.is_floating_point():
        return tensor
    return tensor.where(tensor.abs() >= torch.finfo(torch.float32).tiny, torch.zeros_like(tensor))


def _difference(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """The first difference in names or shapes, in words; empty if there is none."""
    for name in expected:
        if name not in found:
            return f"{name!r} is missing"
        if expected[name].shape != found[name].shape:
            return f"{name!r} is {tuple(found[name].shape)}, not {tuple(expected[name].shape)}"
    return next((f"{name!r} is unknown" for name in found if name not in expected), "")


def _of_another_model(restorer: Restorer, path: Path, tensors: Mapping[str, Tensor], difference: str) -> str:
    fix = f"({difference}): give a file published for {restorer.title}"
    for name in RESTORERS.names():
        other = RESTORERS.get(name)
        if (
            isinstance(other, type)
            and issubclass(other, Restorer)
            and not isinstance(restorer, other)
            and other.recognises(tensors)
        ):
            fix = f"(it looks like {other.title}): pass restorer={name!r}"
    return f"{restorer.title} weights hold {len(restorer.state_dict())} tensors, {path} holds {len(tensors)} {fix}"
