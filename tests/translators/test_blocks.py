"""The fast blocks against the formulation in which the papers write them."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tdir.errors import ConfigError
from tdir.translators.blocks import GDFN, MDTA, LayerNorm, TransformerBlock, channels_last

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def plain_norm(norm: LayerNorm, features: Tensor) -> Tensor:
    mean = features.mean(1, keepdim=True)
    variance = (features - mean).square().mean(1, keepdim=True)
    standard = (features - mean) / (variance + 1e-5).sqrt()
    return standard * norm.weight[:, None, None] + norm.bias[:, None, None]


def plain_attention(attention: MDTA, features: Tensor) -> Tensor:
    n, c, height, width = features.shape
    parts = attention.qkv_depthwise(attention.qkv(features)).chunk(3, dim=1)
    query, key, value = (part.reshape(n, attention.heads, c // attention.heads, height * width) for part in parts)
    query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
    weights = (query @ key.transpose(-2, -1) * attention.temperature).softmax(dim=-1)
    return attention.project_out((weights @ value).reshape(n, c, height, width))


def plain_feed_forward(feed_forward: GDFN, features: Tensor) -> Tensor:
    gate, content = feed_forward.depthwise(feed_forward.project_in(features)).chunk(2, dim=1)
    return feed_forward.project_out(F.gelu(gate) * content)


def plain_block(block: TransformerBlock, features: Tensor) -> Tensor:
    features = features + plain_attention(block.attention, plain_norm(block.attention_norm, features))
    return features + plain_feed_forward(block.feed_forward, plain_norm(block.feed_forward_norm, features))


def shaken(module: nn.Module) -> nn.Module:
    """The module with every parameter off its first value, so that scale, bias and temperature matter."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def assert_same(fast, plain, module: nn.Module, features: Tensor, tolerance: float = 1e-5) -> None:
    """Output and every gradient agree to ``tolerance`` of the largest value."""
    target = torch.randn_like(features)
    results = []
    for run in (fast, plain):
        twin = copy.deepcopy(module)
        given = features.detach().clone().requires_grad_()
        output = run(twin, given)
        (output * target).sum().backward()
        results.append([output, given.grad, *(parameter.grad for parameter in twin.parameters())])
    for ours, theirs in zip(*results, strict=True):
        assert theirs.abs().max() > 0
        assert (ours - theirs).abs().max() <= tolerance * max(1.0, theirs.abs().max().item())


CASES = [
    pytest.param(LayerNorm(12), plain_norm, id="norm"),
    pytest.param(MDTA(12, 1), plain_attention, id="attention, 1 head"),
    pytest.param(MDTA(12, 3), plain_attention, id="attention, 3 heads"),
    pytest.param(MDTA(12, 6), plain_attention, id="attention, 6 heads"),
    pytest.param(TransformerBlock(12, 2), plain_block, id="block"),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=["channels first", "channels last"])
@pytest.mark.parametrize(("module", "plain"), CASES)
def test_fast_equals_plain(module, plain, layout):
    torch.manual_seed(0)
    features = torch.randn(2, 12, 19, 24).contiguous(memory_format=layout)
    assert_same(lambda twin, given: twin(given), plain, shaken(copy.deepcopy(module)), features)


@pytest.mark.parametrize(("module", "plain"), CASES)
def test_fast_is_the_same_formula_in_double_precision(module, plain):
    torch.manual_seed(0)
    features = torch.randn(2, 12, 7, 5, dtype=torch.float64)
    module = shaken(copy.deepcopy(module).double())
    assert_same(lambda twin, given: twin(given), plain, module, features, tolerance=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 2)])
def test_any_height_and_width(size):
    torch.manual_seed(0)
    block = shaken(TransformerBlock(8, 2))
    assert_same(lambda twin, given: twin(given), plain_block, block, torch.randn(1, 8, *size))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_attention_survives_autocast(dtype):
    """Products over 64x64 pixels of features near 100 are near 4e7: far above the 65,504 of float16."""
    torch.manual_seed(0)
    attention = MDTA(8, 2)
    features = 100 * torch.randn(1, 8, 64, 64)
    with torch.no_grad():
        expected = attention(features)
        with torch.autocast("cpu", dtype=dtype):
            output = attention(features)
    assert output.dtype == dtype
    assert (output - expected).abs().max() < 0.03 * expected.abs().max()


def test_a_constant_image_has_finite_gradients():
    """Zero features have no direction and no variance."""
    block = TransformerBlock(8, 2)
    features = torch.zeros(1, 8, 4, 4, requires_grad=True)
    block(features).square().sum().backward()
    gradients = [features.grad, *(parameter.grad for parameter in block.parameters())]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_features_stay_channels_last():
    block = TransformerBlock(8, 2)
    output = block(channels_last(torch.randn(2, 8, 6, 6)))
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_convolutions_have_no_bias_and_expansion_is_the_paper_s():
    block = TransformerBlock(48, 1)
    assert all(layer.bias is None for layer in block.modules() if isinstance(layer, nn.Conv2d))
    assert block.feed_forward.project_out.in_channels == int(48 * 2.66)


def test_heads_must_divide_the_channels():
    with pytest.raises(ConfigError, match="3 heads do not divide 8 channels"):
        MDTA(8, 3)
