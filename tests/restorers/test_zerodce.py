"""Zero-DCE against a plain statement of the published network, and on dark photos with both published weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, relu

from tdir.errors import WeightsError
from tdir.restorers.zerodce import ZeroDCE
from tests.restorers.photos import dark_photos, photo, subnormals

FILES = ["zero_dce/Epoch99.pth", "scl_lle/SCL-LLE.pth"]


def published(w: dict[str, Tensor], image: Tensor) -> Tensor:
    """The published network, line by line, with the sign that its weights were trained with."""

    def convolved(number: int, *parts: Tensor) -> Tensor:
        return conv2d(torch.cat(parts, 1), w[f"e_conv{number}.weight"], w[f"e_conv{number}.bias"], padding=1)

    x1 = relu(convolved(1, image))
    x2 = relu(convolved(2, x1))
    x3 = relu(convolved(3, x2))
    x4 = relu(convolved(4, x3))
    x5 = relu(convolved(5, x3, x4))
    x6 = relu(convolved(6, x2, x5))
    maps = torch.tanh(convolved(7, x1, x6))
    for i in range(8):
        image = image + maps[:, 3 * i : 3 * i + 3] * (image**2 - image)
    return image


@pytest.mark.parametrize("size", [(61, 83), (1, 1), (7, 300)])
def test_it_is_the_published_network(size: tuple[int, int]) -> None:
    network = ZeroDCE()
    image = torch.rand(2, 3, *size)
    torch.testing.assert_close(network(image), published(network.state_dict(), image), rtol=0, atol=1e-6)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in ZeroDCE().parameters()) == 79_416


@pytest.mark.parametrize("bias", [-3.0, 3.0])
def test_black_and_white_stay(bias: float) -> None:
    network = ZeroDCE()
    network.e_conv7.get_parameter("bias").fill_(bias)
    image = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    assert torch.equal(network(image), image)


def test_the_curve_keeps_the_order_of_levels() -> None:
    network = ZeroDCE()
    network.e_conv7.weight.zero_()
    network.e_conv7.get_parameter("bias").fill_(-3)
    levels = torch.linspace(0, 1, 50).expand(1, 3, 1, 50)
    restored = network(levels)
    assert (restored.diff(dim=-1) >= 0).all()
    assert (restored >= levels).all()


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_published_weights_give_the_published_output(weights_root: Path, data_root: Path, file: str) -> None:
    raw = torch.load(weights_root / file, map_location="cpu", weights_only=True)
    network = ZeroDCE(file)
    assert network.weights_name == file
    for path in dark_photos(data_root)[:2]:
        image = photo(path, side=160)
        torch.testing.assert_close(network(image), published(raw, image).clamp(0, 1), rtol=0, atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_numbers_that_slow_a_cpu_are_in_the_published_files_and_not_in_use(weights_root: Path, file: str) -> None:
    assert subnormals(torch.load(weights_root / file, map_location="cpu", weights_only=True)) > 1000
    assert subnormals(ZeroDCE(weights_root / file).state_dict()) == 0


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_dark_photos_brighten(weights_root: Path, data_root: Path, file: str) -> None:
    network = ZeroDCE(weights_root / file)
    for path in dark_photos(data_root):
        image = photo(path, side=160)
        assert network(image).mean() > 1.5 * image.mean()


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_a_darkened_photo_comes_nearer_to_the_clear_one(weights_root: Path, data_root: Path, file: str) -> None:
    clear = photo(min((data_root / "voc5" / "JPEGImages").glob("*.jpg")), side=160)
    dark = clear**3
    restored = ZeroDCE(weights_root / file)(dark)
    assert (restored - clear).abs().mean() < 0.7 * (dark - clear).abs().mean()


@pytest.mark.real
def test_a_file_for_aodnet_is_named(weights_root: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds 10 \(it looks like AOD-Net\): pass restorer='aodnet'"):
        ZeroDCE(weights_root / "aodnet" / "dehazer.pth")
