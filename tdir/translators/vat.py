"""VaT's translator (ECCV 2024, arXiv 2408.08149, section 4.1): a gated fusion and a U-shape of transformer blocks.

The paper names the parts and gives five sizes; the widths and depths here are the ones that reproduce those sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tdir.errors import ConfigError
from tdir.padding import to_multiple
from tdir.registry import TRANSLATORS
from tdir.structures import check_images
from tdir.translators.base import RestoredOnly, Translator, check_pair, clamp_inward
from tdir.translators.blocks import Downsample, Stage, TransformerBlock, Upsample, channels_last, conv

PRESETS = (8, 16, 24, 32, 48)
"""Widths with 0.20, 0.73, 1.59, 2.78 and 6.13 M parameters for the paper's 0.21, 0.74, 1.57, 2.75 and 6.10 M (its list
of widths reads 4, 8, 16, 32, 48, which fits no depth)."""
BLOCKS = (4, 4, 8)
HEADS = (1, 2, 4)
GATE_START = -1.0
"""Logit of the degraded image's weight before training, 0.27: the restored image is the better guess."""
OUTPUT_SCALE = 0.1
"""Factor on the first weights of the last layers: small, so that an untrained translator hardly changes an image, and
not zero, so that gradients pass from the first step on."""


class GatedFusion(nn.Module):
    """``I_F = σ(w)·I_LQ + (1 - σ(w))·I_R`` with one weight per pixel (VaT eq. 5).

    Args:
        dim: channels inside.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.embed = conv(6, dim, 3)
        self.block = TransformerBlock(dim, heads=1)
        self.weigh = nn.Conv2d(dim, 1, 1)
        with torch.no_grad():
            self.weigh.weight.mul_(OUTPUT_SCALE)
        nn.init.constant_(self.weigh.bias, GATE_START)  # type: ignore[arg-type]

    def weights(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """σ(w), the degraded image's share of every pixel: ``(N, 1, H, W)`` in [0, 1]."""
        both = channels_last(torch.cat([degraded, restored], dim=1))
        return self.weigh(self.block(self.embed(both))).sigmoid()

    def forward(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """The fused image, ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ShapeError: if an image is not ``(N, 3, H, W)`` float, or the two shapes differ.
        """
        check_pair(degraded, restored)
        # Eq. 5 as restored + σ(w)·difference: two equal images give exactly themselves.
        return restored + self.weights(degraded, restored).to(restored.dtype) * (degraded - restored)


class TransformationModule(nn.Module):
    """T_A or T_B: a three-level U-shape of transformer blocks that predicts what to add to the image.

    Args:
        dim: channels of the first level, even; the levels hold dim, 2·dim and 4·dim.
        blocks: blocks of the three levels; the decoder repeats the first two.
        heads: attention heads of the three levels.
        checkpoint: in training, trade a second forward pass for the memory of the features.

    Raises:
        ConfigError: if ``dim`` is odd, a list does not hold three numbers, or heads do not divide a level's channels.
    """

    multiple = 4
    """H and W inside; other sizes are padded and cropped."""

    def __init__(
        self, dim: int, blocks: Sequence[int] = BLOCKS, heads: Sequence[int] = HEADS, checkpoint: bool = False
    ):
        super().__init__()
        _check_structure(dim, blocks, heads)
        self.structure: dict[str, Any] = {"dim": dim, "blocks": blocks, "heads": heads, "checkpoint": checkpoint}
        self.embed = conv(3, dim, 3)
        self.encoder1 = Stage(dim, heads[0], blocks[0], checkpoint)
        self.down1 = Downsample(dim)
        self.encoder2 = Stage(2 * dim, heads[1], blocks[1], checkpoint)
        self.down2 = Downsample(2 * dim)
        self.bottleneck = Stage(4 * dim, heads[2], blocks[2], checkpoint)
        self.up2 = Upsample(4 * dim)
        self.reduce2 = conv(4 * dim, 2 * dim, 1)
        self.decoder2 = Stage(2 * dim, heads[1], blocks[1], checkpoint)
        self.up1 = Upsample(2 * dim)
        # As in Restormer the first level decodes the joined 2·dim channels without reducing them.
        self.decoder1 = Stage(2 * dim, heads[0], blocks[0], checkpoint)
        self.output = conv(2 * dim, 3, 3)
        with torch.no_grad():
            self.output.weight.mul_(OUTPUT_SCALE)

    def forward(self, images: Tensor) -> Tensor:
        """Translate a batch.

        Args:
            images: ``(N, 3, H, W)`` RGB, float in [0, 1], any H and W.

        Returns:
            The translated images, same shape, in [0, 1].

        Raises:
            ShapeError: if the images are not ``(N, 3, H, W)`` floats.
        """
        check_images(images, type(self).__name__)
        height, width = images.shape[-2:]
        residual = self._residual(channels_last(to_multiple(images, self.multiple)))
        return clamp_inward(images + residual[..., :height, :width])

    def _residual(self, images: Tensor) -> Tensor:
        """What to add to ``(N, 3, H, W)`` images of a right size."""
        level1 = self.encoder1(self.embed(images))
        level2 = self.encoder2(self.down1(level1))
        level3 = self.bottleneck(self.down2(level2))
        level2 = self.decoder2(self.reduce2(torch.cat([self.up2(level3), level2], dim=1)))
        level1 = self.decoder1(torch.cat([self.up1(level2), level1], dim=1))
        return self.output(level1)


def _check_structure(dim: int, blocks: Sequence[int], heads: Sequence[int]) -> None:
    if dim < 2 or dim % 2:
        raise ConfigError(f"dim must be an even number of channels, got {dim}: the paper's sizes are {PRESETS}")
    for name, numbers in (("blocks", blocks), ("heads", heads)):
        if len(numbers) != 3 or min(numbers) < 1:
            raise ConfigError(f"{name} must hold one number >= 1 for each of three levels, got {tuple(numbers)}")


class VaT(Translator):
    """The deployed VaT: the gate and T_A.

    Args:
        dim: channels of the gate and of the first level, even.
        blocks: blocks of T_A's three levels.
        heads: attention heads of T_A's three levels.
        checkpoint: in training, trade a second forward pass for the memory of T_A's features.
        gate: whether to fuse; without it the restored image is what is translated.

    Raises:
        ConfigError: as :class:`TransformationModule` does.
    """

    def __init__(
        self,
        dim: int,
        blocks: Sequence[int] = BLOCKS,
        heads: Sequence[int] = HEADS,
        checkpoint: bool = False,
        gate: bool = True,
    ):
        super().__init__()
        self.transformation = TransformationModule(dim, blocks, heads, checkpoint)
        self.gate = GatedFusion(dim) if gate else RestoredOnly()

    def fuse(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """I_F (VaT eq. 5), ``(N, 3, H, W)`` in [0, 1]; two equal images give themselves.

        Raises:
            ShapeError: if an image is not ``(N, 3, H, W)`` float, or the two shapes differ.
        """
        return self.gate(degraded, restored)

    def translate(self, images: Tensor) -> Tensor:
        """I_HQ = T_A(I_F), ``(N, 3, H, W)`` in [0, 1], any H and W.

        Raises:
            ShapeError: if the images are not ``(N, 3, H, W)`` floats.
        """
        return self.transformation(images)

    def inverse(self) -> TransformationModule:
        """A fresh T_B of T_A's structure, on T_A's device; its first weights come from torch's global generator."""
        here = self.transformation.embed.weight
        return TransformationModule(**self.transformation.structure).to(here)


def _preset(dim: int) -> Callable[..., VaT]:
    def build(checkpoint: bool = False, gate: bool = True) -> VaT:
        return VaT(dim, checkpoint=checkpoint, gate=gate)

    build.__doc__ = f"The paper's translator with {dim} channels."
    return build


for _dim in PRESETS:
    TRANSLATORS.register_module(name=f"vat-{_dim}", module=_preset(_dim))
