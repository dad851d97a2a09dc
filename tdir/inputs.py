"""What a person may hand to a pipeline, a file, an array or a tensor, brought to one form and back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tdir.data.images import Pixels, read_image, resize_longest, to_tensor, to_uint8
from tdir.errors import ShapeError

Image: TypeAlias = "str | os.PathLike[str] | Pixels | Tensor"
"""A path; uint8 RGB ``(H, W, 3)``; or float RGB ``(3, H, W)`` in [0, 1]."""

Images: TypeAlias = "Image | Sequence[Image]"
"""One image, a tensor ``(N, 3, H, W)``, or a list of images of any sizes."""

_TAKES = "give a path, a uint8 array (H, W, 3), a float tensor (3, H, W) or (N, 3, H, W) in [0, 1], or a list of these"
# Resizing a float image with a sharpening filter leaves the range by a little; 0..255 leaves it by far.
_TOLERANCE = 0.1


@dataclass
class Prepared:
    """An image at the size that the pipeline computes at.

    Args:
        pixels: ``(3, h, w)`` float RGB in [0, 1].
        size: (H, W) of the image as given.
        given: the tensor that was given; ``None`` for a file or an array.
    """

    pixels: Tensor
    size: tuple[int, int]
    given: Tensor | None = None

    def answer(self, image: Tensor, bgr: bool) -> Pixels | Tensor:
        """``(3, h, w)`` as what was given: its size, and a tensor for a tensor, a uint8 array for all else."""
        if image.shape[1:] != self.size:
            image = _resized(image, self.size)
        if self.given is not None:
            return image.to(self.given)
        pixels = to_uint8(image)
        return np.ascontiguousarray(pixels[..., ::-1]) if bgr else pixels


def as_list(images: Any) -> list[Any]:
    """The single images in what was given to a pipeline; a tensor ``(N, 3, H, W)`` is N of them."""
    if isinstance(images, Tensor) and images.ndim == 4:
        return list(images)
    return list(images) if isinstance(images, list | tuple) else [images]


def as_given(images: Any, answers: list[Any]) -> Any:
    """One answer for one image, a list for several."""
    several = isinstance(images, list | tuple) or (isinstance(images, Tensor) and images.ndim == 4)
    return answers if several else answers[0]


def prepare(image: Any, size: int | None, bgr: bool) -> Prepared:
    """Read and check one image and bring its longest side to ``size``; ``None`` leaves it.

    Args:
        image: a path, a uint8 array or a float tensor, see :data:`Image`.
        size: pixels.
        bgr: an array's channels come as blue, green, red.

    Raises:
        DataError: if a file is missing or not an image.
        ShapeError: if an array or a tensor has another shape, type or range.
    """
    if isinstance(image, Tensor):
        _check_tensor(image)
        pixels = image.detach()
        return Prepared(_resized(pixels, _target(pixels, size)).clamp(0, 1), (image.shape[1], image.shape[2]), image)
    if isinstance(image, str | os.PathLike):
        array = read_image(os.fspath(image))
        bgr = False
    else:
        _check_array(image)
        array = image
    return Prepared(to_tensor(resize_longest(array, size), bgr), (array.shape[0], array.shape[1]))


def _target(image: Tensor, size: int | None) -> tuple[int, int]:
    height, width = image.shape[1:]
    scale = 1.0 if size is None else size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """``(3, h, w)`` at another size; antialiased, since a detector reads aliasing as texture."""
    if image.shape[1:] == size:
        return image
    # Some devices have no half-precision kernel for this.
    wide = image.float() if image.dtype in (torch.float16, torch.bfloat16) else image
    return functional.interpolate(wide[None], size, mode="bilinear", antialias=True, align_corners=False)[0].to(image)


def _check_tensor(image: Tensor) -> None:
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point() or not image.numel():
        raise ShapeError(f"an image is {image.dtype} {tuple(image.shape)}: {_TAKES}")
    least, most = (float(value) for value in image.detach().aminmax())
    if not (least >= -_TOLERANCE and most <= 1 + _TOLERANCE):  # written so that NaN fails too
        fix = "divide it by 255" if most > 1 + _TOLERANCE else "bring it to [0, 1]"
        raise ShapeError(f"an image tensor has values from {least:g} to {most:g}, not in [0, 1]: {fix}")


def _check_array(image: Any) -> None:
    if not isinstance(image, np.ndarray):
        raise ShapeError(f"an image is of type {type(image).__module__}.{type(image).__qualname__}: {_TAKES}")
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size:
        return
    fix = _TAKES
    if image.dtype != np.uint8:
        fix = "convert it, from [0, 1] with (255 * image).round().astype('uint8')"
    elif image.ndim == 2 or image.shape[-1] == 1:
        fix = "repeat the grey channel three times"
    elif image.ndim == 3 and image.shape[2] == 4:
        fix = "leave the alpha channel out, image[..., :3]"
    elif image.ndim == 3 and image.shape[0] == 3:
        fix = "put the channels last with image.transpose(1, 2, 0)"
    elif image.ndim == 4:
        fix = "pass list(images)"
    raise ShapeError(f"an image array must be uint8 (H, W, 3), got {image.dtype} {image.shape}: {fix}")
