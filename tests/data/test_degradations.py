from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tdir.data.degradations import Degradation, Degraded, Haze, LowLight
from tdir.data.folder import Folder
from tdir.data.images import Depth, Pixels
from tdir.errors import ConfigError
from tdir.registry import DEGRADATIONS


def noise(height: int = 9, width: int = 14, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def plain_haze(image: np.ndarray, light: float, beta: float) -> np.ndarray:
    """IA-YOLO's formula pixel by pixel in double precision, before the cut to 8 bits."""
    height, width = image.shape[:2]
    hazy = np.empty(image.shape)
    for y in range(height):
        for x in range(width):
            rho = math.sqrt((y - height // 2) ** 2 + (x - width // 2) ** 2)
            transmission = math.exp(-beta * (-0.04 * rho + math.sqrt(max(height, width))))
            hazy[y, x] = image[y, x] / 255 * transmission + light * (1 - transmission)
    return np.clip(hazy * 255, 0, 255)


@pytest.mark.parametrize("shape", [(9, 14), (14, 9), (1, 1), (3, 8)])
@pytest.mark.parametrize(("light", "level", "scale"), [(0.5, 0, 1.0), (0.5, 9, 1.0), (0.75, 4, 1.5), (1.0, 2, 0.3)])
def test_haze_is_the_published_formula(shape: tuple[int, int], light: float, level: int, scale: float) -> None:
    image = noise(*shape)
    hazy = Haze(light, low=level, high=level, scale=scale)(image, np.random.default_rng(0))
    exact = plain_haze(image, light, scale * (0.05 + 0.01 * level))
    # Cut, not rounded; single precision may fall on the other side of a whole number.
    assert hazy.dtype == np.uint8
    assert np.all(exact - hazy > -1e-3)
    assert np.all(exact - hazy < 1 + 1e-3)


def test_haze_is_clipped_where_transmission_exceeds_one() -> None:
    # In the corner of a large square image -0.04 rho outweighs the square root of its side.
    image = np.zeros((2000, 2000, 3), dtype=np.uint8)
    image[0, 0] = 255
    hazy = Haze(low=9, high=9)(image, np.random.default_rng(0))
    assert hazy[0, 0].tolist() == [255, 255, 255]
    assert hazy[0, 1].tolist() == [0, 0, 0]
    assert hazy[1000, 1000, 0] > 120


def test_haze_draws_every_level_and_no_other() -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    expected = {int(plain_haze(image, 1.0, 0.05 + 0.01 * level)[20, 20, 0]) for level in range(10)}
    rng = np.random.default_rng(0)
    drawn = {int(Haze(light=1.0)(image, rng)[20, 20, 0]) for _ in range(200)}
    assert len(expected) == 10
    assert drawn == expected


@pytest.mark.parametrize("gamma", [1.0, 2.2, 5.0])
def test_low_light_without_noise_is_a_power(gamma: float) -> None:
    image = noise()
    dark = LowLight((gamma, gamma), shot=0, read=0)(image, np.random.default_rng(0))
    for position in np.ndindex(image.shape):
        assert abs(int(dark[position]) - 255 * (image[position] / 255) ** gamma) <= 0.5 + 1e-4


@pytest.mark.parametrize(("shot", "read"), [(0.0005, 0.0), (0.0, 0.01), (0.0005, 0.002), (0.002, 0.01)])
@pytest.mark.parametrize("level", [64, 128])
def test_low_light_noise_has_the_stated_variance(shot: float, read: float, level: int) -> None:
    image = np.full((200, 200, 3), level, dtype=np.uint8)
    dark = LowLight((1, 1), shot=shot, read=read)(image, np.random.default_rng(0)).astype(float)
    expected = 255**2 * (shot * level / 255 + read**2) + 1 / 12  # the last is the rounding to whole levels
    assert dark.mean() == pytest.approx(level, abs=0.05)
    assert dark.var() == pytest.approx(expected, rel=0.03)


def test_low_light_draws_gamma_over_its_range() -> None:
    image = np.full((1, 1, 3), 128, dtype=np.uint8)
    rng = np.random.default_rng(0)
    darkened = [LowLight((1.5, 5.0), shot=0, read=0)(image, rng)[0, 0, 0] / 255 for _ in range(300)]
    gammas = np.log(darkened) / np.log(128 / 255)
    assert 1.45 < gammas.min() < 1.7
    assert 4.8 < gammas.max() < 5.3
    assert gammas.mean() == pytest.approx(3.25, abs=0.2)


@pytest.mark.parametrize("name", ["haze", "low_light"])
def test_degradations_keep_shape_and_input_and_rebuild_from_their_settings(name: str) -> None:
    degradation: Degradation = DEGRADATIONS.build({"type": name})
    image = noise(31, 17)
    before = image.copy()
    degraded = degradation(image, np.random.default_rng(1))
    assert degraded.shape == image.shape
    assert degraded.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    assert not np.array_equal(degraded, image)
    again = DEGRADATIONS.build(degradation.settings())
    assert again.settings() == degradation.settings()
    np.testing.assert_array_equal(again(image, np.random.default_rng(1)), degraded)


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "haze", "light": 1.2},
        {"type": "haze", "light": float("nan")},
        {"type": "haze", "low": 3, "high": 2},
        {"type": "haze", "low": -1},
        {"type": "haze", "scale": 0},
        {"type": "low_light", "gamma": (5.0, 1.5)},
        {"type": "low_light", "gamma": (0.5, 1.5)},
        {"type": "low_light", "gamma": (1.5, 2.0, 3.0)},
        {"type": "low_light", "shot": -0.1},
        {"type": "low_light", "read": float("nan")},
        {"type": "haze", "light": "abc"},
        {"type": "haze", "high": "x"},
        {"type": "haze", "low": 0.5},
        {"type": "low_light", "gamma": 2},
        {"type": "low_light", "gamma": "25"},
        {"type": "low_light", "gamma": (1.5, None)},
        7,
    ],
)
def test_impossible_settings_are_refused(settings: Any) -> None:
    with pytest.raises(ConfigError, match="got"):
        DEGRADATIONS.build(settings)


