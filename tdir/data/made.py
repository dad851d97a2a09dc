"""VOCh and VOCd: Pascal VOC in haze and in the dark, made as the papers make them and written as a set of its own.

VaT (section 5.1) has 16,222 training and 5,468 test images in haze, which is twice the 8,111 and 2,734 photos that hold
one of its five classes: our reading of its "two scales" is two draws of the haze for each photo.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from tdir.data import manifest
from tdir.data.degradations import Degradation, rng_for
from tdir.data.depth_maps import DepthMaps
from tdir.data.images import write_image
from tdir.data.sample import check_skipped, find_root
from tdir.data.voc import VOC
from tdir.errors import ConfigError, DataError
from tdir.files import write_whole
from tdir.registry import DEGRADATIONS
from tdir.weights import sha256

log = logging.getLogger("tdir")
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Recipe:
    """A set to make.

    Args:
        title: its name.
        classes: a photo with none of them is left out.
        degradation: as ``DEGRADATIONS.build`` takes it.
        draws: of the degradation, for each photo.
        published: split -> photos of Pascal VOC 2007 and 2012 that it is made of; empty for a set of one's own.
    """

    title: str
    classes: tuple[str, ...]
    degradation: dict[str, Any]
    draws: int
    published: dict[str, int]


RECIPES = {
    "voch": Recipe(
        "VOCh", ("bicycle", "bus", "car", "motorbike", "person"), {"type": "haze"}, 2, {"train": 8111, "test": 2734}
    ),
    "vocd": Recipe(
        "VOCd",
        ("bicycle", "boat", "bottle", "bus", "car", "cat", "chair", "dog", "motorbike", "person"),
        {"type": "low_light"},
        1,
        {"train": 12334, "test": 3760},
    ),
}
"""Name -> recipe."""


@dataclass(frozen=True)
class _Job:
    """One image to write."""

    split: str
    source: VOC
    index: int
    name: str


def sources(root: str | Path) -> dict[str, list[tuple[Path, str]]]:
    """The folders and splits that training and test images are made of.

    Args:
        root: a ``VOCdevkit`` with ``VOC2007`` and ``VOC2012``, or one folder in Pascal VOC's layout; see ``find_root``.

    Returns:
        For "train" and "test", the (folder, split) pairs: 2007 + 2012 trainval and 2007 test of a ``VOCdevkit``.

    Raises:
        DataError: if it is neither, or lacks a part.
    """
    folder = find_root(root)
    if (folder / "VOC2007").is_dir() or (folder / "VOC2012").is_dir():
        years = folder / "VOC2007", folder / "VOC2012"
        missing = [year.name for year in years if not year.is_dir()]
        if missing:
            raise DataError(f"{folder}: {missing[0]} is missing; unpack the archives of VOC 2007 and VOC 2012 there")
        return {"train": [(year, "trainval") for year in years], "test": [(years[0], "test")]}
    lists = {path.stem for path in (folder / "ImageSets" / "Main").glob("*.txt")}
    found = {
        split: [(folder, name) for name in names if name in lists][:1]
        for split, names in {"train": ("train", "trainval"), "test": ("test", "val")}.items()
    }
    if not any(found.values()):
        raise DataError(
            f"{folder}: neither a VOCdevkit with VOC2007 and VOC2012, nor a folder with lists in ImageSets/Main"
        )
    return {split: pairs for split, pairs in found.items() if pairs}


def make(
    recipe: Recipe,
    root: str | Path,
    out: Path,
    seed: int = 0,
    suffix: str = ".png",
    depth: DepthMaps | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Write a degraded set in Pascal VOC's layout, with its manifest; what is there already is not made again.

    Args:
        recipe: what to make.
        root: see :func:`sources`.
        out: the folder of the set.
        seed: of the draws; an image's draw depends on the seed and its name alone.
        suffix: ".png", which keeps every pixel, or ".jpg".
        depth: depth maps for a degradation that needs them; photos without one are left out.
        workers: threads; default: as many as there are cores.

    Returns:
        The manifest: how the set was made, what was "drawn" for every image, and sha256 of every file.

    Raises:
        ConfigError: if ``out`` holds a set that was made otherwise.
        DataError: if the source is incomplete, or more than 1 % of its images cannot be read.
    """
    degradation: Degradation = DEGRADATIONS.build(recipe.degradation)
    about = {
        "title": recipe.title, "recipe": {**asdict(recipe), "degradation": degradation.settings()},
        "source": Path(root).name, "seed": seed, "suffix": suffix,
        "versions": {"numpy": np.__version__, "opencv": cv2.__version__},
    }  # fmt: skip
    jobs = list(_jobs(recipe, root, depth))
    _check_same(out, json.loads(json.dumps(about)))
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    skipped: list[str] = []

    def work(job: _Job) -> list[dict[str, Any]] | None:
        try:
            return _made(job, degradation, out, seed, suffix, depth)
        except DataError as error:
            skipped.append(str(error))
            log.warning("left out: %s", error)
            return None

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        bar = tqdm(pool.map(work, jobs), total=len(jobs), desc=recipe.title, unit="image", disable=None)
        entries = list(bar)
    check_skipped(skipped, len(jobs))
    done = [(job, files) for job, files in zip(jobs, entries, strict=True) if files is not None]
    lists = _write_lists(out, [job for job, _ in done])
    counts = {split: sum(job.split == split for job, _ in done) for split in dict.fromkeys(j.split for j in jobs)}
    files = [*lists, *(one for _, found in done for one in found)]
    return manifest.write(out, {**about, "images": counts, "left_out": skipped}, files)


