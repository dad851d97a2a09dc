"""The cost of scoring, on a small made result; the whole size is slow."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.benchmarks.conftest import Programs


@pytest.fixture(scope="module")
def program(program_named: Programs) -> ModuleType:
    return program_named("scoring")


def test_both_ways_give_the_same_score(program):
    rows = program.made(60, 400, 1500)
    assert (len(rows[0]), sum(map(len, rows[1])), sum(map(len, rows[0]))) == (60, 400, 1500)
    alone = program.pycocotools_alone(*program.as_dictionaries(rows))
    assert program.by_protocol("coco", rows) == pytest.approx(alone, abs=1e-12)
    assert 0 < alone < program.by_protocol("voc12", rows) < 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_result_of_the_size_of_rtts_costs_no_more_than_pycocotools_alone_and_less_than_a_gigabyte(program):
    found = program.compare((program.IMAGES, program.TRUTHS, program.DETECTIONS), rounds=1)
    # Measured at 0.96: the margin is for a busy machine.
    assert found["coco"]["time / pycocotools"] < 1.15
    assert found["coco"]["MB"] < 1000
    assert found["voc12"]["time / pycocotools"] < 0.5
