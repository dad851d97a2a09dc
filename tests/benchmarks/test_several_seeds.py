"""The program behind the published results, on tiny pictures."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tdir.training.config import TrainConfig
from tests.benchmarks.conftest import Programs
from tests.training.scenes import settings, write_everything


@pytest.fixture(scope="module")
def program(program_named: Programs) -> ModuleType:
    return program_named("several_seeds")


@pytest.fixture(scope="module")
def record(program: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Two seeds of two steps, and an oracle."""
    root = write_everything(tmp_path_factory.mktemp("scenes"))
    val = {"type": "yolo", "root": str(root / "labelled"), "split": "val", "degradation": {"type": "haze"}}
    config = TrainConfig.from_dict(settings(root, val=val, optim__steps=2, name="tiny"))
    work_dir = root / "work"
    return program.measure(config, [0, 1], True, work_dir), work_dir


def test_every_seed_has_its_rows_and_the_spread_is_over_them(record):
    result, work_dir = record
    assert set(result["by_seed"]) == {"0", "1"}
    for found in result["by_seed"].values():
        assert {"clean", "degraded", "restorer", "vat", "clean + vat"} <= set(found["rows"])
        assert "vat - restorer" in found["differences"]
    maps = [result["by_seed"][seed]["rows"]["vat"]["map"] for seed in ("0", "1")]
    assert result["over_seeds"]["vat"]["map"]["values"] == maps
    assert result["over_seeds"]["vat"]["map"]["mean"] == pytest.approx(sum(maps) / 2)
    assert all((work_dir / place / "tiny.tdir").exists() for place in ("seed-0", "seed-1", "oracle"))


def test_the_oracle_is_another_training_with_labels_of_the_clean_images(record):
    result, work_dir = record
    assert result["oracle"]["rows"]["clean"] == result["by_seed"]["0"]["rows"]["clean"]
    told = json.loads((work_dir / "oracle" / "config.json").read_text())
    assert told["teacher"]["oracle"] is True and told["objective"]["alpha"] is None


def test_no_path_of_the_machine_gets_into_the_record_and_the_table_has_every_row(program, record):
    result, work_dir = record
    assert str(work_dir.parent) not in json.dumps(result)
    text = program.table(result)
    for row in ("clean", "degraded", "restorer", "vat", "oracle"):
        assert f"| {row}" in text


def test_a_result_is_written_with_its_command_and_machine(program, record, tmp_path, capsys):
    program.write_result(tmp_path / "new" / "tiny", record[0], program.table)
    written = json.loads((tmp_path / "new" / "tiny.json").read_text())
    assert written["command"] and written["environment"]["versions"]["torch"]
    assert written["over_seeds"] == record[0]["over_seeds"]
    assert (tmp_path / "new" / "tiny.md").read_text() in capsys.readouterr().out
