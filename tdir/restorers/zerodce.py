"""Zero-DCE: Zero-Reference Deep Curve Estimation (Guo et al., CVPR 2020, arXiv 2001.06826).

SCL-LLE (Liang et al., AAAI 2022) trains the same network with other losses, and its weights load here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer, load_published

_CHANNELS = 32
_ITERATIONS = 8


@RESTORERS.register_module(name="zerodce")
class ZeroDCE(Restorer):
    """Low-light enhancement by a curve for every pixel and channel, applied eight times.

    The light-enhancement curve is LE_n = LE_(n-1) + A_n LE_(n-1) (1 - LE_(n-1)) with A_n in [-1, 1] (eq. 3); seven
    convolutions, joined symmetrically, estimate A_1 ... A_8 from the image.

    Args:
        weights: a published file of Zero-DCE or SCL-LLE, as a path or a name; ``None`` leaves the network untrained.

    Raises:
        WeightsError: if the file is missing, damaged, wants to run code, or is another model's.
    """

    title = "Zero-DCE"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.e_conv1 = nn.Conv2d(3, _CHANNELS, 3, padding=1)
        self.e_conv2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)
        self.e_conv3 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)
        self.e_conv4 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)
        self.e_conv5 = nn.Conv2d(2 * _CHANNELS, _CHANNELS, 3, padding=1)
        self.e_conv6 = nn.Conv2d(2 * _CHANNELS, _CHANNELS, 3, padding=1)
        self.e_conv7 = nn.Conv2d(2 * _CHANNELS, 3 * _ITERATIONS, 3, padding=1)
        if weights is not None:
            load_published(self, weights)
        self.freeze()

    @classmethod
    def recognises(cls, tensors: Mapping[str, Tensor]) -> bool:
        """Whether the tensors are those of the curve network, whoever trained it."""
        last = tensors.get("e_conv7.weight")
        return last is not None and last.shape == (3 * _ITERATIONS, 2 * _CHANNELS, 3, 3)

    def restore(self, images: Tensor) -> Tensor:
        """LE_8 of ``(N, 3, H, W)`` images, same shape, in [0, 1] (eq. 3)."""
        # Outside [0, 1] the curve is no curve: eight squarings of a pixel of 1.5 overflow.
        enhanced = images.clamp(0, 1)
        for amount in self._amounts(enhanced).split(3, dim=1):
            enhanced = enhanced + amount * enhanced * (1 - enhanced)
        return enhanced

    def _amounts(self, images: Tensor) -> Tensor:
        """A_1 ... A_8, ``(N, 24, H, W)``, in [-1, 1]."""
        first = functional.relu(self.e_conv1(images))
        second = functional.relu(self.e_conv2(first))
        third = functional.relu(self.e_conv3(second))
        fourth = functional.relu(self.e_conv4(third))
        fifth = functional.relu(self.e_conv5(torch.cat([third, fourth], 1)))
        sixth = functional.relu(self.e_conv6(torch.cat([second, fifth], 1)))
        # The published networks were trained with the opposite sign: their last layer says by how much to darken.
        return -torch.tanh(self.e_conv7(torch.cat([first, sixth], 1)))
