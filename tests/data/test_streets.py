from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from tdir.data import streets as module
from tdir.data.degradations import Degraded, LowLight
from tdir.data.depth_haze import DepthHaze
from tdir.data.streets import SEMANTIC_CLASSES, Streets
from tdir.errors import ConfigError
from tdir.registry import DATASETS

ROOT = Path(__file__).parents[2]
VOID = 255


def digest(scenes: Streets, index: int) -> str:
    truth = scenes.truth(index)
    maps = [scenes.image(index), scenes.depth(index), scenes.semantic(index), scenes.instances(index)]
    parts = [*maps, truth.boxes.numpy(), truth.labels.numpy()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.fixture(scope="module")
def scenes() -> Streets:
    return Streets("train", count=40)


def test_a_scene_is_the_same_in_any_order_and_in_another_process(scenes):
    forward = [digest(scenes, i) for i in range(6)]
    module._draw.cache_clear()
    fewer = Streets("train", count=6)
    assert [digest(fewer, i) for i in (5, 2, 0)] == [forward[i] for i in (5, 2, 0)]
    code = "from tests.data.test_streets import digest, Streets; print(digest(Streets('train', 3), 2))"
    again = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert again.stdout.strip() == forward[2], again.stderr


def test_splits_seeds_and_indices_share_no_scene():
    sets = [Streets(split, 3, seed) for split in module.SPLITS for seed in (0, 1)]
    images = {one.image(i).tobytes() for one in sets for i in range(len(one))}
    names = {name for one in sets for name in one.names}
    assert len(images) == len(names) == 18


def test_what_a_scene_gives_has_the_size_asked_for():
    scenes = Streets("test", 2, size=(96, 128))
    image, depth, semantic = scenes.image(0), scenes.depth(0), scenes.semantic(0)
    assert (image.shape, image.dtype) == ((96, 128, 3), np.uint8)
    assert (depth.shape, depth.dtype) == ((96, 128), np.float32)
    assert (semantic.shape, semantic.dtype) == ((96, 128), np.uint8)
    truth = scenes.truth(0)
    assert torch.equal(truth.clipped((96, 128)).boxes, truth.boxes)


def test_a_box_surrounds_the_visible_pixels_of_its_object(scenes):
    farther, difficult = [], []
    for i in range(10):
        truth, instances = scenes.truth(i), scenes.instances(i)
        boxes = truth.boxes.numpy()
        assert instances.max() <= len(boxes)
        for number in np.unique(instances[instances > 0]):
            rows, columns = np.nonzero(instances == number)
            around = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            farther.append((boxes[number - 1] - around) * [-1, -1, 1, 1])
            difficult.append(bool(truth.difficult[number - 1]))
    # Boxes are measured on a canvas with twice the pixels, of which the mask has every second one in either direction:
    # a mirror or a pedal one pixel of the canvas wide may be missing in it.
    assert np.min(farther) >= -0.5
    assert np.mean(np.array(farther)[~np.array(difficult)] > 1) < 0.03


def test_every_pixel_has_a_class_that_fits_its_object(scenes):
    for i in range(10):
        truth, semantic, instances = scenes.truth(i), scenes.semantic(i), scenes.instances(i)
        assert set(np.unique(semantic)) <= {*range(len(SEMANTIC_CLASSES)), VOID}
        for number in np.unique(instances[instances > 0]):
            name = scenes.classes[truth.labels[number - 1]]
            assert np.unique(semantic[instances == number]).tolist() == [SEMANTIC_CLASSES.index(name)]
        things = np.isin(semantic, [SEMANTIC_CLASSES.index(name) for name in scenes.classes])
        np.testing.assert_array_equal(things, instances > 0)


def test_every_class_appears_often_enough_to_learn_and_seldom_enough_to_be_plausible(scenes):
    boxes: Counter[str] = Counter()
    seen: set[int] = set()
    for i in range(len(scenes)):
        truth = scenes.truth(i)
        boxes.update(scenes.classes[label] for label in truth[~truth.difficult].labels.tolist())
        seen.update(np.unique(scenes.semantic(i)).tolist())
    rates = {name: boxes[name] / len(scenes) for name in scenes.classes}
    assert 3 < rates["car"] < 9
    assert 1.2 < rates["person"] < 5
    for name in ("bus", "bicycle", "motorbike"):
        assert 0.2 < rates[name] < 2, rates
    assert seen == {*range(len(SEMANTIC_CLASSES)), VOID}


def test_depth_is_positive_and_grows_towards_the_horizon(scenes):
    for i in range(10):
        depth, semantic = scenes.depth(i), scenes.semantic(i)
        assert np.all(np.isfinite(depth))
        assert depth.min() > 0.5
        sky = semantic == SEMANTIC_CLASSES.index("sky")
        assert np.all(depth[sky] >= 10_000)
        assert depth[~sky].max() < 3500
        for column in range(0, depth.shape[1], 16):
            upwards = depth[semantic[:, column] == SEMANTIC_CLASSES.index("road"), column][::-1]
            assert np.all(np.diff(upwards) > 0)


def test_larger_images_show_the_same_scene():
    small, large = Streets("val", 4), Streets("val", 4, size=(384, 640))
    for i in range(4):
        shrunk = cv2.resize(large.image(i), (320, 192), interpolation=cv2.INTER_AREA)
        assert np.abs(shrunk.astype(float) - small.image(i)).mean() < 6
        agree = small.semantic(i) == large.semantic(i)[::2, ::2]
        assert agree.mean() > 0.97
        truth, twice = small.truth(i), large.truth(i)
        clear = truth.boxes[~truth.difficult] * 2
        assert box_iou(clear, twice.boxes).max(1).values.min() > 0.7


def test_small_and_hidden_objects_are_difficult(scenes):
    areas: dict[bool, list[int]] = {True: [], False: []}
    for i in range(10):
        truth, instances = scenes.truth(i), scenes.instances(i)
        for number, difficult in enumerate(truth.difficult.tolist(), start=1):
            areas[difficult].append(int(np.count_nonzero(instances == number)))
    assert min(map(len, areas.values())) > 20
    assert min(areas[False]) > 30
    assert np.median(areas[True]) < 48 < 2 * np.median(areas[False])


def test_classes_of_interest_are_kept_in_their_order(scenes):
    some = Streets("train", 40, classes=["motorcycle", "car"])
    names = {"car": "car", "motorbike": "motorcycle"}
    for i in range(5):
        truth, mine = scenes.truth(i), some.truth(i)
        expected = [names.get(scenes.classes[label]) for label in truth.labels.tolist()]
        assert [some.classes[label] for label in mine.labels.tolist()] == [name for name in expected if name]
        assert torch.equal(mine.boxes, truth.boxes[[name is not None for name in expected]])
        np.testing.assert_array_equal(some.image(i), scenes.image(i))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "trian"}, "did you mean 'train'"),
        ({"count": 0}, "got 0"),
        ({"seed": -1}, "got -1"),
        ({"size": (192, 320, 3)}, "got"),
        ({"size": (16, 320)}, "from 32"),
        ({"classes": ["car", "lorry"]}, "no class 'lorry'"),
        ({"classes": ["motorbike", "motorcycle"]}, "mean the same"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DATASETS.build({"type": "streets", **settings})


def test_who_changes_an_image_changes_a_copy(scenes):
    before = scenes.image(0)
    for array in (scenes.image(0), scenes.depth(0), scenes.semantic(0), scenes.instances(0)):
        array[:] = 0
    np.testing.assert_array_equal(scenes.image(0), before)
    assert scenes.depth(0).min() > 0


def test_scenes_travel_to_the_workers_of_a_data_loader(scenes):
    scenes.image(0)
    assert len(pickle.dumps(scenes)) < 10_000  # what was drawn stays behind


def test_scenes_end(scenes):
    assert len(list(Streets("train", 2))) == 2
    with pytest.raises(IndexError):
        scenes.image(40)


def test_a_subset_and_a_degraded_set_know_the_depth(scenes):
    hazy = Degraded(scenes, DepthHaze(), seed=4)
    some = hazy.subset([7, 2])
    assert some.names == [scenes.names[7], scenes.names[2]]
    for i, j in enumerate((7, 2)):
        np.testing.assert_array_equal(some.image(i), hazy.image(j))
        np.testing.assert_array_equal(some.depth(i), scenes.depth(j))
        assert torch.equal(some.truth(i).boxes, scenes.truth(j).boxes)
        assert some.fingerprint(i) == scenes.fingerprint(j)


def test_the_fingerprint_tells_sizes_apart():
    small, large = Streets(count=1), Streets(count=1, size=(384, 640))
    assert small.names == large.names
    assert small.fingerprint(0) != large.fingerprint(0)


def test_degradations_without_depth_take_scenes_too(scenes):
    dark = Degraded(scenes, LowLight((3, 3)))
    assert dark.image(0).mean() < scenes.image(0).mean() / 1.5


def test_drawing_a_scene_takes_no_longer_than_a_few_passes_over_a_photo(scenes):
    def least(work, times: int = 7) -> float:
        def once() -> float:
            start = time.perf_counter()
            work()
            return time.perf_counter() - start

        return min(once() for _ in range(times))

    scene = module.draw_scene(np.random.default_rng(5))
    photo = np.random.default_rng(0).random((960, 1280, 3), dtype=np.float32)
    module.render(scene, (192, 320))
    drawing = least(lambda: module.render(module.draw_scene(np.random.default_rng(5)), (192, 320)))
    passes = least(lambda: [np.sqrt(photo * 0.5 + 0.1) for _ in range(4)])
    # About 1 on the machine that this was written on.
    assert drawing < 4 * passes
