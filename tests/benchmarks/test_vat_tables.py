"""The papers' tables: what is printed beside ours is what was published, as far as its own means can tell."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tdir.data.published import PUBLISHED
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
        assert set(one["columns"][:-1]) == set(PUBLISHED[name].classes)


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
