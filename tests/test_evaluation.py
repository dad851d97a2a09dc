"""The rows on squares that a head of the test's own can or cannot see, so that every score is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tdir.data.degradations import Degradation, Degraded
from tdir.data.images import Depth, Pixels
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError, DataError
from tdir.evaluation import (
    Scoring,
    base_rows,
    check_quality,
    differences,
    evaluate,
    quality_rows,
    readable,
    recovered,
    vat_rows,
)
from tdir.heads.base import Head
from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.quality import QUALITY, Measure, Score
from tdir.pipeline import Pipeline
from tdir.restorers.base import Restorer
from tdir.restorers.identity import Identity
from tdir.structures import Detections
from tdir.translators.base import Translator

COUNT = 6


class Squares(ImageSet):
    """White squares on black, one an image."""

    def __init__(
        self,
        classes: tuple[str, ...] = ("gnu", "car"),
        labelled: bool = True,
        count: int = COUNT,
        broken: tuple[int, ...] = (),
        label: str = "car",
    ):
        self.classes, self.labelled, self.read = list(classes), labelled, 0
        self.broken, self.label = broken, label
        self.names = [str(i) for i in range(count)]
        self.paths = [Path(name) for name in self.names]

    def truth(self, index: int) -> Detections | None:
        box = torch.tensor([[4.0 + index % COUNT, 4, 20 + 2 * (index % COUNT), 24]])
        return Detections(box, torch.tensor([self.classes.index(self.label)])) if self.labelled else None

    def image_size(self, index: int) -> tuple[int, int]:
        return 32, 48

    def image(self, index: int) -> Pixels:
        self.read += 1
        if index in self.broken:
            raise DataError(f"{index} is broken")
        image = np.zeros((32, 48, 3), dtype=np.uint8)
        image[4:24, 4 + index % COUNT : 20 + 2 * (index % COUNT)] = 255
        return image


class Dim(Degradation):
    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {}

    def apply(
        self, image: Pixels, drawn: Mapping[str, Any], rng: np.random.Generator, depth: Depth | None = None
    ) -> Pixels:
        return image // 4

    def settings(self) -> dict[str, object]:
        return {"type": "dim"}


class Brighten(Restorer):
    """Multiplies every pixel."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor
        self.freeze()

    def restore(self, images: Tensor) -> Tensor:
        return images * self.factor


class Threshold(Translator):
    """Everything that is not black becomes white."""

    def fuse(self, degraded: Tensor, restored: Tensor) -> Tensor:
        return restored

    def translate(self, images: Tensor) -> Tensor:
        return (images > 0.1).to(images)


class WhiteCars(Head):
    """Finds the white square; what it takes for a tree is no class of the set."""

    task = "detection"

    def __init__(self) -> None:
        super().__init__()
        self.classes, self.weights_name, self.weights_sha256 = ["tree", "car"], "none", ""
        self.scale = nn.Parameter(torch.ones(1))
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        return images

    def decode(self, outputs: Tensor, score: float = 0.25, iou: float = 0.7, max_det: int = 300) -> list[Detections]:
        assert (score, iou, max_det) == (0.001, 0.7, 300)
        return [self._one(image.mean(0) > 0.9) for image in outputs]

    @staticmethod
    def _one(white: Tensor) -> Detections:
        y, x = white.nonzero(as_tuple=True)
        tree = torch.tensor([[0.0, 0, 2, 2]])
        square = [[x.min(), y.min(), x.max() + 1, y.max() + 1]] if len(x) and not white.all() else []
        boxes = torch.cat([tree, torch.tensor(square, dtype=torch.float32).reshape(-1, 4)])
        return Detections(boxes, torch.tensor([0, 1])[: len(boxes)], torch.tensor([0.99, 0.9])[: len(boxes)])


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(Brighten(2), Threshold(), WhiteCars())


