from __future__ import annotations

import pytest

from tdir.data.streets import Streets
from tdir.errors import ConfigError
from tdir.registry import DATASETS
from tdir.training.config import build_data

FIRST, SECOND = ({"type": "streets", "split": "val", "count": 3, "seed": seed, "size": (48, 80)} for seed in (0, 1))


def test_one_set_follows_the_other():
    joined = DATASETS.build({"type": "joined", "sets": [FIRST, SECOND]})
    parts = Streets("val", 3, 0, (48, 80)), Streets("val", 3, 1, (48, 80))
    assert joined.names == parts[0].names + parts[1].names
    assert joined.classes == parts[0].classes
    for i in range(6):
        part = parts[i // 3]
        assert (joined.image(i) == part.image(i % 3)).all()
        assert joined.truth(i).boxes.tolist() == part.truth(i % 3).boxes.tolist()
        assert (joined.depth(i) == part.depth(i % 3)).all()
        assert joined.fingerprint(i) == part.fingerprint(i % 3)
        assert joined.image_size(i) == (48, 80)
    with pytest.raises(IndexError):
        joined.image(6)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "got none"),
        ([FIRST, {**SECOND, "classes": ["car"]}], "differ in their classes"),
        ([FIRST, FIRST], "two images are named 'val-0-000000'"),
        ([FIRST, {**SECOND, "cuont": 3}], "no setting 'cuont': did you mean 'count'"),
    ],
)
def test_sets_that_do_not_fit_are_named(sets, message):
    with pytest.raises(ConfigError, match=message):
        DATASETS.build({"type": "joined", "sets": sets})


def test_images_without_an_object_can_be_left_out():
    whole = build_data({**FIRST, "count": 30, "classes": ["motorbike"]})
    some = build_data({**FIRST, "count": 30, "classes": ["motorbike"], "with_objects": True})
    assert 0 < len(some) < len(whole)
    assert some.names == [name for i, name in enumerate(whole.names) if len(whole.truth(i))]
