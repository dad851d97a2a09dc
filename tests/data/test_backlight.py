from __future__ import annotations

import numpy as np
import pytest

from tdir.data.backlight import Backlit
from tdir.errors import ConfigError
from tdir.registry import DEGRADATIONS


def grey(level: int = 128, height: int = 60, width: int = 100) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def test_one_place_is_bright_and_the_ground_in_front_is_dark():
    for seed in range(20):
        image = Backlit()(grey(), np.random.default_rng(seed))
        y, x, _ = np.unravel_index(image.argmax(), image.shape)
        assert y <= 31
        assert image.max() > 138
        assert image[-1].mean() < 0.8 * image.max()
        assert image.min() < 60


def test_illumination_is_smooth():
    image = Backlit()(grey(), np.random.default_rng(0)).astype(int)
    assert np.abs(np.diff(image, axis=0)).max() <= 8
    assert np.abs(np.diff(image, axis=1)).max() <= 8


def test_gain_is_applied_to_linear_light_and_clipped():
    even = Backlit(dark=(0.25, 0.25), bright=(1, 1), radius=(1e-6, 1e-6))
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = np.stack([levels] * 3, axis=2)
    darker = even(image, np.random.default_rng(0))
    expected = np.rint(255 * (0.25 * (image / 255) ** 2.2) ** (1 / 2.2))
    assert np.abs(darker - expected).max() <= 1
    flooded = Backlit(dark=(1, 1), bright=(9, 9), radius=(100, 100))(grey(200), np.random.default_rng(0))
    assert flooded.min() == 255


def test_few_levels_are_left_in_the_dark():
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    dark = Backlit(dark=(0.01, 0.01), bright=(1, 1), radius=(1e-6, 1e-6))(image, np.random.default_rng(0))
    assert len(np.unique(dark)) < 40


def test_it_keeps_its_input_and_is_rebuilt_from_its_settings():
    image = grey()
    degradation = DEGRADATIONS.build({"type": "backlit", "bright": (2.0, 2.5)})
    again = DEGRADATIONS.build(degradation.settings())
    draws = [one(image, np.random.default_rng(1)) for one in (degradation, again)]
    np.testing.assert_array_equal(*draws)
    np.testing.assert_array_equal(image, grey())
    assert not np.array_equal(draws[0], again(image, np.random.default_rng(2)))


@pytest.mark.parametrize(
    "settings",
    [{"dark": (0.1, 0.05)}, {"dark": (0.5, 1.5)}, {"bright": (0.5, 2)}, {"radius": (0, 1)}, {"bright": (2, np.inf)}],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError, match="got"):
        DEGRADATIONS.build({"type": "backlit", **settings})
