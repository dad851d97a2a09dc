"""Checkpoints: written beside their place and moved there, without the frozen parts, read without running code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tdir.errors import WeightsError
from tdir.files import write_whole

LAST = "last.pth"
FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any], record: dict[str, Any]) -> None:
    """Write a checkpoint so that a crash leaves either the old one or the new one.

    Args:
        path: the file.
        state: tensors, numbers and dictionaries of them.
        record: how the training was set up, for people and to compare on resume.
    """
    content = {"format": FORMAT, "record": json.dumps(record, sort_keys=True), **state}
    write_whole(path, lambda partial: torch.save(content, partial))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        WeightsError: if it is missing, damaged, of another format, or wants to run code.
    """
    if not path.exists():
        raise WeightsError(f"no checkpoint {path}: train without --resume first, or give the right --work-dir")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    # A hostile or damaged file reaches every line of torch's reader: IndexError, KeyError, struct.error ...
    except Exception as error:
        raise WeightsError(f"{path} is damaged or is not a checkpoint, nothing in it was run: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise WeightsError(f"{path} is not a checkpoint of this version of tdir (format {FORMAT})")
    return state
