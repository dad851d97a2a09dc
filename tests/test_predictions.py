"""A benchmark that was interrupted goes on where it stopped, and ends as if nothing had happened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tdir
from tdir import distributed
from tdir.data.classes import COCO_CLASSES
from tdir.data.degradations import Degraded, Haze
from tdir.data.images import Pixels
from tdir.data.sample import ImageSet
from tdir.evaluation import Scoring, base_rows, evaluate, vat_rows
from tdir.metrics.protocols import PROTOCOLS
from tdir.metrics.scores import DetectionScores
from tdir.predictions import Predictions, prediction_key
from tdir.structures import Detections
from tests.test_evaluation import Squares

COCO = PROTOCOLS["coco"]
ALL = replace(COCO, score=0.0)


class Stops(Squares):
    """Cannot go on after so many images."""

    def __init__(self, count: int = 24, images: int = 10**6):
        super().__init__(count=count)
        self.images = images

    def image(self, index: int) -> Pixels:
        if self.read >= self.images:
            raise KeyboardInterrupt
        return super().image(index)


@pytest.fixture(scope="module")
def pipeline() -> tdir.Pipeline:
    torch.manual_seed(0)
    head = tdir.head("yolo", model="yolov8n.yaml")
    head.classes = list(COCO_CLASSES)
    return tdir.Pipeline(tdir.restorer("aodnet"), tdir.translator("vat-light", side=32), head, 32)


def same(one: DetectionScores, other: DetectionScores) -> bool:
    """To the last bit."""
    columns = ("scores", "images", "matched", "ignored", "truths")
    pairs = list(zip(one.matches, other.matches, strict=True))
    assert sum(len(a.scores) for a, _ in pairs)
    return one.as_dict() == other.as_dict() and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for a, b in pairs for name in columns
    )


def interrupted(pipeline: tdir.Pipeline, folder: Path, images: int = 20, batch_size: int = 8) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate(pipeline, Stops(images=images), "vat", Scoring(ALL, batch_size, folder=folder))


def test_an_interrupted_row_goes_on_where_it_stopped(
    pipeline: tdir.Pipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    expected = evaluate(pipeline, Stops(), scoring=Scoring(ALL))
    interrupted(pipeline, tmp_path)
    rest = Stops()
    assert same(evaluate(pipeline, rest, "vat", Scoring(ALL, folder=tmp_path)), expected)
    assert rest.read == 8
    assert "going on: 16 of 24 images of row 'vat' are there already" in caplog.messages
    whole = Stops()
    assert same(evaluate(pipeline, whole, "vat", Scoring(ALL, 3, folder=tmp_path)), expected)
    assert whole.read == 0


def test_all_rows_have_their_own_predictions(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    data_set, scoring = Degraded(Stops(), Haze()), Scoring(ALL, folder=tmp_path)
    first = {**base_rows(pipeline, data_set, scoring), **vat_rows(pipeline, data_set, scoring)}
    assert {path.name for path in tmp_path.iterdir()} == {f"{row}.0of1" for row in first}
    read = data_set.data_set.read
    again = {**base_rows(pipeline, data_set, scoring), **vat_rows(pipeline, data_set, scoring)}
    assert data_set.data_set.read == read == 24 * 6
    assert all(same(again[row], first[row]) for row in first)


@pytest.mark.parametrize("name", ["00000008.npz", "00000000.npz"])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\xff" * 99])
def test_a_damaged_file_is_made_again(
    pipeline: tdir.Pipeline, tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    expected = evaluate(pipeline, Stops(), scoring=Scoring(ALL))
    interrupted(pipeline, tmp_path)
    file = tmp_path / "vat.0of1" / name
    file.write_bytes(damage(file.read_bytes()))
    half = file.with_name(f".{name}.partial.npz")
    half.write_bytes(b"half")
    rest = Stops()
    assert same(evaluate(pipeline, rest, "vat", Scoring(ALL, folder=tmp_path)), expected)
    assert rest.read == 24 - int(name[:8])
    assert not half.exists()


def test_another_key_starts_anew(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    interrupted(pipeline, tmp_path)
    other, rest = replace(ALL, iou=0.5), Stops(count=16)
    assert same(
        evaluate(pipeline, rest, "vat", Scoring(other, folder=tmp_path)),
        evaluate(pipeline, Stops(count=16), scoring=Scoring(other)),
    )
    assert rest.read == 16
    assert len(list((tmp_path / "vat.0of1").iterdir())) == 2


def test_the_key_is_of_all_that_decides(pipeline: tdir.Pipeline) -> None:
    plain = tdir.Pipeline(pipeline.restorer, None, pipeline.head, 32)
    hazy = Degraded(Squares(), Haze())

    def key(pipeline: tdir.Pipeline = pipeline, data_set: ImageSet = hazy, **protocol: float) -> str:
        return prediction_key(pipeline, data_set, replace(COCO, **protocol))

    assert key() == key()
    assert prediction_key(pipeline, hazy, PROTOCOLS["voc07"]) == key(), "decoded alike, and scored otherwise"
    kinds = [key(), key(plain), key(tdir.Pipeline(pipeline.restorer, pipeline.translator, pipeline.head, 48))]
    kinds += [key(score=0.1), key(iou=0.5), key(max_det=9)]
    kinds += [key(data_set=one) for one in (Squares(), Squares(count=5), Degraded(Squares(), Haze(), seed=1))]
    kinds += [key(data_set=Degraded(Squares(), Haze(light=0.9)))]
    for part in (pipeline.restorer, pipeline.translator, pipeline.head):
        value = next(iter(part.state_dict().values()))
        was = value.clone()
        value += 1
        kinds.append(key())
        value.copy_(was)
    assert len(set(kinds)) == len(kinds)
    assert key() == kinds[0]


def test_the_key_is_of_what_is_in_the_files(pipeline: tdir.Pipeline, tmp_path: Path) -> None:
    data_set = Squares()
    data_set.paths = [tmp_path / name for name in data_set.names]
    for path in data_set.paths:
        path.write_bytes(b"one")
    before = prediction_key(pipeline, data_set, COCO)
    data_set.paths[3].write_bytes(b"two")
    assert prediction_key(pipeline, data_set, COCO) != before


def test_each_process_keeps_its_own_share(
    pipeline: tdir.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    shared, shares = Scoring(shared=True, folder=tmp_path), []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(shared.own(27))
        kept = shared.kept("vat", pipeline, Squares())
        assert kept is not None
        assert kept.folder == tmp_path / f"vat.{rank}of2"
    assert shares == [[*range(8), *range(16, 24)], [*range(8, 16), *range(24, 27)]]


def test_boxes_come_back_as_they_were(tmp_path: Path) -> None:
    boxes = Detections(torch.rand(3, 4), torch.tensor([1, 0, 2]), torch.rand(3))
    kept = Predictions(tmp_path / "row", "key")
    kept.add([boxes, Detections.empty(scored=True)])
    kept.add([Detections.empty(scored=True)])
    back = [one for batch in Predictions(tmp_path / "row", "key") for one in batch]
    assert [len(one) for one in back] == [3, 0, 0]
    for name in ("boxes", "labels", "scores"):
        assert torch.equal(getattr(back[0], name), getattr(boxes, name))
    shutil.copy(tmp_path / "row/00000002.npz", tmp_path / "row/00000007.npz")
    assert sum(map(len, Predictions(tmp_path / "row", "key"))) == 3
    assert not (tmp_path / "row/00000007.npz").exists()
