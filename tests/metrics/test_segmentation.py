from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official

from tdir.data.cityscapes import CLASSES, LABEL_IDS, Cityscapes
from tdir.errors import ConfigError, DataError, ShapeError
from tdir.metrics import segmentation
from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.segmentation import ConfusionMatrix, MapScores, ious
from tdir.structures import IGNORE, SemanticMap

NAMES = ["road", "sky", "car"]
Maps = list[SemanticMap]


def maps(*rows: list[int]) -> SemanticMap:
    return SemanticMap(torch.tensor(rows, dtype=torch.uint8))


def noise(count: int, classes: int = 3, size: tuple[int, int] = (9, 14)) -> Maps:
    labels = torch.randint(0, classes + 1, (count, *size))
    return [SemanticMap(one.masked_fill(one == classes, IGNORE).byte()) for one in labels]


def worse(truths: Maps, share: float) -> Maps:
    """The truths, but for a share of the pixels."""
    others = noise(len(truths), size=tuple(truths[0].labels.shape))
    return [
        SemanticMap(torch.where(torch.rand(one.labels.shape) < share, other.labels, one.labels))
        for one, other in zip(truths, others, strict=True)
    ]


def scored(predictions: Maps, truths: Maps, names: list[str] = NAMES) -> MapScores:
    metric = ConfusionMatrix(names)
    metric.update(predictions, truths)
    return metric.compute()


def brute_force(predictions: Maps, truths: Maps, label: int) -> float:
    """Intersection over union of a class, pixel by pixel."""
    inside = union = 0
    for one, other in zip(predictions, truths, strict=True):
        for found, true in zip(one.labels.flatten().tolist(), other.labels.flatten().tolist(), strict=True):
            if true != IGNORE:
                inside += found == label == true
                union += label in (found, true)
    return inside / union if union else math.nan


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_scores_are_those_of_counting_every_pixel(share: float) -> None:
    truths = noise(4)
    predictions = worse(truths, share)
    scores = scored(predictions, truths)
    by_class = [brute_force(predictions, truths, label) for label in range(3)]
    assert [scores.per_class[name]["miou"] for name in NAMES] == pytest.approx(by_class)
    assert scores.miou == scores.main == pytest.approx(sum(by_class) / 3)
    pairs = [(one.labels, other.labels) for one, other in zip(predictions, truths, strict=True)]
    right = sum(int(((one == other) & (other != IGNORE)).sum()) for one, other in pairs)
    known = sum(int((other != IGNORE).sum()) for _, other in pairs)
    assert scores.pixel_accuracy == pytest.approx(right / known)
    assert sum(one["truths"] for one in scores.per_class.values()) == known
    for k, pair in enumerate(zip(predictions, truths, strict=True)):
        alone = np.nanmean([brute_force([pair[0]], [pair[1]], label) for label in range(3)])
        assert scores.by_image()[k] == pytest.approx(alone)


def test_what_is_neither_there_nor_predicted_is_left_out_of_the_mean() -> None:
    scores = scored([maps([0, 0, 0, IGNORE])], [maps([0, 0, IGNORE, 0])])
    # Of three pixels of road two are found; the third has no predicted label, and one without a true one is no error.
    assert scores.miou == pytest.approx(2 / 3)
    assert math.isnan(scores.per_class["sky"]["miou"])
    assert scores.as_dict()["per_class"]["sky"] == {"miou": None, "truths": 0}
    # A class that is predicted and not there is wrong.
    assert scored([maps([0, 1])], [maps([0, 0])]).miou == pytest.approx((1 / 2 + 0) / 2)


def test_many_images_are_one_sum_and_no_mean_of_images() -> None:
    predictions, truths = [maps([0, 0, 0, 0]), maps([1])], [maps([0, 0, 0, 0]), maps([0])]
    assert scored(predictions, truths).per_class["road"]["miou"] == pytest.approx(4 / 5)
    assert scored(predictions, truths).by_image() == pytest.approx([1, 0])


def test_batches_and_a_restart_change_nothing() -> None:
    truths = noise(5)
    predictions, metric = worse(truths, 0.4), ConfusionMatrix(NAMES)
    metric.update(predictions[:2], truths[:2])
    metric.reset()
    for part in (slice(0, 2), slice(2, 5)):
        metric.update(predictions[part], truths[part])
    assert metric.compute() == scored(predictions, truths)


