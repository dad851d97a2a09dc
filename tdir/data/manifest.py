"""The manifest of a made data set: what every file is, so that two people can tell whether theirs are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tdir.errors import DataError
from tdir.weights import sha256

FILE = "manifest.json"


def write(root: Path, about: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write the manifest of a set.

    Args:
        root: the folder of the set.
        about: how the set was made, as JSON values.
        files: one entry a file, with its "path" below the root and its "sha256".

    Returns:
        The manifest; its "sha256" stands for all of the files.
    """
    lines = "".join(f"{one['sha256']}  {one['path']}\n" for one in sorted(files, key=lambda one: str(one["path"])))
    whole = {**about, "sha256": hashlib.sha256(lines.encode()).hexdigest(), "files": list(files)}
    (root / FILE).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return whole


def read(root: Path) -> dict[str, Any] | None:
    """The manifest of a set; ``None`` if it has none.

    Raises:
        DataError: if it cannot be read.
    """
    path = root / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = [(str(one["path"]), str(one["sha256"])) for one in content["files"]]
        return {**content, "sha256": str(content["sha256"])} if files else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: not a readable manifest ({error}): make the set again") from error


def differing(root: Path, manifest: Mapping[str, Any]) -> list[str]:
    """The files of a manifest that are missing or have other bytes, by their path below the root."""
    wrong = []
    for one in manifest["files"]:
        path = root / one["path"]
        if not path.is_file() or sha256(path) != one["sha256"]:
            wrong.append(str(one["path"]))
    return wrong
