"""Images with what is said of them, and many of them on one sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

import cv2
import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import draw_bounding_boxes

from tdir.data.images import Pixels
from tdir.pipeline import Pipeline
from tdir.structures import IGNORE, ClassScores, Detections, Prediction, SemanticMap

# Okabe and Ito's colours, which the colour-blind tell apart too, without black.
COLOURS = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]
Colour: TypeAlias = tuple[int, int, int]
Plate: TypeAlias = tuple[float, float, float, float]
"""What the words of a box stand on: left, top, right, bottom, in pixels."""

_GAP = 4
_OPACITY = 0.55  # of the colours of a map
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
WIDTH = 480
"""Of a picture on a sheet, pixels."""


def draw(image: Pixels, found: Prediction, classes: Sequence[str]) -> Pixels:
    """An image with boxes, each with its class and, where there is one, its confidence; or below the colours of its
    pixels' classes; or with the name of its class.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; it is left as it is.
        found: in pixels of the image; labels are positions in ``classes``, what is ignored has none.
        classes: the class names.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    if isinstance(found, SemanticMap):
        return coloured(image, found.labels.cpu().numpy())
    if isinstance(found, ClassScores):
        caption = "no label" if found.label < 0 else f"{classes[found.label]} {float(found.scores.max()):.2f}"
        return captioned(image, [caption], [COLOURS[found.label % len(COLOURS)]])
    assert isinstance(found, Detections)
    labels = found.labels.tolist()
    names = ["ignored" if label < 0 else classes[label] for label in labels]
    said = [""] * len(names) if found.scores is None else [f" {score:.2f}" for score in found.scores.tolist()]
    colours = [COLOURS[label % len(COLOURS)] for label in labels]
    return annotated(image, found.boxes, [name + score for name, score in zip(names, said)], colours)


def seen(pipeline: Pipeline, image: Pixels) -> Pixels:
    """What a pipeline shows its head of an image ``(H, W, 3)`` uint8 RGB, with what the head says of it."""
    return draw(pipeline.enhance(image), pipeline.predict(image), pipeline.head.classes)


def coloured(image: Pixels, labels: np.ndarray) -> Pixels:
    """An image ``(H, W, 3)`` below the colours (:func:`map_colour`) of its labels ``(H, W)``; 255 stays as it is."""
    colours = np.array([map_colour(label) for label in range(IGNORE)] + [(0, 0, 0)], dtype=np.float32)[labels]
    share = np.where(labels == IGNORE, 0, _OPACITY).astype(np.float32)[..., None]
    return np.asarray(np.rint(image * (1 - share) + colours * share), dtype=np.uint8)


def map_colour(label: int) -> Colour:
    """The colour of a class on a map, twenty of them in turn."""
    red, green, blue, _ = matplotlib.colormaps["tab20"](label % 20, bytes=True)
    return int(red), int(green), int(blue)


def captioned(image: Pixels, words: Sequence[str], colours: Sequence[Colour]) -> Pixels:
    """An image, at least ``WIDTH`` wide, with lines of words in its upper left corner."""
    larger = to_width(image, max(WIDTH, image.shape[1]))
    nowhere = torch.zeros(len(words), 4)
    return annotated(larger, nowhere, words, colours)


def annotated(image: Pixels, boxes: Tensor, words: Sequence[str], colours: Sequence[Colour]) -> Pixels:
    """An image with boxes and words at each box, which hide each other only where there is no room.

    Args:
        image: ``(H, W, 3)`` uint8 RGB; it is left as it is.
        boxes: ``(n, 4)`` in pixels of the image; the words of the first find the best places, and lie on top.
        words: one text a box.
        colours: one a box, RGB.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    if not len(boxes):
        return image.copy()
    line = max(2, round(max(image.shape[:2]) / 400))
    planes = torch.from_numpy(image.copy()).permute(2, 0, 1)
    # Boxes by torchvision, words by ourselves: its only font without a font file is ten pixels high.
    boxed = draw_bounding_boxes(planes, boxes.cpu(), colors=list(colours), width=line)
    picture = Image.fromarray(np.ascontiguousarray(boxed.permute(1, 2, 0).numpy()))
    plates: list[Plate] = []
    for text, box in zip(words, boxes.tolist()):
        plates.append(_plate(picture, text, box, plates))
    for text, plate, colour in reversed(list(zip(words, plates, colours))):
        _write_label(picture, text, plate, colour)
    return np.asarray(picture, dtype=np.uint8)


def sheet(lines: Sequence[Sequence[Pixels]], titles: Sequence[str], width: int = WIDTH) -> Pixels:
    """Pictures of any sizes side by side, line by line, below their titles.

    Args:
        lines: each with one picture for every title.
        titles: of the columns.
        width: of every picture, pixels.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    scaled = [[to_width(image, width) for image in line] for line in lines]
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


def legend(entries: Mapping[str, Colour | None], width: int) -> Pixels:
    """A line of texts, each after a square of its colour or alone, ``(H, width, 3)`` uint8 RGB."""
    canvas = Image.new("RGB", (width, 28), _WHITE)
    pen, font, x = ImageDraw.Draw(canvas), ImageFont.load_default(18), 2 * _GAP
    for text, colour in entries.items():
        if colour is not None:
            pen.rectangle((x, 6, x + 16, 22), fill=colour)
            x += 24
        pen.text((x, 3), text, fill=_BLACK, font=font)
        x += round(pen.textlength(text, font=font)) + 32
    return np.asarray(canvas, dtype=np.uint8)


def to_width(image: Pixels, width: int = WIDTH) -> Pixels:
    """``(H, W, 3)`` uint8 RGB resized to ``width``, in proportion."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    method = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), dtype=np.uint8)


def _plate(picture: Image.Image, words: str, box: Sequence[float], taken: Sequence[Plate]) -> Plate:
    """Where the words of a box go: at its upper or lower edge, or further down, inside the picture and apart."""
    left, top, right, bottom = _extent(picture, words)
    width, height = right - left + 4, bottom - top + 4
    x = max(0, min(box[0], picture.width - width))
    edges = [box[1] - height, box[1], box[3] - height, box[3]]
    below = [box[3] + height * step for step in range(1, 6)]
    inside = [(x, y, x + width, y + height) for y in [*edges, *below] if 0 <= y <= picture.height - height]
    free = [plate for plate in inside if not any(map(partial(_overlap, plate), taken))]
    return [*free, *inside, (x, box[1], x + width, box[1] + height)][0]


def _overlap(first: Plate, second: Plate) -> bool:
    return all(first[k] < second[k + 2] and second[k] < first[k + 2] for k in (0, 1))


def _extent(picture: Image.Image, words: str) -> Plate:
    """The words' left, top, right and bottom around the point that they are drawn at."""
    return ImageDraw.Draw(picture).textbbox((0, 0), words, font=_font(picture))


def _font(picture: Image.Image) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(10, max(picture.size) / 50))


def _write_label(picture: Image.Image, words: str, plate: Plate, colour: Colour) -> None:
    pen = ImageDraw.Draw(picture)
    left, top, *_ = _extent(picture, words)
    pen.rectangle(plate, fill=colour)
    bright = sum(colour) > 380
    place = (plate[0] + 2 - left, plate[1] + 2 - top)
    pen.text(place, words, fill=_BLACK if bright else _WHITE, font=_font(picture))


def spread(count: int, most: int) -> list[int]:
    """At most ``most`` positions, evenly over ``count``: neighbours in a set are often frames of one scene."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
