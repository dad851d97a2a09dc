"""How many images go through a pipeline at a time: as many as memory allows, and fewer where it does not."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch

from tdir.errors import ConfigError
from tdir.pipeline import BATCH_SIZE, Pipeline

MOST = 64
"""On a GPU; more images at a time are no faster."""
_SHARE = 0.8  # of what is free: allocators leave gaps
_NATIVE = 1024  # the side that is reckoned with where images keep their size, pixels
# The process grows by so many bytes a pixel behind vat-48, the largest translator; behind vat-light by 250. Too small a
# batch costs next to nothing on a CPU, too large a one the whole process.
_ON_A_CPU = 8000
# What is no torch.OutOfMemoryError says it in words.
_WORDS = ("DefaultCPUAllocator: can't allocate memory", "MPS backend out of memory")
log = logging.getLogger("tdir")
Answer_co = TypeVar("Answer_co", covariant=True)


class InBatches(Protocol[Answer_co]):
    """Whatever computes so many images at a time."""

    def __call__(self, *, batch_size: int) -> Answer_co:
        """The answer, which does not depend on the size of a batch."""


class BatchSize:
    """How many images are computed at a time; halved, for good, as often as they do not fit.

    Args:
        images: to start from.
    """

    def __init__(self, images: int):
        self.images = images

    def fit(self, compute: InBatches[Answer_co], count: int) -> Answer_co:
        """What ``compute(batch_size=...)`` says of ``count`` images, in batches that fit into memory.

        Raises:
            ConfigError: if a single image does not fit.
        """
        while True:
            try:
                return compute(batch_size=self.images)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                said = str(error).partition("\n")[0]
            # Out of the block above, whose error holds on to the tensors that did not fit.
            self._halve(min(self.images, count), said)

    def _halve(self, tried: int, said: str) -> None:
        if tried == 1:
            raise ConfigError(f"one image alone does not fit into memory ({said}): give a smaller --size, or --device")
        self.images = tried // 2
        log.warning("%d images at a time do not fit into memory, going on with %d", tried, self.images)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def automatic(pipeline: Pipeline) -> int:
    """How many images at a time this machine's free memory allows for."""
    device = next(pipeline.head.parameters()).device
    side = pipeline.size or _NATIVE
    if device.type == "cuda":
        per_image, free = _measured(pipeline, side, device)
        return fitting(free, per_image, MOST)
    left = available()
    return BATCH_SIZE if left is None else fitting(left, _ON_A_CPU * side * side, BATCH_SIZE)


def fitting(free: int, per_image: int, most: int) -> int:
    """The images, from 1 to ``most``, that ``free`` bytes have room for with something to spare."""
    return max(1, min(most, int(_SHARE * free) // max(per_image, 1)))


def available(listing: Path = Path("/proc/meminfo")) -> int | None:
    """The bytes that processes may still take without swapping; ``None`` where the system does not list it."""
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(found[0]) if found else None


def _measured(pipeline: Pipeline, side: int, device: torch.device) -> tuple[int, int]:
    """The bytes that a square image takes on a GPU, and those that are free."""
    image = np.zeros((side, side, 3), dtype=np.uint8)

    def alone(batch_size: int) -> int:
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        pipeline.predict(image, batch_size=batch_size)
        return torch.cuda.max_memory_allocated(device) - before

    per_image = BatchSize(1).fit(alone, 1)
    # Of what torch has taken from the GPU, it hands out again what no tensor is in.
    own = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return per_image, torch.cuda.mem_get_info(device)[0] + own


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _WORDS)
