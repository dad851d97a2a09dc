"""A restorer of the user's own: what it takes, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tdir
from tdir.errors import ConfigError, ShapeError, WeightsError
from tdir.frozen import state_hash
from tdir.restorers.module import Module


class Halves(nn.Module):
    """Works on even sides only, as many a network does."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 2, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 3, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.up(self.norm(self.down(images)))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A TorchScript file."""
    path = tmp_path / "halves.ts"
    torch.jit.save(torch.jit.script(Halves()), path)
    return path


def test_a_file_and_a_module_do_the_same(script: Path) -> None:
    by_file = tdir.restorer("module", weights=script, multiple=2)
    module = Halves()
    module.load_state_dict(by_file.module.state_dict())
    by_hand = tdir.restorer("module", module=module, multiple=2)
    images = torch.rand(2, 3, 33, 47)
    torch.testing.assert_close(by_file(images), by_hand(images))
    assert by_file.weights_name == str(script)
    assert len(by_file.weights_sha256) == 64
    assert by_hand.weights_name is None


def test_name_and_file_are_enough(script: Path) -> None:
    assert tdir.restorer(f"module:{script}").config == {"type": "module", "weights": str(script)}


def test_a_file_is_frozen_even_in_training(script: Path) -> None:
    restorer = Module(script, multiple=2)
    before = state_hash(restorer)
    assert not any(module.training for module in restorer.train().modules())
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    restorer(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert state_hash(restorer) == before
    assert not any(parameter.requires_grad for parameter in restorer.parameters())


class Shrinks(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images[..., ::2, ::2]


class Several(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


@pytest.mark.parametrize(("module", "said"), [(Shrinks(), r"gave \(1, 3, 4, 4\)"), (Several(), "gave a tuple")])
def test_what_gives_no_images_of_that_shape_is_named(module: nn.Module, said: str) -> None:
    with pytest.raises(ShapeError, match=rf"{said} for images \(1, 3, 8, 8\)"):
        Module(module=module)(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "takes weights='net.ts', a TorchScript file, or module=, got neither"),
        ({"weights": "net.ts", "module": nn.Identity()}, "got both"),
        ({"module": "net.ts"}, "takes an nn.Module, got 'net.ts': a TorchScript file is weights='net.ts'"),
        ({"module": nn.Identity(), "multiple": 0}, "multiple is a whole number from 1, got 0"),
        ({"module": nn.Identity(), "multiple": 2.0}, "multiple is a whole number from 1, got 2.0"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Module(**settings)


def test_tensors_and_pickles_are_no_program(tmp_path: Path) -> None:
    torch.save(Halves().state_dict(), tmp_path / "tensors.pth")
    torch.save(Halves(), tmp_path / "pickled.pth")
    for name in ("tensors.pth", "pickled.pth"):
        with pytest.raises(WeightsError, match=rf"{name} is not a TorchScript file .*torch\.jit\.save"):
            Module(tmp_path / name)


def test_no_other_restorer_opens_a_program(script: Path) -> None:
    with pytest.raises(WeightsError, match="is a TorchScript program and wants to run code"):
        tdir.restorer("aodnet", weights=script)
