"""The data sets that the papers report on, found below a folder of downloads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdir.data.made import RECIPES
from tdir.data.sample import DATA_VARIABLE, data_folders, find_root
from tdir.errors import DataError
from tdir.registry import DATASETS


@dataclass(frozen=True)
class Published:
    """A set to score on.

    Args:
        title: its name, which its folder starts with.
        layout: its reader.
        classes: that are scored.
        get: how one comes by it.
    """

    title: str
    layout: str
    classes: tuple[str, ...]
    get: str


PUBLISHED = {
    "rtts": Published(
        "RTTS", "voc", RECIPES["voch"].classes, "it is a part of RESIDE; unpack RTTS.zip there"
    ),
    "exdark": Published(
        "ExDark", "exdark", RECIPES["vocd"].classes,
        "unpack ExDark.zip and ExDark_Annno.zip of its authors there, beside imageclasslist.txt",
    ),
    "voch": Published("VOCh", "made", RECIPES["voch"].classes, "make it: tdir prepare voch VOCdevkit --out VOCh"),
    "vocd": Published("VOCd", "made", RECIPES["vocd"].classes, "make it: tdir prepare vocd VOCdevkit --out VOCd"),
}  # fmt: skip
"""Name -> set."""
DEVKIT = "VOCdevkit"


def located(name: str, data_root: str | Path | None = None) -> dict[str, Any]:
    """The settings that read the test split of a published set.

    Args:
        name: a key of :data:`PUBLISHED`.
        data_root: the folder of the set, or one that holds it; default: the folders of ``TDIR_DATA``. A ``VOCdevkit``
            beside VOCh or VOCd gives their clean images.

    Raises:
        DataError: if it is not there; the message says how one comes by it.
    """
    wanted = PUBLISHED[name]
    folders = data_folders() if data_root is None else [find_root(data_root)]
    for candidate in (one for folder in folders for one in _candidates(folder, wanted.title)):
        if "test" in DATASETS.get(wanted.layout).splits(candidate):  # type: ignore[attr-defined]
            settings = {"type": wanted.layout, "root": str(candidate), "split": "test", "classes": list(wanted.classes)}
            devkit = candidate.parent / DEVKIT
            return {**settings, **({"originals": str(devkit)} if wanted.layout == "made" and devkit.is_dir() else {})}
    if not folders:
        raise DataError(f"where is {wanted.title}? Give --data-root, or set {DATA_VARIABLE}")
    looked = ", ".join(map(str, folders))
    raise DataError(f"{looked}: no {wanted.title} with a test split, in it or in a folder named so: {wanted.get}")


def _candidates(folder: Path, title: str) -> Iterator[Path]:
    yield folder
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name.lower().startswith(title.lower()):
            yield path
