"""Confidence intervals of scores, by resampling images with replacement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tdir.errors import ConfigError, DataError
from tdir.metrics.scores import Scores


class Bootstrap:
    """The same resamples of the images for every row; what is computed for a row serves all that is asked about it.

    Args:
        samples: how many; 1000 place each end of an interval to about 2 % of its width, and the smallest p-value is
            2 / (samples + 1).
        seed: of the resampling.
        photos: what each image shows, such as the photo that it was made of; images of one photo are drawn together,
            since they tell little more than one of them. Default: each its own.

    Raises:
        ConfigError: if ``samples`` is below 1.
    """

    def __init__(self, samples: int = 1000, seed: int = 0, photos: Sequence[str] | None = None):
        if samples < 1:
            raise ConfigError(f"samples must be 1 or more, got {samples}")
        self.samples, self.seed, self.photos = samples, seed, photos
        self._known: list[tuple[Scores, dict[str, np.ndarray]]] = []

    def interval(self, a: Scores) -> dict[str, dict[str, float]]:
        """How far the scores of a row would move on other images like these.

        Args:
            a: the scores of the row.

        Returns:
            For each score that ``Scores.resampled`` gives: ``value``, and the 2.5 and 97.5 percentiles ``low`` and
            ``high``.

        Raises:
            DataError: if no resample holds a truth.
        """
        return {name: {"value": getattr(a, name), **_percentiles(values)} for name, values in self._drawn(a).items()}

    def by_class(self, a: Scores) -> dict[str, dict[str, dict[str, float]]]:
        """As :meth:`interval`, by the name of every class; nothing for one that no resample holds."""
        drawn = a.resampled_by_class(self._times(a.images))
        return {
            name: {key: {"value": a.per_class[name][key], **_percentiles(values)} for key, values in found.items()}
            for name, found in drawn.items()
        }

    def difference(self, a: Scores, b: Scores) -> dict[str, dict[str, float]]:
        """Whether row ``a`` scores above row ``b``, both measured on the same images; each resample serves both.

        Args:
            a: the row of interest.
            b: the row to compare with.

        Returns:
            For each of ``Scores.SAMPLED``: the ``difference`` a - b on all images, the 2.5 and 97.5 percentiles ``low``
            and ``high`` of the difference, the share of resamples in which it is ``above`` 0, and the two-sided ``p``.

        Raises:
            DataError: if the rows were not scored on the same classes, images and truths, or no resample holds a truth.
        """
        a.check_comparable(b)
        first, second = self._drawn(a), self._drawn(b)
        result = {}
        for name in [name for name in a.SAMPLED if name in first and name in second]:
            differences = first[name] - second[name]
            # one is added to both counts, so that a p-value never claims more than the number of resamples can show
            tail = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
            result[name] = {
                "difference": getattr(a, name) - getattr(b, name),
                **_percentiles(differences),
                "above": float((differences > 0).mean()),
                "p": min(1.0, 2.0 * float(tail) / (len(differences) + 1)),
            }
        return result

    def _drawn(self, scores: Scores) -> dict[str, np.ndarray]:
        """The scores of every resample that holds a truth."""
        for known, drawn in self._known:
            if known is scores:
                return drawn
        drawn = scores.resampled(self._times(scores.images))
        if not drawn:
            raise DataError(f"none of {self.samples} resamples holds a truth: score more images or draw more samples")
        self._known.append((scores, drawn))
        return drawn

    def _times(self, images: int) -> np.ndarray:
        """How often each image stands in each resample, ``(samples, images)``."""
        photos = range(images) if self.photos is None else self.photos
        if len(photos) != images:
            raise DataError(f"{len(photos)} photos for {images} images: give one for each")
        # In the order in which they come: where each image is its own photo, naming them changes nothing.
        numbers = {photo: number for number, photo in enumerate(dict.fromkeys(photos))}
        which, count = [numbers[photo] for photo in photos], len(numbers)
        drawn = np.random.default_rng(self.seed).multinomial(count, np.full(count, 1 / count), size=self.samples)
        return np.asarray(drawn[:, which])


def _percentiles(values: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}
