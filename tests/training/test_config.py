from __future__ import annotations

import numpy as np
import pytest

from tdir.data.degradations import Degraded
from tdir.data.streets import Streets
from tdir.errors import ConfigError
from tdir.training.config import TeacherSettings, build_data

SCENES = {"type": "streets", "split": "val", "count": 3, "size": (48, 80)}


def test_scenes_need_no_root():
    scenes = build_data(SCENES)
    assert isinstance(scenes, Streets)
    assert len(scenes) == 3


def test_scenes_are_degraded_as_a_config_says():
    made = build_data({**SCENES, "degradation": {"type": "depth_haze", "beta": (0.03, 0.03)}, "degradation_seed": 5})
    assert isinstance(made, Degraded)
    assert made.seed == 5
    assert not np.array_equal(made.image(0), made.data_set.image(0))
    assert isinstance(build_data({**SCENES, "degradation": {"type": "depth_haze"}}, degrade=False), Streets)


def test_a_degradation_may_be_a_name_alone():
    made = build_data({**SCENES, "degradation": "haze"})
    assert isinstance(made, Degraded)
    assert made.degradation.settings()["type"] == "haze"


def test_a_cache_lies_in_a_folder():
    with pytest.raises(ConfigError, match=r"teacher\.cache_dir is a folder, in quotes, or None, got 5"):
        TeacherSettings(cache_dir=5)


def test_an_oracle_has_one_round():
    with pytest.raises(ConfigError, match=r"teacher\.rounds=2: a second round betters labels, .*oracle"):
        TeacherSettings(rounds=2, oracle=True)
    with pytest.raises(ConfigError, match=r"teacher\.rounds"):
        TeacherSettings(rounds=0)


def test_without_a_type_a_folder_is_needed():
    with pytest.raises(ConfigError, match="needs a 'root'"):
        build_data({"split": "train"})


def test_a_layout_with_files_says_that_it_needs_a_root():
    with pytest.raises(ConfigError, match="missing a required argument: 'root'"):
        build_data({"type": "voc", "split": "train"})


def test_a_setting_that_scenes_do_not_have_is_refused():
    with pytest.raises(ConfigError, match="no setting 'seeds': did you mean 'seed'"):
        build_data({**SCENES, "seeds": 3})


def test_images_can_be_left_out():
    whole = build_data(SCENES)
    some = build_data({**SCENES, "leave_out": [whole.names[0]]})
    assert some.names == whole.names[1:]
    assert (some.image(0) == whole.image(1)).all()
    with pytest.raises(ConfigError, match=f"no image '{whole.names[0]}x' in the set: did you mean '{whole.names[0]}'"):
        build_data({**SCENES, "leave_out": [f"{whole.names[0]}x"]})
