"""The teacher's cache on disk: pixels in one memory-mapped file, predictions beside it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tdir.data.degradations import Degraded
from tdir.data.sample import ImageSet
from tdir.errors import DataError
from tdir.structures import KINDS, Prediction

INDEX, PIXELS, PREDICTIONS = "index.json", "pixels.u8", "predictions.safetensors"


def content_key(parts: Mapping[str, Any]) -> str:
    """A short name for a cache from everything that its content depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def how_built(part: nn.Module) -> list[object]:
    """What a part is besides its weights, for a key; where these lie does not matter."""
    # As JSON has them: a part from a bundle has lists where the one that was saved had tuples.
    plain = json.loads(json.dumps(getattr(part, "config", {}), default=str))
    settings = {k: str(v) for k, v in plain.items() if k != "weights"}
    # What a program does is in its file, and not in its weights alone.
    program = [part.weights_sha256] if getattr(part, "is_code", False) else []
    return [type(part).__name__, settings, *program]


def how_degraded(data_set: ImageSet) -> list[object]:
    """The degradations that tdir makes of a set, the last one first, for a key."""
    if not isinstance(data_set, Degraded):
        return []
    return [data_set.degradation.settings(), data_set.seed, *how_degraded(data_set.data_set)]


@dataclass
class Source:
    """What the head said of one version of an image."""

    found: Prediction
    embeddings: Tensor


class TeacherStore:
    """Read access to a finished cache.

    Args:
        folder: where the cache lies; ``TeacherWriter`` made it.

    Raises:
        DataError: if a file of it is missing or damaged.

    Every image has two versions of the same size, ``image`` and ``restored``, uint8 RGB.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            record = json.loads((folder / INDEX).read_text())
            self.names: list[str] = record["names"]
            self.sizes: list[tuple[int, int]] = [(height, width) for height, width in record["sizes"]]
            self.skipped: list[str] = record["skipped"]
            self._kind = KINDS[record["kind"]]
            lengths = [2 * 3 * height * width for height, width in self.sizes]
            self._starts = np.concatenate([[0], np.cumsum(lengths)])
            self._pixels = np.memmap(folder / PIXELS, dtype=np.uint8, mode="r")
            with safe_open(folder / PREDICTIONS, "pt") as tensors:
                self._predictions = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118  not a dict
            self._check_lengths()
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DataError(f"{folder} is a damaged cache of the teacher ({error}): delete it") from error

    def _check_lengths(self) -> None:
        if len(self._pixels) != self._starts[-1]:
            raise ValueError(f"{PIXELS} has {len(self._pixels)} bytes for {self._starts[-1]}")
        for source in self.sources():
            for column in self._columns(source):
                ends = self._predictions[f"{source}.{column}.ends"]
                if len(ends) != len(self) + 1 or ends[-1] != len(self._predictions[f"{source}.{column}"]):
                    raise ValueError(f"{PREDICTIONS} has the {source} predictions of other images ({column})")

    @property
    def key(self) -> str:
        """What all that was asked depends on: images, weights and settings."""
        return self.folder.name

    def __len__(self) -> int:
        return len(self.names)

    def pixels(self, i: int) -> np.ndarray:
        """``(2, H, W, 3)`` uint8: image i and its restored version."""
        height, width = self.sizes[i]
        return self._pixels[self._starts[i] : self._starts[i + 1]].reshape(2, height, width, 3)

    def sources(self) -> list[str]:
        """The versions that the head was asked about."""
        return sorted({name.split(".")[0] for name in self._predictions})

    def source(self, name: str, i: int) -> Source:
        """What the head said of version ``name`` of image i."""
        part = {column: self._part(f"{name}.{column}", i) for column in self._columns(name)}
        embeddings = part.pop("embeddings").float()
        return Source(self._kind.from_columns(part), embeddings)

    def _columns(self, source: str) -> list[str]:
        """The tensors that are kept of every prediction on a version."""
        parts = [name.split(".") for name in self._predictions if not name.endswith(".ends")]
        return [column for version, column in parts if version == source]

    def _part(self, key: str, i: int) -> Tensor:
        start, end = self._predictions[f"{key}.ends"][i : i + 2].tolist()
        return self._predictions[key][start:end]


def check_free(folder: Path, expected_bytes: int) -> None:
    """Raise a DataError if the disk of a folder, which may not be there yet, has less left than will be written."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if expected_bytes > 0.95 * free:
        raise DataError(
            f"the teacher's caches need about {expected_bytes / 1e9:.2f} GB, {folder} has {free / 1e9:.2f} GB left: "
            "set teacher.cache_dir to another disk or lower size"
        )


class TeacherWriter:
    """Writes a cache beside its final place and moves it there when complete.

    Args:
        folder: the final place.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self._pixels = open(self.partial / PIXELS, "wb")  # noqa: SIM115  finish() closes it
        self._names: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._rows: dict[str, list[dict[str, Tensor]]] = {}
        self._kind = ""

    def __enter__(self) -> TeacherWriter:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind of a cache that was not finished."""
        self._pixels.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def add(self, name: str, image: np.ndarray, restored: np.ndarray, said: Mapping[str, Source]) -> None:
        """Append one image ``(H, W, 3)`` uint8, its restored version and what the head said of each version."""
        self._pixels.write(np.stack([image, restored]).tobytes())
        self._names.append(name)
        self._sizes.append((image.shape[0], image.shape[1]))
        for source, prediction in said.items():
            row = {**prediction.found.columns(), "embeddings": prediction.embeddings.half()}
            self._rows.setdefault(source, []).append(row)
            self._kind = type(prediction.found).__name__

    def finish(self, skipped: list[str]) -> TeacherStore:
        """Put the cache in its place and open it."""
        self._pixels.close()
        tensors = {}
        for source, rows in self._rows.items():
            for column in rows[0]:
                values = [row[column] for row in rows]
                tensors[f"{source}.{column}"] = torch.cat(values).contiguous()
                tensors[f"{source}.{column}.ends"] = torch.from_numpy(np.cumsum([0] + [len(value) for value in values]))
        save_file(tensors, self.partial / PREDICTIONS)
        index = {"names": self._names, "sizes": self._sizes, "skipped": skipped, "kind": self._kind}
        (self.partial / INDEX).write_text(json.dumps(index))
        shutil.rmtree(self.folder, ignore_errors=True)
        os.replace(self.partial, self.folder)
        return TeacherStore(self.folder)
