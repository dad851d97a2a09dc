"""What a number may be: one way to check settings, and one wording for what is wrong with them."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

from tdir.errors import ConfigError


@dataclass(frozen=True)
class Range:
    """Finite numbers between two ends.

    Args:
        least: the lower end.
        most: the upper end.
        whole: only whole numbers.
        with_least: whether the lower end itself is allowed.
        with_most: whether the upper end itself is allowed.
    """

    least: float = -math.inf
    most: float = math.inf
    whole: bool = False
    with_least: bool = True
    with_most: bool = True

    def __contains__(self, value: Any) -> bool:
        kind = numbers.Integral if self.whole else numbers.Real  # NumPy's are such too
        if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value):
            return False
        number = float(value)
        above = number >= self.least if self.with_least else number > self.least
        return above and (number <= self.most if self.with_most else number < self.most)

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.most < math.inf:
            left, right = "[" if self.with_least else "(", "]" if self.with_most else ")"
            return f"{kind} in {left}{self.least}, {self.most}{right}"
        return f"{kind} {'from' if self.with_least else 'above'} {self.least}"

    def check(self, name: str, value: Any) -> None:
        """Do nothing if it is one.

        Raises:
            ConfigError: if it is not; ``name`` and value are in the message.
        """
        if value not in self:
            raise ConfigError(f"{name} is {self}, got {value!r}")

    def pair(self, name: str, value: Any) -> tuple[float, float]:
        """The least and the greatest number of a range within this one.

        Raises:
            ConfigError: if it is not two such numbers, the greater one last; ``name`` and value are in the message.
        """
        if not isinstance(value, list | tuple) or len(value) != 2 or any(one not in self for one in value):
            raise ConfigError(f"{name} is two numbers, each {self}, got {value!r}")
        if value[0] > value[1]:
            raise ConfigError(f"{name} is a least and a greatest number, got {value!r}: swap them")
        return float(value[0]), float(value[1])


COUNT = Range(1, whole=True)
NATURAL = Range(0, whole=True)
POSITIVE = Range(0, with_least=False)
NOT_NEGATIVE = Range(0)
SHARE = Range(0, 1)
