from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdir.errors import ConfigError, DataError
from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.coco import CocoMAP
from tdir.metrics.curves import average_precisions
from tdir.metrics.scores import DetectionScores
from tdir.structures import Detections
from tests.metrics.scenes import CLASSES, Rows, detections, pycocotools_says, random_rows

BOX, STRAY = [0, 0, 40, 40], [0, 200, 40, 240]


def scored(rows: Rows) -> DetectionScores:
    metric = CocoMAP(CLASSES)
    metric.update(*rows)
    return metric.compute()


def one_each(found: list[bool], label: int = 0) -> Rows:
    """One truth an image; the prediction is right where ``found`` and elsewhere wrong."""
    predictions = [detections([BOX if right else STRAY], [label], [0.9]) for right in found]
    return predictions, [detections([BOX], [label]) for _ in found]


@pytest.mark.parametrize("seed", range(4))
def test_every_image_once_gives_what_pycocotools_gives(seed: int) -> None:
    rows = random_rows(seed, images=25, difficult=False)
    precision = pycocotools_says(*rows).eval["precision"][:, :, :, 0, 2]
    expected = precision.mean(axis=(1, 2))
    found = average_precisions(scored(rows).matches, np.ones((1, 25), dtype=int))
    np.testing.assert_allclose(found, expected[None], rtol=0, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 8))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_resample_gives_what_copies_of_the_images_give(seed: int, images: int) -> None:
    predictions, truths = random_rows(seed, images, tied_within_image=False)
    predictions.append(detections([BOX], [0], [0.5]))
    truths.append(detections([BOX], [0]))
    drawn = np.sort(np.random.default_rng(seed).integers(0, images + 1, images + 1))
    drawn[-1] = images  # holds a truth in any case
    copies = scored(([predictions[k] for k in drawn], [truths[k] for k in drawn]))
    multiplicities = np.bincount(drawn, minlength=images + 1)[None]
    found = average_precisions(scored((predictions, truths)).matches, multiplicities)
    assert found.mean() == pytest.approx(copies.map, abs=1e-9)
    assert found[0, 0] == pytest.approx(copies.ap50, abs=1e-9)
    assert found[0, 5] == pytest.approx(copies.ap75, abs=1e-9)
    whole = scored((predictions, truths))
    for name, value in whole.resampled(multiplicities).items():
        assert value == pytest.approx([getattr(copies, name)], abs=1e-9), name
    for name, by_score in whole.resampled_by_class(multiplicities).items():
        for key, value in by_score.items():
            assert value == pytest.approx([copies.per_class[name][key]], abs=1e-9), (name, key)


def test_many_resamples_at_once_give_what_each_gives_alone() -> None:
    matches = scored(random_rows(3)).matches
    multiplicities = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), size=150)
    alone = np.concatenate([average_precisions(matches, row[None]) for row in multiplicities])
    np.testing.assert_array_equal(average_precisions(matches, multiplicities), alone)


def test_a_class_whose_truths_were_not_drawn_is_left_out_and_no_truth_at_all_is_nan() -> None:
    right, wrong = one_each([True], label=0), one_each([False], label=1)
    empty = [Detections.empty(scored=True)], [Detections.empty()]
    scores = scored((right[0] + wrong[0] + empty[0], right[1] + wrong[1] + empty[1]))
    found = average_precisions(scores.matches, np.array([[1, 1, 1], [3, 0, 0], [0, 2, 1], [0, 0, 3]]))
    np.testing.assert_allclose(found, np.outer([0.5, 1.0, 0.0, math.nan], np.ones(10)))


def test_resamples_without_a_truth_do_not_spoil_the_interval() -> None:
    predictions, truths = one_each([True])
    result = Bootstrap().interval(
        scored((predictions + [Detections.empty(scored=True)] * 3, truths + [Detections.empty()] * 3))
    )
    assert result["map"] == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})


def test_every_score_has_an_interval_that_holds_it_also_by_size_and_class() -> None:
    scores = scored(random_rows(5, images=60))
    bootstrap = Bootstrap(samples=200)
    found = bootstrap.interval(scores)
    assert list(found) == ["map", "ap50", "ap75", "small", "medium", "large"]
    by_class = bootstrap.by_class(scores)
    assert list(by_class) == CLASSES
    for one in (found, *by_class.values()):
        for name, bounds in one.items():
            assert bounds["low"] < bounds["value"] < bounds["high"], name
    for name in CLASSES:
        assert {key: bounds["value"] for key, bounds in by_class[name].items()} == {
            key: scores.per_class[name][key] for key in ("map", "ap50")
        }


def test_what_is_not_there_has_no_interval() -> None:
    scores = scored(one_each([True, False] * 10))
    assert list(Bootstrap(samples=20).interval(scores)) == ["map", "ap50", "ap75", "medium"]
    assert Bootstrap(samples=20).by_class(scores)["car"] == {}


