"""A contact sheet of what a training would learn from: images beside their pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdir.data.images import Pixels, write_image
from tdir.heads.base import Head
from tdir.report.pictures import WIDTH, Colour, annotated, captioned, coloured, legend, sheet, spread, to_width
from tdir.selftraining.labels import predictions_on_clean, predictions_on_degraded
from tdir.structures import IGNORE, ClassScores, Detections, Prediction, SemanticMap
from tdir.training.config import TeacherSettings
from tdir.training.run import Taught

KEPT, DROPPED = (0, 255, 255), (255, 128, 0)
"""Cyan and orange, RGB; a colour-blind eye tells them apart."""
_BLANK: Pixels = np.full((1, WIDTH, 3), 255, dtype=np.uint8)


def contact_sheet(taught: Taught, head: Head, settings: TeacherSettings, path: Path, rows: int = 8) -> None:
    """Write the sheet as a PNG of pairs: degraded | restored with its labels, then clean | clean with its labels.

    Args:
        taught: what the teacher says.
        head: names the classes, and merges as for the training.
        settings: of the teacher; ``epsilon`` decides which boxes are cyan and which, being dropped, orange.
        path: the file.
        rows: how many degraded images; half as many clean ones follow.
    """
    risky = taught.risk is not None and not settings.oracle
    degraded: list[Pixels] = []
    low = predictions_on_degraded(taught.degraded, head, taught.risk, settings.iou, taught.align)
    for i in spread(len(low), rows):
        image, restored = taught.degraded.pixels(i)
        degraded += [image, drawn(restored, low[i], head.classes, settings.epsilon, risky)]
    clean: list[Pixels] = []
    high = predictions_on_clean(taught.clean, taught.risk, taught.align)
    for i in spread(len(high), rows // 2):
        image = taught.clean.pixels(i)[0]
        clean += [image, drawn(image, high[i], head.classes, 1.0, risky)]
    parts = [_pairs(degraded, "degraded", "restored, with labels"), _pairs(clean, "clean", "clean, with labels")]
    write_image(path, np.concatenate([*parts, _explained(risky, settings.epsilon, parts[0].shape[1])]))


def drawn(image: Pixels, found: Prediction, classes: Sequence[str], epsilon: float, risky: bool = True) -> Pixels:
    """The image ``(H, WIDTH, 3)`` uint8 with what is said of it, kept and dropped in two colours.

    Boxes and the class of an image are named "class confidence risk"; of a map what is kept has the colours of the
    classes, and what is dropped one of its own.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        found: predictions with their risk, in pixels of the image.
        classes: the class names.
        epsilon: the largest risk of what is kept.
        risky: whether the risk was estimated; it is 0 otherwise, and not shown.
    """
    assert found.risk is not None
    if isinstance(found, SemanticMap):
        return to_width(_map_drawn(image, found, epsilon))
    if isinstance(found, ClassScores):
        risk = f" risk {float(found.risk):.2f}" if risky else ""
        said = "no label" if found.label < 0 else f"{classes[found.label]} {float(found.scores.max()):.2f}{risk}"
        return captioned(image, [said], [KEPT if float(found.risk) <= epsilon else DROPPED])
    assert isinstance(found, Detections) and found.scores is not None
    return _boxes_drawn(image, found, classes, epsilon, risky)


def _map_drawn(image: Pixels, found: SemanticMap, epsilon: float) -> Pixels:
    kept, _ = found.filtered(epsilon)
    picture = coloured(image, kept.labels.numpy())
    dropped = ((found.labels != IGNORE) & (kept.labels == IGNORE)).numpy()
    picture[dropped] = DROPPED
    return picture


def _boxes_drawn(image: Pixels, found: Detections, classes: Sequence[str], epsilon: float, risky: bool) -> Pixels:
    assert found.scores is not None and found.risk is not None
    said = zip(found.labels.tolist(), found.scores.tolist(), found.risk.tolist())
    words = [f"{classes[label]} {score:.2f}" + (f" risk {risk:.2f}" if risky else "") for label, score, risk in said]
    colours = [KEPT if kept else DROPPED for kept in (found.risk <= epsilon).tolist()]
    larger = to_width(image)  # before the drawing: words are as large on every sheet
    height, width = image.shape[:2]
    boxes = found.scaled(larger.shape[1] / width, larger.shape[0] / height).boxes
    return annotated(larger, boxes, words, colours)


def _pairs(panels: list[Pixels], before: str, after: str) -> Pixels:
    """Two pairs of panels in a line."""
    lines = [panels[i : i + 4] for i in range(0, len(panels), 4)]
    return sheet([[*line, *[_BLANK] * (4 - len(line))] for line in lines], [before, after] * 2)


def _explained(risky: bool, epsilon: float, width: int) -> Pixels:
    entries: dict[str, Colour | None] = {"kept as a pseudo-label": KEPT}
    if risky and epsilon < 1:
        entries[f"dropped, its risk is above teacher.epsilon ({epsilon:g})"] = DROPPED
    return legend({**entries, f"words: class, confidence{', risk' if risky else ''}": None}, width)
