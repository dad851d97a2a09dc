"""Several trainings scored at several strengths of darkness, on ten tiny images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import pytest

from tests.benchmarks.conftest import Programs
from tests.classes import write_cifar, write_clip


@pytest.fixture(scope="module")
def program(program_named: Programs) -> ModuleType:
    return program_named("dark")


@pytest.fixture(scope="module")
def out(program: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two seeds of two steps come to."""
    root = tmp_path_factory.mktemp("dark")
    data = {"type": "cifar10", "root": str(write_cifar(root / "cifar10")), "split": "train"}
    clip = {"type": "clip", "weights": str(write_clip(root / "tiny.safetensors"))}
    (root / "config.py").write_text(
        f"restorer = 'dcp'\nhead = {clip}\ndegraded = {dict(data, degradation='low_light')}\nclean = {data}\n"
        "size = 32\ntranslator = dict(type='vat-light', side=32)\nname = 'tiny'\n"
        "teacher = dict(score=0.0, nuq=False)\noptim = dict(steps=2, batch_size=2, warmup=1)\n"
    )
    argv = ["cifar-dark", str(root / "config.py"), "--seeds", "0", "1"]
    argv += ["--beside", "identity", "sci:sci_dark.safetensors"]
    argv += ["--work-dir", str(root / "work"), "--out", str(root / "result")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDIR_DATA", str(root))
        patch.setattr(sys, "argv", ["benchmarks/dark.py", *argv])
        program.main()
    return root / "result"


@pytest.fixture
def record(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.with_suffix(".json").read_text())
    return found


def test_every_seed_is_scored_at_every_strength_beside_the_same_rows(record: dict[str, Any]) -> None:
    assert set(record["by_seed"]) == {"0", "1"}
    for by_label in record["by_seed"].values():
        assert list(by_label) == ["clean", "low light"]
        for column in by_label.values():
            assert {"degraded", "identity", "sci sci_dark", "restorer", "vat"} <= set(column["rows"])
            assert {"vat - identity", "vat - sci sci_dark", "vat - restorer"} <= set(column["differences"])
    rows = [record["by_seed"][seed]["low light"]["rows"] for seed in ("0", "1")]
    assert rows[0]["restorer"] == rows[1]["restorer"]


def test_the_spread_is_over_the_seeds(record: dict[str, Any]) -> None:
    for label in ("clean", "low light"):
        found = record["over_seeds"]["vat"][label]["top1"]
        assert found["values"] == [one[label]["rows"]["vat"]["top1"] for one in record["by_seed"].values()]
        assert found["mean"] == pytest.approx(mean(found["values"]))
    assert record["over_seeds"]["identity"]["low light"]["top1"]["deviation"] == 0
    assert "clean" not in record["over_seeds"]


def test_the_table_has_methods_in_rows_and_strengths_in_columns(out: Path) -> None:
    text = out.with_suffix(".md").read_text()
    assert "light clean | light low light |" in text.splitlines()[0]
    for row in ("input", "identity", "sci sci_dark", "its restorer", "VaT"):
        assert text.count(f"\n| {row} ") == 2  # accuracy and AUC
    assert "seed 1, low light: vat - sci sci_dark" in text


def test_a_bundle_is_scored_and_not_trained_again(out: Path, record: dict[str, Any]) -> None:
    assert (out.parent / "work/seed-1/tiny.tdir").is_file()
    assert str(out.parent) not in json.dumps(record)
    assert record["command"].startswith("benchmarks/dark.py cifar-dark config.py --seeds 0 1")
