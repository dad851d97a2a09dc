"""The built-in scenes as maps and as crops of one object."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from tdir.data import streets_crops
from tdir.data.layouts import without_files
from tdir.data.streets import SEMANTIC_CLASSES, Streets
from tdir.data.streets_crops import STREET, StreetsCrops
from tdir.data.streets_maps import StreetsMaps
from tdir.errors import ConfigError
from tdir.structures import IGNORE, ClassScores, SemanticMap


def test_maps_are_of_the_same_scenes() -> None:
    maps, scenes = StreetsMaps("test", 2, seed=3, size=(96, 160)), Streets("test", 2, seed=3, size=(96, 160))
    assert maps.task == "segmentation"
    assert maps.classes == list(SEMANTIC_CLASSES)
    assert np.array_equal(maps.image(1), scenes.image(1))
    truth = maps.truth(1)
    assert isinstance(truth, SemanticMap)
    assert torch.equal(truth.labels, torch.from_numpy(scenes.semantic(1)))
    assert set(truth.labels.unique().tolist()) <= {*range(len(maps.classes)), IGNORE}


def test_crops_show_what_they_are_said_to_show() -> None:
    crops = StreetsCrops("train", 24, seed=1, side=48)
    assert crops.task == "classification"
    assert crops.classes[-1] == STREET
    told = Counter()
    for i in range(len(crops)):
        assert crops.image(i).shape == (48, 48, 3) == (*crops.image_size(i), 3)
        truth = crops.truth(i)
        assert isinstance(truth, ClassScores)
        told[crops.classes[truth.label]] += 1
        label, (left, top, right, bottom) = crops._chosen(i)
        assert label == truth.label
        assert right - left == bottom - top
        if label < len(crops.classes) - 1:
            objects = Streets.truth(crops, i)
            middles = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
            inside = (middles >= torch.tensor([left, top])) & (middles < torch.tensor([right, bottom]))
            assert label in objects.labels[inside.all(1)].tolist()
    assert len(told) >= 5
    # No class is most of them: the rarer ones are shown where there are any.
    assert max(told.values()) < 16


def test_a_crop_depends_on_its_number_alone() -> None:
    few, many = StreetsCrops("val", 3), StreetsCrops("val", 9)
    assert np.array_equal(few.image(2), many.image(2))
    assert few.fingerprint(2) != StreetsCrops("val", 3, side=32).fingerprint(2)


@pytest.mark.parametrize(("room", "drawn"), [(2**20, [0, 1]), (16 * 16 * 3, [0, 1, 1]), (0, [0, 0, 0, 1, 1])])
def test_crops_are_kept_while_there_is_room(room: int, drawn: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    crops, draw, seen = StreetsCrops("val", 2, side=16), Streets.image, []
    for i in range(2):
        crops.truth(i)
    monkeypatch.setattr(streets_crops, "_ROOM", room)
    monkeypatch.setattr(Streets, "image", lambda self, i: seen.append(i) or draw(self, i))
    first = crops.image(0)
    expected = first.copy()
    for _ in range(2):  # whoever was given one may paint over it
        first[:] = 0
        first = crops.image(0)
        assert np.array_equal(first, expected)
    assert np.array_equal(crops.image(1), crops.image(1))
    assert seen == drawn


def test_both_are_there_without_a_file() -> None:
    assert {"streets", "streets_maps", "streets_crops"} <= set(without_files())
    with pytest.raises(ConfigError, match="side"):
        StreetsCrops(side=4)
