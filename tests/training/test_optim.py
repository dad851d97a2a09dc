from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tdir.errors import ConfigError
from tdir.training.optim import Average, OptimSettings


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    settings = OptimSettings(steps=110, lr=2.0, warmup=10, last_lr=0.1)
    rates = [settings.learning_rate(step, 110) for step in range(111)]
    assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
    assert rates[10] == 2.0
    assert rates[60] == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert rates[35] == pytest.approx(2 * (0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2))
    assert rates[110] == pytest.approx(0.2)
    assert all(earlier > later for earlier, later in zip(rates[10:], rates[11:]))


def test_a_constant_learning_rate_stays_after_the_warm_up():
    settings = OptimSettings(steps=20, lr=1e-4, warmup=4, schedule="constant")
    rates = [settings.learning_rate(step, 20) for step in range(20)]
    assert rates[:4] == pytest.approx([0.25e-4, 0.5e-4, 0.75e-4, 1e-4])
    assert set(rates[4:]) == {1e-4}


def test_there_may_be_no_warm_up():
    assert OptimSettings(steps=20, lr=3.0, warmup=0).learning_rate(0, 20) == 3.0


@pytest.mark.parametrize(("has_it", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_where_that_is_fast(monkeypatch, has_it, precision):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_it)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_it or including_emulation)
    auto = OptimSettings(steps=20, lr=0.5, precision="auto")
    for device in ("cpu", torch.device("cpu"), "cuda"):
        assert auto.on(device) == OptimSettings(steps=20, lr=0.5, precision=precision)
    assert auto.on("mps").precision == "fp32"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_precision_that_is_named_is_kept(precision):
    assert OptimSettings(precision=precision).on("cpu").precision == precision


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 3}, r"give steps or epochs, and None for the other, got steps=\d+, epochs=3"),
        ({"steps": None}, "give steps or epochs, and None for the other, got steps=None, epochs=None"),
        ({"precision": "fp8"}, "precision must be one of auto, fp32, bf16, fp16, got 'fp8'"),
        ({"schedule": "linear"}, "schedule must be 'cosine' or 'constant', got 'linear'"),
        ({"steps": 2.5}, r"optim\.steps is a whole number from 1, got 2\.5"),
        ({"steps": None, "epochs": 0}, r"optim\.epochs is a whole number from 1, got 0"),
        ({"lr": 0.0}, r"optim\.lr is a number above 0, got 0\.0"),
        ({"lr": "abc"}, r"optim\.lr is a number above 0, got 'abc'"),
        ({"clip": 0.0}, r"optim\.clip is a number above 0, got 0\.0"),
        ({"weight_decay": -1}, r"optim\.weight_decay is a number from 0, got -1"),
        ({"warmup": -3}, r"optim\.warmup is a whole number from 0, got -3"),
        ({"last_lr": 5}, r"optim\.last_lr is a number in \[0, 1\], got 5"),
        ({"batch_size": 0}, r"optim\.batch_size is a whole number from 1, got 0"),
        ({"ema": 1.0}, r"optim\.ema is a number in \[0, 1\), got 1\.0"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        OptimSettings(**settings)


def module(value: float) -> nn.Module:
    layer = nn.BatchNorm1d(1)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_average_has_a_short_memory_at_first_and_its_own_later():
    layer = module(0.0)
    average = Average(layer, decay=0.9)
    expected = 0.0
    for step, decay in [(1, 2 / 11), (2, 3 / 12), (8, 9 / 18), (80, 81 / 90), (81, 0.9), (1000, 0.9)]:
        nn.init.constant_(layer.weight, float(step))
        average.update(layer, step)
        expected = decay * expected + (1 - decay) * step
        assert average.state["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_whole_numbers_are_copied_and_not_averaged():
    layer = module(0.0)
    average = Average(layer, decay=0.9)
    layer.num_batches_tracked.fill_(7)
    average.update(layer, 500)
    assert average.state["num_batches_tracked"].item() == 7


def test_no_decay_follows_the_module():
    layer = module(1.0)
    average = Average(layer, decay=0)
    nn.init.constant_(layer.weight, 5.0)
    average.update(layer, 1)
    assert average.state["weight"].item() == 5.0


def test_the_average_is_applied_for_a_while():
    layer = module(1.0)
    average = Average(layer, decay=0.5)
    nn.init.constant_(layer.weight, 3.0)
    average.update(layer, 100)
    with average.applied(layer):
        assert layer.weight.item() == 2.0
    assert layer.weight.item() == 3.0
    with torch.no_grad():
        layer.weight.fill_(9.0)
    assert average.state["weight"].item() == 2.0
