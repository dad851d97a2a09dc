"""GCANet: Gated Context Aggregation Network for Dehazing and Deraining (Chen et al., WACV 2019, arXiv 1811.08747)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tdir.padding import to_multiple
from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer, load_published

_CHANNELS = 64
_MULTIPLE = 4  # of the sides, as in the published inference; the network itself halves them once


class _SharedConvolution(nn.Module):
    """One small kernel for every channel; without it, dilated convolutions leave a grid in the image (section 3.2)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, size, size))
        nn.init.dirac_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        channels, border = features.shape[1], self.weight.shape[-1] // 2
        kernels = self.weight.expand(channels, -1, -1, -1).contiguous()
        return functional.conv2d(features, kernels, padding=border, groups=channels)


class _SmoothResidual(nn.Module):
    """Two dilated 3x3 convolutions beside a skip; a dilation of 1 needs no smoothing."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.pre_conv1, self.pre_conv2 = (
            _SharedConvolution(2 * dilation - 1) if dilation > 1 else nn.Identity() for _ in range(2)
        )
        self.conv1, self.conv2 = (
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=dilation, dilation=dilation, bias=False) for _ in range(2)
        )
        self.norm1, self.norm2 = (nn.InstanceNorm2d(_CHANNELS, affine=True) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        inner = functional.relu(self.norm1(self.conv1(self.pre_conv1(features))))
        return functional.relu(features + self.norm2(self.conv2(self.pre_conv2(inner))))


@RESTORERS.register_module(name="gcanet")
class GCANet(Restorer):
    """Dehazing by an estimated residual between the hazy image and the clear one.

    The encoder halves the image once, seven residual blocks of growing dilation see its context, and a gate weighs
    their low, middle and high levels for every pixel (eq. 4).

    Args:
        weights: the published dehazing file, as a path or a name; ``None`` leaves the network untrained.

    Raises:
        WeightsError: if the file is missing, damaged, wants to run code, or is another model's.
    """

    title = "GCANet"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        # The names of the layers are those of the file.
        self.conv1 = nn.Conv2d(4, _CHANNELS, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, stride=2, padding=1, bias=False)
        self.res1, self.res2, self.res3 = (_SmoothResidual(2) for _ in range(3))
        self.res4, self.res5, self.res6 = (_SmoothResidual(4) for _ in range(3))
        self.res7 = _SmoothResidual(1)
        self.gate = nn.Conv2d(3 * _CHANNELS, 3, 3, padding=1)
        self.deconv3 = nn.ConvTranspose2d(_CHANNELS, _CHANNELS, 4, stride=2, padding=1)
        self.deconv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)
        self.deconv1 = nn.Conv2d(_CHANNELS, 3, 1)
        self.norm1, self.norm2, self.norm3, self.norm4, self.norm5 = (
            nn.InstanceNorm2d(_CHANNELS, affine=True) for _ in range(5)
        )
        if weights is not None:
            load_published(self, weights)
        self.freeze()

    @classmethod
    def recognises(cls, tensors: Mapping[str, Tensor]) -> bool:
        """Whether the tensors are GCANet's."""
        gate, first = tensors.get("gate.weight"), tensors.get("conv1.weight")
        return gate is not None and first is not None and (gate.shape[1], first.shape[1]) == (3 * _CHANNELS, 4)

    def restore(self, images: Tensor) -> Tensor:
        """The ``(N, 3, H, W)`` images in [0, 1] and their residuals, added; may leave the range."""
        if not len(images):
            return images  # instance norm finds no statistics
        height, width = images.shape[-2:]
        # The published network takes levels from 0 to 255, of pixels and of edges, less 128.
        levels = 255 * to_multiple(images, _MULTIPLE)
        residuals = self._residuals(torch.cat([levels, edges(levels)], 1) - 128)
        return images + residuals[..., :height, :width] / 255

    def _residuals(self, inputs: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in levels, from ``(N, 4, H, W)``."""
        shallow = functional.relu(self.norm1(self.conv1(inputs)))
        shallow = functional.relu(self.norm2(self.conv2(shallow)))
        low = functional.relu(self.norm3(self.conv3(shallow)))
        middle = self.res4(self.res3(self.res2(self.res1(low))))
        high = self.res7(self.res6(self.res5(middle)))
        levels = (low, middle, high)
        shares = self.gate(torch.cat(levels, 1)).split(1, dim=1)
        gated = sum(share * level for share, level in zip(shares, levels))
        decoded = functional.relu(self.norm4(self.deconv3(gated)))
        return self.deconv1(functional.relu(self.norm5(self.deconv2(decoded))))


def edges(images: Tensor) -> Tensor:
    """How much a pixel differs from its four neighbours, ``(N, 1, H, W)``: the mean over neighbours and channels.

    Beyond the border there is no difference.
    """
    right = functional.pad((images[..., :, 1:] - images[..., :, :-1]).abs(), [1, 1, 0, 0])
    below = functional.pad((images[..., 1:, :] - images[..., :-1, :]).abs(), [0, 0, 1, 1])
    four = right[..., 1:] + right[..., :-1] + below[..., 1:, :] + below[..., :-1, :]
    return four.mean(1, keepdim=True) / 4
