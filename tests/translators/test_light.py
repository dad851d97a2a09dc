"""What is the light translator's alone; the contract is in tests/contracts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tdir
from tdir.errors import ConfigError
from tdir.translators.light import MAX_LOG_GAIN, LightTransformation


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": 0}, "side is a whole number from 1, got 0"),
        ({"side": "abc"}, "side is a whole number from 1, got 'abc'"),
        ({"dims": (16, 24)}, r"three numbers of channels, multiples of 4, got \(16, 24\)"),
        ({"dims": [6, 6, 6]}, r"multiples of 4, got \[6, 6, 6\]"),
        ({"gate_start": 0.0}, r"gate_start is a number in \(0, 1\), got 0\.0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tdir.translator("vat-light", **settings)


def test_the_gain_is_exponential_and_bounded() -> None:
    module = LightTransformation(side=32, dims=(4, 4, 4))
    images = 0.5 + 0.01 * torch.randn(1, 3, 32, 32)
    bias = module.maps.out.bias
    assert bias is not None
    gains = []
    for value in (-50.0, 0.0, 0.25, 50.0):
        with torch.no_grad():
            bias[3:6] = value  # pivot, gain, offset, mix: three channels each, then nine
            gains.append(module.affine(images)[0, [0, 4, 8]].log().mean().item())
    assert gains == pytest.approx([-MAX_LOG_GAIN, 0.0, MAX_LOG_GAIN * torch.tensor(0.25).tanh().item(), MAX_LOG_GAIN])
