from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.stats import gennorm

from tdir.data.images import Pixels
from tdir.data.streets import Streets
from tdir.errors import DataError, WeightsError
from tdir.metrics.niqe import Gaussian, asymmetric_gaussian, block_features, niqe, read_natural


@pytest.fixture(scope="module")
def photos() -> list[Pixels]:
    scenes = Streets("train", count=4)
    return [scenes.image(i) for i in range(4)]


@pytest.fixture(scope="module")
def natural(photos: list[Pixels]) -> Gaussian:
    """Of all scenes but the first."""
    features = np.concatenate([block_features(photo) for photo in photos[1:]])
    return Gaussian(features.mean(axis=0), np.cov(features, rowvar=False))


@pytest.mark.parametrize("shape", [0.6, 1.0, 2.0, 4.0])
def test_the_shape_and_the_scales_of_known_samples_are_found(shape):
    rng = np.random.default_rng(0)
    sides = np.abs(gennorm.rvs(shape, size=(2, 100_000), random_state=rng))
    # Left and right come as often as their scales are large: the density is one at 0.
    symmetric, skewed = np.concatenate([-sides[0], sides[1]]), np.concatenate([-2 * sides[0], sides[1, :50_000]])
    found, left, right = asymmetric_gaussian(np.stack([symmetric, 3 * symmetric]))
    assert found == pytest.approx([shape, shape], rel=0.03)
    assert left == pytest.approx([1, 3], rel=0.03) and right == pytest.approx([1, 3], rel=0.03)
    found, left, right = asymmetric_gaussian(skewed[None])
    assert found == pytest.approx([shape], rel=0.03)
    assert left == pytest.approx([2], rel=0.03) and right == pytest.approx([1], rel=0.03)


def test_the_features_of_a_block_are_those_of_a_direct_computation():
    """One scale of one block, pixel by pixel, by the equations."""
    image = np.random.default_rng(1).integers(0, 256, (192, 200, 3), dtype=np.uint8)
    features = block_features(image)
    assert features.shape == (4, 36)
    grey = np.rint(16 + (65.481 * image[..., 0] + 128.553 * image[..., 1] + 24.966 * image[..., 2]) / 255)[:, :192]
    weights = np.exp(-np.add.outer(np.arange(-3, 4) ** 2, np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    weights /= weights.sum()
    padded = np.pad(grey, 3, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    mean = (windows * weights).sum(axis=(2, 3))
    deviation = np.sqrt((weights * (windows - mean[..., None, None]) ** 2).sum(axis=(2, 3)))
    block = ((grey - mean) / (deviation + 1))[96:, 96:]
    shape, left, right = (value[0] for value in asymmetric_gaussian(block[None]))
    assert features[3, :2] == pytest.approx([shape, (left + right) / 2], rel=1e-6)
    below = block * np.roll(block, 1, axis=0)
    shape, left, right = (value[0] for value in asymmetric_gaussian(below[None]))
    middle = (right - left) * math.gamma(2 / shape) / math.gamma(1 / shape)
    assert features[3, 6:10] == pytest.approx([shape, middle, left, right], rel=1e-6)


def test_the_distance_to_oneself_is_nothing_and_grows_with_the_mean():
    rng = np.random.default_rng(2)
    spread = np.cov(rng.standard_normal((100, 36)), rowvar=False)
    one, other = Gaussian(np.zeros(36), spread), Gaussian(np.full(36, 2.0), spread)
    assert one.distance(one) == 0
    assert one.distance(other) == pytest.approx(math.sqrt(4 * np.linalg.inv(spread).sum()))


def test_an_image_whose_blocks_are_the_model_scores_0(photos):
    features = block_features(photos[0])
    assert niqe(photos[0], Gaussian(features.mean(axis=0), np.cov(features, rowvar=False))) == pytest.approx(
        0, abs=1e-6
    )


def test_blur_and_noise_score_worse(photos, natural):
    clean, rng = photos[0], np.random.default_rng(3)
    blurred = cv2.GaussianBlur(clean, (0, 0), 2.5)
    noisy = np.clip(clean + rng.normal(0, 25, clean.shape), 0, 255).astype(np.uint8)
    assert niqe(blurred, natural) > 1.5 * niqe(clean, natural) > 0
    assert niqe(noisy, natural) > 1.5 * niqe(clean, natural)


def test_a_flat_part_counts_for_nothing_and_a_flat_image_has_no_score(photos, natural):
    photo = photos[0][:288, :288].copy()
    photo[:96] = 255
    assert np.isnan(block_features(photo)).any(axis=1).sum() >= 1
    assert math.isfinite(niqe(photo, natural))
    assert math.isnan(niqe(np.full((200, 200, 3), 90, np.uint8), natural))


def test_a_small_image_is_named_with_its_size(natural):
    with pytest.raises(DataError, match="needs 192 pixels on each side, and the image is 300 x 191"):
        niqe(np.zeros((191, 300, 3), np.uint8), natural)


def test_parameters_are_read_and_what_is_none_is_named(tmp_path: Path, natural: Gaussian):
    path = tmp_path / "natural.npz"
    np.savez(path, mu_pris_param=natural.mean[None], cov_pris_param=natural.covariance)
    read = read_natural(path)
    assert np.array_equal(read.mean, natural.mean) and np.array_equal(read.covariance, natural.covariance)
    np.savez(path, mu_pris_param=natural.mean[None, :30], cov_pris_param=natural.covariance)
    with pytest.raises(WeightsError, match=r"mu_pris_param is \(1, 30\).*has 36 features"):
        read_natural(path)
    np.savez(path, mu_pris_param=natural.mean * np.nan, cov_pris_param=natural.covariance)
    with pytest.raises(WeightsError, match="not finite"):
        read_natural(path)
    np.savez(path, mu_pris_param=np.array([{}], dtype=object), cov_pris_param=natural.covariance)
    with pytest.raises(WeightsError, match="nothing in it was run"):
        read_natural(path)
    for content in (b"", b"<html>", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"natural\.npz is not the \.npz file"):
            read_natural(path)
    np.savez(path, other=natural.mean)
    with pytest.raises(WeightsError, match="mu_pris_param"):
        read_natural(path)