def test_a_class_that_the_head_does_not_know_scores_0(caplog: pytest.LogCaptureFixture) -> None:
    rows = base_rows(Pipeline(Identity(), None, WhiteCars()), Squares(label="gnu"), Scoring(batch_size=4))
    assert caplog.text.count("does not know the class 'gnu' of the data set: it scores 0") == 1
    assert "left out of the mean: car" in caplog.text
    assert rows["degraded"].map == rows["degraded"].per_class["gnu"]["map"] == 0


def test_what_the_head_knows_and_the_set_does_not_label_is_listed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    base_rows(Pipeline(Identity(), None, WhiteCars()), Squares())
    assert "classes of the head that the data set does not label, 1: tree" in caplog.messages


def test_a_class_without_an_object_is_left_out_of_the_mean(caplog: pytest.LogCaptureFixture) -> None:
    rows = base_rows(Pipeline(Identity(), None, WhiteCars()), Squares(), Scoring(batch_size=4))
    assert caplog.text.count("left out of the mean: gnu") == 1
    assert "scores 0" not in caplog.text
    scores = rows["degraded"]
    assert scores.map == scores.per_class["car"]["map"] == pytest.approx(1)
    assert np.isnan(scores.per_class["gnu"]["map"])


def test_the_order_of_classes_is_the_sets(pipeline: Pipeline) -> None:
    assert evaluate(pipeline, Squares(("car", "gnu"))).map == pytest.approx(1)


def test_all_rows_of_made_degradation(pipeline: Pipeline) -> None:
    data_set = Degraded(Squares(), Dim())
    rows = {**base_rows(pipeline, data_set), **vat_rows(pipeline, data_set)}
    scores = {name: round(row.map, 6) for name, row in rows.items()}
    # A quarter of white, twice as bright, is not yet white; the threshold makes it so.
    assert scores == {
        "clean": 1, "clean + restorer": 1, "degraded": 0, "restorer": 0, "vat": 1, "clean + vat": 1,
    }  # fmt: skip
    assert recovered(rows) == pytest.approx(1)
    assert recovered(rows, "restorer") == pytest.approx(0)


def test_real_degradation_has_no_clean_rows(pipeline: Pipeline) -> None:
    rows = {**base_rows(pipeline, Squares()), **vat_rows(pipeline, Squares())}
    assert list(rows) == ["degraded", "restorer", "vat"]
    assert recovered(rows) is None
    assert "clean + vat - clean" not in differences(rows, Bootstrap(5))


def test_without_a_gap_nothing_can_be_recovered() -> None:
    blind = Pipeline(Brighten(0), None, WhiteCars())
    rows = base_rows(blind, Degraded(Squares(), Dim()))
    assert recovered({**rows, "clean": rows["degraded"]}) is None


def test_differences_are_paired(pipeline: Pipeline) -> None:
    data_set = Degraded(Squares(), Dim())
    rows = {**base_rows(pipeline, data_set), **vat_rows(pipeline, data_set)}
    found = differences(rows, Bootstrap(50))
    on_degraded = ["vat - degraded", "vat - restorer", "restorer - degraded"]
    assert list(found) == [*on_degraded, "clean + vat - clean", "clean + restorer - clean"]
    beside = differences({"dcp": rows["degraded"], "degraded": rows["degraded"], "vat": rows["vat"]}, Bootstrap(50))
    assert list(beside) == ["vat - dcp", "vat - degraded"]
    assert beside["vat - dcp"] == found["vat - degraded"]
    assert found["vat - degraded"]["map"]["difference"] == pytest.approx(1)
    assert found["vat - degraded"]["map"]["above"] == 1
    assert found["clean + vat - clean"]["map"]["low"] == found["clean + vat - clean"]["map"]["high"] == 0


