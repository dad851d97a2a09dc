"""Files that are either whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name first and move it: a crash leaves the old file, or none, or the new one.

    Args:
        path: its final place, in a folder that is there.
        write: writes what it holds to the path that it is given, which ends in the same suffix.
    """
    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    write(partial)
    partial.replace(path)
