"""What a protocol says of a row, and what that was computed from."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tdir.errors import DataError
from tdir.metrics.curves import average_precisions
from tdir.metrics.matches import ClassMatches

AT_75 = 5
"""The position of 0.75 among COCO's overlaps."""


class Scores(ABC):
    """What a protocol says of a row.

    Attributes:
        MAIN: the score that rows are compared by, an attribute in [0, 1] of which more is better.
        HEADINGS: attribute -> its heading in a table.
        TAG: what it is called in TensorBoard.
        TRUTHS: what "truths" counts.
        BY_IMAGE: what :meth:`by_image` gives, in a word.
        SAMPLED: the attributes, of those :meth:`resampled` gives, that differences are told of; first :attr:`MAIN`.
        images: the number of images.
        per_class: class name -> its scores, :attr:`MAIN` among them, and "truths", how much there is of it to find.
    """

    MAIN: ClassVar[str]
    HEADINGS: ClassVar[Mapping[str, str]]
    SAMPLED: ClassVar[tuple[str, ...]]
    TAG: ClassVar[str]
    TRUTHS: ClassVar[str]
    BY_IMAGE: ClassVar[str]
    images: int
    per_class: dict[str, dict[str, float]]

    @property
    def main(self) -> float:
        """The score that rows are compared by."""
        return float(getattr(self, self.MAIN))

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """The scores, ready for JSON: NaN becomes ``None``."""

    @abstractmethod
    def resampled(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Scores of resamples of the images.

        Args:
            times: ``(samples, images)``, how often each image stands in each resample.

        Returns:
            By the name of the score, one value for each resample in which there is such a score.
        """

    @abstractmethod
    def resampled_by_class(self, times: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """As :meth:`resampled`, of every class alone: by its name those of the scores in :attr:`per_class`."""

    @abstractmethod
    def by_image(self) -> np.ndarray:
        """How well each image alone did, ``(images,)`` in [0, 1]; NaN where there is nothing to say."""

    @abstractmethod
    def truths_by_image(self) -> np.ndarray:
        """How much of each class there is to find, ``(classes, images)``."""

    def with_groups(self, names: Sequence[str | None]) -> Scores:
        """The same with the score of each group of images, where there are such scores.

        Args:
            names: of the group of each image, ``None`` for none.
        """
        return self

    def check_comparable(self, other: Scores) -> None:
        """Raise a DataError unless another row was scored on the same classes, images and truths, by the same rules."""
        if list(self.per_class) != list(other.per_class):
            raise DataError(
                f"the rows were scored on the classes {list(self.per_class)} and {list(other.per_class)}: "
                "score the same"
            )
        if self.images != other.images:
            raise DataError(
                f"the rows were scored on {self.images} and {other.images} images: score both on the same images"
            )
        first, second = self.truths_by_image(), other.truths_by_image()
        for k, image in np.argwhere(first != second)[:1].tolist():
            raise DataError(
                f"image {image} has {first[k, image]} truths of {list(self.per_class)[k]!r} in one row and "
                f"{second[k, image]} in the other: score both rows on the same images, in the same order"
            )


@dataclass(frozen=True)
class DetectionScores(Scores):
    """Average precisions in [0, 1], higher is better; NaN where there is no truth to find.

    By the rules of Pascal VOC there is one overlap only: ``map`` and ``ap50`` are the same then, and ``ap75`` and the
    sizes are NaN.

    Args:
        map: mean over the classes with truths and, by COCO's rules, over IoU 0.50 to 0.95 (mAP50-95).
        ap50: the same at IoU 0.50 alone.
        ap75: the same at IoU 0.75 alone.
        small: mAP50-95 of truths of up to 32 x 32 pixels.
        medium: from there up to 96 x 96 pixels.
        large: from there on.
        per_class: class name -> ``map``, ``ap50`` and ``truths``.
        images: the number of images.
        truths: the number of truths that count.
        matches: one entry per class, for ``tdir.metrics.bootstrap``.
        sized: "small", "medium" and "large" -> the same among truths of this size; empty by the rules of Pascal VOC.
        curve: how precision over recall becomes one number, a key of ``tdir.metrics.curves.RECALLS``.
    """

    map: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float
    per_class: dict[str, dict[str, float]]
    images: int
    truths: int
    matches: list[ClassMatches] = field(repr=False, compare=False)
    curve: str = "coco"
    sized: dict[str, list[ClassMatches]] = field(default_factory=dict, repr=False, compare=False)

    MAIN: ClassVar[str] = "map"
    HEADINGS: ClassVar[Mapping[str, str]] = {
        "map": "mAP50-95", "ap50": "mAP50", "ap75": "mAP75", "small": "small", "medium": "medium", "large": "large",
    }  # fmt: skip
    SAMPLED: ClassVar[tuple[str, ...]] = ("map", "ap50")
    TAG: ClassVar[str] = "mAP"
    TRUTHS: ClassVar[str] = "objects"
    BY_IMAGE: ClassVar[str] = "F1"

    def as_dict(self) -> dict[str, Any]:
        """Everything but how it was computed, ready for JSON: NaN becomes ``None``."""
        values = {name: getattr(self, name) for name in (*self.HEADINGS, "images", "truths")}
        return {**without_nan(values), "per_class": {name: without_nan(one) for name, one in self.per_class.items()}}

    def resampled(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """Every score of resamples of the images; the matches serve all of them."""
        precisions = average_precisions(self.matches, times, self.curve)
        found = {"map": precisions.mean(axis=1), "ap50": precisions[:, 0]}
        if self.sized:
            found["ap75"] = precisions[:, AT_75]
        for name, matches in self.sized.items():
            found[name] = average_precisions(matches, times, self.curve).mean(axis=1)
        return defined(found)

    def resampled_by_class(self, times: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """``map`` and ``ap50`` of every class."""
        each = {
            name: average_precisions([of_class], times, self.curve)
            for name, of_class in zip(self.per_class, self.matches, strict=True)
        }
        return {name: defined({"map": one.mean(axis=1), "ap50": one[:, 0]}) for name, one in each.items()}

    def by_image(self) -> np.ndarray:
        """F1 of each image at IoU 0.5, of what a person would be shown."""
        from tdir.metrics.outcomes import outcomes

        return outcomes(self).f1()

    def truths_by_image(self) -> np.ndarray:
        """The objects to find."""
        return np.array([of_class.truths for of_class in self.matches])

    def check_comparable(self, other: Scores) -> None:
        """Raise a DataError unless another row was scored alike."""
        if isinstance(other, DetectionScores) and self.curve != other.curve:
            raise DataError(
                f"the rows were scored by the protocols {self.curve} and {other.curve}: score both by the same"
            )
        super().check_comparable(other)


def names_of(scores: Scores) -> str:
    """The headings of a row's sampled scores, in a word."""
    return "/".join(scores.HEADINGS[name] for name in scores.SAMPLED)


def shortly(scores: Scores) -> str:
    """These scores, in a word."""
    return "/".join(f"{getattr(scores, name):.3f}" for name in scores.SAMPLED)


def without_objects(per_class: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """The classes, of ``Scores.per_class`` or the same as JSON, that no mean includes, as no truth counts.

    None of a map: a class that is not there counts as soon as it is predicted.
    """
    return [name for name, scores in per_class.items() if not scores["truths"] and "miou" not in scores]


def known_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean along an axis of what is no NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis)
    return np.divide(total, known.sum(axis), out=np.full(total.shape, np.nan), where=known.any(axis))


def defined(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each without its NaN, and without those that are nothing else."""
    known = {name: value[~np.isnan(value)] for name, value in values.items()}
    return {name: value for name, value in known.items() if len(value)}


def without_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with ``None`` for NaN, as JSON has none."""
    return {name: None if math.isnan(value) else value for name, value in values.items()}
