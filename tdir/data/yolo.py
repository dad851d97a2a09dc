"""The YOLO layout: images/<split>, and one text file of normalised boxes per image in labels/<split>."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from tdir.data.classes import COCO_CLASSES, canonical, label_positions
from tdir.data.images import image_size, list_images
from tdir.data.sample import ImageSet, find_root, read_lines
from tdir.errors import DataError, shown
from tdir.registry import DATASETS, closest
from tdir.structures import Detections

_SLACK = 0.01
"""Labels written with few digits end a little outside [0, 1]; what is further out is not normalised."""


@DATASETS.register_module("yolo")
class YOLO(ImageSet):
    """Images and boxes of one split.

    A line of a label file reads ``class cx cy w h``, or ``class x1 y1 x2 y2 x3 y3 ...`` for an outline, of which the
    bounding box is taken; all in [0, 1] of the image as it is shown (EXIF orientation applied). An image without a
    label file has no objects; a split without a folder of labels has no truth.

    Args:
        root: the folder that holds ``images`` and ``labels``; see ``find_root``.
        split: a folder in ``images``.
        classes: the classes of interest, in label order; objects of other classes are left out, usual other names
            count. Default: all.
        names: what the class numbers in the files mean, as a list or as the path of a data yaml. Default: the yaml
            file in ``root`` that has ``names``; without one, COCO's 80 classes.

    Raises:
        DataError: if the layout or the split is not there, ``names`` cannot be read, or ``classes`` has a name that is
            not among them.
        ConfigError: if two of ``classes`` mean the same.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        classes: Sequence[str] | None = None,
        names: Sequence[str] | str | Path | None = None,
    ):
        self.root = find_root(root)
        images = _split_folder(self.root, split)
        self.paths = list_images(images)
        self.names = [path.relative_to(images).as_posix() for path in self.paths]
        self._labels = self.root / "labels" / split
        self._labelled = self._labels.is_dir()
        numbered = _class_names(self.root, names)
        self.classes = list(numbered.values()) if classes is None else list(classes)
        positions = label_positions(self.classes)
        known = {canonical(name): name for name in numbered.values()}
        for name in self.classes:
            if canonical(name) not in known:
                raise DataError(f"{self.root}: has no class {name!r}: {closest(name, known.values())}")
        # Class number in the files -> label, or -1 for a class that is left out.
        self._label = {number: positions.get(canonical(name), -1) for number, name in numbered.items()}

    @classmethod
    def splits(cls, folder: Path) -> list[str]:
        """The folders of labels."""
        return sorted(path.name for path in (folder / "labels").glob("*") if path.is_dir())

    def truth(self, index: int) -> Detections | None:
        """The boxes of image ``index``; ``None`` in a split without a folder of labels."""
        if not self._labelled:
            return None
        path = (self._labels / self.names[index]).with_suffix(".txt")
        if not path.is_file():
            return Detections.empty()
        height, width = image_size(self.paths[index])
        boxes, labels = [], []
        for number, line in enumerate(read_lines(path), start=1):
            if line:
                label, box = self._read_line(line, f"{path}, line {number}")
                if label >= 0:
                    boxes.append(box * (width, height, width, height))
                    labels.append(label)
        return Detections(
            torch.from_numpy(np.array(boxes, dtype=np.float32).reshape(-1, 4)),
            torch.tensor(labels, dtype=torch.long),
        )

    def _read_line(self, line: str, where: str) -> tuple[int, NDArray[np.float64]]:
        """The label and the normalised xyxy box of one line."""
        try:
            number, *values = map(float, line.split())
        except ValueError as error:
            raise DataError(f"{where}: not numbers: {shown(line)}") from error
        if number not in self._label:
            raise DataError(f"{where}: class number {number:g} has no name, there are {len(self._label)}: give 'names'")
        points = np.array(values)
        # The comparison is written so that NaN fails it.
        if not np.all((points >= -_SLACK) & (points <= 1 + _SLACK)):
            raise DataError(f"{where}: boxes must be normalised to [0, 1], got {shown(line)}")
        return self._label[int(number)], _corners(points, where).clip(0, 1)


def _corners(values: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    if len(values) == 4:
        centre, half = values[:2], values[2:] / 2
        return np.concatenate([centre - half, centre + half])
    if len(values) < 6 or len(values) % 2:
        raise DataError(f"{where}: needs a class and 4 numbers, or 3 and more points, got {len(values)} numbers")
    points = values.reshape(-1, 2)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _split_folder(root: Path, split: str) -> Path:
    folder = root / "images"
    if not folder.is_dir():
        raise DataError(f"{root}: not a YOLO layout, there is no 'images' folder in it")
    if not (folder / split).is_dir():
        known = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
        raise DataError(f"{root}: no split {split!r} in 'images'; the splits there: {known or 'none'}")
    return folder / split


def _class_names(root: Path, names: Sequence[str] | str | Path | None) -> dict[int, str]:
    if isinstance(names, (str, Path)):
        found = _yaml_names(find_root(names))
        if found is None:
            raise DataError(f"{names}: there is no 'names' in this file")
        return found
    if names is not None:
        return dict(enumerate(names))
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        if (found := _yaml_names(path)) is not None:
            return found
    return dict(enumerate(COCO_CLASSES))


def _yaml_names(path: Path) -> dict[int, str] | None:
    """The class names of a data yaml, written there as a list or as number: name."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not a readable yaml file ({error})") from error
    names = content.get("names") if isinstance(content, dict) else None
    if names is None:
        return None
    pairs = names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else []
    numbered = {number: str(name) for number, name in pairs if isinstance(number, int)}
    if not numbered or len(numbered) != len(names):
        raise DataError(f"{path}: 'names' must be a list, or a mapping from class numbers to names, got {names!r}")
    return dict(sorted(numbered.items()))
