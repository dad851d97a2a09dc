"""Scores as Markdown, for the terminal and for a page alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tdir.metrics.classification import AccuracyScores
from tdir.metrics.scores import DetectionScores, Scores, without_objects
from tdir.metrics.segmentation import MapScores
from tdir.report.speed import speed_sentence

Rows = Mapping[str, "Scores | Mapping[str, Any]"]
"""Row name -> scores, or what their ``as_dict`` gave."""

KINDS: dict[str, type[Scores]] = {"coco": DetectionScores, "miou": MapScores, "accuracy": AccuracyScores}
"""The "curve" of a protocol -> the scores that it gives."""
METRICS = DetectionScores.HEADINGS
"""Scores by COCO's protocol and their headings."""
DIFFERENCE = ("value", "95 % interval", "p")
"""The headings of a difference between two rows."""
AT_ONE_OVERLAP = {"map": "mAP50"}
"""By the rules of Pascal VOC there is this one."""


def kind_of(protocol: Mapping[str, Any]) -> type[Scores]:
    """The scores that a protocol, the "protocol" of a record, gives; those of boxes by the rules of Pascal VOC too."""
    return KINDS.get(protocol.get("curve", "coco"), DetectionScores)


def headings(protocol: Mapping[str, Any]) -> Mapping[str, str]:
    """The scores that a protocol, the "protocol" of a record, gives, and their headings; COCO's if it does not say."""
    return kind_of(protocol).HEADINGS if protocol.get("curve", "coco") in KINDS else AT_ONE_OVERLAP


def main_of(metrics: Mapping[str, str]) -> str:
    """The score that rows are compared by: the first one; ``metrics`` is from :func:`headings`."""
    return next(iter(metrics))


def markdown_table(rows: Rows, intervals: Mapping[str, Any] | None = None, metrics: Mapping[str, str] = METRICS) -> str:
    """One line for each row.

    Args:
        rows: the scores.
        intervals: "intervals" of a record; the 95 % intervals of the scores that have one are then added.
        metrics: the columns, see :func:`headings`.
    """
    lines = []
    for name, scores in _plain(rows).items():
        values = {key: number(scores[key]) for key in metrics}
        for key, bounds in (intervals or {}).get(name, {}).items():
            if key in values:
                values[key] += f" ({number(bounds['low'])} to {number(bounds['high'])})"
        lines.append([name, *values.values()])
    return table(["row", *metrics.values()], lines)


def class_table(
    rows: Rows, metric: str | None = None, metrics: Mapping[str, str] = METRICS, counts: str = "objects"
) -> str:
    """One line for each class, one column for each row.

    Args:
        rows: the scores.
        metric: a key of ``metrics`` that classes have; default: the main one.
        metrics: headings, see :func:`headings`.
        counts: what there is of a class is counted in.
    """
    metric = metric or main_of(metrics)
    plain = _plain(rows)
    first = next(iter(plain.values()))["per_class"]
    lines = [
        [name, str(first[name]["truths"]), *(number(scores["per_class"][name][metric]) for scores in plain.values())]
        for name in first
    ]
    return table([metrics[metric], counts, *plain], lines)


def difference_table(differences: Mapping[str, Any], metrics: Mapping[str, str] = METRICS) -> str:
    """One line for each difference between two rows, with its 95 % interval and its two-sided p."""
    lines = []
    for name, by_metric in differences.items():
        for metric in [key for key in by_metric if key in metrics]:
            lines.append([name, metrics[metric], *difference_cells(by_metric[metric])])
    return table(["difference", "metric", *DIFFERENCE], lines)


def difference_cells(found: Mapping[str, float]) -> list[str]:
    """What a bootstrap says of one difference, below the headings of :data:`DIFFERENCE`."""
    return [
        signed(found["difference"]), f"{signed(found['low'])} to {signed(found['high'])}", f"{found['p']:.3f}",
    ]  # fmt: skip


def quality_headings(quality: Mapping[str, Any]) -> dict[str, str]:
    """Metric -> its heading with unit and the better direction; ``quality`` is that of a record."""
    arrows = {"higher": "↑", "lower": "↓"}
    return {
        name: " ".join(filter(None, [one["title"], one["unit"] and f"({one['unit']})", arrows[one["direction"]]]))
        for name, one in quality["metrics"].items()
    }


