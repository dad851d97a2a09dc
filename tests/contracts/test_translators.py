"""What every registered translator must do; a new one is tested by being registered."""

import copy
import re

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from tdir import parts
from tdir.errors import ShapeError, TdirError
from tdir.registry import TRANSLATORS
from tdir.translators.base import Translator
from tests.contracts.bad_files import bad_files

SIZES = [(16, 16), (61, 83), (31, 32), (32, 33)]


@pytest.fixture(params=TRANSLATORS.names())
def name(request) -> str:
    return request.param


@pytest.fixture(params=[True, False], ids=["gate", "no gate"])
def gate(request) -> bool:
    return request.param


@pytest.fixture
def translator(name, gate) -> Translator:
    """A translator off its first weights: it may start as the identity, and must keep its promises after that."""
    return shaken(build(name, seed=0, gate=gate))


def build(name: str, seed: int, gate: bool = True) -> Translator:
    torch.manual_seed(seed)
    return TRANSLATORS.build({"type": name, "gate": gate})


def shaken(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return module


def images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Noise with black and white parts, so that the ends of the range occur."""
    noise = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return (1.4 * noise - 0.2).clamp(0, 1)


def assert_images(result: Tensor, like: Tensor) -> None:
    assert result.shape == like.shape
    assert result.dtype == like.dtype
    assert result.min() >= 0
    assert result.max() <= 1


def assert_gradients_everywhere(module: nn.Module) -> None:
    missing = [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert list(module.parameters())
    assert not missing


def test_is_a_translator(translator):
    assert isinstance(translator, Translator)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shape_and_range_at_any_size(translator, size):
    degraded, restored = images(1, *size), images(1, *size, seed=1)
    inverse = shaken(translator.inverse())
    with torch.no_grad():
        fused = translator.fuse(degraded, restored)
        for result in (fused, translator.translate(fused), translator(degraded, restored), inverse(restored)):
            assert_images(result, degraded)


def test_starts_near_the_identity(name):
    """An untrained translator must not wreck what a restorer has won."""
    clean = images(1, 48, 40)
    with torch.no_grad():
        change = (build(name, seed=0)(clean, clean) - clean).abs()
    assert change.mean() < 0.02


def test_forward_is_translate_after_fuse(translator):
    degraded, restored = images(1, 32, 24), images(1, 32, 24, seed=1)
    with torch.no_grad():
        expected = translator.translate(translator.fuse(degraded, restored))
        torch.testing.assert_close(translator(degraded, restored), expected, rtol=0, atol=1e-6)


def test_fusing_an_image_with_itself_gives_the_image(translator):
    clean = images(2, 33, 29)
    with torch.no_grad():
        torch.testing.assert_close(translator.fuse(clean, clean), clean, rtol=0, atol=1e-6)


def test_fused_pixels_lie_between_both_images(translator):
    degraded, restored = images(1, 33, 29), images(1, 33, 29, seed=1)
    with torch.no_grad():
        fused = translator.fuse(degraded, restored)
    assert (fused >= torch.minimum(degraded, restored) - 1e-6).all()
    assert (fused <= torch.maximum(degraded, restored) + 1e-6).all()


def test_gradients_reach_every_parameter(translator):
    degraded, restored = images(2, 24, 32), images(2, 24, 32, seed=1)
    (translator(degraded, restored) - 0.5).square().mean().backward()
    assert_gradients_everywhere(translator)


def test_gradients_pass_through_the_inverse_to_the_translator(translator):
    """The cycle of VaT eq. 6 trains T_A, T_B and the gate."""
    inverse = shaken(translator.inverse())
    fused = translator.fuse(images(2, 24, 32), images(2, 24, 32, seed=1))
    (fused - inverse(translator.translate(fused))).abs().mean().backward()
    assert_gradients_everywhere(inverse)
    assert_gradients_everywhere(translator)


def test_without_a_gate_the_restored_image_is_translated(name):
    translator = shaken(build(name, seed=0, gate=False))
    degraded, restored = images(1, 24, 32), images(1, 24, 32, seed=1)
    assert torch.equal(translator.fuse(degraded, restored), restored)
    gated = sum(p.numel() for p in build(name, seed=0).parameters())
    assert sum(p.numel() for p in translator.parameters()) < gated
    with pytest.raises(ShapeError, match="one shape"):
        translator.fuse(degraded, restored[..., 1:])


def test_gradients_reach_the_images(translator, gate):
    degraded = images(1, 24, 32).requires_grad_()
    restored = images(1, 24, 32, seed=1).requires_grad_()
    translator(degraded, restored).sum().backward()
    for given in (degraded, restored) if gate else (restored,):
        assert given.grad.isfinite().all()
        assert given.grad.abs().sum() > 0


def test_inverse_shares_nothing_and_follows_the_global_seed(translator):
    torch.manual_seed(3)
    first, second = translator.inverse(), translator.inverse()
    torch.manual_seed(3)
    again = translator.inverse()
    owned = {parameter.data_ptr() for parameter in translator.parameters()}
    assert owned.isdisjoint(parameter.data_ptr() for parameter in first.parameters())
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    other = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not all(other)


def test_state_round_trip(name, gate, translator, tmp_path):
    """Through safetensors, as a bundle stores it: no shared memory, names and shapes the same in every build."""
    degraded, restored = images(1, 32, 24), images(1, 32, 24, seed=1)
    safetensors.torch.save_file(translator.state_dict(), tmp_path / "translator.safetensors")
    other = build(name, seed=9, gate=gate)
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "translator.safetensors"))
    with torch.no_grad():
        assert torch.equal(other(degraded, restored), translator(degraded, restored))


def test_bad_weights_are_refused(name, tmp_path):
    for file in bad_files(tmp_path):
        with pytest.raises(TdirError, match=re.escape(file.name)):
            parts.translator(name, weights=file)


def test_copies_are_independent(translator):
    """A moving average of the weights is kept in a deep copy."""
    twin = copy.deepcopy(translator)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert all(parameter.abs().sum() > 0 for parameter in translator.parameters())


def test_eval_is_deterministic_and_equals_training_mode(translator):
    degraded, restored = images(2, 32, 24), images(2, 32, 24, seed=1)
    with torch.no_grad():
        first = translator.eval()(degraded, restored)
        assert torch.equal(translator(degraded, restored), first)
        torch.testing.assert_close(translator.train()(degraded, restored), first, rtol=0, atol=1e-6)


def test_images_of_a_batch_do_not_see_each_other(translator):
    degraded, restored = images(3, 32, 24), images(3, 32, 24, seed=1)
    with torch.no_grad():
        together = translator(degraded, restored)
        for i in range(3):
            alone = translator(degraded[i : i + 1], restored[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=1e-4)


def test_inputs_are_left_as_they_were(translator):
    degraded, restored = images(1, 31, 24), images(1, 31, 24, seed=1)
    before = degraded.clone(), restored.clone()
    with torch.no_grad():
        translator(degraded, restored)
    assert torch.equal(degraded, before[0])
    assert torch.equal(restored, before[1])


def test_what_is_no_pair_of_images_is_refused(translator: Translator) -> None:
    with pytest.raises(ShapeError, match="one shape"):
        translator.fuse(torch.rand(2, 3, 32, 32), torch.rand(1, 3, 32, 32))
    with pytest.raises(ShapeError, match="RGB images"):
        translator.translate(torch.rand(1, 1, 32, 32))