def test_no_map_is_kept() -> None:
    """What is held of an image is as large for large images as for small ones."""
    held = []
    for size in ((8, 8), (256, 512)):
        metric = ConfusionMatrix(NAMES)
        for _ in range(4):
            metric.update(noise(1, size=size), noise(1, size=size))
        held.append(len(pickle.dumps(metric)))
        assert metric.compute().images == 4
    assert held[0] == held[1] < 4 * 64 * 8


def test_groups_are_scored_apart() -> None:
    truths = noise(4)
    predictions = worse(truths, 0.4)
    scores = scored(predictions, truths).with_groups(["bonn", "aachen", None, "bonn"])
    assert list(scores.groups) == ["aachen", "bonn"]
    assert scores.groups["bonn"] == pytest.approx(scored(predictions[::3], truths[::3]).miou)
    assert scores.as_dict()["groups"]["aachen"] == pytest.approx(scored(predictions[1:2], truths[1:2]).miou)
    assert scored(predictions, truths).groups == {}


def test_processes_together_score_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    truths = noise(7)
    predictions = worse(truths, 0.4)
    parts = [ConfusionMatrix(NAMES) for _ in range(3)]
    for rank, metric in enumerate(parts):
        metric.update(predictions[rank::3], truths[rank::3])
    fed = [list(metric._matrices) for metric in parts]
    monkeypatch.setattr(segmentation.distributed, "world_size", lambda: 3)
    monkeypatch.setattr("tdir.distributed.dist.all_gather_object", lambda into, _: into.__setitem__(slice(None), fed))
    whole = scored(predictions, truths)
    for metric in parts:
        metric.gather(7)
        assert metric.compute() == whole
        assert np.array_equal(metric.compute().matrices, whole.matrices)


def test_a_resample_is_as_copies_of_the_images() -> None:
    truths = noise(5)
    predictions = worse(truths, 0.4)
    drawn = [4, 0, 0, 2, 4]
    copies = scored([predictions[k] for k in drawn], [truths[k] for k in drawn])
    whole, times = scored(predictions, truths), np.bincount(drawn, minlength=5)[None]
    found = whole.resampled(times)
    assert found["miou"] == pytest.approx([copies.miou])
    assert found["pixel_accuracy"] == pytest.approx([copies.pixel_accuracy])
    by_class = whole.resampled_by_class(times)
    assert list(by_class) == list(copies.per_class)
    for name, scores in copies.per_class.items():
        assert by_class[name]["miou"] == pytest.approx([scores["miou"]])


def test_resamples_without_a_labelled_pixel_are_left_out() -> None:
    scores = scored([maps([0, 1]), maps([0, 1])], [maps([0, 1]), maps([IGNORE, IGNORE])])
    assert scores.resampled(np.array([[1, 1], [0, 2], [2, 0]]))["miou"].tolist() == [1, 1]
    assert scores.resampled(np.array([[0, 2]])) == {}
    assert scores.by_image()[0] == 1
    assert math.isnan(scores.by_image()[1])


def test_the_bootstrap_takes_maps() -> None:
    truths = noise(12)
    better, poorer = (scored(worse(truths, share), truths) for share in (0.1, 0.5))
    bootstrap = Bootstrap(samples=200)
    interval = bootstrap.interval(better)
    assert set(interval) == {"miou", "pixel_accuracy"}
    for name, one in interval.items():
        assert one["low"] < one["value"] == getattr(better, name) < one["high"]
    difference = bootstrap.difference(better, poorer)["miou"]
    assert difference["difference"] == pytest.approx(better.miou - poorer.miou)
    assert difference["low"] > 0
    assert difference["above"] == 1
    same = bootstrap.difference(better, better)["miou"]
    assert (same["difference"], same["p"]) == (0, 1)


def test_rows_of_other_truths_are_refused() -> None:
    truths = noise(3)
    row = scored(truths, truths)
    with pytest.raises(DataError, match="3 and 2 images"):
        Bootstrap().difference(row, scored(truths[:2], truths[:2]))
    with pytest.raises(DataError, match=r"image 0 has \d+ truths of 'road' in one row and \d+ in the other"):
        Bootstrap().difference(row, scored(truths[::-1], truths[::-1]))
    with pytest.raises(DataError, match="'sky'.*'tree'"):
        Bootstrap().difference(row, scored(truths, truths, ["road", "tree", "car"]))