def explained(recipe: Recipe, made: dict[str, Any]) -> list[str]:
    """How the counts of a manifest compare with the published ones, in sentences."""
    said = []
    for split, count in made["images"].items():
        photos, expected = count // recipe.draws, recipe.published.get(split)
        here = f"{recipe.title}-{split}: {count} images of {photos} photos"
        if expected in (None, photos):
            said.append(here if expected is None else f"{here}, as published")
            continue
        whole = f"{expected * recipe.draws} of {expected}"
        said.append(
            f"{here}; published are {whole}. That is the whole of VOC 2007 and 2012: {made['source']} is another set, "
            "or an archive of theirs is not unpacked to the end (2007 trainval, 2007 test, 2012 trainval)"
        )
    return said


def _jobs(recipe: Recipe, root: str | Path, depth: DepthMaps | None) -> Sequence[_Job]:
    jobs, without = [], 0
    for split, pairs in sources(root).items():
        for folder, name in pairs:
            source = VOC(folder, name, list(recipe.classes))
            for i in tqdm(range(len(source)), desc=f"{folder.name} {name}", unit="photo", disable=None, leave=False):
                truth = source.truth(i)
                if truth is None:
                    raise DataError(f"{folder}: no Annotations in it, and photos are chosen by their classes")
                if not len(truth):
                    continue
                if depth is not None and not depth.has(source.names[i]):
                    without += 1
                    continue
                image = source.names[i]
                names = [image] if recipe.draws == 1 else [f"{image}_{k}" for k in range(recipe.draws)]
                jobs += [_Job(split, source, i, one) for one in names]
    if without:
        log.warning("%d photos have no depth map in %s and are left out", without, depth.root if depth else "")
    if not jobs:
        raise DataError(f"{root}: no photo with one of the classes {', '.join(recipe.classes)}")
    return jobs


def _check_same(out: Path, about: dict[str, Any]) -> None:
    """Note how the set is made, or find that it is being made otherwise."""
    file = out / SETTINGS
    if file.is_file():
        if json.loads(file.read_text(encoding="utf-8")) != about:
            raise ConfigError(f"{out} holds a set that was made with other settings, see {file}: name another folder")
        return
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out} holds other files: name an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _made(
    job: _Job, degradation: Degradation, out: Path, seed: int, suffix: str, depth: DepthMaps | None
) -> list[dict[str, Any]]:
    """The entries of one image and its annotation, written now unless they are there."""
    photo = job.source.names[job.index]
    image, annotation = out / f"JPEGImages/{job.name}{suffix}", out / f"Annotations/{job.name}.xml"
    if not image.is_file():
        pixels = job.source.image(job.index)
        metres = None if depth is None else depth.read(photo, (pixels.shape[0], pixels.shape[1]))
        degraded = degradation(pixels, rng_for(job.name, seed), metres)
        write_whole(image, lambda path: write_image(path, degraded))
    if not annotation.is_file():
        write_whole(annotation, lambda path: shutil.copyfile(job.source.annotation(job.index), path))
    drawn = degradation.draw(rng_for(job.name, seed))
    return [
        {**_entry(out, image), "split": job.split, "photo": photo, "drawn": drawn},
        _entry(out, annotation),
    ]


def _write_lists(out: Path, jobs: Sequence[_Job]) -> list[dict[str, Any]]:
    entries = []
    for split in dict.fromkeys(job.split for job in jobs):
        path = out / f"ImageSets/Main/{split}.txt"
        path.write_text("".join(f"{job.name}\n" for job in jobs if job.split == split), encoding="utf-8")
        entries.append(_entry(out, path))
    return entries


def _entry(out: Path, path: Path) -> dict[str, Any]:
    return {"path": path.relative_to(out).as_posix(), "sha256": sha256(path)}
