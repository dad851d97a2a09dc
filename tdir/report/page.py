"""A benchmark as one HTML page that needs nothing else: tables, curves, and images before and after."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from tdir.data.images import Pixels
from tdir.metrics.outcomes import CONFIDENCE, outcomes
from tdir.metrics.scores import DetectionScores, Scores
from tdir.report.charts import AXES, curves, gapless, recovered_bars
from tdir.report.pictures import to_width
from tdir.report.speed import speed_sentence
from tdir.report.tables import (
    absent,
    headings,
    kind_of,
    main_of,
    quality_headings,
    quality_sentence,
    recovered_sentence,
    title,
    unknown,
    unread,
)

_WIDTH = 640  # of a picture, pixels
_QUALITY = 82


@dataclass(frozen=True)
class Example:
    """An image before and after.

    Args:
        name: of the image.
        change: of what ``Scores.by_image`` gives, between -1 and 1.
        before: with what the row to compare with finds in it, ``(H, W, 3)`` uint8 RGB.
        after: the same of the row of interest, in the image as the head sees it then.
    """

    name: str
    change: float
    before: Pixels
    after: Pixels


def compared(rows: Mapping[str, object]) -> tuple[str, str]:
    """The row to compare with and the row of interest: the degraded images, and the last thing done to them."""
    return "degraded", "vat" if "vat" in rows else "restorer"


def changed(rows: Mapping[str, Scores], count: int) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """The images that gain and lose most from degraded to the row of interest.

    Args:
        rows: the scores.
        count: of each at most.

    Returns:
        The most improved and the most harmed, as (image, change), the greatest change first.
    """
    before, after = (rows[name].by_image() for name in compared(rows))
    change = np.nan_to_num(after, nan=1.0) - np.nan_to_num(before, nan=1.0)
    order = np.argsort(-change, kind="stable").tolist()
    best = [(i, float(change[i])) for i in order[:count] if change[i] > 0]
    worst = [(i, float(change[i])) for i in order[::-1][:count] if change[i] < 0]
    return best, worst


def write_page(
    path: Path,
    record: Mapping[str, Any],
    rows: Mapping[str, Scores],
    improved: Sequence[Example] = (),
    harmed: Sequence[Example] = (),
) -> None:
    """Write the page of a record.

    Args:
        path: of the page; its folder is made.
        record: from ``write_record``.
        rows: the scores that the record was made of.
        improved: images to show.
        harmed: images to show.
    """
    protocol, data = record.get("protocol", {}), record.get("data", {})
    metrics, first = headings(protocol), next(iter(rows.values()))
    page = page_template("page.html.j2").render(
        record=record,
        title=title(record),
        metrics=metrics,
        main=main_of(metrics),
        counts=kind_of(protocol).TRUTHS,
        by_image=first.BY_IMAGE,
        curve_title=" over ".join(AXES[type(first)][::-1]) if type(first) in AXES else "",
        of_boxes=isinstance(first, DetectionScores),
        notes=[*recovered_sentence(record), *absent(rows), *unknown(data), *unread(data), *speed_sentence(record)],
        quality_headings=quality_headings,
        quality_sentence=quality_sentence,
        curves=curves(rows),
        gap=recovered_bars(rows),
        gapless=gapless(rows),
        failures=_failures(rows),
        confidence=CONFIDENCE,
        before_row=compared(rows)[0],
        after_row=compared(rows)[1],
        groups=[("Most improved", improved), ("Most harmed", harmed)],
        picture=data_url,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def page_template(name: str) -> jinja2.Template:
    """A template beside this file; a name that it does not get is an error."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined).get_template(name)


def _failures(rows: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """For every class of boxes, what was found, missed and false in the two rows that are compared."""
    first, second = (rows[name] for name in compared(rows))
    if not isinstance(first, DetectionScores) or not isinstance(second, DetectionScores):
        return []
    before, after = outcomes(first), outcomes(second)
    return [
        {
            "name": name,
            "before": [int(part[k].sum()) for part in (before.found, before.missed, before.false)],
            "after": [int(part[k].sum()) for part in (after.found, after.missed, after.false)],
        }
        for k, name in enumerate(first.per_class)
    ]


def data_url(image: Pixels) -> str:
    """A picture as a page holds it."""
    small = to_width(image, min(_WIDTH, image.shape[1]))
    _, data = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
