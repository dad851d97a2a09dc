"""What every data set of tdir gives: samples with a truth, by index."""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tdir.data.images import Depth, Pixels, image_size, read_image
from tdir.errors import DataError
from tdir.structures import Detections, Prediction

DATA_VARIABLE = "TDIR_DATA"
_MOST_UNREADABLE = 0.01


@dataclass
class Sample:
    """One image of a data set.

    Args:
        image: ``(H, W, 3)`` uint8 RGB at native size.
        truth: boxes in pixels of the image, a map of its size, or its class; labels are positions in the set's
            ``classes``; ``None`` without a truth.
        name: unique in its set and the same on every machine.
        path: the image file; in a set that has none, a name in its place.
    """

    image: Pixels
    truth: Prediction | None
    name: str
    path: Path

    def objects(self) -> Detections:
        """What a detector is trained to find here: every object that is not difficult.

        Raises:
            DataError: if the image has no truth, or one of another kind.
        """
        if self.truth is None:
            raise DataError(f"{self.name} has no labels, and a detector is trained with them: give a labelled set")
        if not isinstance(self.truth, Detections):
            raise DataError(f"{self.name} has a {type(self.truth).__name__}, and a detector is trained with boxes")
        return self.truth if self.truth.difficult is None else self.truth[~self.truth.difficult]


class ImageSet(ABC):
    """Base of every data set: a sequence of samples.

    Attributes:
        task: what its truths are for: "detection", "segmentation" or "classification".
        classes: the class names; a label is a position in this list.
        paths: the image files; in a set that has none, names in their place.
        names: one per image, unique, the same on every machine.
        root: the folder of the set, where it has one.
        clean: the same images and truths before a degradation, where they are at hand.
    """

    task: Literal["detection", "segmentation", "classification"] = "detection"
    classes: list[str]
    paths: list[Path]
    names: list[str]
    root: Path | None = None
    clean: ImageSet | None = None

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The splits of a folder that is in this reader's layout, sorted; none if it is in another."""
        return []

    @abstractmethod
    def truth(self, index: int) -> Prediction | None:
        """The truth of image ``index`` without reading its pixels; ``None`` if the set has no truth.

        Raises:
            DataError: if the annotation is missing or malformed.
        """

    def photo(self, index: int) -> str:
        """What image ``index`` shows; images that tdir made of one photo have it in common."""
        return self.names[index]

    def group(self, index: int) -> str | None:
        """What image ``index`` is also scored with apart, such as its city; ``None`` in a set without such parts."""
        return None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        """Sample ``index``.

        Raises:
            DataError: if the image or its annotation cannot be read.
        """
        return Sample(self.image(index), self.truth(index), self.names[index], self.paths[index])

    def image(self, index: int) -> Pixels:
        """The pixels of image ``index`` without looking at its truth.

        Raises:
            DataError: if the image cannot be read.
        """
        return read_image(self.paths[index])

    def depth(self, index: int) -> Depth | None:
        """The depth of image ``index``; ``None`` in a set that does not know it."""
        return None

    def fingerprint(self, index: int) -> tuple[int | str, ...]:
        """What tells image ``index`` from another of the same name, for the key of a cache: size and checksum.

        Of the whole file: a thousand photos take a twentieth of a second, and a set that was moved keeps its caches.
        """
        path = self.paths[index]
        if not path.is_file():
            return -1, 0
        data = path.read_bytes()
        return len(data), zlib.crc32(data)

    def image_size(self, index: int) -> tuple[int, int]:
        """``(height, width)`` of image ``index``, without decoding it.

        Raises:
            DataError: if the image cannot be read.
        """
        return image_size(self.paths[index])

    def subset(self, indices: Sequence[int]) -> ImageSet:
        """Some of the images, in the order of ``indices``."""
        return Subset(self, indices)


class Subset(ImageSet):
    """Some images of a data set; each is the same sample as there.

    Args:
        data_set: any detection set.
        indices: positions in it.

    Raises:
        DataError: if an index is none of its positions.
    """

    def __init__(self, data_set: ImageSet, indices: Sequence[int]):
        wrong = [index for index in indices if not 0 <= index < len(data_set)]
        if wrong:
            raise DataError(f"no image {wrong[0]} in a set of {len(data_set)}: indices run from 0")
        self.data_set, self.indices, self.classes = data_set, list(indices), data_set.classes
        self.task = data_set.task
        self.paths = [data_set.paths[index] for index in indices]
        self.names = [data_set.names[index] for index in indices]
        self.root = data_set.root
        self.clean = None if data_set.clean is None else data_set.clean.subset(indices)

    def photo(self, index: int) -> str:
        """What image ``index`` shows, as in the whole set."""
        return self.data_set.photo(self.indices[index])

    def group(self, index: int) -> str | None:
        """What image ``index`` is also scored with apart, as in the whole set."""
        return self.data_set.group(self.indices[index])

    def truth(self, index: int) -> Prediction | None:
        """The truth of image ``index``, as in the whole set."""
        return self.data_set.truth(self.indices[index])

    def image(self, index: int) -> Pixels:
        """The pixels of image ``index``, as in the whole set."""
        return self.data_set.image(self.indices[index])

    def depth(self, index: int) -> Depth | None:
        """The depth of image ``index``, as in the whole set."""
        return self.data_set.depth(self.indices[index])

    def fingerprint(self, index: int) -> tuple[int | str, ...]:
        """What tells image ``index`` from another of the same name, as in the whole set."""
        return self.data_set.fingerprint(self.indices[index])

    def image_size(self, index: int) -> tuple[int, int]:
        """``(height, width)`` of image ``index``, as in the whole set."""
        return self.data_set.image_size(self.indices[index])


def check_skipped(skipped: Sequence[str], count: int) -> None:
    """Let a few of ``count`` images be skipped as unreadable; ``skipped`` is what was wrong with each.

    Raises:
        DataError: if they are more than 1 %.
    """
    if len(skipped) > _MOST_UNREADABLE * count:
        raise DataError(f"{len(skipped)} of {count} images cannot be read, more than 1 %: {'; '.join(skipped[:5])}")


def data_folders() -> list[Path]:
    """The folders that ``TDIR_DATA`` names."""
    return [Path(folder) for folder in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if folder]


def find_root(root: str | Path) -> Path:
    """Where a data set lies: the path as given, or below a folder of the environment variable ``TDIR_DATA``.

    Args:
        root: a path; ``TDIR_DATA`` holds folders separated as in ``PATH``.

    Raises:
        DataError: if it is nowhere; the message lists where it was looked for.
    """
    given = Path(root).expanduser()
    candidates = [given, *(folder / given for folder in data_folders())]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = ", ".join(dict.fromkeys(str(candidate.absolute()) for candidate in candidates))
    raise DataError(
        f"no data set {str(root)!r}; looked at {looked}: give its path, or add its parent to {DATA_VARIABLE}"
    )


def read_lines(path: Path) -> list[str]:
    """The lines of a text file of a data set, stripped; a byte order mark is dropped, empty lines stay.

    Raises:
        DataError: if it cannot be read, or is not UTF-8.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error})") from error
