from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tdir.data.images import (
    PAD_VALUE,
    image_size,
    list_images,
    pad_batch,
    read_image,
    resize_longest,
    to_tensor,
    to_uint8,
    write_image,
)
from tdir.errors import ConfigError, DataError, ShapeError


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def test_read_image_gives_rgb(tmp_path: Path, image: np.ndarray) -> None:
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


@pytest.mark.parametrize("suffix", [".bmp", ".tiff", ".webp"])
def test_read_image_reads_other_lossless_formats(tmp_path: Path, image: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(image).save(path, **({"lossless": True} if suffix == ".webp" else {}))
    np.testing.assert_array_equal(read_image(path), image)


def test_read_image_spreads_grey_over_three_channels(tmp_path: Path, image: np.ndarray) -> None:
    Image.fromarray(image[..., 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.repeat(image[..., :1], 3, axis=2))


def test_read_image_drops_alpha(tmp_path: Path, image: np.ndarray) -> None:
    alpha = np.full((12, 20, 1), 7, dtype=np.uint8)
    Image.fromarray(np.concatenate([image, alpha], axis=2)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_read_image_takes_the_high_byte_of_16_bits(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 4, 3), 0x8000, dtype=np.uint16))
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8
    assert set(np.unique(image)) == {0x80}


def test_exif_orientation_turns_image_and_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter clockwise
    picture = Image.new("RGB", (40, 20), "black")
    picture.paste("red", (0, 0, 20, 20))
    picture.save(tmp_path / "a.jpg", exif=exif)
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (40, 20, 3)
    assert image_size(tmp_path / "a.jpg") == (40, 20)
    assert image[5, 10, 0] > 200
    assert image[35, 10, 0] < 50


def _encoded(image: np.ndarray, form: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.8])
def test_a_truncated_file_is_named(tmp_path: Path, form: str, kept: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = _encoded(image, form)
    path = tmp_path / f"half.{form.lower()}"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DataError, match=f"half.{form.lower()}"):
        read_image(path)


def test_a_truncated_jpeg_with_an_end_marker_in_its_thumbnail_is_found(tmp_path: Path, image: np.ndarray) -> None:
    data = _encoded(np.tile(image, (8, 8, 1)), "JPEG")
    thumbnail = _encoded(image, "JPEG")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    (tmp_path / "a.jpg").write_bytes((data[:2] + segment + data[2:])[: len(segment) + len(data) // 2])
    with pytest.raises(DataError, match="truncated"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("tail", [b"\0\0\0", b"a phone's own data"])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_bytes_behind_the_end_do_not_matter(tmp_path: Path, image: np.ndarray, tail: bytes, form: str) -> None:
    whole, longer = tmp_path / "whole", tmp_path / "longer"
    whole.write_bytes(_encoded(image, form))
    longer.write_bytes(whole.read_bytes() + tail)
    np.testing.assert_array_equal(read_image(longer), read_image(whole))


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"no picture at all", "not a readable image"), (None, "no such file")]
)
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "text.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"text.jpg.*{message}"):
        read_image(path)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no picture at all", None])
def test_image_size_names_what_is_no_image(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "text.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"text\.jpg"):
        image_size(path)


def test_to_tensor_and_back_is_exact(image: np.ndarray) -> None:
    tensor = to_tensor(image)
    assert tensor.shape == (3, 12, 20)
    assert tensor.dtype == torch.float32
    assert tensor[1, 2, 3] == image[2, 3, 1] / np.float32(255)
    np.testing.assert_array_equal(to_uint8(tensor), image)


def test_to_tensor_takes_opencv_frames(image: np.ndarray) -> None:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    assert torch.equal(to_tensor(bgr, bgr=True), to_tensor(image))


def test_to_tensor_copies(image: np.ndarray) -> None:
    before = image.copy()
    to_tensor(image).zero_()
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [(4, 4), (3, 4, 4), (4, 4, 4)])
def test_to_tensor_names_a_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"uint8 \(H, W, 3\)"):
        to_tensor(np.zeros(shape, dtype=np.uint8))


def test_to_tensor_names_a_wrong_type() -> None:
    with pytest.raises(ShapeError, match="float64"):
        to_tensor(np.zeros((4, 4, 3)))  # type: ignore[arg-type]


def test_to_uint8_rounds_and_clips() -> None:
    values = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 1.5]).expand(3, 1, 4)
    assert to_uint8(values)[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize(
    "bad", [torch.zeros(1, 3, 4, 4), torch.zeros(4, 4, 3), torch.zeros(3, 4, 4, dtype=torch.uint8)]
)
def test_to_uint8_names_a_wrong_tensor(bad: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"\(3, H, W\)"):
        to_uint8(bad)


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 90))
def test_resize_longest_reaches_the_size_and_keeps_the_ratio(height: int, width: int, size: int) -> None:
    resized = resize_longest(np.zeros((height, width, 3), dtype=np.uint8), size)
    assert resized.dtype == np.uint8
    assert resized.ndim == 3
    assert max(resized.shape[:2]) == size
    longest = max(height, width)
    for before, after in zip((height, width), resized.shape[:2], strict=True):
        assert after >= 1
        assert after == 1 or abs(after - before * size / longest) <= 0.5


@pytest.mark.parametrize("size", [None, 20])
def test_resize_longest_leaves_an_image_alone(image: np.ndarray, size: int | None) -> None:
    np.testing.assert_array_equal(resize_longest(image, size), image)


def test_resize_longest_averages_when_shrinking() -> None:
    checks = np.indices((16, 16)).sum(axis=0) % 2 * np.uint8(200)
    shrunk = resize_longest(np.repeat(checks[..., None], 3, axis=2).astype(np.uint8), 8)
    assert set(np.unique(shrunk)) == {100}


def test_resize_longest_names_a_wrong_size(image: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="got 0"):
        resize_longest(image, 0)


def test_pad_batch_puts_images_top_left_on_grey() -> None:
    first, second = torch.rand(3, 4, 6), torch.rand(3, 5, 2)
    batch, sizes = pad_batch([first, second])
    assert batch.shape == (2, 3, 5, 6)
    assert sizes == [(4, 6), (5, 2)]
    assert torch.equal(batch[0, :, :4], first)
    assert torch.equal(batch[1, :, :, :2], second)
    assert torch.all(batch[0, :, 4:] == PAD_VALUE)
    assert torch.all(batch[1, :, :, 2:] == PAD_VALUE)


@pytest.mark.parametrize("images", [[], [torch.zeros(1, 3, 4, 4)], [torch.zeros(3, 4, 4), torch.zeros(4, 4, 3)]])
def test_pad_batch_names_what_it_cannot_take(images: list[torch.Tensor]) -> None:
    with pytest.raises(ShapeError):
        pad_batch(images)


def test_list_images_is_recursive_sorted_and_any_case(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "sub/c.jpeg", "notes.txt", "._a.png", "sub/d.WebP"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a.png", "b.JPG", "sub/c.jpeg", "sub/d.WebP"]


def test_list_images_names_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        list_images(tmp_path)


def test_list_images_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        list_images(tmp_path / "nowhere")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".PNG"])
def test_pictures_are_written_as_they_are(suffix: str, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    write_image(tmp_path / f"deep/a{suffix}", image)
    assert (read_image(tmp_path / f"deep/a{suffix}") == image).all()


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be written as '\.xyz': use \.jpg or \.png"):
        write_image(tmp_path / "a.xyz", np.zeros((4, 4, 3), dtype=np.uint8))
    assert not list(tmp_path.iterdir())
