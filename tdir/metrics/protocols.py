"""Protocols by name: what counts as right, and how it becomes a number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar
from typing import Protocol as Typing

from torchvision.ops import batched_nms

from tdir.errors import ConfigError
from tdir.metrics.base import DetectionMetric
from tdir.metrics.classification import Accuracy
from tdir.metrics.coco import CocoMAP
from tdir.metrics.scores import Scores
from tdir.metrics.segmentation import ConfusionMatrix
from tdir.metrics.voc import VocAP
from tdir.registry import closest
from tdir.structures import ClassScores, Detections, Prediction, SemanticMap

Said = TypeVar("Said", bound=Prediction)


class Metric(Typing):
    """What is fed predictions and truths batch by batch, and says how good the former are."""

    def update(self, predictions: Sequence[Any], truths: Sequence[Any]) -> None:
        """Add images, one of each."""

    def gather(self, count: int, together: int = 1) -> None:
        """Take in what the other processes of the group were fed, see ``tdir.distributed.gathered``."""

    def compute(self) -> Scores:
        """The scores of all images so far."""


@dataclass(frozen=True)
class Protocol(ABC, Generic[Said]):
    """How predictions of a task are scored.

    Args:
        name: a short one.
        title: what it is, in words.
        curve: how rights and wrongs become a number: a key of ``tdir.metrics.curves.RECALLS``, "miou" or "accuracy".
        score: the confidence from which a head's predictions are looked at.
        iou: overlap for a detector's NMS.
        max_det: boxes of an image at most.
    """

    name: str
    title: str
    curve: str
    score: float = 0.0
    iou: float = 0.7
    max_det: int = 300

    task: ClassVar[str]

    @abstractmethod
    def metric(self, classes: Sequence[str]) -> Metric:
        """The metric, which :meth:`predictions` and :meth:`truths` are to be fed to.

        Raises:
            ConfigError: if ``classes`` is empty or repeats a name.
        """

    def kept(self, found: Said) -> Said:
        """What of the predictions of an image any protocol for the task needs."""
        return found

    def predictions(self, found: Said) -> Said:
        """The predictions of an image that the protocol looks at."""
        return found

    def truths(self, truth: Said) -> Said:
        """The truths of an image that the protocol looks at."""
        return truth

    def settings(self) -> dict[str, Any]:
        """All of it, as JSON values for a record."""
        return dict(vars(self))


@dataclass(frozen=True)
class MapProtocol(Protocol[SemanticMap]):
    """How maps are scored."""

    task: ClassVar[str] = "segmentation"

    def metric(self, classes: Sequence[str]) -> ConfusionMatrix:
        """A confusion matrix."""
        return ConfusionMatrix(classes)

    def kept(self, found: SemanticMap) -> SemanticMap:
        """The labels alone."""
        return SemanticMap(found.labels)


@dataclass(frozen=True)
class ClassProtocol(Protocol[ClassScores]):
    """How the classes of images are scored."""

    task: ClassVar[str] = "classification"

    def metric(self, classes: Sequence[str]) -> Accuracy:
        """Accuracy and areas under ROC curves."""
        return Accuracy(classes)


@dataclass(frozen=True)
class DetectionProtocol(Protocol[Detections]):
    """How boxes are scored.

    Args:
        strict: predictions at or below ``score`` are left out by the protocol itself, and NMS per class is repeated.
        drops_difficult: difficult truths are taken away: what finds one is a false positive.
        plus_one: whether boxes name their last pixel, see ``VocAP``.
    """

    score: float = 0.001
    strict: bool = False
    drops_difficult: bool = False
    plus_one: bool = False

    task: ClassVar[str] = "detection"

    def metric(self, classes: Sequence[str]) -> DetectionMetric:
        """Average precision by COCO's rules or Pascal VOC's."""
        if self.curve == "coco":
            return CocoMAP(list(classes))
        return VocAP(list(classes), self.curve, self.plus_one)

    def predictions(self, found: Detections) -> Detections:
        """The predictions of an image that the protocol looks at."""
        if not self.strict or found.scores is None:
            return found
        kept = found[found.scores > self.score]
        assert kept.scores is not None
        return kept[batched_nms(kept.boxes.float(), kept.scores.float(), kept.labels, self.iou)]

    def truths(self, truth: Detections) -> Detections:
        """The truths of an image that the protocol looks at."""
        if not self.drops_difficult or truth.difficult is None:
            return truth
        return truth[~truth.difficult]


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        DetectionProtocol("coco", "COCO: IoU 0.50 to 0.95, 101 recalls, 100 detections of an image and class", "coco"),
        DetectionProtocol("voc07", "Pascal VOC 2007: IoU 0.5, mean precision at 11 recalls", "voc07"),
        DetectionProtocol("voc12", "Pascal VOC 2010 and later: IoU 0.5, area under the whole curve", "voc12"),
        DetectionProtocol(
            "ia_yolo",
            "as IA-YOLO's line of work, no standard: IoU 0.5, area under the whole curve, but scores above 0.3 alone, "
            "NMS at 0.45, and difficult objects taken away",
            "voc12", score=0.3, iou=0.45, strict=True, drops_difficult=True,
        ),
    )
}  # fmt: skip
"""Name -> protocol for boxes."""
USUAL: dict[str, Protocol[Any]] = {
    "detection": PROTOCOLS["coco"],
    "segmentation": MapProtocol(
        "miou", "mean intersection over union of all pixels, one confusion matrix, as Cityscapes'", "miou"
    ),
    "classification": ClassProtocol(
        "accuracy",
        "top-1 accuracy among the classes of the set, and area under the ROC curves of one class against the rest",
        "accuracy",
    ),
}
"""Task -> the protocol that is used where none is asked for."""


def protocol_named(name: str, plus_one: bool = False) -> DetectionProtocol:
    """A protocol for boxes by name.

    Raises:
        ConfigError: if there is none, or ``plus_one`` is asked of COCO's, whose boxes are continuous.
    """
    if name not in PROTOCOLS:
        raise ConfigError(f"no protocol {name!r}: {closest(name, PROTOCOLS)}")
    protocol = PROTOCOLS[name]
    if plus_one and protocol.curve == "coco":
        raise ConfigError("plus_one=True with protocol 'coco': COCO's boxes are continuous, leave plus_one out")
    return replace(protocol, plus_one=plus_one)


def evaluate_detections(
    predictions: Sequence[Detections],
    truths: Sequence[Detections],
    classes: Sequence[str],
    protocol: str = "coco",
    plus_one: bool = False,
) -> dict[str, Any]:
    """Score detections of one's own loop.

    Args:
        predictions: one per image, with scores and labels that are positions in ``classes``.
        truths: one per image, boxes in the pixels of the same image; ``difficult`` marks what need not be found.
        classes: the class names.
        protocol: "coco", "voc07", "voc12" or "ia_yolo".
        plus_one: whether boxes name their last pixel and are ``x2 - x1 + 1`` wide, as in Pascal VOC's files.

    Returns:
        ``map``, ``ap50`` and, by COCO's protocol, ``ap75``, ``small``, ``medium`` and ``large``, in [0, 1], ``None``
        where there is no truth; ``per_class``, the same by name with the number of ``truths``; ``images``, ``truths``;
        and ``protocol``, every setting of it.

    Raises:
        ConfigError: if there is no such protocol, it has no ``plus_one``, or ``classes`` is empty or repeats a name.
        ShapeError: if the lists differ in length, scores are missing, or labels, boxes or scores are no such.
        DataError: if no truth counts.
    """
    rules = protocol_named(protocol, plus_one)
    metric = rules.metric(classes)
    metric.update([rules.predictions(one) for one in predictions], [rules.truths(one) for one in truths])
    return {**metric.compute().as_dict(), "protocol": rules.settings()}
