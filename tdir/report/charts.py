"""The plots of a benchmark's page, as SVG that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tdir.evaluation import recovered, recovered_by_class
from tdir.metrics.classification import RATES, AccuracyScores
from tdir.metrics.curves import COCO_RECALLS
from tdir.metrics.outcomes import mean_curve
from tdir.metrics.scores import DetectionScores, Scores
from tdir.report.pictures import COLOURS

MEAN = "mean"
AXES: dict[type[Scores], tuple[str, str]] = {
    DetectionScores: ("recall", "precision"),
    AccuracyScores: ("false positive rate", "true positive rate"),
}
"""What curves are drawn over each other."""
_WIDTH = 7  # inches
_LINE = 0.24  # inches for a bar
_WORST, _BEST = -1.0, 1.5  # shares beyond are written at the edge: a class with hardly a gap would squeeze all others


def curves(rows: Mapping[str, Scores]) -> str:
    """Precision over recall at IoU 0.5, or the ROC curves, mean over the classes; empty where there are none."""
    drawn = {name: curve for name, scores in rows.items() if (curve := _curve(scores)) is not None}
    if not drawn:
        return ""
    figure = Figure(figsize=(_WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, colour in _colours(drawn).items():
        style = "--" if name.startswith("clean") else "-"
        axes.plot(*drawn[name], style, color=colour, label=name)
    across, up = AXES[type(next(iter(rows.values())))]
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return _svg(figure)


def _curve(scores: Scores) -> tuple[np.ndarray, np.ndarray] | None:
    if isinstance(scores, DetectionScores):
        return COCO_RECALLS, mean_curve(scores)
    roc = scores.mean_roc() if isinstance(scores, AccuracyScores) else None
    return None if roc is None else (RATES, roc)


def recovered_bars(rows: Mapping[str, Scores]) -> str:
    """The share of the gap from degraded to clean that restorer and VaT win back, in the mean and by class.

    Empty where nothing is known of a gap: without a clean row, or where the degradation takes nothing.
    """
    shares = {row: _shares(rows, row) for row in ("restorer", "vat") if row in rows}
    names = list(dict.fromkeys(name for by_name in shares.values() for name in by_name))
    if not names:
        return ""
    figure = Figure(figsize=(_WIDTH, 1 + _LINE * len(names) * (len(shares) + 0.6)), layout="constrained")
    axes = figure.subplots()
    for k, (row, by_name) in enumerate(shares.items()):
        at = [line + (k + 0.5) / (len(shares) + 0.6) for line in range(len(names))]
        _bars(axes, at, [by_name[name] for name in names], 1 / (len(shares) + 0.6), row, _colours(rows)[row])
    axes.set_yticks([line + len(shares) / (len(shares) + 0.6) / 2 for line in range(len(names))])
    axes.set_yticklabels(names, parse_math=False)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(1, color="black", linewidth=0.8, linestyle="--")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    lowest, highest = (end(share for by_name in shares.values() for share in by_name.values()) for end in (min, max))
    # Room for the numbers beside the bars.
    axes.set_xlim(max(min(lowest, 0), _WORST) - (0.2 if lowest < 0 else 0), min(max(highest, 1), _BEST) + 0.2)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, loc="outside upper center", ncols=len(shares))
    return _svg(figure)


def gapless(rows: Mapping[str, Scores]) -> list[str]:
    """The classes with objects that the degradation takes nothing from, of which there is no share."""
    if "clean" not in rows:
        return []
    shares = recovered_by_class(rows, "degraded")
    return [name for name, scores in rows["clean"].per_class.items() if scores["truths"] and name not in shares]


def _shares(rows: Mapping[str, Scores], row: str) -> dict[str, float]:
    overall = recovered(rows, row)
    if overall is None or rows["clean"].main < rows["degraded"].main:
        return recovered_by_class(rows, row)
    return {MEAN: overall, **recovered_by_class(rows, row)}


def _bars(axes: Axes, at: list[float], shares: list[float], height: float, row: str, colour: tuple[float, ...]) -> None:
    """Horizontal bars with their numbers beside them, on the side that they point to."""
    shown = [min(max(share, _WORST), _BEST) for share in shares]
    axes.barh(at, shown, height, color=colour, label=row)
    for y, end, share in zip(at, shown, shares, strict=True):
        side, shift = ("left", 0.01) if end >= 0 else ("right", -0.01)
        axes.text(end + shift, y, f"{share:.0%}", va="center", ha=side, fontsize=8)


def _colours(rows: Mapping[str, object]) -> dict[str, tuple[float, ...]]:
    """Row -> its colour in every plot."""
    return {name: tuple(level / 255 for level in colour) for name, colour in zip(rows, COLOURS, strict=False)}


def _svg(figure: Figure) -> str:
    drawn = io.StringIO()
    # Without a date, and with names that do not depend on chance: the same record makes the same page.
    with matplotlib.rc_context({"svg.hashsalt": "tdir"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return text[text.index("<svg") :]
