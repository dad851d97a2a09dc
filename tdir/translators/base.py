"""The contract of a translator: fuse the degraded with the restored image, then translate for the head."""

from __future__ import annotations

from torch import Tensor, nn


class Translator(nn.Module):
    """Base of every translator (VaT, section 4.1).

    ``forward(degraded, restored) = translate(fuse(degraded, restored))``. ``fuse(x, x) == x``, so that a clean image
    can go straight to ``translate``. Images are ``(N, 3, H, W)`` RGB in [0, 1], any H and W.
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
