"""The contract of a translator: fuse the degraded with the restored image, then translate for the head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tdir.errors import ShapeError
from tdir.structures import check_images


class Translator(nn.Module):
    """Base of every translator (VaT, section 4.1).

    ``forward(degraded, restored) = translate(fuse(degraded, restored))``. ``fuse(x, x) == x``, so that a clean image
    can go straight to ``translate``. Images are ``(N, 3, H, W)`` RGB in [0, 1], any H and W. Every translator can be
    built with ``gate=False``: then the restored image alone is translated, as in the fourth row of the paper's Table 4.
    """

    def fuse(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """The gated mean of both images (VaT eq. 5), same shape, in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} must implement fuse()")

    def translate(self, images: Tensor) -> Tensor:
        """T_A: the image that the head reads best, same shape, in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} must implement translate()")

    def inverse(self) -> nn.Module:
        """A fresh T_B: the same transformation without a gate, used in training only (VaT eq. 6)."""
        raise NotImplementedError(f"{type(self).__name__} must implement inverse()")

    def forward(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """``translate(fuse(degraded, restored))``."""
        return self.translate(self.fuse(degraded, restored))


def check_pair(degraded: Tensor, restored: Tensor) -> None:
    """Raise a ShapeError unless both are float ``(N, 3, H, W)`` tensors of one shape."""
    check_images(degraded, "the gate")
    check_images(restored, "the gate")
    if degraded.shape != restored.shape:
        raise ShapeError(
            f"the gate takes two images of one shape, got degraded {tuple(degraded.shape)} and restored "
            f"{tuple(restored.shape)}: bring both to one size first"
        )


class RestoredOnly(nn.Module):
    """What stands for a gate where there is none: the restored image as it is."""

    def forward(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """``restored``, of two images ``(N, 3, H, W)``."""
        check_pair(degraded, restored)
        return restored


class _ClampInward(torch.autograd.Function):
    """Clamp to [0, 1]; a value outside still receives the gradients that lead it back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        outward = ((values < 0) & (gradient > 0)) | ((values > 1) & (gradient < 0))
        return gradient.masked_fill(outward, 0)


def clamp_inward(values: Tensor) -> Tensor:
    """Clamp to [0, 1] and keep gradients useful.

    ``Tensor.clamp`` has no gradient outside the range: a sky once pushed above 1 stays there. Passing every gradient
    would let values drift outward without end. So a value outside receives only what a descent step turns inward.
    """
    return _ClampInward.apply(values) if values.requires_grad else values.clamp(0, 1)
