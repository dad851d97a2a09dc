"""Images in and out: files to uint8 RGB, uint8 to tensors, sizes and padding."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from tdir.errors import ConfigError, DataError, ShapeError

Pixels = NDArray[np.uint8]
"""An image ``(H, W, 3)``, uint8 RGB."""

Depth = NDArray[np.float32]
"""How far away what each pixel shows is, ``(H, W)``: metres along the line of sight."""

PAD_VALUE = 114 / 255
"""The grey that detectors of the YOLO family were trained to see beside an image."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_END_MARKERS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG\r\n\x1a\n": b"IEND\xaeB`\x82"}
_EXIF_ORIENTATION = 0x0112
_EXIF_TURNED = (5, 6, 7, 8)


def read_image(path: str | Path) -> Pixels:
    """Read an image file, turned as its EXIF orientation says; grey and palette become RGB, alpha is dropped.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        DataError: if the file is missing, empty, truncated or not an image.
    """
    return np.asarray(cv2.cvtColor(decoded(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def decoded(path: str | Path, flags: int) -> np.ndarray:
    """An image file as OpenCV decodes it, with ``flags`` of ``cv2.imdecode``.

    Raises:
        DataError: if the file is missing, empty, truncated or not an image.
    """
    data = _read_bytes(path)
    _check_complete(data, path)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise DataError(f"{path}: cannot be decoded ({error.err}): re-encode or replace the file") from error
    if image is None:
        raise DataError(
            f"{path}: not a readable image, the file starts with {data[:8]!r}: replace it, or leave it out of the set"
        )
    return image


def write_image(path: Path, image: Pixels) -> None:
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


def image_size(path: str | Path) -> tuple[int, int]:
    """``(height, width)`` of an image file as ``read_image`` returns it, from the header alone.

    Raises:
        DataError: if the file is missing or not an image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(_EXIF_ORIENTATION) in _EXIF_TURNED
    # ultralytics replaces Image.open by one that looks for another package when it does not know a file.
    except (UnidentifiedImageError, ModuleNotFoundError) as error:
        raise DataError(f"{path}: not a readable image: replace it, or leave it out of the set") from error
    except (OSError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return (width, height) if turned else (height, width)


def list_images(folder: str | Path) -> list[Path]:
    """Every image file below a folder, sorted; hidden files are left out.

    Raises:
        DataError: if there is no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
    paths = sorted(path for path in found if path.is_file())
    if not paths:
        raise DataError(f"{folder}: no image in this folder or below it; looked for {', '.join(sorted(SUFFIXES))}")
    return paths


def to_tensor(image: Pixels, bgr: bool = False) -> Tensor:
    """``(H, W, 3)`` uint8 -> ``(3, H, W)`` float32 RGB in [0, 1].

    Args:
        image: RGB, or BGR as OpenCV frames are.
        bgr: the channels come as blue, green, red.

    Raises:
        ShapeError: if the image is not uint8 ``(H, W, 3)``.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"an image must be uint8 (H, W, 3), got {image.dtype} {image.shape}")
    planes = (image[..., ::-1] if bgr else image).transpose(2, 0, 1)
    # A copy, never a view: numpy arrays may be read-only, and a negative stride cannot become a tensor.
    return torch.from_numpy(planes.copy()).float().div_(255)


def to_uint8(image: Tensor) -> Pixels:
    """``(3, H, W)`` float RGB in [0, 1] -> ``(H, W, 3)`` uint8, rounded; values outside the range are clipped.

    Raises:
        ShapeError: if the tensor is not a float ``(3, H, W)``.
    """
    if image.ndim != 3 or image.shape[0] != 3 or not image.is_floating_point():
        raise ShapeError(f"an image must be a float tensor (3, H, W) in [0, 1], got {image.dtype} {tuple(image.shape)}")
    levels = image.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def resize_longest(image: Pixels, size: int | None) -> Pixels:
    """Resize so that the longest side is ``size``; ``None`` leaves the image as it is.

    Args:
        image: ``(H, W, 3)`` uint8.
        size: in pixels; the other side is rounded and at least 1.

    Raises:
        ConfigError: if ``size`` is below 1.
    """
    if size is None:
        return image
    if size < 1:
        raise ConfigError(f"size is the longest side in pixels and must be at least 1, got {size}")
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest == size:
        return image
    target = max(1, round(width * size / longest)), max(1, round(height * size / longest))
    # Averaging over the area keeps a shrunk image free of aliasing, which a detector reads as texture.
    method = cv2.INTER_AREA if size < longest else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, target, interpolation=method), dtype=np.uint8)


def by_shape(images: Sequence[Tensor | np.ndarray]) -> list[list[int]]:
    """The positions of images that have one shape, shape by shape."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(i)
    return list(groups.values())


def pad_batch(images: Sequence[Tensor], canvas: tuple[int, int] = (0, 0)) -> tuple[Tensor, list[tuple[int, int]]]:
    """Images of different sizes on one canvas, each in the top left corner on grey (``PAD_VALUE``).

    Args:
        images: tensors ``(3, h, w)`` in [0, 1].
        canvas: (height, width) at least.

    Returns:
        The batch ``(N, 3, H, W)`` and the true ``(h, w)`` of each image.

    Raises:
        ShapeError: if there is no image, or one is not ``(3, h, w)``.
    """
    for image in images:
        if image.ndim != 3 or image.shape[0] != 3:
            raise ShapeError(f"images to batch must have shape (3, h, w), got {tuple(image.shape)}")
    if not images:
        raise ShapeError("a batch needs at least one image, got none")
    sizes = [(image.shape[1], image.shape[2]) for image in images]
    height, width = (max(side) for side in zip(canvas, *sizes, strict=True))
    padded = [
        functional.pad(image, (0, width - w, 0, height - h), value=PAD_VALUE)
        for image, (h, w) in zip(images, sizes, strict=True)
    ]
    return torch.stack(padded), sizes


def _read_bytes(path: str | Path) -> bytes:
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not data:
        raise DataError(f"{path}: the file is empty (0 bytes): copy or download it again")
    return data


def _check_complete(data: bytes, path: str | Path) -> None:
    """OpenCV fills the missing part of a truncated JPEG with grey and says nothing: look for the end marker.

    Some whole files carry bytes behind the marker, so a missing marker is only a suspicion; Pillow decides.
    """
    for start, end in _END_MARKERS.items():
        if not data.startswith(start) or data.endswith(end):
            continue
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.load()
        # ultralytics' Image.open looks for another package when it does not know a file, see image_size.
        except (OSError, SyntaxError, ValueError, ModuleNotFoundError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: truncated or damaged ({error}): copy or download it again") from error
