from __future__ import annotations

import math

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


def test_the_message_names_setting_value_and_range() -> None:
    for allowed, said in ((COUNT, "a whole number from 1"), (POSITIVE, "a number above 0"), (OPEN, r"in \(0, 1\)")):
        with pytest.raises(ConfigError, match=f"clip is .*{said}, got -2"):
            allowed.check("clip", -2)
