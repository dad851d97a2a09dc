"""What the sets with a label for every pixel do alike."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from tdir.data.images import decoded, image_size
from tdir.errors import DataError
from tdir.structures import SemanticMap


def read_map(path: Path, table: np.ndarray, image: Path) -> SemanticMap:
    """The labels of a PNG of class numbers.

    Args:
        path: the PNG, one channel of 8 bits.
        table: ``(256,)`` uint8, number in the file -> label.
        image: the photo, whose size it has to have.

    Raises:
        DataError: if the file is missing, no such PNG, or of another size.
    """
    if not path.is_file():
        raise DataError(f"{image}: no labels at {path}")
    numbers = decoded(path, cv2.IMREAD_UNCHANGED)
    if numbers.ndim != 2 or numbers.dtype != np.uint8:
        raise DataError(
            f"{path}: labels are a PNG of one 8-bit channel, this is {numbers.dtype} {numbers.shape}: "
            "give the class numbers, not their colours"
        )
    if numbers.shape != image_size(image):
        raise DataError(f"{path}: labels of {numbers.shape} for an image of {image_size(image)} (height, width)")
    return SemanticMap(torch.from_numpy(table[numbers]))
