from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import Tensor

import tdir
from tdir.report.speed import REST, peak_memory, speed_sentence, stage_times
from tdir.restorers.base import Restorer


class Slow(Restorer):
    """A restorer that takes its time."""

    def restore(self, images: Tensor) -> Tensor:
        time.sleep(0.3)
        return images


@pytest.fixture(scope="module")
def pipeline() -> tdir.Pipeline:
    torch.manual_seed(0)
    return tdir.Pipeline(Slow(), tdir.translator("vat-light", side=32), tdir.head("yolo", model="yolov8n.yaml"), 64)


def test_each_stage_is_told_apart(pipeline):
    images = [np.zeros((48, 64, 3), dtype=np.uint8)] * 2
    found = stage_times(pipeline, images, rounds=1)
    spent = found["milliseconds"]
    assert list(spent) == ["restorer", "translator", "head", REST]
    # As ratios: the sleep is in the restorer's time, and in no other's.
    assert spent["restorer"] > 2 * (spent["translator"] + spent[REST])
    assert all(value >= 0 for value in spent.values())
    assert (found["device"], found["images"]) == ("cpu", 2)
    assert not any(part._forward_hooks for part in (pipeline.restorer, pipeline.translator, pipeline.head))


def test_without_a_translator_there_is_no_such_stage(pipeline):
    alone = tdir.Pipeline(tdir.restorer("identity"), None, pipeline.head, 64)
    found = stage_times(alone, [np.zeros((48, 64, 3), dtype=np.uint8)])
    assert list(found["milliseconds"]) == ["restorer", "head", REST]


def test_it_is_said_in_a_sentence():
    record = {
        "speed": {"milliseconds": {"restorer": 10.0, "head": 30.04, REST: 2.0}, "device": "cpu", "images": 8},
        "memory": {"process": 1234},
    }
    assert speed_sentence(record) == [
        "An image at a time on cpu: restorer 10.0, head 30.0, the rest 2.0; 42.0 milliseconds in all. At most 1,234 MB "
        "of process memory."
    ]
    assert speed_sentence({}) == []


def test_memory_is_that_of_the_process():
    before = peak_memory()["process"]
    held = np.ones((64, 2**20))  # 512 MB
    assert peak_memory()["process"] >= before
    assert peak_memory()["process"] > 512 and held.all()