@pytest.mark.parametrize(
    ("predictions", "truths", "said"),
    [
        (noise(2), noise(1), "3 predictions but 2 truths"),
        (noise(1, size=(3, 4)), noise(1, size=(4, 3)), r"a prediction of \(3, 4\) for a truth of \(4, 3\)"),
        ([maps([0, 1])], [maps([0, 3])], r"the label 3 for 3 classes \['road', 'sky', 'car'\]: map labels to these"),
        ([maps([0, 3])], [maps([0, 1])], "the label 3 for 3 classes"),
        ([maps([254, 0])], [maps([0, 1])], "the label 254 for 3 classes"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_kept(predictions: Maps, truths: Maps, said: str) -> None:
    metric = ConfusionMatrix(NAMES)
    with pytest.raises(ShapeError, match=said):
        metric.update(noise(1) + predictions, noise(1, size=(9, 14)) + truths)
    with pytest.raises(DataError, match="in 0 images"):
        metric.compute()


def test_without_a_labelled_pixel_there_is_no_score() -> None:
    with pytest.raises(DataError, match=r"no pixel of the classes \['road', 'sky', 'car'\] in 1 images"):
        scored([maps([0, 1])], [maps([IGNORE, IGNORE])])


@pytest.mark.parametrize("names", [[], ["road", "road"], [str(k) for k in range(256)]])
def test_classes_are_1_to_255_different_names(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="classes must be 1 to 255 different names"):
        ConfusionMatrix(names)


def test_255_classes_are_counted() -> None:
    labels = SemanticMap(torch.arange(255, dtype=torch.uint8)[None])
    assert scored([labels], [labels], [str(k) for k in range(255)]).miou == 1
    assert ious(np.zeros((2, 3, 4), dtype=np.int64)).shape == (2, 3)


def official_says(predictions: list[Path], truths: list[Path]) -> dict[str, Any]:
    """The result of the benchmark's own program, which reads numbers of classes from PNGs."""
    args = copy.copy(official.args)
    args.evalInstLevelScore, args.JSONOutput, args.quiet = False, False, True
    return official.evaluateImgLists([str(path) for path in predictions], [str(path) for path in truths], args)


def agree(ours: MapScores, theirs: dict[str, Any]) -> None:
    assert ours.miou == pytest.approx(theirs["averageScoreClasses"], abs=1e-12)
    for name in CLASSES:
        assert ours.per_class[name]["miou"] == pytest.approx(theirs["classScores"][name], abs=1e-12, nan_ok=True)


def of_numbers(numbers: np.ndarray) -> SemanticMap:
    """As the reader of Cityscapes reads them."""
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[list(LABEL_IDS)] = np.arange(len(CLASSES))
    return SemanticMap(torch.from_numpy(table[numbers]))


@pytest.mark.parametrize(("seed", "most"), [(0, 34), (1, 34), (2, 12)])
def test_the_official_scripts_say_the_same(tmp_path: Path, seed: int, most: int) -> None:
    """Of noise with classes that are not scored in both, and where few numbers are drawn, classes that are absent."""
    rng, files, arrays = np.random.default_rng(seed), [], []
    for kind in ("prediction", "truth"):
        arrays.append(rng.integers(0, most, (3, 40, 60), dtype=np.uint8))
        files.append([tmp_path / f"{kind}{k}.png" for k in range(3)])
    keep = rng.random(arrays[0].shape) < 0.6
    arrays[0][keep] = arrays[1][keep]
    for paths, numbers in zip(files, arrays, strict=True):
        assert all(cv2.imwrite(str(path), one) for path, one in zip(paths, numbers, strict=True))
    ours = scored(*([of_numbers(one) for one in numbers] for numbers in arrays), list(CLASSES))
    agree(ours, official_says(*files))
    assert 0.1 < ours.miou < 0.9


@pytest.mark.real
def test_the_official_scripts_say_the_same_of_real_frames(data_root: Path, tmp_path: Path) -> None:
    """The prediction is the truth, moved by some pixels."""
    data_set = Cityscapes("cityscapes_mini", "train")
    metric, files = ConfusionMatrix(data_set.classes), []
    for i, path in enumerate(data_set.paths):
        truth = Path(str(path).replace("leftImg8bit", "gtFine")).with_name(
            path.name.replace("leftImg8bit", "gtFine_labelIds")
        )
        moved = np.roll(cv2.imread(str(truth), cv2.IMREAD_UNCHANGED), (9, 23), (0, 1))
        files.append((tmp_path / f"{i}.png", truth))
        assert cv2.imwrite(str(files[i][0]), moved)
        metric.update([of_numbers(moved)], [data_set.truth(i)])
    scores = metric.compute()
    agree(scores, official_says(*map(list, zip(*files, strict=True))))
    assert 0.3 < scores.miou < 0.95
