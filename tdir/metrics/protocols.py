"""Detection protocols by name: what counts as found, and how the curve of precision over recall becomes a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchvision.ops import batched_nms

from tdir.errors import ConfigError
from tdir.metrics.base import DetectionMetric
from tdir.metrics.coco import CocoMAP
from tdir.metrics.voc import VocAP
from tdir.registry import closest
from tdir.structures import Detections


@dataclass(frozen=True)
class Protocol:
    """How detections are scored.

    Args:
        name: a key of :data:`PROTOCOLS`.
        title: what it is, in words.
        curve: a key of ``tdir.metrics.curves.RECALLS``.
        score: the confidence from which a detector's predictions are looked at.
        iou: overlap for its NMS.
        max_det: predictions of an image at most.
        strict: predictions at or below ``score`` are left out by the protocol itself, and NMS per class is repeated.
        drops_difficult: difficult truths are taken away: what finds one is a false positive.
        plus_one: whether boxes name their last pixel, see ``VocAP``.
    """

    name: str
    title: str
    curve: str
    score: float = 0.001
    iou: float = 0.7
    max_det: int = 300
    strict: bool = False
    drops_difficult: bool = False
    plus_one: bool = False

    def metric(self, classes: Sequence[str]) -> DetectionMetric:
        """The metric, which :meth:`predictions` and :meth:`truths` are to be fed to.

        Raises:
            ConfigError: if ``classes`` is empty or repeats a name.
        """
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

    def settings(self) -> dict[str, Any]:
        """All of it, as JSON values for a record."""
        return dict(vars(self))


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("coco", "COCO: IoU 0.50 to 0.95, 101 recalls, 100 detections of an image and class", "coco"),
        Protocol("voc07", "Pascal VOC 2007: IoU 0.5, mean precision at 11 recalls", "voc07"),
        Protocol("voc12", "Pascal VOC 2010 and later: IoU 0.5, area under the whole curve", "voc12"),
        Protocol(
            "ia_yolo",
            "as IA-YOLO's line of work, no standard: IoU 0.5, area under the whole curve, but scores above 0.3 alone, "
            "NMS at 0.45, and difficult objects taken away",
            "voc12", score=0.3, iou=0.45, strict=True, drops_difficult=True,
        ),
    )
}  # fmt: skip
"""Name -> protocol."""


def protocol_named(name: str, plus_one: bool = False) -> Protocol:
    """A protocol by name.

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
