"""One suite over every registered head; what is one library's alone is in tests/heads.

What every head must do has no mark; what is one task's alone is marked with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tdir.errors import ConfigError, ShapeError, TdirError
from tdir.frozen import state_hash
from tdir.heads.base import Head
from tdir.registry import HEADS
from tdir.structures import IGNORE, ClassScores, Detections, Prediction, SemanticMap, Size
from tests.contracts.bad_files import bad_files
from tests.contracts.raw_outputs import anchor_centres, detached_scores, gradient_by_anchor

YOLOS = ("yolov3-tiny", "yolov5n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n")
RETINANETS = ("mobilenet_v3_small_fpn", "resnet50_fpn_v2")

# How to build each head untrained; classes are what two of its classes are called.
_TINY_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "width": 16, "heads": 2, "layers": 1},
}
BUILD: dict[str, list[dict[str, Any]]] = {
    "clip": [{"model": _TINY_CLIP, "names": list("012345")}],
    "deeplab": [
        {"model": "deeplabv3plus", "encoder": "mobilenet_v2", "names": list("012345")},
        {"model": "unet", "encoder": "tu-mobilenetv3_small_100", "names": list("012345")},
    ],
    "retinanet": [{"model": name, "names": list("012345")} for name in RETINANETS],
    "yolo": [{"model": f"{name}.yaml"} for name in YOLOS],
}
CLASSES = {"clip": ["5", "2"], "deeplab": ["5", "2"], "retinanet": ["5", "2"], "yolo": ["7", "2"]}
REGISTERED = {HEADS.get(name).__name__: name for name in BUILD}
CASES = [(name, settings) for name, all_settings in BUILD.items() for settings in all_settings]


def of_task(task: str) -> list[str]:
    """The heads of a task."""
    return [name for name in sorted(BUILD) if HEADS.get(name).task == task]


def cases(*names: str) -> pytest.MarkDecorator:
    """Every case of some heads, as the fixture ``head``."""
    chosen = [k for k, (name, _) in enumerate(CASES) if name in names]
    return pytest.mark.parametrize("head", chosen, ids=[case_id(CASES[k]) for k in chosen], indirect=True)


DETECTORS, SEGMENTERS, CLASSIFIERS = map(of_task, ("detection", "segmentation", "classification"))


def case_id(case: tuple[str, dict[str, Any]]) -> str:
    name, settings = case
    return f"{name}-{settings['model']}" if isinstance(settings["model"], str) else name


@cache
def built(number: int) -> Head:
    """A head is frozen, so that one serves every test of a process."""
    torch.manual_seed(0)
    name, settings = CASES[number]
    head: Head = HEADS.build({"type": name, **settings})
    return head


@pytest.fixture(params=range(len(CASES)), ids=[case_id(case) for case in CASES])
def head(request: pytest.FixtureRequest) -> Head:
    return built(request.param)


def boxes(*rows: list[float], labels: list[int] | None = None) -> Detections:
    return Detections(torch.tensor(rows), torch.tensor(labels if labels is not None else range(len(rows))))


TARGETS: list[Detections | None] = [
    boxes([10, 12, 60, 70], [50, 30, 120, 90], labels=[1, 0]),
    None,
    boxes([3, 40, 30, 90], labels=[5]),
]


def stripes(size: Size) -> list[SemanticMap | None]:
    """Columns of classes, of which some have no label, and another image that is all of one class."""
    first = torch.full(size, IGNORE, dtype=torch.uint8)
    first[:, 5:30], first[:, 30:50] = 1, 0
    return [SemanticMap(first), None, SemanticMap(torch.full(size, 5, dtype=torch.uint8))]


TARGETS_OF: dict[str, Callable[[Size], list[Any]]] = {
    "detection": lambda size: TARGETS,
    "segmentation": stripes,
    "classification": lambda size: [ClassScores.of(1, 6), None, ClassScores.of(5, 6)],
}
"""Task -> targets of three images of a size; that of the second is None."""
NOTHING: dict[str, Callable[[Size], list[Any]]] = {
    "detection": lambda size: [Detections.empty(), Detections.regions(torch.tensor([[0.0, 0, 20, 20]]))],
    "segmentation": lambda size: [SemanticMap(torch.full(size, IGNORE, dtype=torch.uint8))] * 2,
    "classification": lambda size: [ClassScores(torch.zeros(6))] * 2,
}
"""Task -> two targets of images of a size in which nothing has a label."""


def targets_of(head: Head, size: Size) -> list[Any]:
    return TARGETS_OF[head.task](size)


def same(first: Prediction, second: Prediction) -> bool:
    """Whether two predictions agree in every value."""
    pairs = [(value, getattr(second, name)) for name, value in vars(first).items()]
    return all(one is other if one is None or other is None else torch.equal(one, other) for one, other in pairs)


def test_every_head_is_in_the_table() -> None:
    assert sorted(BUILD) == HEADS.names(), "say in BUILD how to build the new head untrained"


def test_it_says_what_it_is(head: Head) -> None:
    assert head.task in ("detection", "segmentation", "classification")
    assert all(isinstance(name, str) for name in head.classes)
    assert len(set(head.classes)) == len(head.classes) > 0
    assert head.weights_name
    assert len(head.weights_sha256) == 64


@cases(*DETECTORS)
@pytest.mark.parametrize("size", [(61, 83), (96, 128)])
def test_predictions_lie_in_the_image(head: Head, size: tuple[int, int]) -> None:
    with torch.no_grad():
        outputs = head(torch.rand(2, 3, *size))
        found = head.decode(outputs, score=0.0, max_det=50)
    assert len(outputs) == len(found) == 2
    for one in found:
        assert one.scores is not None
        assert 0 < len(one) <= 50
        assert one.boxes.isfinite().all()
        assert (one.boxes >= 0).all()
        assert (one.boxes[:, 2:] <= torch.tensor([size[1], size[0]])).all()
        assert (one.boxes[:, 2:] >= one.boxes[:, :2]).all()
        assert ((one.scores >= 0) & (one.scores <= 1)).all()
        assert (one.scores.diff() <= 0).all()
        assert ((one.labels >= 0) & (one.labels < len(head.classes))).all()


@cases(*DETECTORS)
def test_nothing_is_found_above_the_highest_score(head: Head) -> None:
    with torch.no_grad():
        assert [len(found) for found in head.decode(head(torch.rand(2, 3, 64, 64)), score=1.0)] == [0, 0]


@cases(*SEGMENTERS)
@pytest.mark.parametrize("size", [(61, 83), (96, 128), (20, 40)])
def test_every_pixel_of_the_image_has_a_class_and_none_beside_it(head: Head, size: Size) -> None:
    with torch.no_grad():
        outputs = head(torch.rand(2, 3, *size))
        found = head.decode(outputs, score=0.0)
        strict = head.decode(outputs, score=1.0)
    assert len(outputs) == len(found) == 2
    for one in found:
        assert one.labels.shape == one.confidence.shape == size
        assert (one.labels < len(head.classes)).all()
        assert ((one.confidence > 1 / 7) & (one.confidence <= 1)).all()  # of six, the best
    assert all((one.labels == IGNORE).all() for one in strict)


def test_one_forward_serves_every_part_of_the_batch(head: Head) -> None:
    images = torch.rand(3, 3, 96, 128)
    with torch.no_grad():
        outputs = head(images)
        targets = targets_of(head, (96, 128))
        whole = head.loss(outputs, targets)
        some = outputs[torch.tensor([2, 0])]
        torch.testing.assert_close(head.loss(some, [targets[2], targets[0]]), whole[[2, 0]], rtol=1e-5, atol=0)
        alone = head.loss(head(images[2:]), targets[2:])
        torch.testing.assert_close(alone, whole[2:], rtol=1e-3, atol=0)
        found, of_slice = head.decode(outputs, score=0.0), head.decode(outputs[1:], score=0.0)
    assert len(outputs) == len(found) == 3
    assert same(found[2], of_slice[1])


def test_no_target_gives_exactly_zero(head: Head) -> None:
    outputs = head(torch.rand(3, 3, 64, 64, requires_grad=True))
    loss = head.loss(outputs, [None, *NOTHING[head.task]((64, 64))])
    assert torch.equal(loss, torch.zeros(3))


def test_a_loss_needs_one_target_for_each_image(head: Head) -> None:
    with torch.no_grad():
        outputs = head(torch.rand(2, 3, 64, 64))
    with pytest.raises(ShapeError, match="2 images but 1 targets"):
        head.loss(outputs, [None])


def test_gradients_reach_the_images_and_nothing_else(head: Head) -> None:
    images = torch.rand(3, 3, 61, 83, requires_grad=True)
    before = state_hash(head.train())
    head.loss(head(images), targets_of(head, (61, 83))).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert (images.grad.abs().amax((1, 2, 3)) > 0).tolist() == [True, False, True]
    assert all(parameter.grad is None for parameter in head.parameters())
    assert not any(parameter.requires_grad for parameter in head.parameters())
    assert not any(module.training for module in head.modules())
    assert state_hash(head) == before


def test_a_pass_without_gradients_does_not_spoil_the_next_one(head: Head) -> None:
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        head.decode(head(images))
    images.requires_grad_()
    head.loss(head(images), targets_of(head, (64, 96))[:1]).sum().backward()
    assert images.grad is not None


@cases(*DETECTORS)
def test_what_no_label_claims_can_be_left_out(head: Head) -> None:
    with torch.no_grad():
        outputs = head(torch.rand(3, 3, 96, 128))
        every = head.loss(outputs, TARGETS, background="all")
        claimed = head.loss(outputs, TARGETS, background="ignore_unclaimed")
    assert (claimed[[0, 2]] < every[[0, 2]]).all()
    assert (claimed[[0, 2]] > 0).all()


def score_gradients(head: Head, images: Tensor, target: Detections, background: Any) -> list[Tensor]:
    """``(A, C)`` of every branch."""
    outputs = head(images)
    scores = detached_scores(outputs)
    head.loss(outputs, [target], background).sum().backward()
    return [gradient_by_anchor(branch, outputs) for branch in scores]


@cases(*DETECTORS)
def test_an_ignored_region_changes_nothing_elsewhere(head: Head) -> None:
    images = torch.rand(1, 3, 96, 128)
    target = boxes([8, 8, 40, 40], labels=[3])
    region = torch.tensor([[64.0, 0, 128, 96]])
    x, _ = anchor_centres(head(images)).unbind(1)
    plain = score_gradients(head, images, target, "all")
    ignored = score_gradients(head, images, target.with_ignored(region), "ignore_dropped")
    counted = score_gradients(head, images, target.with_ignored(region), "all")
    for before, after, same in zip(plain, ignored, counted, strict=True):
        torch.testing.assert_close(after[x < 64], before[x < 64], rtol=0, atol=0)
        assert (before[x >= 64].abs().sum(1) > 0).all()
        assert not after[x >= 64].any()
        torch.testing.assert_close(same, before, rtol=0, atol=0)


def test_embeddings_are_one_vector_for_each_prediction(head: Head) -> None:
    with torch.no_grad():
        outputs = head(torch.rand(3, 3, 96, 128))
        first, _, third = targets_of(head, (96, 128))
        targets = [first, NOTHING[head.task]((96, 128))[0], third]
        vectors = head.embed(outputs, targets)
        alone = head.embed(outputs[:1], targets[:1])[0]
    assert [len(vector) for vector in vectors] == [len(target.embedded_labels) for target in targets]
    assert len({vector.shape[1] for vector in vectors}) == 1
    assert all(vector.isfinite().all() for vector in vectors)
    of_two = (vectors[0][0], vectors[0][1]) if len(vectors[0]) > 1 else (vectors[0][0], vectors[1][0])
    assert not torch.equal(*of_two)
    torch.testing.assert_close(alone, vectors[0])


@cases(*DETECTORS)
def test_merging_keeps_the_higher_confidence(head: Head) -> None:
    first = Detections(
        torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]), torch.tensor([1, 1]), torch.tensor([0.4, 0.3])
    )
    second = Detections(
        torch.tensor([[0.0, 0, 10, 11], [0, 0, 10, 10]]), torch.tensor([1, 2]), torch.tensor([0.6, 0.5])
    )
    merged = head.merge(first, second)
    assert merged.scores is not None
    found = sorted(zip(merged.labels.tolist(), merged.scores.tolist(), merged.boxes.tolist(), strict=True))
    assert [label for label, _, _ in found] == [1, 1, 2]
    assert [score for _, score, _ in found] == pytest.approx([0.3, 0.6, 0.5])
    assert found[1][2] == [0, 0, 10, 11]
    assert len(head.merge(first, Detections.empty(scored=True))) == 2


@cases(*CLASSIFIERS)
def test_merging_keeps_the_more_confident_image(head: Head) -> None:
    unsure, sure = ClassScores(torch.tensor([0.5, 0.3, 0.2])), ClassScores(torch.tensor([0.2, 0.2, 0.6]))
    assert head.merge(unsure, sure) is head.merge(sure, unsure) is sure
    assert head.merge(sure, ClassScores(torch.zeros(3))) is sure


def test_what_aligns_gives_the_shares_of_the_reference(head: Head) -> None:
    if not head.aligns:
        with pytest.raises(NotImplementedError, match=r"must implement align\(\), or leave aligns False"):
            head.align([], [])
        return
    with torch.no_grad():
        found, reference = (head.decode(head(torch.rand(8, 3, 64, 64) * light), score=0.0) for light in (0.1, 1))
    wanted = torch.stack([one.scores for one in reference]).mean(0)
    aligned = head.align(found, reference)
    torch.testing.assert_close(torch.stack([one.scores for one in aligned]).mean(0), wanted, atol=1e-3, rtol=0)
    assert [one.label for one in head.align(found, reference, score=1.0)] == [-1] * 8


@cases(*SEGMENTERS)
def test_merging_keeps_the_more_confident_pixel(head: Head) -> None:
    first = SemanticMap(torch.tensor([[1, 2, IGNORE, 3]]).byte(), torch.tensor([[0.9, 0.4, 0.3, 0.5]]))
    second = SemanticMap(torch.tensor([[0, 5, 4, IGNORE]]).byte(), torch.tensor([[0.8, 0.6, 0.7, 0.5]]))
    merged = head.merge(first, second)
    assert merged.labels.tolist() == [[1, 5, 4, 3]]
    torch.testing.assert_close(merged.confidence, torch.tensor([[0.9, 0.6, 0.7, 0.5]]))
    assert same(head.merge(first, first), first)


def full_and_subset(name: str) -> tuple[Head, Head]:
    """The same network with all of its classes, and with two of them."""
    heads = []
    for changes in ({}, {"classes": CLASSES[name]}):
        torch.manual_seed(1)
        heads.append(HEADS.build({"type": name, **BUILD[name][0], **changes}))
    assert heads[1].classes == CLASSES[name]
    return heads[0], heads[1]


class TestClasses:
    @pytest.mark.parametrize("name", DETECTORS)
    def test_a_subset_is_all_that_is_found(self, name: str) -> None:
        full, subset = full_and_subset(name)
        images = torch.rand(1, 3, 32, 32)  # small: a head may look at its best candidates only
        with torch.no_grad():
            every = full.decode(full(images), score=0.0, iou=1.0, max_det=100_000)[0]
            some = subset.decode(subset(images), score=0.0, iou=1.0, max_det=100_000)[0]
        assert every.scores is not None
        assert some.scores is not None
        for label, class_name in enumerate(subset.classes):
            theirs = every.scores[every.labels == full.classes.index(class_name)]
            torch.testing.assert_close(some.scores[some.labels == label], theirs)
            assert len(theirs)

    @pytest.mark.parametrize("name", SEGMENTERS)
    def test_pixels_of_other_classes_have_no_label(self, name: str) -> None:
        full, subset = full_and_subset(name)
        table = torch.tensor([subset.classes.index(name) if name in subset.classes else -1 for name in full.classes])
        with torch.no_grad():
            outputs, of_subset = (head(torch.full((2, 3, 64, 96), 0.5)) for head in (full, subset))
        torch.testing.assert_close(outputs.logits, of_subset.logits)
        outputs.logits = torch.randn_like(outputs.logits)  # an untrained network sees one class everywhere
        every, some = (head.decode(outputs, score=0.0) for head in (full, subset))
        assert all(
            same(one, other.relabelled(table, len(subset.classes))) for one, other in zip(some, every, strict=True)
        )
        assert torch.cat([one.labels for one in some]).unique().tolist() == [0, 1, IGNORE]

    @pytest.mark.parametrize("name", sorted(BUILD))
    def test_one_name_is_no_list_of_names(self, name: str) -> None:
        with pytest.raises(ConfigError, match=rf"classes is a list of names, got '{CLASSES[name][0]}'"):
            HEADS.build({"type": name, **BUILD[name][0], "classes": CLASSES[name][0]})

    @pytest.mark.parametrize("name", sorted(BUILD))
    def test_a_wrong_name_is_answered_with_the_nearest(self, name: str) -> None:
        wrong = CLASSES[name][0] + "x"
        with pytest.raises(ConfigError, match=f"no class '{wrong}'.*'{CLASSES[name][0]}'"):
            HEADS.build({"type": name, **BUILD[name][0], "classes": [wrong]})


@pytest.mark.parametrize("name", sorted(BUILD))
def test_bad_weights_are_refused(name: str, tmp_path: Path) -> None:
    for file in bad_files(tmp_path):
        with pytest.raises(TdirError, match=re.escape(file.name)):
            HEADS.build({"type": name, "weights": file})


def test_what_it_is_survives_its_tensors_being_kept_elsewhere(head: Head) -> None:
    """As in a bundle that holds the head: the same predictions from its architecture and its state."""
    name = type(head).__name__
    torch.manual_seed(5)
    other: Head = HEADS.build({"type": REGISTERED[name], **head.architecture()})
    other.load_state_dict({key: value.clone() for key, value in head.state_dict().items()})
    assert state_hash(other) == state_hash(head)
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        before, after = (one.decode(one(images), score=0.0)[0] for one in (head, other))
    assert same(before, after)


@pytest.mark.parametrize("images", [torch.rand(3, 64, 64), torch.rand(1, 1, 64, 64), torch.zeros(1, 3, 64, 64).byte()])
def test_other_shapes_and_types_are_refused(head: Head, images: Tensor) -> None:
    with pytest.raises(ShapeError, match="RGB images"):
        head(images)
