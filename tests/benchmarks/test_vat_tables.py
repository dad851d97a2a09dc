"""The papers' tables: what is printed beside ours is what was published, as far as its own means can tell."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tdir.data.published import PUBLISHED
from tdir.metrics.quality import QUALITY
from tests.benchmarks.conftest import Programs


@pytest.fixture(scope="module")
def program(program_named: Programs) -> ModuleType:
    return program_named("vat_tables")


def test_the_published_means_are_those_of_the_classes(program):
    for table in ("1", "3"):
        for name, one in program.PUBLISHED[table]["sets"].items():
            assert name in PUBLISHED
            assert one["columns"][-1] == "mAP"
            for values in one["rows"].values():
                assert len(values) == len(one["columns"])
                if len(values) > 1:
                    assert sum(values[:-1]) / len(values[:-1]) == pytest.approx(values[-1], abs=0.011)


def test_the_columns_are_classes_that_the_benchmark_scores(program):
    for name, one in program.PUBLISHED["1"]["sets"].items():
        assert set(one["columns"][:-1]) == set(PUBLISHED[name].settings["classes"])


def test_rows_stand_side_by_side_in_percent(program):
    scores: dict[str, Any] = {"map": 0.5, "per_class": {"car": {"map": 0.25}, "bus": {"map": None}}}
    text = program.merged(
        {"columns": ["car", "bus", "mAP"], "rows": {"VaT": [63.69, 24.55, 49.48]}},
        {"rows": {"degraded": scores, "vat": scores, "clean + vat": scores}},
    )
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["", "row", "car", "bus", "mAP"]
    assert lines[2:] == [
        ["paper", "VaT", "63.69", "24.55", "49.48"],
        ["here", "degraded", "25.00", "–", "50.00"],
        ["here", "VaT", "25.00", "–", "50.00"],
    ]


def test_the_published_quality_is_in_the_ranges_of_its_metrics(program):
    named = {("2", "voch"): 7, ("2", "rtts"): 7, ("3", "vocd"): 3, ("3", "exdark"): 3}
    for (table, name), rows in named.items():
        one = program.PUBLISHED[table]["sets"][name]
        metrics = [QUALITY[metric] for metric in program.qualities(one)]
        # What the paper has no clean images for has no other metric.
        assert all(metric.needs_clean == (name in ("voch", "vocd")) for metric in metrics)
        assert len(one["quality"]["rows"]) == rows
        for values in one["quality"]["rows"].values():
            assert len(values) == len(metrics)
            for metric, value in zip(metrics, values):
                least, most = metric.range
                assert least < value < (math.inf if most is None else most)


def test_quality_stands_side_by_side(program):
    published = {"quality": {"columns": ["PSNR", "LPIPS"], "rows": {"VaT": [26.682, 0.076]}}}
    found = {"degraded": {"psnr": {"value": 12.5, "images": 2}, "lpips": {"value": None, "images": 0}}, "clean": {}}
    text = program.merged_quality(published, {"quality": {"rows": found}})
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert lines[0] == ["", "row", "PSNR", "LPIPS"]
    assert lines[2:] == [
        ["paper", "VaT", "26.682", "0.076"],
        ["here", "clean", "–", "–"],
        ["here", "degraded", "12.500", "–"],
    ]


def test_table_2_asks_for_the_metrics_of_each_set_and_not_twice(program, tmp_path, monkeypatch, capsys):
    asked: list[list[str]] = []
    score = {"psnr": 20.0, "ssim": 0.5, "lpips": 0.25, "niqe": 4.0}

    def benchmark(command: str, argv: list[str]) -> int:
        asked.append(argv)
        metrics = argv[argv.index("--quality") + 1 : argv.index("--protocol")]
        rows = {"vat": {name: {"value": score[name], "images": 2} for name in metrics}}
        record = {"format": 1, "rows": {"vat": {}}, "weights": {"head": {"name": "y.pt"}}, "data": {"images": 2}}
        record["quality"] = {"images": 2, "metrics": dict.fromkeys(metrics), "rows": rows}
        file = Path(argv[argv.index("--out") + 1]) / "record.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record))
        return 0

    monkeypatch.setattr(program, "run", benchmark)
    monkeypatch.setattr("sys.argv", ["vat_tables.py", "2", "--work-dir", str(tmp_path), "--data-root", "downloads"])
    program.main()
    assert [argv[: argv.index("--protocol")] for argv in asked] == [
        ["voch", "--data-root", "downloads", "--quality", "psnr", "ssim", "lpips"],
        ["rtts", "--data-root", "downloads", "--quality", "niqe"],
    ]
    printed = capsys.readouterr().out
    assert "average precision" not in printed and "PSNR in dB" in printed
    assert re.search(r"paper +\| +VaT +\| +4\.191 \|\n\| here +\| +VaT +\| +4\.000 \|", printed)
    program.main()
    assert len(asked) == 2
    # A record without the quality is made anew.
    (tmp_path / "2_rtts/record.json").write_text(json.dumps({"format": 1, "rows": {"vat": {}}}))
    program.main()
    assert len(asked) == 3
