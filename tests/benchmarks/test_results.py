"""The committed results, and what benchmarks/README.md tells of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.conftest import Programs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = sorted((BENCHMARKS / "results").glob("*.json"))


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_weights_of_one_name_are_the_same_in_every_result() -> None:
    """A result that another training of its head or restorer has made old is measured again."""
    known: dict[str, dict[str, list[str]]] = {}
    for file in FILES:
        record = read(file)
        weights = record.get("weights", {})
        named = [(weights[part]["name"], weights[part]["sha256"]) for part in ("restorer", "head") if part in weights]
        if "by" in record.get("config", {}):
            named.append((f"{record['config']['name']}.safetensors", record["sha256"]))
        for name, sha256 in named:
            known.setdefault(name, {}).setdefault(sha256, []).append(file.name)
    assert len(known) > 3
    assert {name: files for name, files in known.items() if len(files) > 1} == {}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("on_the_way/cifar_dark_second_head", [("clean", "top1"), ("low light", "top1"), ("low light", "auc")]),
        ("sci_medium_clip_cifar_dark", [("clean", "top1"), ("low light", "top1"), ("low light", "auc")]),
        ("sci_deeplab_camvid_dark", [(gamma, "miou") for gamma in ("1", "2", "6", "10")]),
    ],
)
def test_tables_of_the_dark_are_the_results(name: str, columns: list[tuple[str, str]], program_named: Programs) -> None:
    cell = program_named("several_seeds").cell
    lines = (BENCHMARKS / "README.md").read_text(encoding="utf-8").splitlines()
    shown = [[value.strip() for value in line.split("|")[2:-1]] for line in lines if line.startswith("|")]
    rows = read(BENCHMARKS / f"results/{name}.json")["over_seeds"]
    assert {"degraded", "restorer", "vat"} < set(rows)
    for row in rows.values():
        found = [cell(row[label][metric]) for label, metric in columns]
        if name == "sci_deeplab_camvid_dark":
            pixels = [row[label]["pixel_accuracy"]["mean"] for label, _ in columns]
            found = [f"{one} ({share:.2f})" for one, share in zip(found, pixels, strict=True)]
        assert found in shown
