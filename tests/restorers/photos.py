"""Real photos for tests of restorers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tdir.data.images import read_image, resize_longest, to_tensor


def photo(path: Path, side: int = 320) -> Tensor:
    """A photo as ``(1, 3, H, W)`` in [0, 1] with this longest side."""
    return to_tensor(resize_longest(read_image(path), side))[None]


def cropped(image: Tensor, multiple: int) -> Tensor:
    """The image without the last rows and columns that are too many for a multiple."""
    height, width = (length - length % multiple for length in image.shape[-2:])
    return image[..., :height, :width]


def fog_photos(data_root: Path, count: int = 6) -> list[Path]:
    """Photos of DAWN's fog, from the split that is used without labels."""
    names = (data_root / "dawn_fog" / "ImageSets" / "Main" / "train.txt").read_text().split()
    return [data_root / "dawn_fog" / "JPEGImages" / f"{name}.jpg" for name in names[:count]]


def dark_photos(data_root: Path) -> list[Path]:
    """Every photo of ExDark that is there."""
    photos = sorted((data_root / "exdark_mini" / "ExDark").rglob("*.jpg"))
    assert photos
    return photos


def contrast(images: Tensor) -> Tensor:
    """Relative to the mean brightness: the veil of fog lowers it, whatever the exposure."""
    return images.std() / images.mean()


def subnormals(tensors: dict[str, Tensor]) -> int:
    """How many numbers of a file a CPU takes many times longer for."""
    least = torch.finfo(torch.float32).tiny
    return sum(int(((value != 0) & (value.abs() < least)).sum()) for value in tensors.values())
