from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tdir
from tdir.data.images import PAD_VALUE, Pixels, read_image, to_tensor
from tdir.errors import ConfigError, DataError, ShapeError, WeightsError
from tdir.frozen import state_hash
from tdir.heads.base import Head
from tdir.heads.yolo import Yolo
from tdir.structures import Detections
from tdir.translators.base import Translator


@cache
def yolo() -> Yolo:
    """One untrained detector for all tests: it is frozen."""
    torch.manual_seed(0)
    head = tdir.head("yolo", model="yolov8n.yaml")
    assert isinstance(head, Yolo)
    return head


def shaken(translator: Translator) -> Translator:
    with torch.no_grad():
        for parameter in translator.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return translator


@pytest.fixture
def pipeline() -> tdir.Pipeline:
    torch.manual_seed(0)
    return tdir.Pipeline(tdir.restorer("aodnet"), shaken(tdir.translator("vat-light")), yolo())


class Bright(Head):
    """Finds the smallest box around everything that is white; it has an answer that a test can know."""

    task = "detection"

    def __init__(self) -> None:
        super().__init__()
        self.classes, self.weights_name, self.weights_sha256 = ["white"], "none", ""
        self.shapes: list[tuple[int, ...]] = []
        self.scale = nn.Parameter(torch.ones(1))
        self.freeze()

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        self.shapes.append(tuple(images.shape))
        return images

    def decode(self, outputs: Tensor, score: float = 0.25, iou: float = 0.7, max_det: int = 300) -> list[Detections]:
        return [self._one(image) for image in outputs]

    @staticmethod
    def _one(image: Tensor) -> Detections:
        y, x = (image.mean(0) > 0.9).nonzero(as_tuple=True)
        canvas = [0.0, 0, image.shape[2], image.shape[1]]
        corner = [image.shape[2] - 3.0, image.shape[1] - 3.0, image.shape[2], image.shape[1]]
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else canvas
        return Detections(torch.tensor([box, corner]), torch.zeros(2, dtype=torch.long), torch.tensor([0.9, 0.5]))


@pytest.fixture
def bright() -> Bright:
    return Bright()


def plain(head: Head, size: int | None = None) -> tdir.Pipeline:
    return tdir.Pipeline(tdir.restorer("identity"), None, head, size)


def picture(height: int, width: int, box: tuple[int, int, int, int]) -> Pixels:
    """Black with one white box, xyxy."""
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return image


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


class TestModule:
    def test_forward_is_the_equation(self, pipeline: tdir.Pipeline) -> None:
        images = torch.rand(2, 3, 61, 83)
        restored = pipeline.restorer(images)
        translator = pipeline.translator
        assert translator is not None
        expected = translator.translate(translator.fuse(images, restored))
        torch.testing.assert_close(pipeline.translated(images), expected)
        outputs = pipeline(images)
        torch.testing.assert_close(outputs.branches[0]["boxes"], pipeline.head(expected).branches[0]["boxes"])

    def test_without_a_translator_the_head_sees_the_restored_image(self, bright: Bright) -> None:
        restorer = tdir.restorer("aodnet")
        images = torch.rand(1, 3, 20, 20)
        tdir.Pipeline(restorer, None, bright)(images)
        assert torch.equal(bright.seen, restorer(images))

    def test_only_the_translator_trains(self, pipeline: tdir.Pipeline) -> None:
        before = [state_hash(part) for part in (pipeline.restorer, pipeline.head)]
        pipeline.train()
        trainable = [name for name, parameter in pipeline.named_parameters() if parameter.requires_grad]
        assert trainable
        assert all(name.startswith("translator.") for name in trainable)
        assert not any(m.training for part in (pipeline.restorer, pipeline.head) for m in part.modules())
        optimiser = torch.optim.AdamW([p for p in pipeline.parameters() if p.requires_grad], lr=1e-2)
        target = Detections(torch.tensor([[4.0, 4, 40, 40]]), torch.tensor([1]))
        untrained = state_hash(pipeline.translator)
        image = 0.3 + 0.4 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        for _ in range(3):
            loss = pipeline.head.loss(pipeline(image), [target]).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert state_hash(pipeline.translator) != untrained
        assert [state_hash(part) for part in (pipeline.restorer, pipeline.head)] == before

    def test_predicting_in_a_training_leaves_it_in_training(self, pipeline: tdir.Pipeline) -> None:
        pipeline.train()
        pipeline.predict(noise(64, 64))
        assert pipeline.training
        assert pipeline.translator is not None
        assert pipeline.translator.training
        images = torch.rand(1, 3, 64, 64, requires_grad=True)
        target = Detections(torch.tensor([[4.0, 4, 40, 40]]), torch.tensor([1]))
        pipeline.head.loss(pipeline(images), [target]).sum().backward()
        assert images.grad is not None

    @pytest.mark.parametrize("size", [0, -3, 2.5, "320", True])
    def test_a_wrong_size_is_refused(self, size: Any, bright: Bright) -> None:
        with pytest.raises(ConfigError, match=f"the longest side in pixels, is a whole number from 1, got {size!r}"):
            plain(bright, size)

    def test_a_wrong_part_is_refused(self, bright: Bright) -> None:
        with pytest.raises(ConfigError, match=r"must be a tdir Restorer, got str: tdir.restorer\('aodnet'\)"):
            tdir.Pipeline("aodnet", None, bright)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="head of a pipeline must be a tdir Head, got Conv2d"):
            tdir.Pipeline(tdir.restorer("identity"), None, nn.Conv2d(3, 3, 1))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="translator of a pipeline must be"):
            tdir.Pipeline(tdir.restorer("identity"), nn.Identity(), bright)  # type: ignore[arg-type]

    @pytest.mark.parametrize("images", [torch.rand(3, 8, 8), torch.zeros(1, 3, 8, 8, dtype=torch.uint8)])
    def test_forward_takes_float_batches_only(self, images: Tensor, bright: Bright) -> None:
        with pytest.raises(ShapeError, match="the pipeline takes RGB images"):
            plain(bright)(images)


