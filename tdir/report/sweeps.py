"""A sweep over strengths as Markdown, and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdir.data.images import Pixels
from tdir.metrics.scores import Scores
from tdir.report.charts import AXES, curves
from tdir.report.page import compared, data_url, page_template
from tdir.report.tables import DIFFERENCE, difference_cells, headings, kind_of, main_of, number, table, unknown, unread

SHOWN = {"degraded": "input", "restorer": "its restorer", "vat": "VaT"}
"""Row of a record -> its name in a table; other rows are named after their restorers."""


@dataclass(frozen=True)
class Seen:
    """One image at every strength, as each row shows it.

    Args:
        name: of the image.
        truth: drawn over the image as it is, ``(H, W, 3)`` uint8 RGB.
        pictures: label -> row -> what the head sees with what it says of it, ``(H, W, 3)`` uint8 RGB.
    """

    name: str
    truth: Pixels
    pictures: Mapping[str, Mapping[str, Pixels]]


def sweep_summary(record: Mapping[str, Any]) -> str:
    """Everything that the record of a sweep says, as Markdown."""
    metrics = headings(record["protocol"])
    parts = [sweep_title(record)]
    for metric, heading in metrics.items():
        parts.append(_methods(record, metric, heading))
    parts += [_differences(record, metrics), _by_class(record, metrics), *_groups(record, metrics)]
    parts += [*unknown(record["data"]), *unread(record["data"])]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def sweep_title(record: Mapping[str, Any]) -> str:
    """What was scored and how, in a sentence."""
    data, protocol, made = record["data"], record["protocol"], record["sweep"]
    size = f"longest side {protocol['size']}" if protocol.get("size") else "at native size"
    strengths = "; ".join(f"{label}: {_settings(one)}" for label, one in made["columns"].items())
    return (
        f"{made['name']}, {data['name']} {data['split']}: {data['images']} images, {size}. {made['strength']} "
        f"{strengths}. Scored by {protocol['title']}; intervals and differences from {record['samples']} bootstrap "
        "samples of the images."
    )


def _settings(degradation: Mapping[str, Any] | None) -> str:
    if degradation is None:
        return "the images as they are"
    return ", ".join(f"{key} {value}" for key, value in degradation.items() if key != "type")


def lines_of(record: Mapping[str, Any], metric: str) -> dict[str, list[float | None]]:
    """Row -> its score in every column."""
    columns = record["columns"].values()
    rows = [row for row in next(iter(columns))["rows"] if row != "clean"]
    return {row: [column["rows"][row][metric] for column in columns] for row in rows}


def _methods(record: Mapping[str, Any], metric: str, heading: str) -> str:
    labels = [f"{record['sweep']['strength']} {label}" for label in record["columns"]]
    lines = [[SHOWN.get(row, row), *map(number, values)] for row, values in lines_of(record, metric).items()]
    return table([heading, *labels], lines)


def _differences(record: Mapping[str, Any], metrics: Mapping[str, str]) -> str:
    main = main_of(metrics)
    lines = []
    for label, column in record["columns"].items():
        for pair, by_metric in column["differences"].items():
            lines.append([f"{label}: {pair}", *difference_cells(by_metric[main])])
    return table([f"difference in {metrics[main]}", *DIFFERENCE], lines)


def _two_rows(record: Mapping[str, Any]) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Headings and scores of the input and the last row, column by column."""
    found = [(label, column["rows"]) for label, column in record["columns"].items()]
    pairs = [(f"{label} {SHOWN[row]}", rows[row]) for label, rows in found for row in compared(rows)]
    return [heading for heading, _ in pairs], [scores for _, scores in pairs]


def _by_class(record: Mapping[str, Any], metrics: Mapping[str, str]) -> str:
    """Input and the last row, class by class, at every strength."""
    main = main_of(metrics)
    shown, rows = _two_rows(record)
    header = [metrics[main], kind_of(record["protocol"]).TRUTHS, *shown]
    lines = [
        [name, str(one["truths"]), *(number(row["per_class"][name][main]) for row in rows)]
        for name, one in rows[0]["per_class"].items()
    ]
    return table(header, lines)


def _groups(record: Mapping[str, Any], metrics: Mapping[str, str]) -> list[str]:
    """The same for groups of images, such as cities, where there are any."""
    shown, rows = _two_rows(record)
    lines = [[name, *(number(row["groups"][name]) for row in rows)] for name in rows[0].get("groups", ())]
    return [table([metrics[main_of(metrics)], *shown], lines)] if lines else []


def write_sweep_page(
    path: Path, record: Mapping[str, Any], columns: Mapping[str, Mapping[str, Scores]], seen: Sequence[Seen] = ()
) -> None:
    """Write the page of a sweep.

    Args:
        path: of the page; its folder is made.
        record: of the sweep.
        columns: label -> row -> the scores that the record was made of.
        seen: images to show.
    """
    metrics = headings(record["protocol"])
    lines = {metric: lines_of(record, metric) for metric in metrics}
    first = next(iter(next(iter(columns.values())).values()))
    page = page_template("sweep.html.j2").render(
        record=record,
        title=sweep_title(record),
        metrics=metrics,
        main=main_of(metrics),
        counts=kind_of(record["protocol"]).TRUTHS,
        lines=lines,
        best={metric: _best(by_row) for metric, by_row in lines.items()},
        shown=SHOWN,
        pair=compared(next(iter(columns.values()))),
        charts={label: chart for label, rows in columns.items() if (chart := curves(rows))},
        curve_title=" over ".join(AXES[type(first)][::-1]) if type(first) in AXES else "",
        seen=seen,
        picture=data_url,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _best(by_row: Mapping[str, Sequence[float | None]]) -> list[float | None]:
    """The highest score of every column, if there is one."""
    columns = zip(*by_row.values(), strict=True)
    return [max((value for value in column if value is not None), default=None) for column in columns]
