"""AOD-Net against a plain statement of the published network, and on real fog with the published weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, relu

from tdir.errors import ConfigError, WeightsError
from tdir.restorers.aodnet import AODNet
from tdir.restorers.sci import SCI
from tests.restorers.photos import contrast, fog_photos, photo


def published(w: dict[str, Tensor], image: Tensor) -> Tensor:
    """The published network, line by line, not clamped above."""
    x1 = relu(conv2d(image, w["e_conv1.weight"], w["e_conv1.bias"]))
    x2 = relu(conv2d(x1, w["e_conv2.weight"], w["e_conv2.bias"], padding=1))
    x3 = relu(conv2d(torch.cat([x1, x2], 1), w["e_conv3.weight"], w["e_conv3.bias"], padding=2))
    x4 = relu(conv2d(torch.cat([x2, x3], 1), w["e_conv4.weight"], w["e_conv4.bias"], padding=3))
    k = relu(conv2d(torch.cat([x1, x2, x3, x4], 1), w["e_conv5.weight"], w["e_conv5.bias"], padding=1))
    return relu(k * image - k + 1)


@pytest.mark.parametrize("size", [(61, 83), (1, 1), (7, 300), (2, 2)])
def test_zero_padding_is_the_published_network(size: tuple[int, int]) -> None:
    network = AODNet(padding="zeros")
    image = torch.rand(2, 3, *size)
    expected = published(network.state_dict(), image)
    torch.testing.assert_close(network.restore(image), expected, rtol=0, atol=1e-6)
    assert torch.equal(network(image), network.restore(image).clamp(0, 1))


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in AODNet().parameters()) == 1761


def test_both_paddings_agree_away_from_the_border() -> None:
    image = torch.rand(1, 3, 40, 40)
    zeros = AODNet(padding="zeros")
    reflect = AODNet()
    reflect.load_state_dict(zeros.state_dict())
    # The four layers with a border reach 1 + 2 + 3 + 1 pixels into the image.
    torch.testing.assert_close(reflect(image)[..., 7:-7, 7:-7], zeros(image)[..., 7:-7, 7:-7], rtol=0, atol=1e-6)
    assert not torch.allclose(reflect(image), zeros(image))


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3), (4, 4)])
def test_a_uniform_image_stays_uniform_at_any_size(size: tuple[int, int]) -> None:
    restored = AODNet().restore(torch.full((1, 3, *size), 0.6))
    torch.testing.assert_close(restored, restored[..., :1, :1].expand_as(restored), rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_untrained_it_gives_a_gradient_whatever_the_draw(seed: int) -> None:
    torch.manual_seed(seed)
    image = torch.rand(1, 3, 12, 12, requires_grad=True)
    AODNet().restore(image).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_a_wrong_padding_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'reflct'.*did you mean 'reflect'"):
        AODNet(padding="reflct")  # type: ignore[arg-type]


def test_a_file_with_one_tensor_too_many_is_refused(tmp_path: Path) -> None:
    torch.save({**AODNet().state_dict(), "e_conv6.bias": torch.zeros(3)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"hold 10 tensors, .*net\.pth holds 11 \('e_conv6\.bias' is unknown\)"):
        AODNet(tmp_path / "net.pth")


@pytest.mark.real
def test_published_weights_give_the_published_output(weights_root: Path, data_root: Path) -> None:
    path = weights_root / "aodnet" / "dehazer.pth"
    raw = torch.load(path, map_location="cpu", weights_only=True)
    network = AODNet("aodnet/dehazer.pth", padding="zeros")
    assert network.weights_name == "aodnet/dehazer.pth"
    for fog in fog_photos(data_root, 2):
        image = photo(fog)
        torch.testing.assert_close(network(image), published(raw, image).clamp(0, 1), rtol=0, atol=1e-6)


@pytest.mark.real
def test_real_fog_gains_contrast(weights_root: Path, data_root: Path) -> None:
    network = AODNet(weights_root / "aodnet" / "dehazer.pth")
    for fog in fog_photos(data_root, 20):
        image = photo(fog)
        restored = network(image)
        # The veil that fog adds to all pixels goes, and with it brightness.
        assert contrast(restored) > 1.1 * contrast(image)
        assert restored.mean() < image.mean()


@pytest.mark.real
def test_reflection_leaves_no_bright_frame(weights_root: Path, data_root: Path) -> None:
    path = weights_root / "aodnet" / "dehazer.pth"

    def excess(network: AODNet, image: Tensor) -> float:
        """How much more than the eighth row from below the last one gains."""
        gain = network(image) - image
        return float((gain[..., -1, :] - gain[..., -8, :]).mean())

    for fog in fog_photos(data_root):
        assert excess(AODNet(path, padding="zeros"), photo(fog)) > 0.3
        assert abs(excess(AODNet(path), photo(fog))) < 0.03


@pytest.mark.real
@pytest.mark.parametrize("other", ["zero_dce/Epoch99.pth", "gcanet/wacv_gcanet_dehaze.pth", "rave/rave_paired.pth"])
def test_files_of_other_networks_are_refused(weights_root: Path, other: str) -> None:
    with pytest.raises(WeightsError, match="AOD-Net weights hold 10 tensors"):
        AODNet(weights_root / other)


@pytest.mark.real
def test_a_file_for_sci_is_named(weights_root: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds 83 \(it looks like SCI\): pass restorer='sci'"):
        AODNet(weights_root / "sci" / "easy.pt")
    with pytest.raises(WeightsError, match=r"holds 10 \(it looks like AOD-Net\): pass restorer='aodnet'"):
        SCI(weights_root / "aodnet" / "dehazer.pth")


@pytest.mark.real
def test_a_published_file_cut_short_is_named(weights_root: Path, tmp_path: Path) -> None:
    whole = (weights_root / "aodnet" / "dehazer.pth").read_bytes()
    for length in (500, 5000, len(whole) - 1):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"cut\.pth is truncated"):
            AODNet(tmp_path / "cut.pth")
