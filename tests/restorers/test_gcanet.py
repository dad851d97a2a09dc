"""GCANet against a plain statement of the published network, and on real fog with the published weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, instance_norm, relu

from tdir.errors import WeightsError
from tdir.restorers.gcanet import GCANet, edges
from tests.restorers.photos import contrast, cropped, fog_photos, photo

FILE = "gcanet/wacv_gcanet_dehaze.pth"


def published(w: dict[str, Tensor], image: Tensor) -> Tensor:
    """The published inference, line by line, in levels from 0 to 255 and neither rounded nor clamped."""

    def normal(x: Tensor, name: str) -> Tensor:
        return instance_norm(x, weight=w[f"{name}.weight"], bias=w[f"{name}.bias"])

    def smooth(x: Tensor, name: str) -> Tensor:
        kernel = w[f"{name}.weight"].repeat(x.shape[1], 1, 1, 1)
        return conv2d(x, kernel, padding=kernel.shape[-1] // 2, groups=x.shape[1])

    def block(x: Tensor, name: str, d: int) -> Tensor:
        y = smooth(x, f"{name}.pre_conv1") if d > 1 else x
        y = relu(normal(conv2d(y, w[f"{name}.conv1.weight"], padding=d, dilation=d), f"{name}.norm1"))
        y = smooth(y, f"{name}.pre_conv2") if d > 1 else y
        return relu(x + normal(conv2d(y, w[f"{name}.conv2.weight"], padding=d, dilation=d), f"{name}.norm2"))

    levels = image * 255
    x = torch.cat([levels, edge_map(levels)], 1) - 128
    x = relu(normal(conv2d(x, w["conv1.weight"], padding=1), "norm1"))
    x = relu(normal(conv2d(x, w["conv2.weight"], padding=1), "norm2"))
    y1 = x = relu(normal(conv2d(x, w["conv3.weight"], padding=1, stride=2), "norm3"))
    outputs = {}
    for i, d in enumerate((2, 2, 2, 4, 4, 4, 1), start=1):
        outputs[i] = x = block(x, f"res{i}", d)
    y2, y3 = outputs[4], outputs[7]
    g = conv2d(torch.cat([y1, y2, y3], 1), w["gate.weight"], w["gate.bias"], padding=1)
    x = y1 * g[:, 0:1] + y2 * g[:, 1:2] + y3 * g[:, 2:3]
    x = conv_transpose2d(x, w["deconv3.weight"], w["deconv3.bias"], stride=2, padding=1)
    x = relu(normal(x, "norm4"))
    x = relu(normal(conv2d(x, w["deconv2.weight"], w["deconv2.bias"], padding=1), "norm5"))
    return levels + conv2d(x, w["deconv1.weight"], w["deconv1.bias"])


def edge_map(levels: Tensor) -> Tensor:
    """Pixel by pixel: differences to the neighbours that are there, over four and over the channels."""
    result = torch.zeros_like(levels[:, :1])
    height, width = levels.shape[-2:]
    for y in range(height):
        for x in range(width):
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= v < height and 0 <= u < width:
                    result[:, 0, y, x] += (levels[:, :, y, x] - levels[:, :, v, u]).abs().sum(1) / 12
    return result


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 4)])
def test_edges_are_differences_to_four_neighbours(size: tuple[int, int]) -> None:
    levels = torch.rand(2, 3, *size) * 255
    torch.testing.assert_close(edges(levels), edge_map(levels), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [(28, 40), (4, 4), (8, 64)])
def test_it_is_the_published_network(size: tuple[int, int]) -> None:
    network = GCANet()
    state = {
        name: value + 0.1 * torch.rand_like(value) if "norm" in name or "pre_conv" in name else value
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(state)
    image = torch.rand(2, 3, *size)
    torch.testing.assert_close(network.restore(image), published(state, image) / 255, rtol=0, atol=1e-5)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in GCANet().parameters()) == 702_818


def test_other_sizes_are_padded_by_reflection_and_cropped() -> None:
    network = GCANet()
    whole = torch.rand(1, 3, 22, 17)
    mirrored = torch.cat([whole, whole[..., [-2, -3], :]], 2)
    mirrored = torch.cat([mirrored, mirrored[..., [-2, -3, -4]]], 3)
    assert mirrored.shape[-2:] == (24, 20)
    assert torch.equal(network.restore(whole), network.restore(mirrored)[..., :22, :17])


@pytest.mark.real
def test_published_weights_give_the_published_output(weights_root: Path, data_root: Path) -> None:
    raw = torch.load(weights_root / FILE, map_location="cpu", weights_only=True)
    network = GCANet(FILE)
    assert network.weights_name == FILE
    image = cropped(photo(fog_photos(data_root)[0], side=120), 4)
    torch.testing.assert_close(network.restore(image), published(raw, image) / 255, rtol=0, atol=1e-5)
    assert torch.equal(network(image), network.restore(image).clamp(0, 1))


@pytest.mark.real
def test_real_fog_gains_contrast(weights_root: Path, data_root: Path) -> None:
    network = GCANet(weights_root / FILE)
    for path in fog_photos(data_root):
        image = photo(path, side=160)
        assert contrast(network(image)) > 1.1 * contrast(image)


@pytest.mark.real
def test_files_of_other_networks_are_refused(weights_root: Path) -> None:
    with pytest.raises(WeightsError, match=r"GCANet weights hold 75 tensors, .*RAVE\): pass restorer='rave'"):
        GCANet(weights_root / "rave" / "rave_paired.pth")
