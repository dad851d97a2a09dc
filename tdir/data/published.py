"""The data sets that the papers report on, found below a folder of downloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
        get: how one comes by it.
        split: that is scored.
        settings: of the reader, such as the classes that are scored.
    """

    title: str
    layout: str
    get: str
    split: str = "test"
    settings: Mapping[str, Any] = field(default_factory=dict)


_HAZY, _DARK = ({"classes": list(RECIPES[name].classes)} for name in ("voch", "vocd"))
PUBLISHED = {
    "rtts": Published("RTTS", "voc", "it is a part of RESIDE; unpack RTTS.zip there", settings=_HAZY),
    "exdark": Published(
        "ExDark", "exdark", "unpack ExDark.zip and ExDark_Annno.zip of its authors there, beside imageclasslist.txt",
        settings=_DARK,
    ),
    "voch": Published("VOCh", "made", "make it: tdir prepare voch VOCdevkit --out VOCh", settings=_HAZY),
    "vocd": Published("VOCd", "made", "make it: tdir prepare vocd VOCdevkit --out VOCd", settings=_DARK),
    "cityscapes": Published(
        "Cityscapes", "cityscapes", "unpack leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip there", "val"
    ),
    "camvid": Published("CamVid", "camvid", "it is a folder of the tutorial of SegNet's authors", "val"),
    "cifar10": Published("CIFAR", "cifar10", "unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz there"),
}  # fmt: skip
"""Name -> set."""
DEVKIT = "VOCdevkit"


def located(name: str, data_root: str | Path | None = None) -> dict[str, Any]:
    """The settings that read the split of a published set that is scored.

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
        if wanted.split in DATASETS.get(wanted.layout).splits(candidate):  # type: ignore[attr-defined]
            settings = {"type": wanted.layout, "root": str(candidate), "split": wanted.split, **wanted.settings}
            devkit = candidate.parent / DEVKIT
            return {**settings, **({"originals": str(devkit)} if wanted.layout == "made" and devkit.is_dir() else {})}
    if not folders:
        raise DataError(f"where is {wanted.title}? Give --data-root, or set {DATA_VARIABLE}")
    looked = ", ".join(map(str, folders))
    raise DataError(
        f"{looked}: no {wanted.title} with a {wanted.split} split, in it or in a folder named so: {wanted.get}"
    )


def _candidates(folder: Path, title: str) -> Iterator[Path]:
    yield folder
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name.lower().startswith(title.lower()):
            yield path
