"""How many images go through at a time, and that this decides nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tdir
from tdir import memory
from tdir.data.classes import COCO_CLASSES
from tdir.data.images import Pixels
from tdir.errors import ConfigError
from tdir.evaluation import Scoring, evaluate
from tdir.memory import BatchSize, automatic, available, fitting
from tdir.metrics.protocols import PROTOCOLS
from tdir.metrics.scores import DetectionScores
from tests.test_evaluation import Squares

GB = 10**9


class Photos(Squares):
    """Upright and level ones in turn."""

    def image(self, index: int) -> Pixels:
        image = super().image(index)
        return image if index % 3 else np.ascontiguousarray(image.transpose(1, 0, 2))


class Narrow:
    """A head's forward pass on a device with room for so many images."""

    def __init__(self, head: Any, room: int, error: type[Exception] = torch.OutOfMemoryError):
        self.forward, self.room, self.error = head.forward, room, error
        self.batches: list[int] = []

    def __call__(self, images: Tensor) -> Any:
        self.batches.append(len(images))
        if len(images) > self.room:
            raise self.error("CUDA out of memory. Tried to allocate 9 GiB.\nGPU 0 has ...")
        return self.forward(images)


@pytest.fixture(scope="module")
def pipeline() -> tdir.Pipeline:
    torch.manual_seed(0)
    head = tdir.head("yolo", model="yolov8n.yaml")
    head.classes = list(COCO_CLASSES)
    return tdir.Pipeline(tdir.restorer("identity"), None, head, 48)


def scored(pipeline: tdir.Pipeline, batch_size: int) -> DetectionScores:
    found = evaluate(pipeline, Photos(count=12), scoring=Scoring(replace(PROTOCOLS["coco"], score=0.0), batch_size))
    assert sum(len(of_class.scores) for of_class in found.matches)
    return found


def test_free_memory_becomes_a_batch_size() -> None:
    assert fitting(free=10 * GB, per_image=GB, most=64) == 8, "a fifth is left for gaps"
    assert fitting(free=1000 * GB, per_image=GB, most=64) == 64
    assert fitting(free=GB // 2, per_image=GB, most=64) == 1
    assert fitting(free=0, per_image=GB, most=8) == 1
    assert fitting(free=GB, per_image=0, most=8) == 8


def test_free_memory_is_what_the_system_lists(tmp_path: Path) -> None:
    listing = tmp_path / "meminfo"
    listing.write_text("MemTotal:       16000000 kB\nMemFree:         1000 kB\nMemAvailable:    2000000 kB\n")
    assert available(listing) == 2_048_000_000
    assert available(tmp_path / "none") is None


def test_a_cpu_takes_8_images_where_there_is_room(pipeline: tdir.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for free in (100 * GB, None, 60_000_000, 0):
        monkeypatch.setattr(memory, "available", lambda free=free: free)
        sizes.append(automatic(pipeline))
    assert sizes == [8, 8, 2, 1]


def test_a_gpu_is_measured_with_one_image(pipeline: tdir.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "memory_allocated": 5 * GB,
        "max_memory_allocated": 7 * GB,
        "memory_reserved": 8 * GB,
        "mem_get_info": (GB, 9),
    }
    for name, value in {**said, "reset_peak_memory_stats": None}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    # What torch holds and does not use is free too.
    assert memory._measured(pipeline, 48, torch.device("cuda")) == (2 * GB, 4 * GB)


def test_a_batch_that_does_not_fit_is_halved_and_scores_stay(
    pipeline: tdir.Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = scored(pipeline, 2)
    narrow = Narrow(pipeline.head, room=2)
    monkeypatch.setattr(pipeline.head, "forward", narrow)
    found = scored(pipeline, 16)
    assert caplog.messages.count("12 images at a time do not fit into memory, going on with 6") == 1
    assert caplog.messages.count("3 images at a time do not fit into memory, going on with 1") == 1
    assert narrow.batches[:3] == [12, 6, 3]
    assert found == expected
    for mine, theirs in zip(found.matches, expected.matches, strict=True):
        np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-5)
    monkeypatch.setattr(pipeline.head, "forward", narrow.forward)
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.head, "forward", Narrow(pipeline.head, room=2))
        again = scored(pipeline, 8)
    for mine, theirs in zip(again.matches, expected.matches, strict=True):
        np.testing.assert_array_equal(mine.scores, theirs.scores)


def test_scores_do_not_depend_on_the_batch_size(pipeline: tdir.Pipeline) -> None:
    """Of photos of several shapes, which are padded to the canvas of their company."""
    one, *others = (scored(pipeline, size) for size in (1, 3, 8, 12, 64))
    for other in others:
        assert other == one
        for mine, theirs in zip(other.matches, one.matches, strict=True):
            np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-5)


def test_one_image_that_does_not_fit_is_an_error_with_a_way_out(
    pipeline: tdir.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.head, "forward", Narrow(pipeline.head, room=0))
    with pytest.raises(
        ConfigError, match=r"does not fit into memory \(CUDA out .* 9 GiB\.\): give a smaller --size, or"
    ):
        scored(pipeline, 4)


def test_other_errors_are_not_about_memory(pipeline: tdir.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.head, "forward", Narrow(pipeline.head, room=0, error=RuntimeError))
    with pytest.raises(RuntimeError, match="9 GiB"):
        scored(pipeline, 4)


def test_a_cpu_says_in_words_that_it_is_full() -> None:
    def compute(batch_size: int) -> int:
        torch.empty(batch_size // 2 * 10**15)
        return batch_size

    size = BatchSize(4)
    assert size.fit(compute, 4) == 1
    assert size.images == 1


def test_what_the_head_sees_is_halved_likewise(pipeline: tdir.Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = Narrow(pipeline.restorer, room=2)
    images = [np.full((40, 48, 3), i, dtype=np.uint8) for i in range(5)]
    expected = pipeline.enhance(images)
    monkeypatch.setattr(pipeline.restorer, "forward", narrow)
    found = BatchSize(8).fit(partial(pipeline.enhance, images), len(images))
    assert narrow.batches == [5, 2, 2, 1]
    assert all((mine == theirs).all() for mine, theirs in zip(found, expected, strict=True))
    with pytest.raises(ConfigError, match="batch_size is a whole number from 1, got 0"):
        pipeline.enhance(images, batch_size=0)
