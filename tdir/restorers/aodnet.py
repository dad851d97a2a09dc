"""AOD-Net: All-in-One Dehazing Network (Li et al., ICCV 2017, arXiv 1707.06543)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from tdir.errors import ConfigError
from tdir.padding import bordered
from tdir.registry import RESTORERS, closest
from tdir.restorers.base import Restorer, load_published

Padding = Literal["reflect", "zeros"]


@RESTORERS.register_module(name="aodnet")
class AODNet(Restorer):
    """Dehazing by one estimated map K.

    The scattering model I = J t + A (1 - t) (eq. 1) is solved as J = K I - K + b with b = 1 (eq. 4), where K joins the
    transmission t and the air light A; five convolutions estimate K from I.

    Args:
        weights: the published file, as a path or a name; ``None`` leaves the network untrained.
        padding: "zeros" is the published one and leaves a bright frame a few pixels wide, since K drops where the image
            ends; "reflect" does not.

    Raises:
        ConfigError: if ``padding`` is neither.
        WeightsError: if the file is missing, damaged, wants to run code, or is another model's.
    """

    title = "AOD-Net"

    def __init__(self, weights: str | Path | None = None, padding: Padding = "reflect") -> None:
        super().__init__()
        if padding not in get_args(Padding):
            raise ConfigError(f"aodnet has no padding {padding!r}: {closest(str(padding), get_args(Padding))}")
        self.padding = padding
        self.e_conv1 = nn.Conv2d(3, 3, 1)
        self.e_conv2 = nn.Conv2d(3, 3, 3)
        self.e_conv3 = nn.Conv2d(6, 3, 5)
        self.e_conv4 = nn.Conv2d(6, 3, 7)
        self.e_conv5 = nn.Conv2d(12, 3, 3)
        # K = 1 gives J = I. About 0, the ReLU of eq. 4 starts dead for some draws: a white image and no gradient.
        nn.init.ones_(self.e_conv5.get_parameter("bias"))
        if weights is not None:
            load_published(self, weights)
        self.freeze()

    @classmethod
    def recognises(cls, tensors: Mapping[str, Tensor]) -> bool:
        """Whether the tensors are AOD-Net's: other networks name theirs e_conv too, with more channels."""
        last = tensors.get("e_conv5.weight")
        return len(tensors) == 10 and last is not None and last.shape == (3, 12, 3, 3)

    def restore(self, images: Tensor) -> Tensor:
        """J = relu(K I - K + 1) of ``(N, 3, H, W)`` images I in [0, 1] (eq. 4); not bounded above."""
        scale = self._scale(images)
        return functional.relu(scale * images - scale + 1)

    def _scale(self, images: Tensor) -> Tensor:
        """K, ``(N, 3, H, W)``: each layer sees the layers before it at another scale."""
        first = self._layer(self.e_conv1, images)
        second = self._layer(self.e_conv2, first)
        third = self._layer(self.e_conv3, torch.cat([first, second], 1))
        fourth = self._layer(self.e_conv4, torch.cat([second, third], 1))
        return self._layer(self.e_conv5, torch.cat([first, second, third, fourth], 1))

    def _layer(self, convolution: nn.Conv2d, features: Tensor) -> Tensor:
        border = convolution.kernel_size[0] // 2
        features = functional.pad(features, [border] * 4) if self.padding == "zeros" else bordered(features, border)
        return functional.relu(convolution(features))
