"""What a pipeline predicts, kept on disk batch by batch, so that a benchmark that was interrupted can go on."""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tdir import __version__, distributed
from tdir.data.sample import ImageSet
from tdir.files import write_whole
from tdir.frozen import state_hash
from tdir.metrics.protocols import Protocol
from tdir.pipeline import Pipeline
from tdir.selftraining.store import content_key, how_built, how_degraded
from tdir.structures import KINDS, Prediction

# What numpy and zipfile raise on a file that is damaged or another's.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


class Predictions:
    """The predictions on a list of images, in their order: those found on disk, then those added.

    Args:
        folder: with a file for each batch, of this list alone; made with the first one. Files of another key and
            damaged ones are deleted, and so is what follows them.
        key: what the predictions depend on, see :func:`prediction_key`.
    """

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key
        self._count = 0

    def __iter__(self) -> Iterator[list[Prediction]]:
        """The batches on disk, each read when it is asked for; to be gone through once, before any is added."""
        read: set[Path] = set()
        while batch := self._read(path := self._next()):
            self._count += len(batch)
            read.add(path)
            yield batch
        for stale in {*self.folder.iterdir()} - read if self.folder.is_dir() else ():
            stale.unlink()

    def add(self, batch: list[Prediction]) -> None:
        """Append the predictions on the next images, one or more, and write them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = {f"{i}.{name}": value for i, one in enumerate(batch) for name, value in one.columns().items()}
        about = {"key": self.key, "kind": type(batch[0]).__name__, "count": len(batch)}
        arrays: dict[str, Any] = {name: value.numpy() for name, value in columns.items()}
        write_whole(self._next(), lambda path: np.savez_compressed(path, about=json.dumps(about), **arrays))
        self._count += len(batch)

    def _next(self) -> Path:
        """Where the predictions that follow those so far lie."""
        return self.folder / f"{self._count:08d}.npz"

    def _read(self, path: Path) -> list[Prediction]:
        """The predictions in a file; none if it is missing, damaged, or of another key."""
        with contextlib.suppress(*_UNREADABLE), np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["key"] == self.key:
                columns: list[dict[str, Tensor]] = [{} for _ in range(about["count"])]
                for name in file.files:
                    place, _, column = name.partition(".")
                    if column:
                        columns[int(place)][column] = torch.from_numpy(file[name])
                return [KINDS[about["kind"]].from_columns(one) for one in columns]
        return []


@contextlib.contextmanager
def until_done(out: Path) -> Iterator[Path]:
    """The folder for the predictions of a benchmark with its results in ``out``.

    It stays after an error. What goes on after an interruption would make nothing of a benchmark that is done and is
    run again: so it is removed at the end, by the first process.
    """
    folder = out / "predictions.partial"
    yield folder
    if distributed.is_first():
        shutil.rmtree(folder, ignore_errors=True)


def prediction_key(pipeline: Pipeline, data_set: ImageSet, protocol: Protocol[Any]) -> str:
    """A short name for everything that the predictions of a pipeline on a set depend on.

    How many images are computed at a time is not in it, as it makes no difference.
    """
    parts = [part for part in (pipeline.restorer, pipeline.translator, pipeline.head) if part is not None]
    return content_key(
        {
            "images": [(name, *data_set.fingerprint(i)) for i, name in enumerate(data_set.names)],
            "degraded": how_degraded(data_set),
            "parts": [(how_built(part), state_hash(part)) for part in parts],
            "classes": pipeline.head.classes,
            "size": pipeline.size,
            "decoded": [protocol.score, protocol.iou, protocol.max_det],
            "computed": [next(pipeline.head.parameters()).device.type, torch.__version__, __version__],
            "format": 2,
        }
    )
