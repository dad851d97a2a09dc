"""One suite over every registered restorer; a new one is picked up by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tdir.errors import ShapeError, TdirError, WeightsError
from tdir.frozen import state_hash
from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer
from tests.contracts.bad_files import bad_files

NAMES = RESTORERS.names()


def build(name: str) -> Restorer:
    """A restorer without weights; one that is code gets a program to run."""
    settings = {"module": nn.Conv2d(3, 3, 3, padding=1)} if RESTORERS.get(name).is_code else {}
    built: Restorer = RESTORERS.build({"type": name, **settings})
    return built


# Those that load a file of tensors.
WITH_WEIGHTS = [name for name in NAMES if build(name).state_dict() and not RESTORERS.get(name).is_code]


@pytest.fixture(params=NAMES)
def restorer(request: pytest.FixtureRequest) -> Restorer:
    torch.manual_seed(0)
    return build(request.param)


@pytest.mark.parametrize(
    "shape", [(1, 3, 61, 83), (2, 3, 1, 1), (1, 3, 7, 300), (1, 3, 300, 2), (2, 3, 64, 64), (0, 3, 8, 8)]
)
def test_any_size_gives_the_same_shape_in_range(restorer: Restorer, shape: tuple[int, ...]) -> None:
    restored = restorer(torch.rand(shape))
    assert restored.shape == shape
    assert restored.dtype == torch.float32
    assert ((restored >= 0) & (restored <= 1)).all()


@pytest.mark.parametrize("value", [-0.5, 0.0, 1.0, 1.5])
def test_extreme_images_stay_finite_and_in_range(restorer: Restorer, value: float) -> None:
    restored = restorer(torch.full((1, 3, 16, 16), value))
    assert restored.isfinite().all()
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_an_image_does_not_depend_on_its_batch(restorer: Restorer) -> None:
    images = torch.rand(3, 3, 24, 31)
    alone = torch.cat([restorer(image[None]) for image in images])
    torch.testing.assert_close(restorer(images), alone, rtol=0, atol=1e-6)


def test_it_does_not_write_into_the_images(restorer: Restorer) -> None:
    images = torch.rand(1, 3, 9, 9)
    before = images.clone()
    restorer(images)
    assert torch.equal(images, before)


def test_it_is_frozen_even_in_training(restorer: Restorer) -> None:
    before = state_hash(restorer)
    assert restorer.train() is restorer
    assert not any(parameter.requires_grad for parameter in restorer.parameters())
    assert not any(module.training for module in restorer.modules())
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    restorer(images).sum().backward()
    assert state_hash(restorer) == before


def test_inside_a_model_in_training_it_stays_frozen(restorer: Restorer) -> None:
    model = nn.Sequential(restorer, nn.Conv2d(3, 3, 1)).train()
    assert model.training
    assert not any(module.training for module in restorer.modules())


def test_gradients_flow_to_the_images(restorer: Restorer) -> None:
    images = (torch.rand(2, 3, 16, 16) * 0.4 + 0.1).requires_grad_()
    restorer(images).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert (images.grad.abs().sum(dim=(1, 2, 3)) > 0).all()


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.zeros(1, 3, 8, 8, dtype=torch.int64),
        torch.zeros(3, 8, 8),
        torch.zeros(1, 1, 8, 8),
        torch.zeros(1, 4, 8, 8),
        torch.zeros(1, 8, 8, 3),
    ],
    ids=lambda images: f"{images.dtype}{list(images.shape)}",
)
def test_other_tensors_are_refused(restorer: Restorer, images: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=type(restorer).__name__):
        restorer(images)


def test_precision_follows_the_weights(restorer: Restorer) -> None:
    images = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    if restorer.state_dict():
        with pytest.raises(ShapeError, match=r"computes in torch\.float32, got images in torch\.float64"):
            restorer(images)
    assert restorer.to(torch.float64)(images).dtype == torch.float64


def test_mixed_precision_stays_close(restorer: Restorer) -> None:
    images = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = restorer(images)
    torch.testing.assert_close(mixed.float(), restorer(images), rtol=0, atol=0.05)


def test_untrained_it_names_no_weights(restorer: Restorer) -> None:
    assert restorer.weights_name is None
    assert restorer.weights_sha256 is None
    assert restorer.title


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_a_round_trip(name: str) -> None:
    first, second = (build(name) for _ in range(2))
    state = {key: value.clone() for key, value in first.state_dict().items()}
    second.load_state_dict(state)
    assert state_hash(second) == state_hash(first)
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(second(images), first(images))


@pytest.mark.parametrize("name", WITH_WEIGHTS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_saved_file_loads_by_path(name: str, suffix: str, tmp_path: Path) -> None:
    first = build(name)
    path = tmp_path / f"net{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(first.state_dict(), path)
    second = RESTORERS.build({"type": name, "weights": str(path)})
    assert state_hash(second) == state_hash(first)
    assert second.weights_name == str(path)
    assert len(second.weights_sha256) == 64
    assert not any(parameter.requires_grad for parameter in second.parameters())


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_numbers_that_slow_a_cpu_are_dropped(name: str, tmp_path: Path) -> None:
    first = build(name)
    weight = next(value for value in first.state_dict().values() if value.ndim == 4)
    weight[0] = 1e-40
    weight[:, 0] = -1.0
    torch.save(first.state_dict(), tmp_path / "net.pth")
    second = RESTORERS.build({"type": name, "weights": tmp_path / "net.pth"})
    for before, after in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(after, torch.where(before.abs() < 1e-37, 0, before))
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(second(images), first(images))


@pytest.mark.parametrize("name", NAMES)
def test_bad_weights_are_refused(name: str, tmp_path: Path) -> None:
    for file in bad_files(tmp_path):
        with pytest.raises(TdirError, match=re.escape(file.name)):
            RESTORERS.build({"type": name, "weights": file})


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_shape_that_differs_is_named(name: str, tmp_path: Path) -> None:
    state = dict(build(name).state_dict())
    key = next(iter(state))
    state[key] = torch.zeros(11, 7)
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(WeightsError) as caught:
        RESTORERS.build({"type": name, "weights": tmp_path / "net.pth"})
    assert f"{key!r} is (11, 7), not " in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_it_recognises_its_own_tensors(name: str) -> None:
    state = build(name).state_dict()
    assert RESTORERS.get(name).recognises(state) is (name in WITH_WEIGHTS)
    assert not RESTORERS.get(name).recognises({})
    assert not RESTORERS.get(name).recognises({key: torch.zeros(11, 7) for key in state})


@pytest.mark.parametrize("theirs", WITH_WEIGHTS)
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_file_for_another_restorer_names_it(name: str, theirs: str, tmp_path: Path) -> None:
    state = build(theirs).state_dict()
    if RESTORERS.get(name).recognises(state):
        RESTORERS.get(name)().load_state_dict(state)
        return
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=rf"it looks like .+pass restorer='{theirs}'"):
        RESTORERS.build({"type": name, "weights": tmp_path / "net.pth"})
