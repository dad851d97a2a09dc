"""DCP: Single Image Haze Removal Using Dark Channel Prior (He et al., CVPR 2009, TPAMI 33(12), 2011).

The transmission is refined by the guided filter (He et al., ECCV 2010, TPAMI 35(6), 2013), which its authors offer in
place of the first paper's soft matting.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tdir.errors import ConfigError
from tdir.ranges import COUNT, POSITIVE, SHARE, Range
from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer, refuse_weights

_LUMA = (0.299, 0.587, 0.114)
_LEAST_LIGHT = 1 / 255
_RANGES = {
    "patch": COUNT,
    "omega": SHARE,
    "least_transmission": Range(0, 1, with_least=False),
    "radius": COUNT,
    "epsilon": POSITIVE,
}


@RESTORERS.register_module(name="dcp")
class DCP(Restorer):
    """Dehazing by a prior: in a clear photo, nearly every patch has a pixel that is dark in some channel.

    What light the patches of a hazy image have in their darkest channel is air light, then, and tells the transmission
    t; the scattering model I = J t + A (1 - t) (eq. 1) is solved for J. It needs no weights.

    Args:
        weights: none; named for the sake of an error that says so.
        patch: side of the patches, pixels, odd (the paper's 15, for images of about 600 x 400).
        omega: the share of the haze that goes; what is left keeps distance visible (eq. 12).
        least_transmission: t_0, in (0, 1]: below it haze is not divided away, since noise would grow with it (eq. 22).
        radius: of the guided filter's windows, pixels. With less than about four patches, halos stay around lamp posts
            and people: the least of a patch reaches beyond their edges.
        epsilon: of the guided filter: what varies by less in the image is no edge.

    Raises:
        ConfigError: if weights are given, or a setting is out of range.
    """

    title = "DCP"

    def __init__(
        self,
        weights: str | Path | None = None,
        patch: int = 15,
        omega: float = 0.95,
        least_transmission: float = 0.1,
        radius: int = 60,
        epsilon: float = 1e-4,
    ) -> None:
        super().__init__()
        refuse_weights("dcp", weights)
        self.patch, self.omega, self.least_transmission = patch, omega, least_transmission
        self.radius, self.epsilon = radius, epsilon
        for name, allowed in _RANGES.items():
            allowed.check(f"restorer 'dcp': {name}", getattr(self, name))
        if patch % 2 == 0:
            raise ConfigError(f"restorer 'dcp': patch is odd, so that a pixel is its middle, got {patch}")
        self.freeze()

    def restore(self, images: Tensor) -> Tensor:
        """J = (I - A) / max(t, t_0) + A of ``(N, 3, H, W)`` images I in [0, 1] (eq. 22); may leave the range."""
        air = air_light(images, dark_channel(images, self.patch))
        transmission = 1 - self.omega * dark_channel(images / air.clamp(min=_LEAST_LIGHT), self.patch)  # eq. 12
        luma = sum(weight * channel for weight, channel in zip(_LUMA, images.split(1, dim=1)))
        transmission = guided_filter(luma, transmission, self.radius, self.epsilon)
        return (images - air) / transmission.clamp(min=self.least_transmission) + air


def dark_channel(images: Tensor, patch: int) -> Tensor:
    """The least value of any channel in the patch around every pixel, ``(N, 1, H, W)`` (eq. 5)."""
    half = patch // 2
    # Rows, then columns: a patch of 15 costs 30 comparisons instead of 225.
    rows = functional.max_pool2d(-images.amin(1, keepdim=True), (1, patch), 1, (0, half))
    return -functional.max_pool2d(rows, (patch, 1), 1, (half, 0))


def air_light(images: Tensor, dark: Tensor) -> Tensor:
    """The colour of the haze, ``(N, 3, 1, 1)``: the brightest of the pixels with the 0.1 % highest dark channels."""
    darkness, brightness = dark.flatten(1), images.sum(1).flatten(1)
    count = max(1, round(darkness.shape[1] / 1000))
    # Patches share their darkest pixel: all that are as high as the last one count, not some of them.
    least = darkness.topk(count).values[:, -1:]
    brightest = brightness.masked_fill(darkness < least, -torch.inf).argmax(1)
    return images.flatten(2).gather(2, brightest[:, None, None].expand(-1, 3, 1))[..., None]


def guided_filter(guide: Tensor, maps: Tensor, radius: int, epsilon: float) -> Tensor:
    """Smooth maps whose edges are those of a guide, all ``(N, 1, H, W)``.

    In every window the result is a linear function of the guide, a I + b, that fits the map in the least-squares sense;
    a pixel gets the mean over the windows that it lies in.
    """
    guide_mean, map_mean = _box(guide, radius), _box(maps, radius)
    covariance = _box(guide * maps, radius) - guide_mean * map_mean
    variance = _box(guide * guide, radius) - guide_mean * guide_mean
    slope = covariance / (variance + epsilon)
    offset = map_mean - slope * guide_mean
    return _box(slope, radius) * guide + _box(offset, radius)


def _box(maps: Tensor, radius: int) -> Tensor:
    """The mean over the window of ``2 * radius + 1`` around every pixel, of what of it lies in the image."""
    side = 2 * radius + 1
    rows = functional.avg_pool2d(maps, (1, side), 1, (0, radius), count_include_pad=False)
    return functional.avg_pool2d(rows, (side, 1), 1, (radius, 0), count_include_pad=False)
