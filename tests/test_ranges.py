from __future__ import annotations

import math

import numpy as np
import pytest

from tdir.errors import ConfigError
from tdir.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SHARE, Range

OPEN = Range(0, 1, with_least=False, with_most=False)


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        (COUNT, [1, 7], [0, -1, 1.0, 2.5, "1", None, True]),
        (POSITIVE, [1e-9, 3], [0, -0.1, math.inf, math.nan, "x"]),
        (NOT_NEGATIVE, [0, 0.0, 5], [-1e-9, math.nan]),
        (SHARE, [0, 0.5, 1], [-0.1, 1.1, False]),
        (OPEN, [0.5], [0, 1]),
        (Range(0, 1, with_most=False), [0, 0.999], [1]),
    ],
    ids=str,
)
def test_what_lies_in_it(allowed: Range, inside: list[object], outside: list[object]) -> None:
    assert [value for value in inside if value not in allowed] == []
    assert [value for value in outside if value in allowed] == []


def test_a_pair_is_two_numbers_in_order() -> None:
    assert SHARE.pair("light", [0, 1]) == (0.0, 1.0)
    for wrong in (0.5, "01", (0.5,), (0, 0.5, 1), (-1, 0.5), (0.5, None), None):
        with pytest.raises(ConfigError, match=r"light is two numbers, each a number in \[0, 1\], got"):
            SHARE.pair("light", wrong)
    with pytest.raises(ConfigError, match=r"light is a least and a greatest number, got \(0.5, 0\): swap them"):
        SHARE.pair("light", (0.5, 0))


def test_numbers_of_numpy_are_numbers() -> None:
    assert np.float32(0.5) in SHARE and np.int64(3) in COUNT
    assert np.float32(2) not in COUNT and np.bool_(True) not in COUNT


def test_the_message_names_setting_value_and_range() -> None:
    for allowed, said in ((COUNT, "a whole number from 1"), (POSITIVE, "a number above 0"), (OPEN, r"in \(0, 1\)")):
        with pytest.raises(ConfigError, match=f"clip is .*{said}, got -2"):
            allowed.check("clip", -2)
