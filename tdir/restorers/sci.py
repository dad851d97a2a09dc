"""SCI: Toward Fast, Flexible, and Robust Low-Light Image Enhancement (Ma et al., CVPR 2022, arXiv 2204.10137)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer, load_published

_CHANNELS = 3
# A published file holds the shared convolution twice, as `conv` and as the block made of it, and a self-calibrating
# network that only the training uses.
_INFERENCE = ("enhance.in_conv.", "enhance.blocks.", "enhance.out_conv.")


class _Illumination(nn.Module):
    """The illumination of ``(N, 3, H, W)`` images, same shape, in [1e-4, 1]; the names are those of the files."""

    def __init__(self) -> None:
        super().__init__()
        self.in_conv = nn.Sequential(nn.Conv2d(3, _CHANNELS, 3, padding=1), nn.ReLU())
        block = (nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1), nn.BatchNorm2d(_CHANNELS), nn.ReLU())
        self.blocks = nn.ModuleList([nn.Sequential(*block)])
        self.out_conv = nn.Sequential(nn.Conv2d(_CHANNELS, 3, 3, padding=1), nn.Sigmoid())

    def forward(self, images: Tensor) -> Tensor:
        features = self.in_conv(images)
        for block in self.blocks:
            features = features + block(features)
        return torch.clamp(images + self.out_conv(features), 1e-4, 1)


@RESTORERS.register_module(name="sci")
class SCI(Restorer):
    """Low-light enhancement by one estimated illumination (Retinex: y = z * x).

    The illumination is the image plus a residual that one small network learns, x = y + H(y) (eq. 1); of the stages of
    the training, made alike by self-calibration, inference runs the first one alone.

    Args:
        weights: a published file (easy, medium or difficult), as a path or a name; ``None`` leaves the network
            untrained.

    Raises:
        WeightsError: if the file is missing, damaged, wants to run code, or is another model's.
    """

    title = "SCI"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.enhance = _Illumination()
        if weights is not None:
            load_published(self, weights, keep=_INFERENCE)
        self.freeze()

    @classmethod
    def recognises(cls, tensors: Mapping[str, Tensor]) -> bool:
        """Whether the tensors are SCI's, with or without those that serve the training."""
        block = tensors.get("enhance.blocks.0.0.weight")
        return block is not None and block.shape == (_CHANNELS, _CHANNELS, 3, 3)

    def restore(self, images: Tensor) -> Tensor:
        """Reflectance z = y / x of ``(N, 3, H, W)`` images y in [0, 1], same shape, in [0, 1]."""
        return (images / self.enhance(images)).clamp(0, 1)
