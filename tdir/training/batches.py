"""Which images meet in which step, and how they become one batch. Everything is a function of (seed, step)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tdir.data.images import PAD_VALUE, to_tensor
from tdir.errors import DataError
from tdir.selftraining.labels import PseudoLabel
from tdir.selftraining.store import TeacherStore
from tdir.structures import Prediction


@dataclass
class Batch:
    """One step's images, ``(N, 3, H, W)`` RGB in [0, 1] on one canvas, with masks ``(N, 1, H, W)`` of what is image.

    ``degraded`` and ``restored`` share a mask, ``clean`` and ``clean_restored`` another; image i of one is not the
    scene of image i of the other. ``degraded_labels`` are Y_LQ with uncertainty U_LQ, ``clean_labels`` Y_HQ with U_HQ.
    """

    degraded: Tensor
    restored: Tensor
    degraded_mask: Tensor
    clean: Tensor
    clean_restored: Tensor
    clean_mask: Tensor
    degraded_labels: list[Prediction]
    clean_labels: list[Prediction]
    degraded_uncertainty: Tensor
    clean_uncertainty: Tensor
    names: list[str]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(
            self,
            **moved,  # type: ignore[arg-type]
            degraded_labels=[label.to(device) for label in self.degraded_labels],
            clean_labels=[label.to(device) for label in self.clean_labels],
        )


class BatchPlan:
    """The order of a training: every degraded image once an epoch, beside clean images drawn independently.

    Images meet others of their own orientation only, so that a canvas is not half padding.

    Args:
        degraded: (height, width) of every degraded image.
        clean: (height, width) of every clean image.
        batch_size: images of each kind in a step.
        seed: decides the order.
        padded: whether images of several sizes may share a canvas, see ``Head.pads``; if not, they meet others of their
            own size only.

    Raises:
        DataError: if a set is empty, or there is no clean image of the size of a degraded one that wants it.
    """

    def __init__(
        self,
        degraded: Sequence[tuple[int, int]],
        clean: Sequence[tuple[int, int]],
        batch_size: int,
        seed: int,
        padded: bool = True,
    ):
        if not degraded or not clean:
            raise DataError(f"a training needs images of both kinds, got {len(degraded)} degraded, {len(clean)} clean")
        self.batch_size, self.seed = batch_size, seed
        groups, partners = (_grouped(sizes, padded) for sizes in (degraded, clean))
        if not padded and (alone := groups.keys() - partners.keys()):
            raise DataError(
                f"the head sees images of one size together, and no clean image is of {sorted(alone)[0]} (height, "
                "width) as a degraded one is at the training's size: give clean images of the same shapes"
            )
        everything = list(range(len(clean)))
        self._degraded = [np.array(group) for _, group in sorted(groups.items())]
        self._clean = [np.array(partners.get(key, everything)) for key in sorted(groups)]
        self.steps_per_epoch = sum(-(-len(group) // batch_size) for group in self._degraded)

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The indices ``(batch_size,)`` of the degraded and of the clean images of a step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        batches = self._epoch(epoch)
        group, chosen = batches[place]
        partner = np.random.default_rng([self.seed, 1, step])
        pool = self._clean[group]
        return chosen, partner.choice(pool, self.batch_size, replace=len(pool) < self.batch_size)

    def _epoch(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        rng = np.random.default_rng([self.seed, 0, epoch])
        batches = []
        for number, group in enumerate(self._degraded):
            count = -(-len(group) // self.batch_size) * self.batch_size
            order = np.resize(rng.permutation(group), count)
            batches += [(number, part) for part in order.reshape(-1, self.batch_size)]
        return [batches[i] for i in rng.permutation(len(batches))]


def _grouped(sizes: Sequence[tuple[int, int]], padded: bool) -> dict[Any, list[int]]:
    """The positions of the sizes that may meet, by whether they are upright, or by what they are."""
    groups: dict[Any, list[int]] = {}
    for i, size in enumerate(sizes):
        groups.setdefault(size[0] > size[1] if padded else size, []).append(i)
    return groups


class Batches:
    """Batches from two caches of the teacher.

    Args:
        degraded: the cache of the degraded set, with ``degraded_labels`` one per image.
        clean: the cache of the clean set, with ``clean_labels``.
        plan: which images meet in which step.
    """

    def __init__(
        self,
        degraded: TeacherStore,
        degraded_labels: Sequence[PseudoLabel],
        clean: TeacherStore,
        clean_labels: Sequence[PseudoLabel],
        plan: BatchPlan,
    ):
        self.degraded, self.degraded_labels = degraded, degraded_labels
        self.clean, self.clean_labels = clean, clean_labels
        self.plan = plan

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step."""
        low, high = self.plan(step)
        sizes = [self.degraded.sizes[i] for i in low] + [self.clean.sizes[i] for i in high]
        canvas = (max(height for height, _ in sizes), max(width for _, width in sizes))
        degraded, restored, degraded_mask = _load(self.degraded, low, canvas)
        clean, clean_restored, clean_mask = _load(self.clean, high, canvas)
        return Batch(
            degraded=degraded,
            restored=restored,
            degraded_mask=degraded_mask,
            clean=clean,
            clean_restored=clean_restored,
            clean_mask=clean_mask,
            degraded_labels=[self.degraded_labels[i].target for i in low],
            clean_labels=[self.clean_labels[i].target for i in high],
            degraded_uncertainty=torch.tensor([self.degraded_labels[i].uncertainty for i in low]),
            clean_uncertainty=torch.tensor([self.clean_labels[i].uncertainty for i in high]),
            names=[self.degraded.names[i] for i in low] + [self.clean.names[i] for i in high],
        )


def _load(store: TeacherStore, indices: np.ndarray, canvas: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Images, restored images and masks on a grey canvas (height, width)."""
    height, width = canvas
    images = torch.full((len(indices), 2, 3, height, width), PAD_VALUE)
    mask = torch.zeros(len(indices), 1, height, width)
    for row, i in enumerate(indices):
        both = store.pixels(int(i))
        h, w = both.shape[1:3]
        images[row, 0, :, :h, :w] = to_tensor(both[0])
        images[row, 1, :, :h, :w] = to_tensor(both[1])
        mask[row, :, :h, :w] = 1
    return images[:, 0], images[:, 1], mask
