from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tdir.cli import main
from tdir.errors import DataError
from tdir.report.side_by_side import disagreements, names, read_record, side_by_side


def record(score: float, **data: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "rows": {"degraded": {"map": 0.25, "ap50": 0.5}, "vat": {"map": score, "ap50": None}},
        "recovered": {"vat": score},
        "data": {"name": "voc5", "images": 200, **data},
        "protocol": {"name": "coco", "curve": "coco", "size": 320},
    }


def test_every_row_of_every_run_is_a_line():
    lines = side_by_side({"first": record(0.375), "second": record(0.5)}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["run", "row", "mAP50-95", "mAP50", "recovered"]
    assert cells[2:] == [
        ["first", "degraded", "0.250", "0.500", ""],
        ["first", "vat", "0.375", "–", "38%"],
        ["second", "degraded", "0.250", "0.500", ""],
        ["second", "vat", "0.500", "–", "50%"],
    ]


def test_what_was_not_measured_alike_is_said():
    records = {"a": record(0.5), "b": record(0.5, images=100)}
    assert disagreements(records) == ["Not measured alike, data images: a: 200; b: 100.\n"]
    assert side_by_side(records).endswith("Not measured alike, data images: a: 200; b: 100.\n")
    records["b"]["protocol"] = {**records["b"]["protocol"], "name": "voc07"}
    assert "Not measured alike, protocol name: a: coco; b: voc07.\n" in disagreements(records)


def test_runs_are_named_after_their_folders():
    assert names(["x/a/record.json", "x/b/record.json"]) == ["a", "b"]
    assert names(["first.json", "second.json"]) == ["first", "second"]
    assert names(["x/a/record.json", "y/a/record.json"]) == ["x/a/record.json", "y/a/record.json"]


def test_the_command_reads_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(json.dumps(record(0.5)))
    assert main(["compare", *(str(tmp_path / name / "record.json") for name in "ab")]) == 0
    assert "| b   |      vat |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not a readable record"),
        ("{", "not a readable record"),
        ("[]", "has no 'rows'"),
        ('{"rows": {}}', "has no 'rows'"),
        ('{"rows": {"vat": {}}}', "format None, and this tdir reads 1"),
    ],
)
def test_what_is_no_record_is_named(tmp_path: Path, text: str | None, message: str):
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_record(tmp_path / "a.json")
