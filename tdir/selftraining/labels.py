"""Pseudo-labels from what the teacher cached: risk, merge and filter (VaT section 4.2, Algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import torch
from torch import Tensor

from tdir.heads.base import Head
from tdir.selftraining.nuq import NUQ
from tdir.selftraining.store import Source, TeacherStore
from tdir.structures import Prediction

Align = Callable[[Sequence[Prediction]], list[Prediction]]
"""What gives the classes of all predictions on a set the shares of another set, see ``Head.align``."""
MOST = 10_000
"""Predictions that a risk is fitted on; maps have hundreds on each image, and each is compared with all others."""

_AT_ONCE = 2048  # embeddings of which the risk is asked for


@dataclass
class PseudoLabel:
    """What the teacher says of one image.

    Args:
        target: what is kept with its labels; what is dropped is ignored.
        uncertainty: U, the mean risk of what is kept in [0, 1]; 0 without any.
    """

    target: Prediction
    uncertainty: float


def fit_risk(clean: TeacherStore, classes: int, dims: int = 32, neighbours: int = 50, seed: int = 0) -> NUQ:
    """NUQ fitted on the head's predictions on the clean set, on ``MOST`` drawn from all of them where there are more.

    Raises:
        DataError: if there are too few of them.
    """
    labels = [clean.source("image", i).found.embedded_labels for i in range(len(clean))]
    drawn = _drawn(torch.cat(labels) >= 0, seed).split([len(one) for one in labels])
    embeddings = torch.cat([clean.source("image", i).embeddings[mask] for i, mask in enumerate(drawn)])
    chosen = torch.cat([one[mask] for one, mask in zip(labels, drawn, strict=True)])
    images = torch.repeat_interleave(torch.tensor([int(mask.sum()) for mask in drawn]))
    return NUQ(dims, neighbours, seed=seed).fit(embeddings, chosen, classes, images)


def _drawn(known: Tensor, seed: int) -> Tensor:
    """``(n,)`` bool: at most ``MOST`` of those that are known."""
    which = known.nonzero()[:, 0]
    order = torch.randperm(len(which), generator=torch.Generator().manual_seed(seed))
    return torch.zeros_like(known).index_fill(0, which[order[:MOST]], True)


def with_risk(sources: Iterable[Source], risk: NUQ | None, fitted: bool = False) -> Iterator[Prediction]:
    """The predictions of sources with their risk; 0 without an estimate.

    Args:
        sources: predictions and embeddings.
        risk: the estimate, or ``None``.
        fitted: whether the estimate was fitted on these very predictions.
    """
    if risk is None:
        yield from (source.found.with_risk(None) for source in sources)
        return
    for some in _together(sources):
        counts = [len(source.embeddings) for source in some]
        if not any(counts):
            yield from (source.found.with_risk(None) for source in some)
            continue
        totals = risk.risk(torch.cat([source.embeddings for source in some]), fitted=fitted).total.split(counts)
        yield from (source.found.with_risk(total) for source, total in zip(some, totals, strict=True))


def _together(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """As many at a time as have so many embeddings: neighbours are found faster for many than for one after another."""
    some: list[Source] = []
    count = 0
    for source in sources:
        some.append(source)
        count += len(source.embeddings)
        if count >= _AT_ONCE:
            yield some
            some, count = [], 0
    if some:
        yield some


def filtered(found: Prediction, epsilon: float) -> PseudoLabel:
    """Keep what has a risk of at most ``epsilon``; the rest is ignored (Algorithm 1, line 6)."""
    return PseudoLabel(*found.filtered(epsilon))


def label_degraded(
    store: TeacherStore, head: Head, risk: NUQ | None, epsilon: float, iou: float = 0.7, align: Align | None = None
) -> list[PseudoLabel]:
    """Y_LQ: what is predicted on the degraded images, filtered by risk; an oracle's labels have none."""
    return [filtered(one, epsilon) for one in _on_degraded(store, head, risk, iou, align)]


def predictions_on_degraded(
    store: TeacherStore, head: Head, risk: NUQ | None, iou: float = 0.7, align: Align | None = None
) -> list[Prediction]:
    """The predictions on the versions that the store was studied with, merged, with their scores and risk.

    A store that was studied with "original" holds the predictions on the image before its degradation; those are then
    the labels, which makes the training an oracle.

    Args:
        store: of the degraded images.
        head: merges two versions.
        risk: the estimate, or ``None``.
        iou: overlap at which two boxes of a class are one object.
        align: is put to all predictions on a version before the merge.
    """
    return list(_on_degraded(store, head, risk, iou, align))


def _on_degraded(
    store: TeacherStore, head: Head, risk: NUQ | None, iou: float, align: Align | None
) -> Iterator[Prediction]:
    """The same one by one: maps with their confidence and risk are nine times the labels that are kept of them."""
    oracle = "original" in store.sources()
    names = ["original"] if oracle else store.sources()
    versions = (_version(store, name, None if oracle else risk, align) for name in names)
    yield from (reduce(partial(head.merge, iou=iou), same) for same in zip(*versions, strict=True))


def _version(
    store: TeacherStore, name: str, risk: NUQ | None, align: Align | None, fitted: bool = False
) -> Iterator[Prediction]:
    found = with_risk((store.source(name, i) for i in range(len(store))), risk, fitted)
    return found if align is None else iter(align(list(found)))


def label_clean(store: TeacherStore, risk: NUQ | None, align: Align | None = None) -> list[PseudoLabel]:
    """Y_HQ: the predictions on the clean images, all of them kept."""
    return [filtered(one, 1.0) for one in _on_clean(store, risk, align)]


def predictions_on_clean(store: TeacherStore, risk: NUQ | None, align: Align | None = None) -> list[Prediction]:
    """The predictions on the clean images, with their scores and risk."""
    return list(_on_clean(store, risk, align))


def _on_clean(store: TeacherStore, risk: NUQ | None, align: Align | None) -> Iterator[Prediction]:
    whole = risk is not None and _all_fitted(store)
    yield from _version(store, "image", risk, align, fitted=whole)


def _all_fitted(clean: TeacherStore) -> bool:
    """Whether a risk is fitted on all predictions: of a part NUQ would leave out an image's own for that part alone."""
    known = (int((clean.source("image", i).found.embedded_labels >= 0).sum()) for i in range(len(clean)))
    return sum(known) <= MOST