def quality_table(quality: Mapping[str, Any]) -> str:
    """One line for each row, one column for each metric of image quality; ``quality`` is that of a record."""
    names = quality_headings(quality)
    lines = [
        [row, *(number(scores[name]["value"] if name in scores else None) for name in names)]
        for row, scores in quality["rows"].items()
    ]
    return table(["image quality", *names.values()], lines)


def quality_sentence(quality: Mapping[str, Any]) -> str:
    """How many images the quality is of and what they were compared with; ``quality`` is that of a record."""
    count = quality["images"]
    compared = [one["title"] for one in quality["metrics"].values() if one["needs_clean"]]
    against = f" {', '.join(compared)} against the clean images." if compared else ""
    fewer = [
        f"{quality['metrics'][name]['title']} of {row} {score['images']}"
        for row, scores in quality["rows"].items()
        for name, score in scores.items()
        if score["images"] < count
    ]
    left_out = f" The others are flat or equal to the clean ones: {', '.join(fewer)} images." if fewer else ""
    return f"Image quality of {count} images at their own size; arrows point to the better.{against}{left_out}"


def summary(record: Mapping[str, Any]) -> str:
    """Everything a record from ``write_record`` says of its rows."""
    rows, data, metrics = record["rows"], record.get("data", {}), headings(record.get("protocol", {}))
    by_class = class_table(rows, metrics=metrics, counts=kind_of(record.get("protocol", {})).TRUTHS)
    parts = [title(record), markdown_table(rows, record["intervals"], metrics), by_class]
    if record["differences"]:
        parts.append(difference_table(record["differences"], metrics))
    if "quality" in record:
        parts += [quality_table(record["quality"]), quality_sentence(record["quality"])]
    parts += [*recovered_sentence(record), *absent(rows), *unknown(data), *unread(data), *speed_sentence(record)]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def recovered_sentence(record: Mapping[str, Any]) -> list[str]:
    """The share of the gap from degraded to clean that restorer and VaT win back, in a sentence, where it is known."""
    if not record["recovered"]:
        return []
    shares = ", ".join(f"{name} {share:.0%}" for name, share in record["recovered"].items())
    metrics = headings(record.get("protocol", {}))
    metric = metrics[main_of(metrics)]
    return [f"Recovered of the gap from degraded to clean, in {metric}: {shares}."]


def unread(data: Mapping[str, Any]) -> list[str]:
    """The images that no row is scored on, in a sentence, if there are any; ``data`` is from ``describe_data``."""
    names = data.get("unreadable", ())
    return [f"Left out of every row, as they cannot be read, {len(names)}: {', '.join(names)}."] if names else []


def unknown(data: Mapping[str, Any]) -> list[str]:
    """The classes that the head does not know, in a sentence; ``data`` holds what ``describe_classes`` gave."""
    names = data.get("unknown", ())
    said = f"Classes of the set that the head does not know, {len(names)}: {', '.join(names)}."
    return [f"{said} They score 0 wherever there is an object to find."] if names else []


def absent(rows: Rows) -> list[str]:
    """The classes that no mean includes, in a sentence, if there are any."""
    names = without_objects(next(iter(_plain(rows).values()))["per_class"])
    return [f"Left out of every mean, as there is no object to find: {', '.join(names)}."] if names else []


def title(record: Mapping[str, Any]) -> str:
    """What was scored and how, in a sentence."""
    data, protocol = record.get("data", {}), record.get("protocol", {})
    images = next(iter(record["rows"].values()))["images"]
    where = f"{data.get('name', 'unnamed set')}{' ' + data['split'] if data.get('split') else ''}"
    made = data.get("degradation")
    settings = ", ".join(f"{key} {value}" for key, value in made.items() if key != "type") if made else ""
    degraded = f", {made['type']} ({settings})" if made else ""
    size = f", longest side {protocol['size']}" if protocol.get("size") else ", at native size"
    rules = f" Scored by {protocol['title']}." if protocol.get("title") else ""
    return (
        f"{where}: {images} images{degraded}{size}; intervals and differences from {record['samples']} bootstrap "
        f"samples of the images.{rules}"
    )


def _plain(rows: Rows) -> dict[str, Mapping[str, Any]]:
    return {name: s.as_dict() if isinstance(s, Scores) else s for name, s in rows.items()}


def number(value: float | None) -> str:
    """With three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    """With its sign and three digits."""
    return f"{value:+.3f}"


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Padded, so that it can be read in a terminal; the first column is text, the others are numbers."""
    widths = [max(len(line[k]) for line in [header, *lines]) for k in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        for line in [header, *lines]
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [padded[0], rule, *padded[1:]])
