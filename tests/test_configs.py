"""Every shipped config is one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tdir.registry import DATASETS, DEGRADATIONS, HEADS, RESTORERS, TRANSLATORS
from tdir.training.config import TrainConfig

CONFIGS = Path(__file__).parents[1] / "configs"
BASES = ["vat_light_320.py"]  # what others share; it names no images


def test_a_new_pair_is_trained_as_the_shipped_configs_are() -> None:
    shipped = TrainConfig.from_file(CONFIGS / "aodnet_yolov8n_voc5_haze_strong.py")
    pair = TrainConfig.for_pair("aodnet:dehazer.pth", "yolov8n.pt", "foggy", "clear")
    # But for speed: the side that a cycle would be closed at, and the precision.
    assert replace(pair.objective, cycle_side=128) == shipped.objective
    assert replace(pair.optim, precision="auto") == shipped.optim
    assert (pair.teacher, pair.size, pair.translator) == (shipped.teacher, shipped.size, shipped.translator)


@pytest.mark.parametrize("path", sorted(p for p in CONFIGS.glob("*.py") if p.name not in BASES), ids=lambda p: p.stem)
def test_a_config_names_what_exists(path: Path) -> None:
    config = TrainConfig.from_file(path)
    assert config.restorer["type"] in RESTORERS.names()
    assert config.translator["type"] in TRANSLATORS.names()
    assert config.head["type"] in HEADS.names()
    assert config.val is not None
    for settings in (config.degraded, config.clean, config.val):
        assert settings["type"] in DATASETS.names()
        if "degradation" in settings:
            DEGRADATIONS.build(settings["degradation"])


def test_a_config_that_raises_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("size = nothing\n")
    with pytest.raises(ValueError, match=r"wrong\.py cannot be read: NameError"):
        TrainConfig.from_file(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"translator": "vat-9"}, None),
        ({"optim": 5}, "optim is a table"),
        ({"optim.steps": 0}, r"optim\.steps is a whole number from 1, got 0"),
        ({"objective.background": "ignore-unclaimed"}, "is none of"),
        ({"objective.clean_through_gate": 2}, r"objective\.clean_through_gate is a number in \[0, 1\], got 2"),
        ({"objective.identity": -1}, r"objective\.identity is a number from 0, got -1"),
        ({"objective.alpha": 0}, r"objective\.alpha is a number above 0, got 0"),
        ({"objective.cycle_side": 0}, r"objective\.cycle_side is a whole number from 1, got 0"),
        ({"teacher.score": 25}, r"teacher\.score is a number in \[0, 1\], got 25"),
        ({"teacher.align": "no"}, r"teacher\.align is True or False, got 'no'"),
        ({"teacher.oracle": 1}, r"teacher\.oracle is True or False, got 1"),
        ({"teacher.dims": 1}, r"teacher\.dims is a whole number from 2, got 1"),
        ({"teacher.sources": ["restord"]}, r"teacher\.sources has no 'restord': did you mean 'restored'"),
        ({"teacher.sources": "image"}, r"teacher\.sources is a list of image and restored, got 'image'"),
        ({"teacher.sources": []}, r"teacher\.sources is a list"),
        ({"name": "a/b"}, "a file name without a folder, got 'a/b'"),
        ({"checkpoint_every": 0}, "checkpoint_every is a whole number from 1"),
        ({"teacher.nuq": False, "objective.uncertainty": "paper"}, "weighs by a risk of 0"),
        ({"optim.learning_rate": 1}, "has no setting 'learning_rate'"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, object], message: str | None) -> None:
    def read() -> TrainConfig:
        return TrainConfig.from_file(CONFIGS / "aodnet_yolov8n_voc5_haze.py", options)

    if message is None:  # a bare name stands for its table; whether the part exists is found when it is built
        assert read().translator == {"type": "vat-9"}
        return
    with pytest.raises(ValueError, match=message):
        read()
