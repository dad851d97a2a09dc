"""A sweep asks each system at each strength."""

from __future__ import annotations

import pytest

from tdir import evaluation, sweep
from tdir.data.degradations import Degraded
from tdir.data.streets_maps import StreetsMaps
from tdir.errors import ConfigError
from tdir.evaluation import Scoring
from tdir.metrics.segmentation import ConfusionMatrix, MapScores


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that rows are evaluated under; every map is right."""
    names: list[str] = []

    def evaluate(pipeline: object, data_set: StreetsMaps, name: str, scoring: Scoring) -> MapScores:
        names.append(name)
        metric = ConfusionMatrix(data_set.classes)
        metric.update([data_set.truth(0)], [data_set.truth(0)])
        return metric.compute()

    monkeypatch.setattr(sweep, "evaluate", evaluate)
    return names


def test_each_system_is_asked_at_each_strength(asked: list[str]) -> None:
    scenes = StreetsMaps("test", 1, size=(32, 48))
    dark = {"type": "low_light", "gamma": (6, 6), "shot": 0.0, "read": 0.0}
    columns = sweep.columns_of(scenes, {"1": None, "6": dark}, seed=0)
    assert columns["1"] is scenes
    assert isinstance(columns["6"], Degraded)
    found = sweep.sweep({"degraded": None, "vat": None}, columns, Scoring())
    assert asked == ["1, degraded", "1, vat", "6, degraded", "6, vat"]
    assert {label: list(rows) for label, rows in found.items()} == {
        "1": ["degraded", "vat"],
        "6": ["degraded", "vat", "clean"],
    }
    # Of the systems of a further seed the head alone is none.
    alone = sweep.sweep({"vat": None}, columns, Scoring())
    assert {label: list(rows) for label, rows in alone.items()} == {"1": ["vat"], "6": ["vat"]}


def test_restorers_beside_are_called_by_name_and_file() -> None:
    assert list(sweep.beside(["dcp", "identity"])) == ["dcp", "identity"]
    with pytest.raises(ConfigError, match="two restorers are called 'dcp': give each once"):
        sweep.beside(["dcp", "dcp"])


def test_a_sweep_s_evaluate_is_that_of_a_benchmark() -> None:
    assert sweep.evaluate is evaluation.evaluate
