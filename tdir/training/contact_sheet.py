"""A contact sheet of what a training would learn from: images beside their pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, make_grid, save_image

from tdir.data.images import PAD_VALUE, Pixels, pad_batch, to_tensor
from tdir.heads.base import Head
from tdir.report.pictures import spread
from tdir.selftraining.labels import predictions_on_clean, predictions_on_degraded
from tdir.structures import Detections
from tdir.training.config import TeacherSettings
from tdir.training.run import Taught

KEPT, DROPPED = (0, 255, 255), (255, 128, 0)
"""Cyan and orange, RGB; a colour-blind eye tells them apart."""


def contact_sheet(taught: Taught, head: Head, settings: TeacherSettings, path: Path, rows: int = 8) -> None:
    """Write the sheet as a PNG of pairs: degraded | restored with its labels, then clean | clean with its labels.

    Args:
        taught: what the teacher says.
        head: names the classes, and merges as for the training.
        settings: of the teacher; ``epsilon`` decides which boxes are cyan and which, being dropped, orange.
        path: the file.
        rows: how many degraded images; half as many clean ones follow.
    """
    panels: list[Tensor] = []
    low = predictions_on_degraded(taught.degraded, head, taught.risk, settings.iou)
    for i in spread(len(low), rows):
        degraded, restored = taught.degraded.pixels(i)
        panels += [_planes(degraded), drawn(restored, low[i], head.classes, settings.epsilon)]
    high = predictions_on_clean(taught.clean, taught.risk)
    for i in spread(len(high), rows // 2):
        clean = taught.clean.pixels(i)[0]
        panels += [_planes(clean), drawn(clean, high[i], head.classes, 1.0)]
    canvas, _ = pad_batch([panel / 255 for panel in panels])
    save_image(make_grid(canvas, nrow=4, padding=4, pad_value=PAD_VALUE), path)


def drawn(image: Pixels, found: Detections, classes: Sequence[str], epsilon: float) -> Tensor:
    """The image ``(3, H, W)`` uint8 with boxes, named "class confidence risk", kept and dropped in two colours."""
    assert found.scores is not None and found.risk is not None
    said = zip(found.labels.tolist(), found.scores.tolist(), found.risk.tolist())
    names = [f"{classes[label]} {score:.2f} risk {risk:.2f}" for label, score, risk in said]
    colors = [KEPT if kept else DROPPED for kept in (found.risk <= epsilon).tolist()]
    if not names:  # torchvision warns of an empty drawing
        return _planes(image)
    return draw_bounding_boxes(_planes(image), found.boxes, names, colors, width=2)


def _planes(image: Pixels) -> Tensor:
    """``(H, W, 3)`` -> ``(3, H, W)`` uint8."""
    return (to_tensor(image) * 255).round().to(torch.uint8)
