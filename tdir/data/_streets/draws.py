"""Draws from a generator that are made hundreds of times for a scene: NumPy's own choice is slow on short lists."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def one_of(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of several, each as likely as the others."""
    return options[int(rng.random() * len(options))]


def weighted(rng: np.random.Generator, shares: Mapping[T, float]) -> T:
    """One of several, as likely as its share, which need not add up to 1."""
    ends = list(accumulate(shares.values()))
    return list(shares)[bisect(ends, rng.random() * ends[-1], hi=len(ends) - 1)]


def sign_of(rng: np.random.Generator) -> int:
    """1 or -1."""
    return 1 if rng.random() < 0.5 else -1
