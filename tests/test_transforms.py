from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tdir.data.degradations import Haze as TrueHaze
from tdir.data.degradations import haze_transmission
from tdir.errors import ConfigError, ShapeError
from tdir.transforms import Haze, LowLight

import albumentations  # after tdir, which keeps it from looking for news  # isort: skip


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_haze_is_the_data_set_s_at_one_of_its_levels(image):
    hazy = albumentations.Compose([Haze(scale=1.5, p=1)], seed=3)(image=image)["image"]
    levels = [TrueHaze(scale=1.5).apply(image, {"level": level}, np.random.default_rng(0)) for level in range(10)]
    assert sum((hazy == one).all() for one in levels) == 1
    assert haze_transmission(40, 60, 0.075).max() < 1


def test_the_dark_is_darker_and_noisy(image):
    dark = albumentations.Compose([LowLight(gamma=(3, 3), read=0.02, p=1)], seed=0)(image=image)["image"]
    clean = 255 * (image / 255.0) ** 3
    assert dark.dtype == np.uint8
    assert abs(dark.mean() - clean.mean()) < 3
    assert 3 < np.abs(dark - clean).std() < 8


def test_a_pipeline_with_a_seed_repeats_itself_and_draws_anew_for_every_image(image):
    first, again = (albumentations.Compose([Haze(p=1), LowLight(p=1)], seed=5) for _ in range(2))
    drawn = [first(image=image)["image"] for _ in range(3)]
    assert all((one == again(image=image)["image"]).all() for one in drawn)
    assert (drawn[0] != drawn[1]).any()


def test_boxes_stay_where_they_are(image):
    pipeline = albumentations.Compose(
        [Haze(p=1)], bbox_params=albumentations.BboxParams(format="pascal_voc", label_fields=["labels"])
    )
    out = pipeline(image=image, bboxes=[[1, 2, 30, 20]], labels=[4])
    assert np.allclose(out["bboxes"], [[1, 2, 30, 20]]) and list(out["labels"]) == [4]


def test_it_is_left_out_as_often_as_asked(image):
    pipeline = albumentations.Compose([Haze(p=0.25)], seed=0)
    changed = [(pipeline(image=image)["image"] != image).any() for _ in range(200)]
    assert 30 < sum(changed) < 70


def test_its_settings_rebuild_it():
    assert Haze(light=0.75, p=1).get_transform_init_args() == {"light": 0.75, "low": 0, "high": 9, "scale": 1.0, "p": 1}
    dark = LowLight(gamma=(2, 3))
    assert LowLight(**dark.get_transform_init_args()).get_transform_init_args() == dark.get_transform_init_args()


@pytest.mark.parametrize("build", [lambda: Haze(light=2), lambda: LowLight(gamma=(0, 3)), lambda: LowLight(shot=-1)])
def test_a_wrong_setting_is_named(build):
    with pytest.raises(ConfigError, match="light|gamma|shot"):
        build()


@pytest.mark.parametrize("wrong", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float32)])
def test_what_is_no_photo_is_named(wrong):
    with pytest.raises(ShapeError, match=r"Haze takes \(H, W, 3\) uint8 RGB"):
        albumentations.Compose([Haze(p=1)])(image=wrong)


def test_without_albumentations_the_rest_of_tdir_works():
    program = (
        "import sys; sys.modules['albumentations'] = None\n"
        "import tdir; tdir.available()\n"
        "try:\n import tdir.transforms\nexcept tdir.errors.ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "tdir.transforms needs albumentations: pip install 'tdir[albumentations]'\n", done.stderr
