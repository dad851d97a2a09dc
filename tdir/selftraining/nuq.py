"""The risk of pseudo-labels: Nonparametric Uncertainty Quantification (Kotelevskii et al., NeurIPS 2022).

A Nadaraya-Watson estimate over the embeddings of confident predictions on clean images says how mixed the labels around
an embedding are (aleatoric) and how little is known there (epistemic). With p_c(x) the estimate's class probabilities:

    total(x) = min_c (1 - p_c(x)) + 2 sqrt(2 / pi) tau(x),    tau^2(x) = sigma^2(x) / n(x),
    sigma^2(x) = max_c p_c(x) (1 - p_c(x)),                   n(x) proportional to N h^d p(x).

Two readings of what the paper leaves to low dimensions:

- n(x), the number of clean predictions that the estimate rests on, has the factor (2 sqrt(pi))^d in the paper, which is
  astronomic in 32 dimensions. Here the factor is such that the median clean prediction has n(x) equal to the effective
  sample size of its own kernel weights, (sum w)^2 / sum w^2; elsewhere n(x) follows the density, as in the paper.
- Where all neighbours agree sigma is 0, and so would tau be however far away x is. So sigma sees one more observation
  than there are, spread evenly over the classes. The aleatoric part is not smoothed.

Predictions on one image resemble each other (the same street, crowd or sky). Counted as independent they would vouch
for one another, and an image not seen before would look riskier than it is: so whole images are held out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from tdir.errors import ConfigError, DataError, ShapeError

MINIMUM = 8
"""The fewest clean predictions that give a split and a neighbourhood at all; ranks are only fine from a few hundred."""
_SAME = 1e-6  # closer than this, in standardised units, two embeddings are the same one up to rounding
_TIED = 1e-9  # closer than this, two logarithms of totals are the same one up to rounding, which depends on the batch
_FEWEST_IMAGES = 3  # one held out, one to estimate from, one to choose the bandwidth with
_CHUNK = 4096  # rows at a time, so that memory does not grow with the data set


@dataclass
class Risk:
    """The risk of ``m`` predictions.

    Args:
        aleatoric: ``(m,)`` in [0, 1), the share of clean neighbours with another label than the commonest.
        epistemic: ``(m,)`` natural logarithm of 2 sqrt(2 / pi) tau; grows without bound away from the clean set.
        total: ``(m,)`` in [0, 1], the sum of both as its rank among held-out clean predictions: 0.9 is riskier than
            90 % of them, 1 than all of them.
    """

    aleatoric: Tensor
    epistemic: Tensor
    total: Tensor


@dataclass
class _Fitted:
    """Everything that ``NUQ.risk`` needs; D the embedding's length, d that of the projection, n the reference set's."""

    mean: Tensor  # (D,)
    scale: Tensor  # (D,)
    components: Tensor  # (d - 1, D), orthonormal rows
    points: Tensor  # (n, d)
    labels: Tensor  # (n,)
    images: Tensor  # (n,) the image each came from
    held_out: Tensor  # log totals of the held-out clean predictions, sorted
    bandwidth: float
    log_factor: float  # log of n(x) over the kernel sum
    num_classes: int
    neighbours: int
    siblings: int  # the most predictions of one image


@dataclass
class _Estimate:
    """Nadaraya-Watson at m embeddings."""

    log_mass: Tensor  # (m,) log of the kernel sum, the density up to a constant
    log_weights: Tensor  # (m, k) of the neighbours, normalised
    size: Tensor  # (m,) effective sample size, in [1, k]


class NUQ:
    """Risk of predictions, from the embeddings of confident predictions on clean images.

    Args:
        dims: the most dimensions of the projected embedding, at least 2: principal components, and the distance from
            their subspace as the last one, so that what lies off the subspace is far away too.
        neighbours: the nearest clean predictions that an estimate rests on, found exactly; fewer where there are fewer.
        holdout: the share of the clean predictions kept out of the estimate, by whole images, for the ranks.
        seed: decides which images.

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(self, dims: int = 32, neighbours: int = 50, holdout: float = 0.2, seed: int = 0):
        if dims < 2 or neighbours < 1 or seed < 0 or not 0 < holdout <= 0.5:
            raise ConfigError(
                f"NUQ takes dims >= 2, neighbours >= 1, holdout in (0, 0.5] and seed >= 0, got dims={dims}, "
                f"neighbours={neighbours}, holdout={holdout}, seed={seed}"
            )
        self.dims, self.neighbours, self.holdout, self.seed = dims, neighbours, holdout, seed
        self._fitted: _Fitted | None = None
        self._search: NearestNeighbors | None = None

    def fit(self, embeddings: Tensor, labels: Tensor, num_classes: int, images: Tensor | None = None) -> NUQ:
        """Learn where the clean set's confident predictions lie.

        Args:
            embeddings: ``(n, D)``, finite.
            labels: ``(n,)`` int64 in [0, num_classes).
            num_classes: how many classes the head knows.
            images: ``(n,)`` int64, which image each prediction is on; ``None`` takes every prediction for an image.

        Raises:
            DataError: if there are fewer than 8 predictions, or they come from fewer than 3 images.
            ShapeError: if a shape is wrong, an embedding is not finite or a label out of range.
        """
        embeddings, labels = _checked(embeddings), _checked_labels(labels, len(embeddings), num_classes)
        images = torch.arange(len(embeddings)) if images is None else _checked_images(images, len(embeddings))
        count = len(images.unique())
        if len(embeddings) < MINIMUM or count < _FEWEST_IMAGES:
            raise DataError(
                f"{len(embeddings)} confident predictions on {count} clean images, NUQ needs at least {MINIMUM} on "
                f"{_FEWEST_IMAGES}: give more clean images, lower the confidence of pseudo-labels, or switch the risk "
                "filter off"
            )
        held = _held_out(images, self.holdout, self.seed)
        self._learn(embeddings[~held], labels[~held], images[~held], num_classes)
        self._state().held_out = self._parts(embeddings[held], fitted=False)[2].sort().values
        return self

    @property
    def ranks(self) -> int:
        """How many held-out predictions a total is ranked among; its steps are one over that.

        Raises:
            ConfigError: before ``fit``.
        """
        return len(self._state().held_out)

    def _learn(self, embeddings: Tensor, labels: Tensor, images: Tensor, num_classes: int) -> None:
        """Projection, bandwidth and scale of n(x) from the reference set."""
        mean, scale, components = _projection(embeddings, self.dims, self.seed)
        points = _project(embeddings, mean, scale, components)
        siblings = int(images.unique(return_counts=True)[1].max())
        k = min(self.neighbours, len(points) - siblings)
        search = _index(points)
        squared, nearest = _query(search, points, k + siblings)
        squared, nearest = _without(squared, nearest, images[nearest] == images[:, None], k)
        dims = max(1, int((points.std(0) > _SAME).sum()))
        bandwidth = _bandwidth(squared, labels[nearest] == labels[:, None], dims, num_classes)
        others = _nadaraya_watson(squared, bandwidth)
        log_factor = float((others.size.log() - others.log_mass).median())
        unranked = points.new_zeros(0)
        self._search = search
        self._fitted = _Fitted(
            mean, scale, components, points, labels, images, unranked, bandwidth, log_factor, num_classes, k, siblings
        )

    def risk(self, embeddings: Tensor, fitted: bool = False) -> Risk:
        """The risk of predictions.

        Args:
            embeddings: ``(m, D)``, finite; ``m`` may be 0.
            fitted: these are embeddings that ``fit`` was given, bit for bit: an image's own predictions are left out of
                its estimate, or it would vouch for itself and look safer than any other.

        Returns:
            Tensors ``(m,)`` in float32, on the device of the embeddings.

        Raises:
            ConfigError: before ``fit``.
            ShapeError: if the embeddings are not ``(m, D)`` with the D of ``fit``, or not finite.
        """
        state, device = self._state(), embeddings.device
        rows = _checked(embeddings)
        if rows.shape[1] != len(state.mean):
            raise ShapeError(
                f"embeddings of length {rows.shape[1]}, but NUQ was fitted on length {len(state.mean)}: use one head"
            )
        if len(rows) == 0:
            return Risk(*(torch.zeros(0, device=device) for _ in range(3)))
        parts = [self._parts(chunk, fitted) for chunk in rows.split(_CHUNK)]
        aleatoric, epistemic, log_total = (torch.cat(part) for part in zip(*parts, strict=True))
        # The middle of the ranks on a tie, so that equal predictions sit at the median and not at an end.
        below = torch.searchsorted(state.held_out, log_total - _TIED)
        upto = torch.searchsorted(state.held_out, log_total + _TIED, right=True)
        total = (below + upto) / (2 * len(state.held_out))
        return Risk(*(part.to(device, torch.float32) for part in (aleatoric, epistemic, total)))

    def _neighbourhood(self, points: Tensor, fitted: bool) -> tuple[Tensor, Tensor]:
        """Squared distances and positions ``(m, k)`` of the nearest reference points, not on the same image."""
        state = self._state()
        if not fitted:
            return _query(self._search, points, state.neighbours)
        squared, nearest = _query(self._search, points, state.neighbours + state.siblings)
        # A fitted point meets itself first, which tells its image; a held-out one has no prediction to leave out.
        known = squared[:, 0].sqrt() <= _SAME * (1 + points.norm(dim=1))
        images = state.images[nearest]
        return _without(squared, nearest, (images == images[:, :1]) & known[:, None], state.neighbours)

    def _parts(self, embeddings: Tensor, fitted: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Aleatoric, log epistemic and log total, each ``(m,)``."""
        state = self._state()
        points = _project(embeddings, state.mean, state.scale, state.components)
        squared, nearest = self._neighbourhood(points, fitted)
        labels = state.labels[nearest]
        estimate = _nadaraya_watson(squared, state.bandwidth)
        votes = squared.new_zeros(len(points), state.num_classes)
        votes.scatter_add_(1, labels, estimate.log_weights.exp())
        others = labels != votes.argmax(1, keepdim=True)
        log_aleatoric = estimate.log_weights.masked_fill(~others, -math.inf).logsumexp(1)
        smooth = _smoothed(votes, estimate.size[:, None], state.num_classes)
        log_variance = (smooth * (1 - smooth)).amax(1).log() - (estimate.log_mass + state.log_factor)
        epistemic = math.log(2 * math.sqrt(2 / math.pi)) + log_variance / 2
        return log_aleatoric.exp(), epistemic, torch.logaddexp(log_aleatoric, epistemic)

    def _state(self) -> _Fitted:
        if self._fitted is None:
            raise ConfigError("NUQ has seen no clean predictions: call fit() first")
        return self._fitted

    def state(self) -> dict[str, Tensor]:
        """What was learnt, as tensors by name.

        Raises:
            ConfigError: before ``fit``.
        """
        fitted = self._state()
        values = {field.name: getattr(fitted, field.name) for field in fields(_Fitted)}
        # float64 for the numbers too: the default would round them.
        return {name: v if isinstance(v, Tensor) else torch.from_numpy(np.asarray(v)) for name, v in values.items()}


def _checked(embeddings: Tensor) -> Tensor:
    """The embeddings in float64 on the CPU: sums of fp16 rows would overflow."""
    if embeddings.ndim != 2:
        raise ShapeError(f"embeddings must be (n, D), one row per prediction, got {tuple(embeddings.shape)}")
    rows = embeddings.detach().to("cpu", torch.float64)
    bad = ~rows.isfinite().all(1)
    if bad.any():
        raise ShapeError(
            f"{int(bad.sum())} of {len(rows)} embeddings hold NaN or infinity, first in row {int(bad.nonzero()[0])}: "
            "fp16 overflows above 65504, embed in fp32 or bf16, and check that the images are finite"
        )
    return rows


def _checked_labels(labels: Tensor, count: int, num_classes: int) -> Tensor:
    """The labels on the CPU."""
    if labels.shape != (count,) or labels.dtype != torch.long:
        raise ShapeError(
            f"labels must be int64 ({count},), one per embedding, got {labels.dtype} {tuple(labels.shape)}"
        )
    if count and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ShapeError(
            f"labels must lie in [0, {num_classes}), got {int(labels.min())} to {int(labels.max())}: pass the "
            "number of classes of the head"
        )
    return labels.detach().cpu()


def _checked_images(images: Tensor, count: int) -> Tensor:
    """The image of each prediction, on the CPU."""
    if images.shape != (count,) or images.dtype != torch.long:
        raise ShapeError(
            f"images must be int64 ({count},), one per embedding, got {images.dtype} {tuple(images.shape)}"
        )
    return images.detach().cpu()


def _held_out(images: Tensor, share: float, seed: int) -> Tensor:
    """``(n,)`` bool: the predictions of images drawn at random, up to that share of all predictions.

    At least one image is drawn, and two are left, each other's neighbours.
    """
    _, position, counts = images.unique(return_inverse=True, return_counts=True)
    chosen, room = torch.zeros(len(counts), dtype=torch.bool), share * len(images)
    for image in np.random.default_rng(seed).permutation(len(counts))[:-2]:
        if counts[image] <= room:
            chosen[image], room = True, room - int(counts[image])
    if not chosen.any():
        chosen[counts.argmin()] = True
    return chosen[position]


def _projection(embeddings: Tensor, dims: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean ``(D,)``, scale ``(D,)`` and principal components ``(c, D)`` with c < dims."""
    scaler = StandardScaler().fit(embeddings.numpy())
    count = min(dims - 1, len(embeddings) - 1, embeddings.shape[1])
    with np.errstate(invalid="ignore"):  # the ratio of explained variance of embeddings that are all equal: 0 / 0
        pca = PCA(count, random_state=seed).fit(scaler.transform(embeddings.numpy()))
    components = torch.from_numpy(np.ascontiguousarray(pca.components_))
    return torch.from_numpy(scaler.mean_), torch.from_numpy(scaler.scale_), components


def _project(embeddings: Tensor, mean: Tensor, scale: Tensor, components: Tensor) -> Tensor:
    """``(n, c + 1)``: the coordinates in the subspace and the distance from it."""
    standard = (embeddings - mean) / scale
    inside = standard @ components.T
    off = (standard - inside @ components).norm(dim=1, keepdim=True)
    return torch.cat([inside, off], 1)


def _index(points: Tensor) -> NearestNeighbors:
    """Exact search; in 32 dimensions brute force is faster than a tree."""
    return NearestNeighbors(algorithm="brute").fit(points.numpy())


def _query(search: NearestNeighbors, points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Squared distances and positions ``(m, count)`` of the nearest reference points, nearest first."""
    distances, positions = search.kneighbors(points.numpy(), count)
    return torch.from_numpy(distances).square(), torch.from_numpy(positions).long()


def _without(squared: Tensor, nearest: Tensor, excluded: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` nearest that are not excluded, of ``(m, count + siblings)``, nearest first."""
    order = squared.masked_fill(excluded, math.inf).argsort(dim=1, stable=True)[:, :count]
    return squared.gather(1, order), nearest.gather(1, order)


def _nadaraya_watson(squared: Tensor, bandwidth: float) -> _Estimate:
    """Gaussian kernel weights from squared distances ``(m, k)``."""
    log_kernel = -squared / (2 * bandwidth**2)
    log_mass = log_kernel.logsumexp(1)
    log_weights = log_kernel - log_mass[:, None]
    return _Estimate(log_mass, log_weights, (-(2 * log_weights).logsumexp(1)).exp())


def _smoothed(share: Tensor, size: Tensor, num_classes: int) -> Tensor:
    """A class's share among ``size`` observations after one more, spread evenly over the classes (at least two)."""
    return (size * share + 1 / max(num_classes, 2)) / (size + 1)


def _bandwidth(squared: Tensor, agree: Tensor, dims: int, num_classes: int) -> float:
    """The bandwidth of the largest leave-one-image-out log-likelihood of embedding and label together.

    log p(x, y) = log p(x) + log p(y | x): the density alone ignores the labels, and the labels alone leave the
    bandwidth open wherever the classes are apart.

    Args:
        squared: ``(n, k)`` squared distances of each reference point to its neighbours on other images, nearest first.
        agree: ``(n, k)`` whether the neighbour has the point's label.
        dims: how many dimensions the points vary in.
        num_classes: how many classes there are.
    """
    nearest = squared[:, 0].sqrt()
    apart = nearest[nearest > _SAME]
    if len(apart) == 0:  # every point has a duplicate: no scale to learn, and one standard deviation is a fair guess
        return 1.0
    # Left in, the most isolated points would decide alone: their log-density falls with the square of the distance.
    crowd = nearest <= nearest.quantile(0.95)
    squared, agree = squared[crowd], agree[crowd]

    def likelihood(bandwidth: float) -> float:
        estimate = _nadaraya_watson(squared, bandwidth)
        share = (estimate.log_weights.exp() * agree).sum(1)
        label = _smoothed(share, estimate.size, num_classes).log()
        return float((estimate.log_mass + label).mean()) - dims * math.log(bandwidth)

    # Never far below the usual distance to the nearest neighbour: repeated photographs would pull it towards 0.
    grid = (apart.median() * torch.logspace(-1, 3, 25, base=2, dtype=torch.float64)).tolist()
    return max(grid, key=likelihood)