def test_the_interval_holds_the_score_narrows_with_more_images_and_follows_the_seed() -> None:
    few, many = scored(one_each([True, False] * 5)), scored(one_each([True, False] * 80))
    wide, narrow = Bootstrap().interval(few)["ap50"], Bootstrap().interval(many)["ap50"]
    assert wide["low"] < wide["value"] < wide["high"]
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])
    assert Bootstrap(seed=1).interval(few) == Bootstrap(seed=1).interval(few)
    assert Bootstrap(samples=50, seed=1).interval(few) != Bootstrap(samples=50, seed=2).interval(few)


def test_a_row_that_is_better_on_every_image_is_above_in_every_resample() -> None:
    better, worse = scored(one_each([True] * 12)), scored(one_each([False] * 12))
    result = Bootstrap(samples=99).difference(better, worse)
    for name in ("map", "ap50"):
        assert result[name] == pytest.approx({"difference": 1.0, "low": 1.0, "high": 1.0, "above": 1.0, "p": 0.02})
    assert Bootstrap(samples=99).difference(worse, better)["map"]["above"] == 0.0
    assert Bootstrap(samples=99).difference(worse, better)["map"]["p"] == pytest.approx(0.02)


def test_a_row_against_itself_makes_no_difference() -> None:
    row = scored(random_rows(1))
    nothing = {"difference": 0.0, "low": 0.0, "high": 0.0, "above": 0.0, "p": 1.0}
    assert Bootstrap(samples=50).difference(row, row) == {"map": nothing, "ap50": nothing}


def test_pairing_sees_a_difference_that_two_intervals_hide() -> None:
    found = [True, False] * 30
    improved = [True] * 10 + found[10:]
    plain, better = scored(one_each(found)), scored(one_each(improved))
    assert Bootstrap().interval(better)["ap50"]["low"] < Bootstrap().interval(plain)["ap50"]["high"]
    result = Bootstrap().difference(better, plain)["ap50"]
    assert result["low"] > 0
    assert result["p"] < 0.05
    assert result["difference"] == pytest.approx(better.ap50 - plain.ap50)


def test_two_noisy_rows_of_one_quality_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    first, second = (scored(one_each(list(rng.random(60) < 0.5))) for _ in range(2))
    result = Bootstrap().difference(first, second)["map"]
    assert result["low"] < 0 < result["high"]
    assert result["p"] > 0.05


def test_rows_on_other_images_or_classes_are_refused() -> None:
    row = scored(one_each([True, True]))
    with pytest.raises(DataError, match="2 and 3 images"):
        Bootstrap().difference(row, scored(one_each([True] * 3)))
    with pytest.raises(DataError, match="image 0 has 1 truths of 'person' in one row and 0 in the other"):
        Bootstrap().difference(row, scored(one_each([True, True], label=1)))
    other = CocoMAP(["cat"])
    other.update(*one_each([True, True]))
    with pytest.raises(DataError, match="'dog'.*'cat'"):
        Bootstrap().difference(row, other.compute())


def test_no_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="samples must be 1 or more, got 0"):
        Bootstrap(samples=0).interval(scored(one_each([True])))


def test_resamples_that_all_miss_the_only_truth_are_refused() -> None:
    predictions, truths = one_each([True])
    nothing = [Detections.empty(scored=True)] * 199, [Detections.empty()] * 199
    rare = scored((predictions + nothing[0], truths + nothing[1]))
    seed = next(k for k in range(50) if np.random.default_rng(k).multinomial(200, np.full(200, 1 / 200))[0] == 0)
    with pytest.raises(DataError, match="none of 1 resamples holds a truth"):
        Bootstrap(samples=1, seed=seed).interval(rare)


def test_images_of_one_photo_are_drawn_together() -> None:
    """Each photo twice tells no more than once: the interval is that of the photos, not that of the images."""
    found = [True, False, True, True, False, True, False, True]
    once, twice = scored(one_each(found)), scored(one_each([right for right in found for _ in range(2)]))
    photos = [f"photo {i // 2}" for i in range(16)]
    apart, together = (Bootstrap(400, 0, names).interval(twice)["ap50"] for names in (None, photos))
    alone = Bootstrap(400).interval(once)["ap50"]
    assert together["high"] - together["low"] > 1.2 * (apart["high"] - apart["low"])
    assert together["high"] - together["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.25)
    assert Bootstrap(9, 0, list("hgfedcba")).interval(once) == Bootstrap(9).interval(once)
    with pytest.raises(DataError, match="2 photos for 16 images"):
        Bootstrap(5, 0, ["a", "b"]).interval(twice)