def test_a_limit_reads_only_the_first_images(pipeline: Pipeline) -> None:
    data_set = Squares()
    some, unreadable = readable(data_set, limit=3)
    assert data_set.read == 3
    assert unreadable == []
    assert evaluate(pipeline, some, scoring=Scoring(batch_size=2)).images == 3
    assert len(readable(data_set, limit=99)[0]) == COUNT


def test_all_rows_are_scored_on_the_images_that_can_be_read(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    data_set = Degraded(Squares(count=100, broken=(7,)), Dim())
    some, unreadable = readable(data_set)
    rows = {**base_rows(pipeline, some), **vat_rows(pipeline, some)}
    assert {row.images for row in rows.values()} == {99}
    assert rows["clean"].map == rows["vat"].map == pytest.approx(1)
    assert unreadable == ["7"]
    assert "skipped: 7 is broken" in caplog.text
    assert "1 of 100 images cannot be read" in caplog.text
    with pytest.raises(DataError, match="2 of 100 images cannot be read, more than 1 %: 7 is broken; 9 is broken"):
        readable(Squares(count=100, broken=(7, 9)))


def test_a_set_without_truth_or_common_classes_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(DataError, match="0 has no truth"):
        evaluate(pipeline, Squares(labelled=False))
    with pytest.raises(ConfigError, match=r"knows none of the data set's classes \(gnu\)"):
        evaluate(pipeline, Squares(("gnu",), labelled=False))


class Brightness(Measure):
    """Notes the mean levels of what it is given."""

    def __init__(self):
        self.seen: list[tuple[float, float | None]] = []
        self.rows: list[list[tuple[float, float | None]]] = []

    def update(self, image, clean):
        self.seen.append((float(image.mean()), None if clean is None else float(clean.mean())))

    def compute(self):
        self.rows.append(self.seen)
        count, self.seen = len(self.seen), []
        return Score(0.5, count)


def test_quality_is_that_of_what_the_head_sees_against_the_clean_images_at_their_own_size():
    hazy = Degraded(Squares(count=2), Dim())
    pipeline = Pipeline(Brighten(2), Threshold(), WhiteCars(), size=8)
    compared, blind = Brightness(), Brightness()
    rows = quality_rows(pipeline, hazy, {"psnr": compared, "niqe": blind})
    assert {row: list(scores) for row, scores in rows.items()} == {
        "clean": ["niqe"], "degraded": ["psnr", "niqe"], "restorer": ["psnr", "niqe"], "vat": ["psnr", "niqe"]
    }  # fmt: skip
    assert rows["vat"]["psnr"] == Score(0.5, 2)
    clean = [float(hazy.clean.image(i).mean()) for i in range(2)]
    dim = [float(hazy.image(i).mean()) for i in range(2)]
    assert compared.rows[0] == list(zip(dim, clean))
    assert compared.rows[1] == [(pytest.approx(2 * one), other) for one, other in zip(dim, clean)]
    assert compared.rows[2] == list(zip(clean, clean))
    assert [one for one, _ in blind.rows[0]] == clean
    assert list(quality_rows(pipeline, Squares(count=2), {"niqe": blind})) == ["degraded", "restorer", "vat"]


class Odd(Squares):
    def image_size(self, index):
        return 32, 47


def test_quality_wants_clean_images_of_the_same_size_and_large_ones():
    hazy = Degraded(Squares(), Dim())
    psnr, niqe = QUALITY["psnr"], QUALITY["niqe"]
    check_quality(hazy, [psnr])
    with pytest.raises(ConfigError, match="PSNR: clean images are needed, and there are none: make"):
        check_quality(Squares(), [psnr, niqe])
    with pytest.raises(DataError, match="0 is 48 x 32 pixels, and NIQE needs 192 on each side: leave niqe or the"):
        check_quality(hazy, [psnr, niqe])
    hazy.clean = Odd()
    with pytest.raises(DataError, match="0 is 48 x 32 pixels and its clean image 47 x 32: .* are needed for PSNR"):
        check_quality(hazy, [psnr])