class TestPredict:
    def test_every_form_of_an_image_gives_the_same(self, pipeline: tdir.Pipeline, tmp_path: Path) -> None:
        image = noise(61, 83)
        path = tmp_path / "image.png"
        cv2.imwrite(str(path), image[..., ::-1])
        tensor = to_tensor(image)
        expected = pipeline.predict(image, score=0.0, max_det=20)
        assert isinstance(expected, Detections)
        assert len(expected) > 0
        forms = [str(path), path, tensor, tensor[None], [image], (path,), tensor.double(), np.asfortranarray(image)]
        for form in forms:
            found = pipeline.predict(form, score=0.0, max_det=20)
            one = found[0] if isinstance(found, list) else found
            torch.testing.assert_close(one.boxes, expected.boxes)
            torch.testing.assert_close(one.scores, expected.scores)
            assert isinstance(found, list) == (isinstance(form, list | tuple) or getattr(form, "ndim", 0) == 4)
        flipped = pipeline.predict(np.ascontiguousarray(image[..., ::-1]), score=0.0, max_det=20, bgr=True)
        assert torch.equal(flipped.boxes, expected.boxes)
        of_file = pipeline.predict(path, score=0.0, max_det=20, bgr=True)
        assert torch.equal(of_file.boxes, expected.boxes)

    @pytest.mark.parametrize("size", [None, 40, 80, 200])
    def test_boxes_are_in_pixels_of_the_image_given(self, bright: Bright, size: int | None) -> None:
        box = (20, 10, 60, 35)
        image = picture(50, 80, box)
        for form in (image, to_tensor(image)):
            found = plain(bright, size).predict(form)
            assert max(bright.shapes[-1][2:]) == (size or 80)
            torch.testing.assert_close(found.boxes[0], torch.tensor(box).float(), rtol=0, atol=2.1)

    def test_boxes_never_leave_the_image(self, bright: Bright) -> None:
        for side in (37, 333, 641):
            found = plain(bright, size=64).predict(noise(side, 211) // 4)
            assert (found.boxes[:, 2:] <= torch.tensor([211.0, side])).all()

    def test_padding_is_grey_and_never_detected_on(self, bright: Bright) -> None:
        images = [picture(30, 90, (5, 5, 20, 20)), np.full((70, 20, 3), 0, np.uint8)]
        first, second = plain(bright).predict(images)
        assert bright.shapes == [(2, 3, 70, 90)]
        assert (bright.seen[0, :, 30:] == PAD_VALUE).all()
        assert (bright.seen[1, :, :, 20:] == PAD_VALUE).all()
        assert first.boxes.tolist() == [[5, 5, 20, 20]], "the box in the canvas's corner is on padding"
        assert second.boxes.tolist() == [[0, 0, 20, 70]], "a box over the canvas is clipped to the image"

    def test_padding_is_grey_behind_a_translator(self, pipeline: tdir.Pipeline, bright: Bright) -> None:
        mixed = tdir.Pipeline(pipeline.restorer, pipeline.translator, bright)
        mixed.predict([noise(30, 90), noise(70, 20)])
        assert (bright.seen[0, :, 30:] == PAD_VALUE).all()
        seen = mixed.enhance(to_tensor(noise(30, 90)))
        torch.testing.assert_close(bright.seen[0, :, :30], seen)

    def test_an_image_does_not_depend_on_its_company(self, pipeline: tdir.Pipeline) -> None:
        images = [noise(64, 96, 1), noise(64, 96, 2), noise(40, 32, 3)]
        together = pipeline.predict(images, score=0.0, max_det=10)
        for image, found in zip(images[:2], together[:2], strict=True):
            alone = pipeline.predict(image, score=0.0, max_det=10)
            torch.testing.assert_close(found.scores, alone.scores, rtol=1e-4, atol=1e-7)

    def test_an_images_canvas_does_not_depend_on_the_batch_size(self, bright: Bright) -> None:
        images = [noise(30, 90), noise(70, 20), *(noise(20, 20, i) for i in range(6)), *[noise(10, 50)] * 3]
        plain(bright).predict(images, batch_size=3)
        assert bright.shapes == [(3, 3, 70, 90), (3, 3, 70, 90), (2, 3, 70, 90), (3, 3, 10, 50)]
        bright.shapes.clear()
        plain(bright).predict(images, batch_size=64)
        assert bright.shapes == [(8, 3, 70, 90), (3, 3, 10, 50)]

    def test_batches_are_of_the_size_asked_for(self, bright: Bright) -> None:
        images = [picture(20, 20, (0, 0, i + 1, 5)) for i in range(5)]
        found = plain(bright).predict(images, batch_size=2)
        assert [shape[0] for shape in bright.shapes] == [2, 2, 1]
        assert [one.boxes[0, 2].item() for one in found] == [1, 2, 3, 4, 5]

    def test_nothing_in_nothing_out(self, bright: Bright) -> None:
        pipeline = plain(bright)
        assert pipeline.predict([]) == []
        assert pipeline.enhance([]) == []
        assert pipeline.predict(torch.zeros(0, 3, 8, 8)) == []
        assert pipeline.enhance(torch.zeros(0, 3, 8, 8)).shape == (0, 3, 8, 8)

    def test_no_gradients_are_kept(self, pipeline: tdir.Pipeline) -> None:
        image = torch.rand(3, 64, 64, requires_grad=True)
        found = pipeline.predict(image, score=0.0)
        assert not found.boxes.requires_grad
        assert not pipeline.enhance(image).requires_grad
        assert not found.boxes.is_inference()

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            ("score", 1.5),
            ("score", "a"),
            ("score", -0.1),
            ("iou", 2),
            ("max_det", 0),
            ("max_det", 1.5),
            ("batch_size", 0),
        ],
    )
    def test_settings_out_of_range_are_refused(self, setting: str, value: Any, bright: Bright) -> None:
        with pytest.raises(ConfigError, match=f"{setting} is .*got {value!r}"):
            plain(bright).predict(noise(8, 8), **{setting: value})

    @pytest.mark.parametrize(
        ("image", "said"),
        [
            (np.zeros((4, 5, 3), np.float32), r"got float32 \(4, 5, 3\): convert it"),
            (np.zeros((4, 5), np.uint8), "repeat the grey channel"),
            (np.zeros((4, 5, 1), np.uint8), "repeat the grey channel"),
            (np.zeros((4, 5, 4), np.uint8), "leave the alpha channel out"),
            (np.zeros((3, 4, 5), np.uint8), "put the channels last"),
            (np.zeros((2, 4, 5, 3), np.uint8), r"pass list\(images\)"),
            (np.zeros((0, 5, 3), np.uint8), r"got uint8 \(0, 5, 3\)"),
            (torch.zeros(3, 4, 5, dtype=torch.uint8), r"torch.uint8 \(3, 4, 5\): give a path"),
            (torch.zeros(4, 5, 3), r"torch.float32 \(4, 5, 3\): give a path"),
            (torch.zeros(4, 5), "give a path"),
            (torch.zeros(3, 0, 5), "give a path"),
            (torch.full((3, 4, 5), 200.0), "from 200 to 200, not in .*: divide it by 255"),
            (torch.full((3, 4, 5), -1.0), "from -1 to -1, not in .*: bring it to"),
            (torch.full((3, 4, 5), float("nan")), "from nan to nan, not in"),
            (7, "an image is of type builtins.int: give a path"),
            (None, "an image is of type builtins.NoneType"),
        ],
    )
    def test_what_is_no_image_is_refused_with_the_fix(self, image: Any, said: str, bright: Bright) -> None:
        for form in (image, [noise(8, 8), image]):
            with pytest.raises(ShapeError, match=said):
                plain(bright).predict(form)
        with pytest.raises(ShapeError, match=said):
            plain(bright).enhance(image)

    def test_a_batch_inside_a_list_is_refused(self, bright: Bright) -> None:
        with pytest.raises(ShapeError, match=r"\(2, 3, 4, 5\)"):
            plain(bright).predict([torch.zeros(2, 3, 4, 5)])

    def test_files_that_are_no_images_are_refused(self, tmp_path: Path, bright: Bright) -> None:
        (tmp_path / "text.jpg").write_text("no image")
        for path, said in ((tmp_path / "none.jpg", "no such file"), (tmp_path / "text.jpg", "not a readable image")):
            with pytest.raises(DataError, match=said):
                plain(bright).predict(path)


