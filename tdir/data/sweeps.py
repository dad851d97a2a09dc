"""One published set at several strengths of a degradation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Sweep:
    """A set, and how it is degraded.

    Args:
        of: a key of ``tdir.data.published.PUBLISHED``.
        strength: what differs between the columns, in a word.
        columns: label -> settings of the degradation, ``None`` for the images as they are.
        settings: of the reader, besides those that the published set has.
    """

    of: str
    strength: str
    columns: Mapping[str, dict[str, Any] | None]
    settings: Mapping[str, Any] = field(default_factory=dict)


def _dark(gamma: tuple[float, float], **noise: float) -> dict[str, Any]:
    return {"type": "low_light", "gamma": gamma, "shot": 0.0, "read": 0.0, **noise}


# Gamma 1 changes nothing: these are the images as they are.
_GAMMAS = {"1": None, **{str(gamma): _dark((gamma, gamma)) for gamma in (2, 6, 10)}}

SWEEPS = {
    # SCL-LLE (AAAI 2022), Table 4: gamma on [0, 1], three cities of the validation set.
    "cityscapes-dark": Sweep("cityscapes", "gamma", _GAMMAS, {"cities": ["frankfurt", "lindau", "munster"]}),
    "camvid-dark": Sweep("camvid", "gamma", _GAMMAS),
    # VaT, section 5.1, says "randomly applying degradation": here gamma is drawn for each image as for its VOCd.
    "cifar-dark": Sweep("cifar10", "light", {"clean": None, "low light": _dark((1.5, 5.0))}),
}
"""Name -> sweep."""
