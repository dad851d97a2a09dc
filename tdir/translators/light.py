"""vat-light: the translator for CPUs and real time, ours.

Gate and transformation look at a small copy of the images and predict maps, which are up-sampled and applied at full
size. To invert the scattering model through thick haze is a contrast gain of 1/t, often above 10, about a pivot near
the air light: so the gain is exponential, and so the pivot is predicted with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tdir.errors import ConfigError
from tdir.ranges import COUNT, Range
from tdir.registry import TRANSLATORS
from tdir.structures import check_images
from tdir.translators.base import RestoredOnly, Translator, check_pair, clamp_inward

MAX_LOG_GAIN = 4.0  # a gain of 55; thicker haze leaves less than eight-bit quantisation can carry
GROUPS = 4  # of channels, that share their normalisation
CELL = 8  # pixels of the small copy that share their statistics
LEAST_LIGHT = 1 / 255  # where the logarithmic view of the image starts
LEAST_CONTRAST = 0.5 / 255  # what quantisation alone makes of a flat region


def small_copy(images: Tensor, side: int) -> Tensor:
    """The images with their longest side reduced to ``side``; smaller ones as they are."""
    scale = side / max(images.shape[-2:])
    if scale >= 1:
        return images
    size = [max(1, round(length * scale)) for length in images.shape[-2:]]
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Local mean and contrast (standard deviation) of ``(N, 3, h, w)`` images, over about 40 pixels each way."""
    cells = [max(1, round(length / CELL)) for length in images.shape[-2:]]

    def blurred(x: Tensor) -> Tensor:
        coarse = F.avg_pool2d(F.interpolate(x, cells, mode="area"), 5, 1, 2, count_include_pad=False)
        return resized(coarse, x)

    mean = blurred(images)
    variance = (blurred(images * images) - mean * mean).clamp(min=0)
    return mean, (variance + LEAST_CONTRAST**2).sqrt()


def seen(images: Tensor, mean: Tensor, contrast: Tensor) -> Tensor:
    """What the small networks see, 15 channels: the image, its logarithm, and mean, contrast and normalised image.

    Light and contrast in the logarithm span the range over which fog and darkness vary; the normalised image shows the
    content through both.
    """
    light = 0.5 * (images.clamp(min=0) + LEAST_LIGHT).log() + 1
    return torch.cat([2 * images - 1, light, 2 * mean - 1, 0.5 * contrast.log() + 1, (images - mean) / contrast / 2], 1)


