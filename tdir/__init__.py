"""tdir: a small trainable translator between a frozen image restorer and a frozen vision model.

Names are imported when they are first used, so that ``import tdir`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tdir.errors import ConfigError, DataError, ShapeError, TdirError, TrainingError, WeightsError

if TYPE_CHECKING:
    from tdir.parts import available, head, restorer, translator
    from tdir.pipeline import Pipeline, build, load
    from tdir.registry import HEADS, RESTORERS, TRANSLATORS
    from tdir.structures import Detections

__version__ = "0.1.0"

__all__ = [
    "HEADS",
    "RESTORERS",
    "TRANSLATORS",
    "ConfigError",
    "DataError",
    "Detections",
    "Pipeline",
    "ShapeError",
    "TdirError",
    "TrainingError",
    "WeightsError",
    "__version__",
    "available",
    "build",
    "head",
    "load",
    "restorer",
    "translator",
]

_HOMES = {
    "tdir.parts": ("available", "head", "restorer", "translator"),
    "tdir.pipeline": ("Pipeline", "build", "load"),
    "tdir.registry": ("HEADS", "RESTORERS", "TRANSLATORS"),
    "tdir.structures": ("Detections",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'tdir' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
