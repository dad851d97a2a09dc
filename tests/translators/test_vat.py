"""VaT's gate, transformation module and presets."""

import pytest
import torch
from torch import nn

from tdir.errors import ConfigError, ShapeError
from tdir.registry import TRANSLATORS
from tdir.translators.base import clamp_inward
from tdir.translators.vat import PRESETS, GatedFusion, TransformationModule, VaT

PUBLISHED_MILLIONS = {8: 0.21, 16: 0.74, 24: 1.57, 32: 2.75, 48: 6.10}


def pair(*size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(2, 3, *size), torch.rand(2, 3, *size)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("dim", PRESETS)
def test_size_is_the_paper_s(dim):
    translator = TRANSLATORS.build({"type": f"vat-{dim}"})
    millions = sum(parameter.numel() for parameter in translator.parameters()) / 1e6
    assert millions == pytest.approx(PUBLISHED_MILLIONS[dim], rel=0.05)


def test_gate_is_equation_5():
    gate = GatedFusion(8)
    nn.init.normal_(gate.weigh.weight)
    degraded, restored = pair(16, 20)
    weight = gate.weights(degraded, restored)
    assert weight.shape == (2, 1, 16, 20)
    assert weight.max() - weight.min() > 0.1
    torch.testing.assert_close(gate(degraded, restored), weight * degraded + (1 - weight) * restored)


def test_gate_tells_degraded_from_restored():
    gate = GatedFusion(8)
    degraded, restored = pair(16, 16)
    assert (gate.weights(degraded, restored) - gate.weights(restored, degraded)).abs().max() > 1e-4


def test_untrained_gate_prefers_the_restored_image():
    weight = GatedFusion(8).weights(*pair(16, 16))
    assert weight.mean().item() == pytest.approx(0.27, abs=0.02)


@pytest.mark.parametrize("dim", PRESETS)
def test_untrained_translator_hardly_changes_an_image(dim):
    images = torch.rand(1, 3, 40, 40)
    with torch.no_grad():
        change = (VaT(dim).translate(images) - images).abs()
    assert 0 < change.mean() < 0.02


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 3), (4, 7)])
def test_sizes_below_the_padding(size):
    with torch.no_grad():
        translated = VaT(8)(*pair(*size))
    assert translated.shape == (2, 3, *size)
    assert translated.isfinite().all()


def test_sizes_of_the_right_multiple_are_not_padded():
    module = TransformationModule(8)
    images = torch.rand(1, 3, 16, 20)
    torch.testing.assert_close(module(images), (images + module._residual(images)).clamp(0, 1))


def test_padding_is_cropped_from_the_side_it_was_added_to():
    """With the padded image given, the part that belongs to the small one is the same."""
    module = TransformationModule(8)
    images = torch.rand(1, 3, 13, 18)
    mirrored = nn.functional.pad(images, (0, 2, 0, 3), mode="reflect")
    torch.testing.assert_close(module(images), module(mirrored)[..., :13, :18])


def test_clamp_passes_only_gradients_that_lead_back():
    values = torch.tensor([-0.5, -0.5, 0.0, 0.5, 1.0, 1.5, 1.5], requires_grad=True)
    gradient = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0])
    clamped = clamp_inward(values)
    clamped.backward(gradient)
    assert clamped.tolist() == [0, 0, 0, 0.5, 1, 1, 1]
    assert values.grad.tolist() == [0, -1, 1, 1, -1, 1, 0]


def test_an_image_pushed_out_of_range_is_learned_back():
    offset = torch.tensor(2.0, requires_grad=True)
    for _ in range(40):
        loss = (clamp_inward(torch.rand(3, 4, 4) + offset) - 0.5).abs().mean()
        (gradient,) = torch.autograd.grad(loss, offset)
        offset.data -= 0.1 * gradient
    assert abs(offset.item()) < 0.3


def test_checkpointing_changes_nothing_but_memory():
    gradients, outputs = [], []
    for checkpoint in (False, True):
        torch.manual_seed(1)
        translator = TRANSLATORS.build({"type": "vat-8", "checkpoint": checkpoint})
        output = translator(*(torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(i)) for i in (0, 1)))
        output.square().sum().backward()
        outputs.append(output)
        gradients.append([parameter.grad for parameter in translator.parameters()])
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_checkpointing_keeps_fewer_features():
    kept = []
    for checkpoint in (False, True):
        module = TransformationModule(8, checkpoint=checkpoint)
        sizes: list[int] = []

        def keep(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            module(torch.rand(1, 3, 32, 32))
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 4


def test_inverse_is_fresh_and_follows_the_global_seed():
    translator = VaT(8, blocks=(1, 2, 1), heads=(2, 2, 2))
    torch.manual_seed(5)
    first, second = translator.inverse(), translator.inverse()
    torch.manual_seed(5)
    again = translator.inverse()
    weights = [module.embed.weight for module in (translator.transformation, first, second, again)]
    assert torch.equal(weights[1], weights[3])
    assert not torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert first.state_dict().keys() == translator.transformation.state_dict().keys()


def test_inverse_has_the_translator_s_type():
    assert next(VaT(8).double().inverse().parameters()).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_stays_near_full_precision(dtype):
    translator = VaT(8)
    degraded, restored = pair(24, 32)
    with torch.no_grad():
        expected = translator(degraded, restored)
        with torch.autocast("cpu", dtype=dtype):
            output = translator(degraded, restored)
            clean = translator.fuse(degraded, degraded)
    assert output.dtype == torch.float32
    assert (output - expected).abs().max() < 0.01
    assert torch.equal(clean, degraded)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 7}, "dim must be an even number"),
        ({"dim": 8, "blocks": (4, 4)}, "blocks must hold one number"),
        ({"dim": 8, "heads": (1, 2, 0)}, "heads must hold one number"),
        ({"dim": 8, "heads": (3, 2, 1)}, "3 heads do not divide 8 channels"),
    ],
)
def test_wrong_structures_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        VaT(**settings)


def test_wrong_images_are_named():
    translator = VaT(8)
    with pytest.raises(ShapeError, match="one shape"):
        translator.fuse(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 12))
    with pytest.raises(ShapeError, match="RGB images"):
        translator.translate(torch.rand(1, 1, 8, 8))
    with pytest.raises(ShapeError, match="uint8"):
        translator.translate(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def scenes(side: int) -> torch.Tensor:
    """Two smooth colour patterns with a bright square."""
    rows, columns = torch.meshgrid(torch.linspace(0, 3, side), torch.linspace(0, 3, side), indexing="ij")
    waves = [torch.stack([(a * rows + b * columns + c).sin() for c in range(3)]) for a, b in ((2, 5), (7, 3))]
    images = 0.5 + 0.35 * torch.stack(waves)
    images[:, :, side // 4 : side // 2, side // 3 : 2 * side // 3] = 0.9
    return images


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dim", PRESETS)
def test_every_preset_learns_to_remove_haze(dim):
    """Two 96 px pairs: haze over a scene, and a restorer that removes a part of it."""
    clean = scenes(96)
    degraded, restored = 0.4 * clean + 0.6 * 0.8, 0.7 * clean + 0.3 * 0.8
    torch.manual_seed(0)
    translator = VaT(dim)
    optimizer = torch.optim.AdamW(translator.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = (translator(degraded, restored) - clean).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.1
    assert losses[-1] < losses[0] / 4
