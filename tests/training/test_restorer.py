from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tdir import parts
from tdir.cli import main
from tdir.data.images import to_tensor
from tdir.errors import ConfigError, DataError, TrainingError
from tdir.registry import RESTORERS
from tdir.training.optim import OptimSettings
from tdir.training.restorer import RestorerConfig, batch, build_trainable, read_pairs, train_restorer

CONFIGS = Path(__file__).parents[2] / "configs" / "restorers"
DARK = {"type": "low_light", "gamma": [3.0, 3.0]}


def settings(root: Path, **changes: Any) -> RestorerConfig:
    """A hundred steps on pictures of 48 x 64 pixels, at one darkness."""
    values: dict[str, Any] = {
        "restorer": {"type": "sci"},
        "pairs": {"type": "folder", "root": str(root / "clean"), "degradation": DARK},
        "val": {"type": "folder", "root": str(root / "degraded"), "degradation": DARK},
        "crop": 32,
        "left_alone": 0.0,
        "optim": OptimSettings(steps=100, batch_size=2, lr=1e-2, warmup=10, ema=0.9),
    }
    return RestorerConfig(**{**values, **changes})


@pytest.mark.parametrize("name", ["sci", "aodnet", "zerodce"])
def test_a_restorer_learns_to_undo_a_degradation(root, tmp_path, name):
    file = train_restorer(settings(root, restorer={"type": name}, name="dark"), tmp_path)
    assert file == tmp_path / "dark.safetensors"
    record = json.loads((tmp_path / "dark.json").read_text())
    error = record["error"]
    assert error["restored"] < 0.7 * error["degraded"]
    assert record["config"]["pairs"]["root"] == "clean"
    restorer = parts.restorer(name, file)
    assert restorer.weights_sha256 == record["sha256"]
    image, clean = (to_tensor(pixels)[None] for pixels in read_pairs(settings(root).val, 64)[0])
    assert (restorer(image) - clean).abs().mean() < (image - clean).abs().mean()


def test_the_same_seed_gives_the_same_weights(root, tmp_path):
    short = settings(root, optim=OptimSettings(steps=3, batch_size=2))
    first, again, other = (
        train_restorer(one, tmp_path / name).read_bytes()
        for name, one in (("a", short), ("b", short), ("c", replace(short, seed=1)))
    )
    assert first == again != other


def test_the_precision_that_a_processor_chose_is_recorded(root, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    optim = OptimSettings(steps=2, batch_size=2)
    files = [
        train_restorer(settings(root, optim=replace(optim, precision=precision)), tmp_path / precision)
        for precision in ("auto", "bf16", "fp32")
    ]
    chosen, named, other = (json.loads(file.with_suffix(".json").read_text()) for file in files)
    assert chosen["config"] == named["config"] != other["config"]
    assert chosen["sha256"] == named["sha256"] != other["sha256"]


def test_a_share_of_the_squares_is_to_be_left_alone(root):
    config = settings(root, left_alone=0.5)
    pairs = read_pairs(config.pairs, config.size, config.crop)
    alone = [torch.equal(*(images[0] for images in batch(pairs, config, step))) for step in range(40)]
    assert 8 < sum(alone) < 32
    assert batch(pairs, config, 0)[0].shape == (2, 3, 32, 32)


def test_the_two_images_of_a_pair_are_of_the_same_place(root):
    config = settings(root)
    given, wanted = batch(read_pairs(config.pairs, config.size, config.crop), config, 5)
    np.testing.assert_allclose(given, wanted**3, atol=0.1)
    assert given.std() > 0.02


def test_narrow_images_are_left_out(root, caplog):
    pairs = settings(root).pairs
    with pytest.raises(DataError, match="no image of 8 is 50 pixels wide and high at size 64: lower crop"):
        read_pairs(pairs, 64, 50)
    caplog.set_level(logging.INFO, "tdir")
    assert len(read_pairs(pairs, 64, 48)) == 8
    assert "left out" not in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": 0}, "crop is a whole number from 1, got 0"),
        ({"left_alone": 2}, r"left_alone is a number in \[0, 1\], got 2"),
        ({"pairs": {"type": "folder", "root": "."}}, "pairs needs a 'degradation'"),
        ({"optim": OptimSettings(steps=None, epochs=3)}, "is one of optim.steps in fp32, bf16 or auto, got steps=None"),
    ],
)
def test_a_wrong_setting_is_named(root, changes, message):
    with pytest.raises(ConfigError, match=message):
        settings(root, **changes)


@pytest.mark.parametrize("name", ["identity", "dcp"])
def test_what_has_no_weights_cannot_be_trained(name):
    with pytest.raises(ConfigError, match=f"restorer '{name}' has no weights"):
        build_trainable({"type": name})


def test_a_loss_that_is_not_finite_stops_it(root, tmp_path):
    optim = OptimSettings(steps=50, batch_size=2, lr=1e30, warmup=0)
    with pytest.raises(TrainingError, match=r"the loss is nan at step \d+: lower optim\.lr"):
        train_restorer(settings(root, optim=optim), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_a_shipped_config_names_a_restorer_to_train(path):
    config = RestorerConfig.from_file(path)
    assert list(RESTORERS.build(config.restorer).parameters())
    assert config.name == path.stem


def test_the_command_writes_the_weights(root, tmp_path, capsys):
    (tmp_path / "tiny.py").write_text(
        f"restorer = dict(type='sci')\npairs = {settings(root).pairs!r}\nval = {settings(root).val!r}\ncrop = 32\n"
    )
    options = ["--cfg-options", "optim.steps=2", "optim.batch_size=1", "name=tiny"]
    assert main(["train-restorer", str(tmp_path / "tiny.py"), "--work-dir", str(tmp_path / "out"), *options]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "tiny.safetensors")
    assert main(["train-restorer", str(tmp_path / "tiny.py"), "--cfg-options", "corp=3"]) == 2
    assert "has no setting 'corp': did you mean 'crop'?" in capsys.readouterr().err
