"""Looking a labelled data set over before anything is measured on it: what is there, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from tdir.data import manifest
from tdir.data.classes import COCO_CLASSES, canonical
from tdir.data.layouts import PLAIN, layout_of, with_labels
from tdir.data.sample import ImageSet, find_root
from tdir.errors import DataError
from tdir.registry import DATASETS
from tdir.structures import Detections

COUNTS: dict[str, dict[str, dict[str, int]]] = {
    "rtts": {
        "test": {"images": 4322, "person": 7950, "car": 18415, "bus": 1838, "bicycle": 534, "motorbike": 862},
    },
    "exdark": {"train": {"images": 3000}, "val": {"images": 1800}, "test": {"images": 2563}},
    "voc2007": {"trainval": {"images": 5011}, "test": {"images": 4952}},
    "voc2012": {"trainval": {"images": 11540}},
    "coco": {"train2017": {"images": 118287}, "val2017": {"images": 5000}},
}
"""Data set -> split -> how many "images" it was published with, and boxes of a class where they are known."""
NEAR = 4
"""Of the 64 bits of a perceptual hash, how many may differ between two versions of one photo."""
_SHOWN = 5
_OUTSIDE = 1.0  # pixels: a set that counts them from 0 ends one outside


@dataclass
class Split:
    """What a look at one split found; names of images, with what is wrong where it is not plain.

    Args:
        name: of the split.
        images: how many.
        of_boxes: whether its truths are boxes.
        counts: class -> how many boxes, difficult and ignored ones included, or how many images that show it.
        broken: images that cannot be read.
        malformed: annotations that cannot be read.
        outside: images with a box that ends more than a pixel outside.
        empty: images with a box of no width or height.
        hashes: ``(n, 64)`` bool, of the images that can be read.
        hashed: their names.
    """

    name: str
    images: int
    of_boxes: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    hashes: np.ndarray = field(default_factory=lambda: np.zeros((0, 64), dtype=bool))
    hashed: list[str] = field(default_factory=list)


@dataclass
class Verdict:
    """What is to be said of a data set.

    Args:
        facts: what it is.
        remarks: what one should know, and can work with.
        faults: what has to be mended first.
    """

    facts: list[str]
    remarks: list[str]
    faults: list[str]


def check(root: str, layout: str | None = None, known_as: str | None = None) -> Verdict:
    """Look over every split of a data set.

    Args:
        root: its folder; see ``find_root``.
        layout: of the readers; default: told from the folder.
        known_as: a key of :data:`COUNTS` to compare the counts with; default: told from the folder's name.

    Raises:
        DataError: if there is no such folder, or it has no layout with labels.
    """
    folder = find_root(root)
    kind = layout or layout_of(root)["type"]
    splits = [] if kind == PLAIN else DATASETS.get(kind).splits(folder)  # type: ignore[attr-defined]
    if not splits:
        raise DataError(f"{folder}: no layout with labels in it, of {', '.join(with_labels())}")
    verdict = Verdict([f"{folder.name}: layout {kind}, splits {', '.join(splits)}"], [], [])
    looked: list[Split] = []
    for name in splits:
        try:
            data_set = DATASETS.build({"type": kind, "root": str(folder), "split": name})
        except DataError as error:
            verdict.faults.append(str(error))
        else:
            looked.append(look(name, data_set))
    published = COUNTS.get(known_as or folder.resolve().name.lower().replace("_", "") or "", {})
    for split in looked:
        _say(verdict, split, published.get(split.name, {}))
    for first, second in combinations(looked, 2):
        _compare(verdict, first, second)
    _compare_manifest(verdict, folder)
    return verdict


def look(name: str, data_set: ImageSet) -> Split:
    """Read every image and annotation of a split."""
    import imagehash  # here, as every data set's look-up imports this module, and its SciPy takes a while

    found = Split(name, len(data_set), data_set.task == "detection")
    hashes = []
    for i in tqdm(range(len(data_set)), desc=name, unit="image", disable=None, leave=False):
        size = None
        try:
            image = data_set.image(i)
        except DataError as error:
            found.broken.append(str(error))
        else:
            size = image.shape[:2]
            hashes.append(imagehash.phash(Image.fromarray(image)).hash.ravel())
            found.hashed.append(data_set.names[i])
        try:
            truth = data_set.truth(i)
        except DataError as error:
            found.malformed.append(str(error))
            continue
        if truth is None:
            continue
        if not isinstance(truth, Detections):
            shown = truth.amounts(len(data_set.classes))[:-1].nonzero()[:, 0].tolist()
            found.counts.update(data_set.classes[k] for k in shown)
            continue
        found.counts.update(data_set.classes[label] for label in truth.labels.tolist() if label >= 0)
        sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
        if (sides <= 0).any():
            found.empty.append(data_set.names[i])
        if size is not None and len(truth):
            right, bottom = truth.boxes[:, 2].max(), truth.boxes[:, 3].max()
            if truth.boxes[:, :2].min() < -_OUTSIDE or right > size[1] + _OUTSIDE or bottom > size[0] + _OUTSIDE:
                found.outside.append(data_set.names[i])
    found.hashes = np.array(hashes, dtype=bool).reshape(-1, 64)
    return found


def duplicates(first: Split, second: Split) -> Iterator[tuple[str, str]]:
    """The pairs of images of two splits that look the same, by their perceptual hashes."""
    if not len(second.hashes):
        return
    a, b = first.hashes.astype(np.float32), second.hashes.astype(np.float32)
    for i, row in enumerate(a):
        # Bits that differ: those of the one and not the other, both ways.
        differing = row.sum() + b.sum(1) - 2 * (b @ row)
        for j in np.flatnonzero(differing <= NEAR).tolist():
            yield first.hashed[i], second.hashed[j]


def _say(verdict: Verdict, split: Split, published: dict[str, int]) -> None:
    counts = ", ".join(f"{name} {count}" for name, count in split.counts.most_common())
    what = "boxes" if split.of_boxes else "images that show"
    verdict.facts.append(f"{split.name}: {split.images} images; {what}: {counts or 'none'}")
    here = {"images": split.images, **{canonical(name): count for name, count in split.counts.items()}}
    for name, expected in published.items():
        count = here.get(name if name == "images" else canonical(name), 0)
        if count != expected:
            verdict.remarks.append(f"{split.name}: {count} {name}, published with {expected}")
    strange = [name for name in split.counts if canonical(name) not in COCO_CLASSES]
    if strange and split.of_boxes:
        verdict.remarks.append(
            f"{split.name}: COCO knows no {', '.join(strange)}, and a head trained on it cannot find any"
        )
    if not split.counts:
        what = "box" if split.of_boxes else "label"
        verdict.faults.append(f"{split.name}: no {what} in it, and nothing to score against")
    for wrong, what in (
        (split.broken, "images cannot be read"),
        (split.malformed, "annotations cannot be read"),
        (split.empty, "images have a box of no width or height"),
        (split.outside, "images have a box that ends outside"),
    ):
        if wrong:
            verdict.faults.append(f"{split.name}: {len(wrong)} {what}: {_first(wrong)}")


def _compare(verdict: Verdict, first: Split, second: Split) -> None:
    """Images of a training split that a test split shows too; what is listed twice by name is so on purpose."""
    if "trainval" in (first.name, second.name) and {first.name, second.name} & {"train", "val"}:
        return
    same = list(duplicates(first, second))
    if same:
        pairs = [f"{a} and {b}" for a, b in same]
        verdict.faults.append(
            f"{len(same)} images of {first.name} look like one of {second.name}, and a score on the one says little "
            f"after a training on the other: {_first(pairs)}"
        )


def _compare_manifest(verdict: Verdict, folder: Path) -> None:
    made = manifest.read(folder)
    if made is None:
        return
    wrong = manifest.differing(folder, made)
    if wrong:
        verdict.faults.append(f"{len(wrong)} files are not those of the manifest: {_first(wrong)}")
    else:
        verdict.facts.append(f"all {len(made['files'])} files are those of the manifest, sha256 {made['sha256']}")


def _first(found: Sequence[str]) -> str:
    return "; ".join(found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else "")
