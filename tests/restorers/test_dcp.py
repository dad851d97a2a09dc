"""The dark channel prior and the guided filter against loops over pixels, and on real and made haze."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tdir.errors import ConfigError
from tdir.restorers.dcp import DCP, air_light, dark_channel, guided_filter
from tests.restorers.photos import contrast, fog_photos, photo

Array = Any


def windows(maps: Array, radius: int) -> list[list[Array]]:
    """What lies in the image of the window around every pixel of ``(H, W)`` maps."""
    height, width = maps.shape
    return [
        [maps[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] for x in range(width)]
        for y in range(height)
    ]


def means(maps: Array, radius: int) -> Array:
    return np.array([[window.mean() for window in row] for row in windows(maps, radius)])


def dark(image: Array, patch: int) -> Array:
    """Eq. 5 of ``(3, H, W)``."""
    return np.array([[window.min() for window in row] for row in windows(image.min(0), patch // 2)])


def filtered(guide: Array, maps: Array, radius: int, epsilon: float) -> Array:
    """Every window's linear fit of the map to the guide, and the mean of the fits over a pixel's windows."""
    height, width = guide.shape
    slope, offset = np.zeros((height, width)), np.zeros((height, width))
    for y, (guides, values) in enumerate(zip(windows(guide, radius), windows(maps, radius), strict=True)):
        for x, (g, v) in enumerate(zip(guides, values, strict=True)):
            slope[y, x] = ((g * v).mean() - g.mean() * v.mean()) / (g.var() + epsilon)
            offset[y, x] = v.mean() - slope[y, x] * g.mean()
    return means(slope, radius) * guide + means(offset, radius)


def plain(image: Array, patch: int, radius: int) -> Array:
    """The whole method on ``(3, H, W)``."""
    darkness = dark(image, patch)
    least = np.sort(darkness.ravel())[-max(1, round(darkness.size / 1000))]
    colours = image[:, darkness >= least]
    air = colours[:, colours.sum(0).argmax()][:, None, None]
    transmission = 1 - 0.95 * dark(image / air, patch)
    luma = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    transmission = filtered(luma, transmission, radius, 1e-4)
    return (image - air) / np.maximum(transmission, 0.1) + air


@pytest.mark.parametrize("size", [(24, 31), (1, 9), (40, 27)])
def test_it_is_the_paper_method(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size, dtype=torch.float64) * 0.6 + 0.3
    expected = np.stack([plain(one, 5, 6) for one in image.numpy()])
    torch.testing.assert_close(DCP(patch=5, radius=6).restore(image), torch.from_numpy(expected), rtol=0, atol=1e-9)
    torch.testing.assert_close(
        DCP(patch=5, radius=6).restore(image.float()), torch.from_numpy(expected).float(), rtol=0, atol=2e-3
    )


def test_the_air_light_is_the_brightest_of_the_haziest_pixels() -> None:
    image = torch.rand(1, 3, 50, 60) * 0.3
    image[..., 10:30, 20:40] = torch.tensor([0.8, 0.85, 0.9])[:, None, None]
    image[..., 12, 22] = torch.tensor([0.81, 0.86, 0.91])
    image[..., 45, 5] = 1  # a lamp: bright, but what is around it is not hazy
    air = air_light(image, dark_channel(image, 15))
    assert air.shape == (1, 3, 1, 1)
    torch.testing.assert_close(air.flatten(), torch.tensor([0.8, 0.85, 0.9]), rtol=0, atol=0.011)


def test_a_guided_filter_smooths_noise_and_keeps_the_edges_of_its_guide() -> None:
    guide = torch.zeros(1, 1, 40, 60)
    guide[..., 30:] = 1
    noisy = 0.2 + 0.5 * guide + 0.1 * torch.randn(1, 1, 40, 60)
    smooth = guided_filter(guide, noisy, 8, 1e-4)
    assert (smooth[..., :28].mean() - 0.2).abs() < 0.02
    assert (smooth[..., 32:].mean() - 0.7).abs() < 0.02
    assert smooth[..., 2:28].std() < 0.2 * noisy[..., 2:28].std()
    assert ((smooth[..., 30] - smooth[..., 29]).mean() - 0.5).abs() < 0.05


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"patch": 4}, "patch is odd, so that a pixel is its middle, got 4"),
        ({"patch": 0}, "patch is a whole number from 1, got 0"),
        ({"omega": 1.5}, r"omega is a number in \[0, 1\], got 1.5"),
        ({"least_transmission": 0}, r"least_transmission is a number in \(0, 1\], got 0"),
        ({"radius": 0}, "radius is a whole number from 1, got 0"),
        ({"epsilon": 0.0}, "epsilon is a number above 0, got 0.0"),
        ({"weights": "haze.pth"}, "'dcp' has no weights, got 'haze.pth'"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DCP(**settings)


def test_no_haze_is_taken_at_omega_0() -> None:
    image = torch.rand(1, 3, 20, 20)
    torch.testing.assert_close(DCP(omega=0)(image), image, rtol=0, atol=1e-6)


@pytest.mark.real
def test_real_fog_gains_contrast(data_root: Path) -> None:
    for path in fog_photos(data_root, 12):
        image = photo(path)
        assert contrast(DCP()(image)) > 1.2 * contrast(image)


@pytest.mark.real
def test_a_hazy_photo_comes_nearer_to_the_clear_one(data_root: Path) -> None:
    photos = sorted((data_root / "voc5" / "JPEGImages").glob("*.jpg"))[:10]
    nearer = []
    for path in photos:
        clear = photo(path)
        hazy = 0.5 * clear + 0.5 * 0.9
        nearer.append(float((DCP()(hazy) - clear).abs().mean() / (hazy - clear).abs().mean()))
    assert np.median(nearer) < 0.6
