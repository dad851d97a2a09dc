"""What each process of ``test_distributed.py`` runs: ``torchrun -m tests.training.two_processes folder``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import torch

from tdir import distributed
from tdir.errors import DataError
from tdir.frozen import state_hash
from tdir.training import run
from tdir.training.batches import Batch, Batches
from tests.training.scenes import config


def changes(folder: Path) -> dict[str, Any]:
    """Three steps without chance, from a translator that is not the identity.

    There, the cycle's gradient would be the sign of rounding.
    """
    start = {"type": "vat-light", "side": 16, "dims": (4, 4, 8), "weights": str(folder / "start.pth")}
    chance = {"objective__alpha": None, "objective__clean_through_gate": 0.0}
    return {"optim__steps": 3, "translator": start, **chance}


class Watched(Batches):
    """Batches that note which images were asked for."""

    names: ClassVar[list[list[str]]] = []

    def __getitem__(self, step: int) -> Batch:
        batch = super().__getitem__(step)
        self.names.append(batch.names)
        return batch


def failure(rank: int) -> str:
    """What both processes raise when one of them fails."""
    try:
        with distributed.together():
            if distributed.rank() == rank:
                raise DataError(f"process {rank} has a damaged image")
    except DataError as error:
        return str(error)
    return "none"


def main(folder: Path) -> None:
    """Train, and write what this process saw to ``rank0.json`` or ``rank1.json``."""
    torch.set_num_threads(1)
    device = distributed.start("pytorch")
    name = f"rank{distributed.rank()}"
    run.Batches = Watched  # type: ignore[misc]
    # A work dir each, so that it shows who writes what.
    pipeline, _ = run.train(config(folder, **changes(folder)), folder / name, device=device)
    saw = {
        "world": distributed.world_size(),
        "names": Watched.names,
        "translator": state_hash(pipeline.translator),
        "failures": [failure(0), failure(1)],
    }
    (folder / f"{name}.json").write_text(json.dumps(saw))
    distributed.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
