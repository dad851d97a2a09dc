"""Padding by reflection for images of any size, down to a single pixel."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def padded(features: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
    """``(N, C, H, W)`` with a mirror image around it or, where there are too few pixels for one, the last pixels."""
    height, width = features.shape[-2:]
    fits = max(left, right) < width and max(top, bottom) < height
    return functional.pad(features, [left, right, top, bottom], mode="reflect" if fits else "replicate")


def bordered(features: Tensor, border: int) -> Tensor:
    """The same border, in pixels, on every side."""
    return padded(features, border, border, border, border)


def to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Height and width as multiples of ``multiple``, by pixels on the right and below: crop ``[..., :H, :W]`` later."""
    height, width = images.shape[-2:]
    return padded(images, 0, -width % multiple, 0, -height % multiple)
