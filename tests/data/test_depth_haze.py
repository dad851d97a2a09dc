from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tdir.data.degradations import Degraded
from tdir.data.depth_haze import DepthHaze
from tdir.data.folder import Folder
from tdir.data.streets import Streets
from tdir.errors import ConfigError, DataError
from tdir.registry import DEGRADATIONS


def plane(height: int = 8, width: int = 40) -> np.ndarray:
    """A depth that grows from 1 m at the left to 400 m at the right."""
    return np.broadcast_to(np.geomspace(1, 400, width), (height, width)).astype(np.float32)


@pytest.mark.parametrize(("beta", "light"), [(0.01, 0.8), (0.05, 0.65), (0.002, 1.0)])
def test_haze_is_the_scattering_model(beta, light):
    image = np.random.default_rng(0).integers(0, 256, (8, 40, 3), dtype=np.uint8)
    haze = DepthHaze((beta, beta), (light, light), tint=0)
    hazy = haze(image, np.random.default_rng(0), plane())
    for y, x, c in np.ndindex(image.shape):
        through = math.exp(-beta * float(plane()[y, x]))
        exact = image[y, x, c] * through + 255 * light * (1 - through)
        assert abs(int(hazy[y, x, c]) - exact) < 0.5 + 1e-3


def test_haze_thickens_with_depth():
    image = np.zeros((8, 40, 3), dtype=np.uint8)
    hazy = DepthHaze()(image, np.random.default_rng(3), plane()).astype(int)
    assert np.all(np.diff(hazy[0, :, 0]) >= 0)
    assert hazy[0, 0].max() < 20
    assert hazy[0, -1].min() > 120


def test_strength_is_drawn_evenly_over_factors_and_the_air_is_nearly_grey():
    far = np.full((1, 1), 100, dtype=np.float32)
    image, rng = np.zeros((1, 1, 3), dtype=np.uint8), np.random.default_rng(0)
    betas = []
    for _ in range(300):
        hazy = DepthHaze((0.001, 0.01), (0.8, 0.8), tint=0.02)(image, rng, far)[0, 0] / 255
        betas.append(-math.log(1 - hazy.mean() / 0.8) / 100)
        assert np.ptp(hazy) < 0.05
    assert np.median(betas) == pytest.approx(math.sqrt(0.001 * 0.01), rel=0.15)


def test_distant_things_lose_more_contrast_than_near_ones():
    scenes = Streets("val", 6)
    hazy = Degraded(scenes, DepthHaze((0.03, 0.03)))
    for i in range(6):
        depth, clear, fog = scenes.depth(i), scenes.image(i).astype(float), hazy.image(i).astype(float)
        near, far = (depth < 8), (depth > 60) & (depth < 200)
        assert fog[near].std() > 0.6 * clear[near].std()
        assert fog[far].std() < 0.35 * clear[far].std() + 3


def test_a_set_without_depth_is_refused(tmp_path: Path, photo: Callable[..., Path]):
    photo(tmp_path / "a.png")
    hazy = Degraded(Folder(tmp_path), DEGRADATIONS.build({"type": "depth_haze"}))
    with pytest.raises(DataError, match="needs the depth.*'haze'.*'streets'"):
        hazy.image(0)


def test_a_depth_of_another_size_is_refused():
    with pytest.raises(DataError, match=r"\(8, 40\) does not fit"):
        DepthHaze()(np.zeros((9, 40, 3), dtype=np.uint8), np.random.default_rng(0), plane())


def test_it_is_rebuilt_from_its_settings():
    haze = DEGRADATIONS.build({"type": "depth_haze", "beta": (0.02, 0.03), "tint": 0.1})
    again = DEGRADATIONS.build(haze.settings())
    image = np.zeros((8, 40, 3), dtype=np.uint8)
    draws = [one(image, np.random.default_rng(1), plane()) for one in (haze, again)]
    np.testing.assert_array_equal(*draws)
    assert image.max() == 0


@pytest.mark.parametrize(
    "settings",
    [{"beta": (0.0, 0.1)}, {"beta": (0.2, 0.1)}, {"beta": (0.1,)}, {"light": (0.5, 1.2)}, {"tint": -0.1}],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ConfigError, match="got"):
        DEGRADATIONS.build({"type": "depth_haze", **settings})
