"""RAVE's network against a plain statement of the published one, and on dark photos with the published weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, conv2d, interpolate, leaky_relu, pad, prelu, relu

from tdir.errors import ConfigError, WeightsError
from tdir.restorers.rave import RAVE
from tests.restorers.photos import dark_photos, photo

FILES = ["rave_paired", "rave_unpaired_shifted", "clip_lit", "clip_lit_latent_unpaired"]


def published(w: dict[str, Tensor], image: Tensor) -> Tensor:
    """The published illumination map, line by line, from a file's tensors."""

    def mirrored(x: Tensor, name: str) -> Tensor:
        return conv2d(pad(x, [1, 1, 1, 1], mode="reflect"), w[f"{name}.weight"], w.get(f"{name}.bias"))

    def residual(x: Tensor, number: int) -> Tensor:
        inside = leaky_relu(mirrored(x, f"ResidualBlock{number}.conv1"), 0.2)
        return leaky_relu(x + mirrored(inside, f"ResidualBlock{number}.conv2"), 0.2)

    x = leaky_relu(mirrored(image, "cond1"), 0.2)
    x = residual(residual(x, 1), 2)
    joined = [x]
    for i, bins in enumerate((1, 2, 3, 6)):
        part = conv2d(adaptive_avg_pool2d(x, bins), w[f"PPM1.features.{i}.1.weight"])
        part = prelu(part, w[f"PPM1.features.{i}.2.weight"])
        joined.append(interpolate(part, x.shape[2:], mode="bilinear", align_corners=True))
    x = prelu(conv2d(torch.cat(joined, 1), w["PPM1.fuse.0.weight"], padding=1), w["PPM1.fuse.1.weight"])
    x = residual(residual(mirrored(x, "condx"), 3), 4)
    x = residual(residual(mirrored(x, "condy"), 5), 6)
    return relu(mirrored(x, "cond_add1"))


@pytest.mark.parametrize("size", [(61, 83), (7, 300), (2, 2)])
def test_it_is_the_published_network(size: tuple[int, int]) -> None:
    network = RAVE()
    image = torch.rand(2, 3, *size)
    expected = image / published(network.state_dict(), image)
    torch.testing.assert_close(network.restore(image), expected, rtol=0, atol=1e-5)
    assert torch.equal(network(image), network.restore(image).clamp(0, 1))


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in RAVE().parameters()) == 278_790


def test_no_light_is_not_a_division_by_zero() -> None:
    network = RAVE()
    network.cond_add1.weight.zero_()
    network.cond_add1.get_parameter("bias").fill_(-1)
    image = torch.rand(1, 3, 9, 9)
    image[..., 4, 4] = 0
    assert torch.equal(network(image), (image > 0).float())


def test_a_large_image_is_reduced_for_the_estimate_alone() -> None:
    network = RAVE(side=32)
    unlimited = RAVE(side=None)
    unlimited.load_state_dict(network.state_dict())
    assert torch.equal(network(image := torch.rand(1, 3, 32, 20)), unlimited(image))
    # One pixel in light, far above what a reduced image keeps of it.
    image = torch.full((1, 3, 128, 96), 0.2)
    image[..., 60, 40] = 1
    restored = network(image)
    assert restored.shape == image.shape
    gain = (restored / image)[..., 60, 41]
    torch.testing.assert_close(restored[..., 60, 40], (gain * 1).clamp(max=1), rtol=0, atol=0.02)
    torch.testing.assert_close(restored, unlimited(image), rtol=0, atol=0.1)


@pytest.mark.parametrize("side", [0, -5, 0.5, "2048", True])
def test_a_wrong_side_is_named(side: object) -> None:
    with pytest.raises(ConfigError, match=f"side is a whole number from 1, got {side!r}"):
        RAVE(side=side)  # type: ignore[arg-type]


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_published_weights_give_the_published_output(weights_root: Path, data_root: Path, file: str) -> None:
    path = weights_root / "rave" / f"{file}.pth"
    raw = torch.load(path, map_location="cpu", weights_only=True)
    assert all(name.startswith("module.") for name in raw)
    network = RAVE(f"rave/{file}.pth")
    assert network.weights_name == f"rave/{file}.pth"
    image = photo(dark_photos(data_root)[0], side=160)
    light = published({name.removeprefix("module."): value for name, value in raw.items()}, image)
    torch.testing.assert_close(network(image), (image / light).clamp(0, 1), rtol=0, atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_dark_photos_brighten(weights_root: Path, data_root: Path, file: str) -> None:
    network = RAVE(weights_root / "rave" / f"{file}.pth")
    for path in dark_photos(data_root):
        image = photo(path, side=160)
        restored = network(image)
        assert restored.mean() > 1.5 * image.mean()
        # What is lit already stays in range: enhancement is not an exposure for the whole image.
        assert (restored >= 1).float().mean() < 0.1


@pytest.mark.real
def test_a_backlit_photo_comes_nearer_to_the_clear_one(weights_root: Path, data_root: Path) -> None:
    network = RAVE(weights_root / "rave" / "rave_paired.pth")
    nearer = []
    for path in sorted((data_root / "voc5" / "JPEGImages").glob("*.jpg"))[:8]:
        clear = photo(path, side=160)
        backlit = clear * torch.linspace(0.3, 1, clear.shape[-1])
        nearer.append(float((network(backlit) - clear).abs().mean() / (backlit - clear).abs().mean()))
    assert np.median(nearer) < 0.8


@pytest.mark.real
def test_files_of_other_networks_are_refused(weights_root: Path) -> None:
    with pytest.raises(WeightsError, match=r"hold 30 tensors, .*\(it looks like SCI\): pass restorer='sci'"):
        RAVE(weights_root / "sci" / "easy.pt")
