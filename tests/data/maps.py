"""Label maps for tests: whole ones, and what is none."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np


def write_labels(path: Path, count: int = 12, size: tuple[int, int] = (12, 20), dtype: type = np.uint8) -> None:
    """Noise of the numbers below ``count``, each of them at least once where there is room."""
    numbers = np.arange(size[0] * size[1]) % count
    write(path, np.random.default_rng(len(path.name)).permutation(numbers).reshape(size).astype(dtype))


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_cut(path: Path) -> None:
    write_labels(path)
    path.write_bytes(path.read_bytes()[:-30])


def write_endless(path: Path) -> None:
    """A PNG that says that it is more than a gigapixel, with the checksum that belongs there."""
    write_labels(path)
    data = path.read_bytes()
    header = data[12:16] + struct.pack(">II", 40_000, 40_000) + data[24:29]
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])


LABELS: dict[str, tuple[Callable[[Path], object], str]] = {
    "other size": (lambda path: write_labels(path, size=(12, 21)), r"labels of \(12, 21\) for an image of \(12, 20\)"),
    "turned": (lambda path: write_labels(path, size=(20, 12)), r"labels of \(20, 12\) for an image of \(12, 20\)"),
    "16 bits": (lambda path: write_labels(path, dtype=np.uint16), "labels are a PNG of one 8-bit channel, .* uint16"),
    "colours": (
        lambda path: write(path, np.zeros((12, 20, 3), np.uint8)),
        r"labels are .* this is uint8 \(12, 20, 3\)",
    ),
    "cut": (write_cut, "truncated or damaged"),
    "empty": (lambda path: path.write_bytes(b""), r"the file is empty \(0 bytes\)"),
    "text": (lambda path: path.write_text("road road sky"), "not a readable image"),
    "endless": (write_endless, "cannot be decoded"),
}
"""What is no map of labels -> how to write it for an image of 12 x 20, and what is said of it."""