class TestEnhance:
    def test_an_array_for_a_file_or_an_array_and_a_tensor_for_a_tensor(
        self, pipeline: tdir.Pipeline, tmp_path: Path
    ) -> None:
        image = noise(31, 45)
        path = tmp_path / "image.png"
        cv2.imwrite(str(path), image[..., ::-1])
        of_array, of_file, of_tensor = pipeline.enhance([image, str(path), to_tensor(image)])
        assert of_array.dtype == of_file.dtype == np.uint8
        assert of_array.shape == (31, 45, 3)
        np.testing.assert_array_equal(of_array, of_file)
        assert of_tensor.shape == (3, 31, 45)
        assert np.abs(of_array / 255 - of_tensor.permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6
        np.testing.assert_array_equal(pipeline.enhance(image), of_array)

    def test_it_is_what_the_head_sees(self, pipeline: tdir.Pipeline) -> None:
        images = torch.rand(2, 3, 31, 45)
        seen = pipeline.enhance(images)
        torch.testing.assert_close(seen, pipeline.translated(images))
        assert (seen - images).abs().max() > 0.01, "or the test would show nothing"

    def test_bgr_is_turned_on_the_way_in_and_out(self, pipeline: tdir.Pipeline, tmp_path: Path) -> None:
        image = noise(31, 45)
        expected = pipeline.enhance(image)
        turned = pipeline.enhance(image[..., ::-1], bgr=True)
        np.testing.assert_array_equal(turned[..., ::-1], expected)
        cv2.imwrite(str(tmp_path / "image.png"), image[..., ::-1])
        np.testing.assert_array_equal(pipeline.enhance(tmp_path / "image.png", bgr=True), turned)
        tensor = to_tensor(image)
        assert torch.equal(pipeline.enhance(tensor, bgr=True), pipeline.enhance(tensor))

    @pytest.mark.parametrize("size", [16, 100])
    def test_the_size_is_that_of_the_image_given(self, bright: Bright, size: int) -> None:
        pipeline = plain(bright, size)
        ramp = np.repeat(np.linspace(0, 255, 60).astype(np.uint8)[None, :, None], 40, 0).repeat(3, 2)
        seen = pipeline.enhance(ramp)
        assert seen.shape == ramp.shape
        assert np.abs(seen.astype(int) - ramp)[:, 8:-8].max() <= 8
        assert pipeline.enhance(torch.rand(2, 3, 40, 60)).shape == (2, 3, 40, 60)

    def test_a_tensor_keeps_its_type(self, pipeline: tdir.Pipeline) -> None:
        for dtype in (torch.float64, torch.float16):
            assert pipeline.enhance(torch.rand(3, 16, 16).to(dtype)).dtype == dtype
        sized = plain(yolo(), size=12)
        assert sized.enhance(torch.rand(3, 16, 16).half()).dtype == torch.float16

    def test_what_is_given_is_not_written_into(self, bright: Bright) -> None:
        image, tensor = noise(16, 16), torch.rand(3, 16, 16)
        copies = image.copy(), tensor.clone()
        plain(bright).enhance([image, tensor])[1].zero_()
        np.testing.assert_array_equal(image, copies[0])
        assert torch.equal(tensor, copies[1])


@pytest.mark.real
def test_the_front_door_with_published_weights(weights_root: Path, data_root: Path, tmp_path: Path) -> None:
    pipeline = tdir.Pipeline(
        tdir.restorer("aodnet", weights=weights_root / "aodnet" / "dehazer.pth"),
        tdir.translator("vat-light"),
        tdir.head(weights_root / "yolov8n.pt", classes=["person", "car", "bus"]),
        size=640,
    )
    path = sorted((data_root / "dawn_fog" / "JPEGImages").iterdir())[0]
    found = pipeline.predict(path, score=0.1)
    height, width = read_image(path).shape[:2]
    assert len(found) > 0
    assert (found.boxes[:, 2:] <= torch.tensor([width, height])).all()
    assert pipeline.enhance(path).shape == (height, width, 3)
    pipeline.save(tmp_path / "fog.tdir")
    loaded = tdir.load(tmp_path / "fog.tdir", head="yolov8n.pt")
    assert torch.equal(loaded.predict(path, score=0.1).boxes, found.boxes)
    with pytest.raises(WeightsError, match="it looks like SCI"):
        tdir.restorer("aodnet", weights=weights_root / "sci" / "easy.pt")
