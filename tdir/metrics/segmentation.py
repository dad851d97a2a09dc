"""Mean intersection over union from one confusion matrix, as the Cityscapes benchmark defines it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tdir import distributed
from tdir.errors import ConfigError, DataError, ShapeError
from tdir.metrics.scores import Scores, defined, known_mean, without_nan
from tdir.structures import IGNORE, SemanticMap


@dataclass(frozen=True)
class MapScores(Scores):
    """Intersections over unions in [0, 1], higher is better; NaN for a class that is neither there nor predicted.

    Args:
        miou: mean over the classes that are there or are predicted.
        pixel_accuracy: the share of labelled pixels with the right class.
        per_class: class name -> ``miou``, that of the class alone, and ``truths``, its pixels.
        images: the number of images.
        matrices: ``(images, C, C + 1)`` int64, pixels of each image by true and by predicted class; the last column
            are those without a predicted one.
        groups: what images belong together, such as a city -> ``miou`` of these.
    """

    miou: float
    pixel_accuracy: float
    per_class: dict[str, dict[str, float]]
    images: int
    matrices: np.ndarray = field(repr=False, compare=False)
    groups: dict[str, float] = field(default_factory=dict)

    MAIN: ClassVar[str] = "miou"
    HEADINGS: ClassVar[Mapping[str, str]] = {"miou": "mIoU", "pixel_accuracy": "pixel accuracy"}
    SAMPLED: ClassVar[tuple[str, ...]] = ("miou", "pixel_accuracy")
    TAG: ClassVar[str] = "mIoU"
    TRUTHS: ClassVar[str] = "pixels"
    BY_IMAGE: ClassVar[str] = "mIoU"

    def as_dict(self) -> dict[str, Any]:
        """Everything but the matrices, ready for JSON: NaN becomes ``None``."""
        values = {name: getattr(self, name) for name in ("miou", "pixel_accuracy", "images")}
        per_class = {name: without_nan(one) for name, one in self.per_class.items()}
        return {**without_nan(values), "per_class": per_class, "groups": without_nan(self.groups)}

    def resampled(self, times: np.ndarray) -> dict[str, np.ndarray]:
        """``miou`` and ``pixel_accuracy`` of resamples of the images."""
        matrices = self._drawn(times)
        if not len(matrices):
            return {}
        return {"miou": np.nanmean(ious(matrices), axis=1), "pixel_accuracy": _accuracy(matrices)}

    def resampled_by_class(self, times: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """``miou`` of every class."""
        each = ious(self._drawn(times)).T
        return {name: defined({"miou": one}) for name, one in zip(self.per_class, each, strict=True)}

    def _drawn(self, times: np.ndarray) -> np.ndarray:
        """One matrix for every resample with a labelled pixel."""
        matrices = np.tensordot(times.astype(np.float64), self.matrices.astype(np.float64), 1)
        return matrices[matrices.sum((1, 2)) > 0]

    def by_image(self) -> np.ndarray:
        """The mean intersection over union of each image alone."""
        return known_mean(ious(self.matrices), 1)

    def truths_by_image(self) -> np.ndarray:
        """The labelled pixels."""
        return self.matrices.sum(2).T

    def with_groups(self, names: Sequence[str | None]) -> MapScores:
        """The same with the score of each group of images; ``names`` has one for each image, ``None`` for no group."""
        found = {name: [i for i, one in enumerate(names) if one == name] for name in dict.fromkeys(names) if name}
        groups = {
            name: float(known_mean(ious(self.matrices[rows].sum(0)[None]), 1)[0])
            for name, rows in sorted(found.items())
        }
        return MapScores(self.miou, self.pixel_accuracy, self.per_class, self.images, self.matrices, groups)


class ConfusionMatrix:
    """Pixels by true and by predicted class, fed batch by batch; no map is kept.

    Args:
        classes: the class names; labels are positions in this list.

    Raises:
        ConfigError: if ``classes`` is empty, repeats a name, or has more than 255.
    """

    def __init__(self, classes: Sequence[str]):
        if not 0 < len(classes) <= IGNORE or len(set(classes)) != len(classes):
            raise ConfigError(f"classes must be 1 to {IGNORE} different names, got {list(classes)}")
        self.classes = list(classes)
        self.reset()

    def reset(self) -> None:
        """Forget every image."""
        self._matrices: list[np.ndarray] = []

    def update(self, predictions: Sequence[SemanticMap], truths: Sequence[SemanticMap]) -> None:
        """Add images; pixels without a true label do not count, those without a predicted one are not found.

        Raises:
            ShapeError: if the two differ in length or a pair in size, or a label is not a position in ``classes``.
        """
        if len(predictions) != len(truths):
            raise ShapeError(f"{len(predictions)} predictions but {len(truths)} truths: give one of each per image")
        self._matrices += [self._counted(*pair) for pair in zip(predictions, truths, strict=True)]

    def _counted(self, prediction: SemanticMap, truth: SemanticMap) -> np.ndarray:
        count = len(self.classes)
        found, true = (one.labels.cpu().numpy().astype(np.int64) for one in (prediction, truth))
        if found.shape != true.shape:
            raise ShapeError(f"a prediction of {found.shape} for a truth of {true.shape}: give both at one size")
        known = true != IGNORE
        found, true = found[known], true[known]
        wrong = [int(label) for labels in (true, found) for label in labels[(labels >= count) & (labels != IGNORE)][:1]]
        if wrong:
            raise ShapeError(f"the label {wrong[0]} for {count} classes {self.classes}: map labels to these first")
        found = np.where(found == IGNORE, count, found)
        return np.bincount(true * (count + 1) + found, minlength=count * (count + 1)).reshape(count, count + 1)

    def gather(self, count: int, together: int = 1) -> None:
        """Take in what the other processes of the group were fed, so that each computes the same as one alone.

        Args:
            count: of all images.
            together: see ``tdir.distributed.gathered``.
        """
        self._matrices = distributed.gathered(self._matrices, count, together)

    def compute(self) -> MapScores:
        """The scores of all images so far.

        Raises:
            DataError: if no pixel has a true label.
        """
        matrices = (
            np.stack(self._matrices) if self._matrices else np.zeros((0, len(self.classes), len(self.classes) + 1))
        )
        whole = matrices.sum(0)
        if not whole.sum():
            raise DataError(
                f"no pixel of the classes {self.classes} in {len(matrices)} images: check that the labels were found"
            )
        of_class = ious(whole[None])[0]
        per_class = {
            name: {"miou": float(of_class[k]), "truths": int(whole[k].sum())} for k, name in enumerate(self.classes)
        }
        accuracy = float(_accuracy(whole[None])[0])
        return MapScores(float(np.nanmean(of_class)), accuracy, per_class, len(matrices), matrices)


def ious(matrices: np.ndarray) -> np.ndarray:
    """Intersection over union of every class, ``(n, C)``, from ``(n, C, C + 1)`` pixels; NaN where a class has none."""
    hits = np.diagonal(matrices, axis1=1, axis2=2).astype(np.float64)
    union = matrices.sum(2) + matrices[:, :, :-1].sum(1) - hits
    return np.divide(hits, union, out=np.full(hits.shape, np.nan), where=union > 0)


def _accuracy(matrices: np.ndarray) -> np.ndarray:
    return np.asarray(np.trace(matrices[:, :, :-1], axis1=1, axis2=2) / matrices.sum((1, 2)))
