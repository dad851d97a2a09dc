"""CIFAR-10 (Krizhevsky, 2009), in its binary and in its Python version, as they are unpacked."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tdir.data import _cifar_pickles as pickles
from tdir.data.images import Pixels
from tdir.data.sample import ImageSet, find_root, read_lines
from tdir.errors import DataError
from tdir.registry import DATASETS, closest
from tdir.structures import ClassScores

COUNT, SIDE = 10, 32
_PLANES = (3, SIDE, SIDE)
_PIXELS = 3 * SIDE * SIDE
_RECORD = 1 + _PIXELS
_AGAIN = "copy or download it again"


class _Version(NamedTuple):
    """The folder that its archive unpacks to, the file of the class names, and the end of the names of batches."""

    folder: str
    meta: str
    suffix: str

    @property
    def is_pickled(self) -> bool:
        return not self.suffix


_VERSIONS = (
    _Version("cifar-10-batches-bin", "batches.meta.txt", ".bin"),
    _Version("cifar-10-batches-py", "batches.meta", ""),
)


@DATASETS.register_module("cifar10")
class CIFAR10(ImageSet):
    """Images of 32 x 32 pixels and their class; a split is read into memory as a whole.

    Nothing that a pickle of the Python version names is run: only numbers, texts and arrays are read from it.

    Args:
        root: ``cifar-10-batches-bin`` or ``cifar-10-batches-py``, or the folder that holds one of them; see
            ``find_root``. Batches may hold less than the official 10,000 images.
        split: "train" or "test".

    Raises:
        DataError: if there is no such folder or split, or a file is cut, damaged, or wants to run code.
    """

    task = "classification"

    def __init__(self, root: str | Path, split: str):
        self.root = find_root(root)
        found = _found(self.root)
        if found is None:
            looked = " or ".join(f"{version.folder}/{version.meta}" for version in _VERSIONS)
            raise DataError(f"{self.root}: not CIFAR-10, which has {looked}: give the folder that its archive made")
        folder, version = found
        known = {name: files for name, files in _files(folder, version).items() if files}
        if split not in known:
            raise DataError(f"{folder} has no batch of split {split!r}: {closest(split, known)}")
        self.classes = _class_names(folder, version)
        read = _read_pickled if version.is_pickled else _read_binary
        batches = [read(path) for path in known[split]]
        self._planes = np.concatenate([planes for planes, _ in batches])
        self._labels = np.concatenate([labels for _, labels in batches])
        self.names = [f"{split}/{index:05d}" for index in range(len(self._labels))]
        self.paths = [folder / name for name in self.names]

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The splits of which there are batches."""
        found = _found(folder)
        return [] if found is None else sorted(split for split, files in _files(*found).items() if files)

    def image(self, index: int) -> Pixels:
        """Image ``index``."""
        return np.ascontiguousarray(self._planes[index].transpose(1, 2, 0))

    def truth(self, index: int) -> ClassScores:
        """The class of image ``index``."""
        return ClassScores.of(int(self._labels[index]), COUNT)

    def fingerprint(self, index: int) -> tuple[int | str, ...]:
        """Size and checksum of the pixels."""
        return _PIXELS, zlib.crc32(self._planes[index].tobytes())

    def image_size(self, index: int) -> tuple[int, int]:
        """32 by 32."""
        return SIDE, SIDE


def _found(folder: Path) -> tuple[Path, _Version] | None:
    """Where the batches lie, and in which version."""
    for version in _VERSIONS:
        for place in (folder, folder / version.folder):
            if (place / version.meta).is_file():
                return place, version
    return None


def _files(folder: Path, version: _Version) -> dict[str, list[Path]]:
    test = folder / f"test_batch{version.suffix}"
    train = [path for path in folder.glob("data_batch_*") if path.suffix == version.suffix]
    return {"train": sorted(train), "test": [test] if test.is_file() else []}


def _class_names(folder: Path, version: _Version) -> list[str]:
    path = folder / version.meta
    if version.is_pickled:
        names = pickles.texts(path, pickles.read(path).get("label_names"))
    else:
        names = [line for line in read_lines(path) if line]
    if len(names) != COUNT or len(set(names)) != COUNT:
        raise DataError(f"{path}: CIFAR-10 has {COUNT} different class names, this has {names[:12]}: {_AGAIN}")
    return names


def _read_binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """``(n, 3, 32, 32)`` uint8 and ``(n,)`` uint8 of records of a label and the red, green and blue pixels."""
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    count, rest = divmod(len(content), _RECORD)
    if rest or not count:
        raise DataError(f"{path}: record {count} has {rest} bytes, and each has {_RECORD}: the file is cut, {_AGAIN}")
    records = content.reshape(count, _RECORD)
    return records[:, 1:].reshape(count, *_PLANES), _checked(records[:, 0], path)


def _read_pickled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same of a pickled dictionary of "data" and "labels"."""
    content = pickles.read(path)
    data, labels = pickles.array(path, content.get("data")), content.get("labels")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError(f"{path}: holds no list of whole numbers as 'labels': {_AGAIN}")
    if not labels or data.shape != (len(labels), _PIXELS):
        raise DataError(
            f"{path}: {len(labels)} labels for images of shape {data.shape}, which should be ({len(labels)}, "
            f"{_PIXELS}): {_AGAIN}"
        )
    return data.reshape(-1, *_PLANES), _checked(np.array(labels), path)


def _checked(labels: np.ndarray, path: Path) -> np.ndarray:
    wrong = np.flatnonzero((labels < 0) | (labels >= COUNT))
    if len(wrong):
        raise DataError(f"{path}: record {wrong[0]} has label {labels[wrong[0]]}, classes are 0 to 9: {_AGAIN}")
    return labels.astype(np.uint8)
