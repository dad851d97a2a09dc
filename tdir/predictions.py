"""What a pipeline predicts, kept on disk batch by batch, so that a benchmark that was interrupted can go on."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tdir import __version__
from tdir.data.sample import DetectionSet
from tdir.files import write_whole
from tdir.frozen import state_hash
from tdir.metrics.protocols import Protocol
from tdir.pipeline import Pipeline
from tdir.selftraining.store import content_key, how_built, how_degraded
from tdir.structures import Detections


class Predictions:
    """The predictions on a list of images, in their order: those found on disk, then those added.

    Args:
        folder: with a file for each batch, of this list alone; made with the first one. Files of another key and
            damaged ones are deleted, and so is what follows them.
        key: what the predictions depend on, see :func:`prediction_key`.

    Attributes:
        found: one for each image so far, on the CPU.
    """

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key
        self.found: list[Detections] = []
        read: set[Path] = set()
        while batch := self._read(path := self._next()):
            self.found += batch
            read.add(path)
        for stale in {*folder.glob("*.safetensors")} - read:
            stale.unlink()

    def add(self, batch: list[Detections]) -> None:
        """Append the predictions on the next images, one or more, and write them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            "counts": torch.tensor([len(one) for one in batch]),
            "boxes": torch.cat([one.boxes for one in batch]).contiguous(),
            "labels": torch.cat([one.labels for one in batch]).contiguous(),
            "scores": torch.cat([_scores(one) for one in batch]).contiguous(),
        }
        write_whole(self._next(), partial(save_file, tensors, metadata={"key": self.key}))
        self.found += batch

    def _next(self) -> Path:
        """Where the predictions that follow those so far lie."""
        return self.folder / f"{len(self.found):08d}.safetensors"

    def _read(self, path: Path) -> list[Detections]:
        """The predictions in a file; none if it is missing, damaged, or of another key."""
        with contextlib.suppress(OSError, SafetensorError), safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("key") == self.key:
                counts = file.get_tensor("counts").tolist()
                columns = [file.get_tensor(name).split(counts) for name in ("boxes", "labels", "scores")]
                return [Detections(*parts) for parts in zip(*columns, strict=True)]
        return []


def prediction_key(pipeline: Pipeline, data_set: DetectionSet, protocol: Protocol) -> str:
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
            "format": 1,
        }
    )


def _scores(found: Detections) -> Tensor:
    assert found.scores is not None
    return found.scores
