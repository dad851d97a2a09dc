"""SCI against a plain statement of the published network, and on dark photos with the published weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, relu

from tdir.errors import WeightsError
from tdir.restorers.sci import SCI
from tests.restorers.photos import dark_photos, photo

FILES = ["easy", "medium", "difficult"]


def published(w: dict[str, Tensor], image: Tensor, block: str = "blocks.0") -> Tensor:
    """The published inference, line by line; ``block`` names the shared convolution."""

    def tensors(layer: str, *names: str) -> list[Tensor]:
        return [w[f"enhance.{layer}.{name}"] for name in names]

    first = relu(conv2d(image, *tensors("in_conv.0", "weight", "bias"), padding=1))
    inner = conv2d(first, *tensors(f"{block}.0", "weight", "bias"), padding=1)
    normal = batch_norm(inner, *tensors(f"{block}.1", "running_mean", "running_var", "weight", "bias"))
    residual = first + relu(normal)
    last = torch.sigmoid(conv2d(residual, *tensors("out_conv.0", "weight", "bias"), padding=1))
    return torch.clamp(image / torch.clamp(last + image, 0.0001, 1), 0, 1)


@pytest.mark.parametrize("size", [(61, 83), (1, 1), (7, 300)])
def test_it_is_the_published_network(size: tuple[int, int]) -> None:
    network = SCI()
    state = network.state_dict()
    state["enhance.blocks.0.1.running_mean"].uniform_(-0.1, 0.1)
    state["enhance.blocks.0.1.running_var"].uniform_(0.01, 2)
    image = torch.rand(2, 3, *size)
    torch.testing.assert_close(network(image), published(state, image), rtol=0, atol=1e-6)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in SCI().parameters()) == 258


def test_black_stays_black() -> None:
    assert torch.equal(SCI()(torch.zeros(1, 3, 9, 9)), torch.zeros(1, 3, 9, 9))


def test_no_pixel_gets_darker() -> None:
    image = torch.rand(1, 3, 32, 32)
    assert (SCI()(image) >= image).all()


def test_tensors_of_the_training_are_left_aside(tmp_path: Path) -> None:
    first = SCI()
    more = {"calibrate.in_conv.0.weight": torch.ones(16, 3, 3, 3), "enhance.conv.0.weight": torch.ones(3, 3, 3, 3)}
    torch.save({**first.state_dict(), **more}, tmp_path / "net.pt")
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(SCI(tmp_path / "net.pt")(image), first(image))


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = SCI().state_dict()
    del state["enhance.out_conv.0.bias"]
    torch.save(state, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"'enhance\.out_conv\.0\.bias' is missing"):
        SCI(tmp_path / "net.pt")


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_published_weights_give_the_published_output(weights_root: Path, data_root: Path, file: str) -> None:
    path = weights_root / "sci" / f"{file}.pt"
    raw = torch.load(path, map_location="cpu", weights_only=True)
    network = SCI(f"sci/{file}.pt")
    assert network.weights_name == f"sci/{file}.pt"
    image = photo(dark_photos(data_root)[0])
    torch.testing.assert_close(network(image), published(raw, image, block="conv"), rtol=0, atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_dark_photos_brighten(weights_root: Path, data_root: Path, file: str) -> None:
    network = SCI(weights_root / "sci" / f"{file}.pt")
    for path in dark_photos(data_root):
        image = photo(path)
        assert network(image).mean() > 1.2 * image.mean()


@pytest.mark.real
@pytest.mark.parametrize("file", FILES)
def test_a_darkened_photo_comes_nearer_to_the_clear_one(weights_root: Path, data_root: Path, file: str) -> None:
    network = SCI(weights_root / "sci" / f"{file}.pt")
    clear = photo(min((data_root / "voc5" / "JPEGImages").glob("*.jpg")))
    dark = clear**4
    restored = network(dark)
    assert restored.mean() > 1.2 * dark.mean()
    assert (restored - clear).abs().mean() < (dark - clear).abs().mean()
