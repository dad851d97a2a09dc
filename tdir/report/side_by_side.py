"""Records of several runs in one table, with what makes them hard to compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tdir.errors import DataError
from tdir.report.records import FORMAT
from tdir.report.tables import headings, kind_of, table

_MUST_AGREE = {
    "data": ("name", "split", "manifest", "classes", "images", "degradation", "degradation_seed"),
    "protocol": ("name", "plus_one", "score", "iou", "max_det", "size"),
}
"""Where two records differ in one of these, their scores are not of the same thing."""


def read_record(path: str | Path) -> dict[str, Any]:
    """A record that ``write_record`` wrote.

    Raises:
        DataError: if the file is missing, or no such record.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable record ({error}): give a record.json of tdir benchmark") from error
    if isinstance(record, dict) and "sweep" in record:
        raise DataError(f"{path}: is of a sweep, which is a table already: give records of plain benchmarks")
    if not isinstance(record, dict) or not isinstance(record.get("rows"), dict) or not record["rows"]:
        raise DataError(f"{path}: has no 'rows': give a record.json of tdir benchmark")
    if record.get("format") != FORMAT:
        raise DataError(f"{path}: format {record.get('format')!r}, and this tdir reads {FORMAT}: score it again")
    return record


def names(paths: Sequence[str | Path]) -> list[str]:
    """A short name for each of some files: their folders, as far up as they differ, or the file's own name."""
    stems = [Path(path).parent.name if Path(path).stem == "record" else Path(path).stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    return [str(path) for path in paths]


def side_by_side(records: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for every run and row, and a sentence for every difference in what was measured.

    Args:
        records: name of the run -> its record.
    """
    protocol = next(iter(records.values())).get("protocol", {})
    metrics = headings(protocol)
    shown = {key: metrics[key] for key in kind_of(protocol).SAMPLED if key in metrics}
    lines = []
    for name, record in records.items():
        for row, scores in record["rows"].items():
            cells = [f"{scores[key]:.3f}" if scores.get(key) is not None else "–" for key in shown]
            share = record.get("recovered", {}).get(row)
            lines.append([name, row, *cells, "" if share is None else f"{share:.0%}"])
    text = table(["run", "row", *shown.values(), "recovered"], lines)
    return "\n".join([text, *disagreements(records)])


def disagreements(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the runs were not measured alike in, in sentences."""
    said = []
    for part, keys in _MUST_AGREE.items():
        for key in keys:
            values = {name: record.get(part, {}).get(key) for name, record in records.items()}
            if len({json.dumps(value, sort_keys=True) for value in values.values()}) > 1:
                told = "; ".join(f"{name}: {value}" for name, value in values.items())
                said.append(f"Not measured alike, {part} {key}: {told}.\n")
    return said
