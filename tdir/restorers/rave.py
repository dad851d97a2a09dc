"""RAVE: Residual Vector Embedding for CLIP-Guided Backlit Image Enhancement (Gaintseva et al., ECCV 2024).

The network is CLIP-LIT's (Liang et al., ICCV 2023, arXiv 2303.17569); the two differ in the guidance of the training,
and the weights of both, and of CLIP-LIT-Latent, load here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tdir.padding import bordered
from tdir.ranges import COUNT
from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer, load_published

_BINS = (1, 2, 3, 6)
_LEAST_LIGHT = 1e-4


def _leaky(features: Tensor) -> Tensor:
    return functional.leaky_relu(features, 0.2)


def _convolved(convolution: nn.Conv2d, features: Tensor) -> Tensor:
    """A 3x3 convolution with a border by reflection, as the published inference has it."""
    return convolution(bordered(features, 1))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        inner = _leaky(_convolved(self.conv1, features))
        return _leaky(features + _convolved(self.conv2, inner))


class _PyramidPooling(nn.Module):
    """What the whole image and parts of it look like, beside every pixel."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), nn.Conv2d(channels, reduced, 1, bias=False), nn.PReLU())
            for bins in _BINS
        )
        joined = channels + len(_BINS) * reduced
        self.fuse = nn.Sequential(nn.Conv2d(joined, channels, 3, padding=1, bias=False), nn.PReLU())

    def forward(self, features: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        size = features.shape[-2:]
        parts = [
            functional.interpolate(pooled(features), size, mode="bilinear", align_corners=True)
            for pooled in self.features
        ]
        return self.fuse(torch.cat([features, *parts], 1))


@RESTORERS.register_module(name="rave")
class RAVE(Restorer):
    """Backlit image enhancement by one estimated illumination map (Retinex): I_t = I_b / I_i, section 3.1.

    Args:
        weights: a published file of RAVE, CLIP-LIT or CLIP-LIT-Latent, as a path or a name; ``None`` leaves the network
            untrained.
        side: the longest side, in pixels, at which the illumination is estimated. The paper's inference has images of
            2048 (supplement, section 1); a larger one is reduced for the estimate alone, and is divided by the
            up-sampled map at full size. ``None`` sets no limit.

    Raises:
        ConfigError: if ``side`` is not a whole number from 1.
        WeightsError: if the file is missing, damaged, wants to run code, or is another model's.
    """

    title = "RAVE"

    def __init__(self, weights: str | Path | None = None, side: int | None = 2048) -> None:
        super().__init__()
        if side is not None:
            COUNT.check("side", side)
        self.side = side
        # The names of the layers are those of the files.
        self.cond1 = nn.Conv2d(3, 32, 3)
        self.ResidualBlock1, self.ResidualBlock2 = _Residual(32), _Residual(32)
        self.PPM1 = _PyramidPooling(32, 8)
        self.condx = nn.Conv2d(32, 64, 3)
        self.ResidualBlock3, self.ResidualBlock4 = _Residual(64), _Residual(64)
        self.condy = nn.Conv2d(64, 32, 3)
        self.ResidualBlock5, self.ResidualBlock6 = _Residual(32), _Residual(32)
        self.cond_add1 = nn.Conv2d(32, 1, 3)
        # An illumination about 1 leaves the image as it is. About 0, it would turn white without a gradient.
        nn.init.ones_(self.cond_add1.get_parameter("bias"))
        if weights is not None:
            load_published(self, weights)
        self.freeze()

    @classmethod
    def recognises(cls, tensors: Mapping[str, Tensor]) -> bool:
        """Whether the tensors are those of the enhancement network, whoever trained it."""
        middle = tensors.get("condx.weight")
        return middle is not None and middle.shape == (64, 32, 3, 3) and "PPM1.fuse.0.weight" in tensors

    def restore(self, images: Tensor) -> Tensor:
        """I_b / I_i of ``(N, 3, H, W)`` images I_b in [0, 1], same shape; not bounded above."""
        illumination = self._illumination(_reduced(images, self.side))
        if illumination.shape[-2:] != images.shape[-2:]:
            illumination = functional.interpolate(illumination, images.shape[-2:], mode="bilinear")
        # The map may be 0 somewhere, and black over no light is not a number.
        return images / illumination.clamp(min=_LEAST_LIGHT)

    def _illumination(self, images: Tensor) -> Tensor:
        """I_i, ``(N, 1, H, W)``, not negative: one map for the three channels."""
        fine = self.ResidualBlock2(self.ResidualBlock1(_leaky(_convolved(self.cond1, images))))
        wide = _convolved(self.condx, self.PPM1(fine))
        wide = _convolved(self.condy, self.ResidualBlock4(self.ResidualBlock3(wide)))
        last = self.ResidualBlock6(self.ResidualBlock5(wide))
        return functional.relu(_convolved(self.cond_add1, last))


def _reduced(images: Tensor, side: int | None) -> Tensor:
    longest = max(images.shape[-2:])
    if side is None or longest <= side:
        return images
    size = [max(1, round(length * side / longest)) for length in images.shape[-2:]]
    return functional.interpolate(images, size, mode="area")
