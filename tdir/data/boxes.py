"""The numbers of an annotated box, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tdir.errors import DataError, shown

LARGEST = 1e6
"""Pixels; no image is as wide, and float32 still tells half a pixel there."""


def numbers(values: Iterable[object], where: str) -> list[float]:
    """Values of an annotation as finite floats.

    Args:
        values: strings or numbers.
        where: file and line, for the message.

    Raises:
        DataError: if one is not a number, or beyond any image.
    """
    values = list(values)
    try:
        # A bool is an int to Python, and none to an annotation.
        found = [math.nan if isinstance(value, bool) else float(value) for value in values]  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: a box needs numbers, got {shown(values)}") from error
    if not all(abs(value) <= LARGEST for value in found):  # written so that NaN fails it
        raise DataError(f"{where}: a box with numbers that are beyond any image: {shown(values)}")
    return found


def from_corner(values: Iterable[object], where: str) -> list[float]:
    """``left, top, width, height`` as xyxy; where its sides are 0, the box is empty.

    Raises:
        DataError: if these are not four numbers, or a side is negative.
    """
    found = numbers(values, where)
    if len(found) != 4 or found[2] < 0 or found[3] < 0:
        raise DataError(f"{where}: a box needs left, top, and a width and a height from 0, got {shown(found)}")
    left, top, width, height = found
    return [left, top, left + width, top + height]