@pytest.fixture
def photos(tmp_path: Path, photo: Callable[..., Path]) -> Path:
    for seed in range(4):
        photo(tmp_path / "photos" / f"{seed}.png", height=30, width=30, seed=seed)
    return tmp_path / "photos"


@pytest.mark.parametrize("degradation", [Haze(), LowLight()])
def test_a_photo_looks_the_same_in_any_order_and_subset(photos: Path, degradation: Degradation) -> None:
    forward = {sample.name: sample.image for sample in Degraded(Folder(photos), degradation, seed=3)}
    for name in ("0.png", "2.png"):
        (photos / name).unlink()
    fewer = Degraded(Folder(photos), degradation, seed=3)
    for index in (1, 0, 1):
        np.testing.assert_array_equal(fewer[index].image, forward[fewer.names[index]])


def test_seeds_and_photos_draw_differently(photos: Path) -> None:
    dark = LowLight()
    for seed in range(4):  # the same pixels under four names
        (photos / f"{seed}.png").write_bytes((photos / "0.png").read_bytes())
    images = [sample.image for draw in (0, 1) for sample in Degraded(Folder(photos), dark, seed=draw)]
    assert len({image.tobytes() for image in images}) == 8


def test_degraded_keeps_everything_but_the_pixels(photos: Path) -> None:
    plain = Folder(photos)
    degraded = Degraded(plain, Haze(), seed=0)
    assert len(degraded) == 4
    assert (degraded.paths, degraded.names, degraded.classes) == (plain.paths, plain.names, plain.classes)
    assert degraded.truth(0) is None
    assert (degraded[1].name, degraded[1].path) == (plain[1].name, plain[1].path)
    assert not np.array_equal(degraded[1].image, plain[1].image)


def test_a_subset_is_degraded_alike(photos: Path) -> None:
    degraded = Degraded(Folder(photos), LowLight(), seed=2)
    some = degraded.subset([3, 0])
    assert isinstance(some, Degraded)
    assert some.names == ["3.png", "0.png"]
    for i, j in enumerate([3, 0]):
        np.testing.assert_array_equal(some[i].image, degraded[j].image)
        np.testing.assert_array_equal(some.data_set[i].image, degraded.data_set[j].image)


def test_a_degradation_is_told_the_depth_where_it_is_known(photos: Path) -> None:
    class Deep(Folder):
        def depth(self, index: int) -> Depth:
            return np.full((30, 30), 7 + index, dtype=np.float32)

    class Veil(Haze):
        def __call__(self, image: Pixels, rng: np.random.Generator, depth: Depth | None = None) -> Pixels:
            return image * 0 if depth is None else image * 0 + depth.astype(np.uint8)[..., None]

    deep = Degraded(Deep(photos), Veil())
    assert np.unique(deep.image(2)).tolist() == [9]
    assert np.unique(deep.depth(2)).tolist() == [9]
    assert np.unique(deep.subset([1]).image(0)).tolist() == [8]
    assert np.unique(Degraded(Folder(photos), Veil()).image(2)).tolist() == [0]


@pytest.mark.parametrize("seed", [-1, "a", 0.5])
def test_a_wrong_seed_is_refused(photos: Path, seed: Any) -> None:
    with pytest.raises(ConfigError, match=f"the seed of a degradation is a whole number from 0, got {seed!r}"):
        Degraded(Folder(photos), Haze(), seed=seed)


def test_a_name_alone_is_a_degradation_as_it_comes() -> None:
    assert DEGRADATIONS.build("haze").settings() == Haze().settings()
