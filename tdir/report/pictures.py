"""Images with boxes, and many of them on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torchvision.utils import draw_bounding_boxes

from tdir.data.images import Pixels
from tdir.errors import DataError
from tdir.structures import Detections

# Okabe and Ito's colours, which the colour-blind tell apart too, without black.
COLOURS = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]
_GAP = 4
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def draw(image: Pixels, found: Detections, classes: Sequence[str]) -> Pixels:
    """An image with boxes, each with its class and, where there is one, its confidence.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; it is left as it is.
        found: boxes in pixels of the image; labels are positions in ``classes``, an ignored region has none.
        classes: the class names.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    if not len(found):
        return image.copy()
    labels = found.labels.tolist()
    colours = [COLOURS[label % len(COLOURS)] for label in labels]
    line = max(1, round(max(image.shape[:2]) / 400))
    planes = torch.from_numpy(image.copy()).permute(2, 0, 1)
    # Boxes by torchvision, words by ourselves: its only font without a font file is ten pixels high.
    boxed = draw_bounding_boxes(planes, found.boxes.cpu(), colors=colours, width=line)
    picture = Image.fromarray(np.ascontiguousarray(boxed.permute(1, 2, 0).numpy()))
    for i, label in reversed(list(enumerate(labels))):  # the most confident words end up on top
        name = "ignored" if label < 0 else classes[label]
        words = name if found.scores is None else f"{name} {float(found.scores[i]):.2f}"
        _write_label(picture, words, found.boxes[i].tolist(), colours[i])
    return np.asarray(picture, dtype=np.uint8)


def sheet(lines: Sequence[Sequence[Pixels]], titles: Sequence[str], width: int = 480) -> Pixels:
    """Pictures of any sizes side by side, line by line, below their titles.

    Args:
        lines: each with one picture for every title.
        titles: of the columns.
        width: of every picture, pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    scaled = [[_to_width(image, width) for image in line] for line in lines]
    header = 28
    heights = [max(image.shape[0] for image in line) for line in scaled]
    canvas = Image.new("RGB", ((width + _GAP) * len(titles) - _GAP, header + sum(h + _GAP for h in heights)), _WHITE)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(18)
    for column, title in enumerate(titles):
        pen.text((column * (width + _GAP) + _GAP, 3), title, fill=_BLACK, font=font)
    top = header
    for line, height in zip(scaled, heights):
        for column, image in enumerate(line):
            canvas.paste(Image.fromarray(image), (column * (width + _GAP), top))
        top += height + _GAP
    return np.asarray(canvas, dtype=np.uint8)


def save_picture(path: Path, image: Pixels) -> None:
    """Write ``(H, W, 3)`` uint8 RGB in the format that the suffix names; the folder is made.

    Raises:
        DataError: if the format is unknown.
    """
    try:
        _, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise DataError(
            f"{path}: pictures cannot be written as {path.suffix or 'nothing'!r}: use .jpg or .png"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())


def _to_width(image: Pixels, width: int) -> Pixels:
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def _write_label(picture: Image.Image, words: str, box: Sequence[float], colour: tuple[int, int, int]) -> None:
    """Words on the upper edge of a box, inside the picture."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(10, max(picture.size) / 50))
    left, top, right, bottom = pen.textbbox((0, 0), words, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = max(0, min(box[0], picture.width - width))
    y = box[1] - height if box[1] >= height else box[1]
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    bright = sum(colour) > 380
    pen.text((x + 2 - left, y + 2 - top), words, fill=_BLACK if bright else _WHITE, font=font)


def spread(count: int, most: int) -> list[int]:
    """At most ``most`` positions, evenly over ``count``: neighbours in a set are often frames of one scene."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
