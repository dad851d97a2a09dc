"""Which reader a folder is for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tdir.data.sample import ImageSet, find_root
from tdir.registry import DATASETS

PLAIN = "folder"
"""The reader of a folder that is in no layout."""
_PREFERRED = ("test", "val", "trainval")


def layout_of(root: str) -> dict[str, Any]:
    """The reader for a folder, and the split to score on where there are splits.

    Args:
        root: see ``find_root``.

    Returns:
        ``{"type": name, "split": name}``, or ``{"type": "folder"}`` for images without a truth.

    Raises:
        DataError: if there is no such folder.
    """
    folder = find_root(root)
    for name in DATASETS.names():
        reader = DATASETS.get(name)
        if isinstance(reader, type) and issubclass(reader, ImageSet):
            splits = reader.splits(folder)
            if splits:
                return {"type": name, "split": min(splits, key=_rank)}
    return {"type": PLAIN}


def _rank(split: str) -> tuple[int, str]:
    """What one would rather score on comes first."""
    return next((k for k, start in enumerate(_PREFERRED) if split.startswith(start)), len(_PREFERRED)), split


def with_labels() -> list[str]:
    """The readers of files with a truth, by name."""
    return [name for name in DATASETS.names() if name != PLAIN and _takes_root(name)]


def without_files() -> list[str]:
    """The data sets that a program draws, by name: they need no setting at all."""
    return [name for name in DATASETS.names() if all(p.default is not p.empty for p in _settings(name).values())]


def _takes_root(name: str) -> bool:
    return "root" in _settings(name)


def _settings(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(DATASETS.get(name)).parameters