class Block(nn.Module):
    """A residual block with group norm."""

    def __init__(self, dim: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(GROUPS, dim),
            nn.Conv2d(dim, dim, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(dim, dim, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, dim, h, w)`` -> the same shape."""
        return x + self.body(x)


class SmallUNet(nn.Module):
    """Maps of half the input's size from three scales and the mean of the whole image.

    Args:
        inputs: input channels.
        outputs: output channels; they start at 0.
        dims: channels at 1/2, 1/4 and 1/8.
    """

    def __init__(self, inputs: int, outputs: int, dims: tuple[int, int, int]):
        super().__init__()
        fine, middle, coarse = dims
        self.fine = nn.Sequential(nn.Conv2d(inputs, fine, 3, 2, 1), Block(fine))
        self.middle = nn.Sequential(nn.Conv2d(fine, middle, 3, 2, 1), Block(middle))
        self.coarse = nn.Sequential(nn.Conv2d(middle, coarse, 3, 2, 1), Block(coarse))
        self.whole = nn.Conv2d(coarse, coarse, 1)
        self.to_middle = nn.Conv2d(coarse, middle, 1)
        self.to_fine = nn.Conv2d(middle, fine, 1)
        self.join_middle, self.join_fine = Block(middle), Block(fine)
        self.out = nn.Conv2d(fine, outputs, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, h, w)`` -> ``(N, outputs, h / 2, w / 2)``."""
        fine = self.fine(x)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        coarse = coarse + F.silu(self.whole(coarse.mean((2, 3), keepdim=True)))
        middle = self.join_middle(middle + resized(self.to_middle(coarse), middle))
        fine = self.join_fine(fine + resized(self.to_fine(middle), fine))
        return self.out(fine)


def resized(maps: Tensor, like: Tensor) -> Tensor:
    """Bilinear interpolation of ``(N, C, h, w)`` maps to the height and width of ``like``.

    As two matrix products, which on a CPU takes half the time of ``F.interpolate`` with its gradient.
    """
    with torch.autocast(maps.device.type, enabled=False):  # bf16 would quantise a gain to 0.4 %
        maps = maps.float()
        rows, columns = (_interpolation(maps.shape[i], like.shape[i], maps) for i in (-2, -1))
        return rows @ (maps @ columns.T)


def _interpolation(source: int, target: int, like: Tensor) -> Tensor:
    """The matrix ``(target, source)`` of linear interpolation."""
    unit = torch.eye(source, dtype=like.dtype, device=like.device)
    return F.interpolate(unit[None], target, mode="linear", align_corners=False)[0].T


class LightTransformation(nn.Module):
    """y = (x - p) * exp(g) + p + q + M (x - p): pivot p, log-gain g, offset q and colour mix M for every pixel.

    On the small copy that is the affine map A = diag(exp(g)) + M, b = p + q - A p; A and b are what is up-sampled.

    Args:
        side: the longest side of the small copy, pixels.
        dims: channels of the small network.
    """

    def __init__(self, side: int = 128, dims: tuple[int, int, int] = (16, 24, 32)):
        super().__init__()
        self.side = side
        self.maps = SmallUNet(15, 18, dims)

    def affine(self, images: Tensor) -> Tensor:
        """The small maps ``(N, 12, h, w)``: the three columns of A, then b."""
        small = small_copy(images, self.side)
        mean, contrast = statistics(small)
        pivot, gain, offset, mix = self.maps(seen(small, mean, contrast)).float().split([3, 3, 3, 9], 1)
        pivot = pivot + F.interpolate(mean, pivot.shape[-2:], mode="area")
        gain = MAX_LOG_GAIN * torch.tanh(gain)  # in units of the most, so that it moves faster than the other maps
        matrix = mix.unflatten(1, (3, 3)) + torch.diag_embed(gain.exp().movedim(1, -1)).movedim((-2, -1), (1, 2))
        shift = pivot + offset - (matrix * pivot[:, :, None]).sum(1)
        return torch.cat([matrix.flatten(1, 2), shift], 1)

    def forward(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` in [0, 1] -> the same shape and range; the identity before training."""
        check_images(images, type(self).__name__)
        red, green, blue, shift = resized(self.affine(images), images).split(3, 1)
        result = torch.addcmul(shift, red, images[:, 0:1])
        result = torch.addcmul(result, green, images[:, 1:2])
        return clamp_inward(torch.addcmul(result, blue, images[:, 2:3]))


class LightGate(nn.Module):
    """sigma(w) * degraded + (1 - sigma(w)) * restored (VaT eq. 5), with sigma(w) from the small copies of both images.

    Args:
        side: the longest side of the small copies, pixels.
        dim: channels.
        start: the share of the degraded image before training.
    """

    def __init__(self, side: int = 128, dim: int = 16, start: float = 0.27):
        super().__init__()
        self.side = side
        self.body = nn.Sequential(nn.Conv2d(30, dim, 3, 2, 1), nn.SiLU(), Block(dim), nn.Conv2d(dim, 1, 1))
        last = self.body[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, torch.logit(torch.tensor(start)).item())

    def forward(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """The fused image, ``(N, 3, H, W)`` in [0, 1]."""
        return torch.lerp(restored, degraded, self.weights(degraded, restored))

    def weights(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """The weight of the degraded image, ``(N, 1, H, W)`` in (0, 1)."""
        check_pair(degraded, restored)
        views = [small_copy(images, self.side) for images in (degraded, restored)]
        both = torch.cat([seen(view, *statistics(view)) for view in views], 1)
        return torch.sigmoid(resized(self.body(both).float(), degraded))


def _check_structure(side: int, dims: Sequence[int], gate_start: float) -> None:
    COUNT.check("side", side)
    Range(0, 1, with_least=False, with_most=False).check("gate_start", gate_start)
    if not isinstance(dims, Sequence) or len(dims) != 3 or any(dim not in COUNT or dim % GROUPS for dim in dims):
        raise ConfigError(f"dims are three numbers of channels, multiples of {GROUPS}, got {dims!r}")


@TRANSLATORS.register_module(name="vat-light")
class VaTLight(Translator):
    """The light translator: the same cost of thinking at any image size, a few operations a pixel to apply it.

    Args:
        side: the longest side of the small copy, pixels.
        dims: channels of the small network at 1/2, 1/4 and 1/8 of that copy.
        gate_start: the share of the degraded image in the fusion before training, in (0, 1).
        gate: whether to fuse; without it the restored image is what is translated.

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(
        self,
        side: int = 128,
        dims: tuple[int, int, int] = (16, 24, 32),
        gate_start: float = 0.27,
        gate: bool = True,
    ):
        super().__init__()
        _check_structure(side, dims, gate_start)
        self.settings = {"side": side, "dims": tuple(dims)}
        self.gate = LightGate(side, dims[0], gate_start) if gate else RestoredOnly()
        self.transformation = LightTransformation(side, tuple(dims))  # type: ignore[arg-type]

    def fuse(self, degraded: Tensor, restored: Tensor) -> Tensor:
        """I_F (VaT eq. 5), ``(N, 3, H, W)`` in [0, 1]; two equal images give themselves."""
        fused: Tensor = self.gate(degraded, restored)
        return fused

    def translate(self, images: Tensor) -> Tensor:
        """T_A on ``(N, 3, H, W)`` in [0, 1]."""
        return self.transformation(images)

    def inverse(self) -> nn.Module:
        """A fresh T_B of the same structure."""
        return LightTransformation(**self.settings)  # type: ignore[arg-type]
