"""Several processes, by torchrun or slurm, on GPUs or CPUs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed as dist

from tdir.errors import ConfigError, TdirError

LAUNCHERS = ("none", "pytorch", "slurm")


def start(launcher: str, device: str | None = None) -> torch.device:
    """Join the process group and say which device this process trains on.

    mmengine's ``init_dist`` would call ``torch.cuda.set_device`` on a machine without one.

    Args:
        launcher: "none" for one process, "pytorch" under torchrun, "slurm" under srun.
        device: "cpu", or "cuda:1" for one process; default: a GPU of its own for each process where there are any.

    Raises:
        ConfigError: if the launcher is unknown or did not set its variables, or there are fewer GPUs than processes.
    """
    if launcher not in LAUNCHERS:
        raise ConfigError(f"launcher must be one of {', '.join(LAUNCHERS)}, got {launcher!r}")
    if launcher == "slurm":
        _variables_from_slurm()
    if launcher != "none":
        missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
        if missing:
            raise ConfigError(f"launcher {launcher!r}: {', '.join(missing)} not set: start it with torchrun or srun")
    on_gpu = torch.cuda.is_available() if device is None else torch.device(device).type == "cuda"
    chosen = torch.device(device or ("cuda" if on_gpu else "cpu"))
    if on_gpu:
        chosen = _own_gpu(chosen)
        torch.cuda.set_device(chosen)
    if launcher != "none":
        # The others wait while the first one asks the teacher or validates, which takes longer than the usual minutes.
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=1))
    return chosen


def _own_gpu(device: torch.device) -> torch.device:
    number, count = int(os.environ.get("LOCAL_RANK", device.index or 0)), torch.cuda.device_count()
    if number >= count:
        raise ConfigError(f"process {number} has no GPU, {count} here: start {count} processes, or give --device cpu")
    return torch.device("cuda", number)


def _variables_from_slurm() -> None:
    names = {"RANK": "SLURM_PROCID", "WORLD_SIZE": "SLURM_NTASKS", "LOCAL_RANK": "SLURM_LOCALID"}
    missing = [slurm for slurm in (*names.values(), "SLURM_NODELIST") if slurm not in os.environ]
    if missing:
        raise ConfigError(f"launcher 'slurm': {', '.join(missing)} not set: start it with srun")
    for name, slurm in names.items():
        os.environ[name] = os.environ[slurm]
    if "MASTER_ADDR" not in os.environ:
        listing = ["scontrol", "show", "hostnames", os.environ["SLURM_NODELIST"]]
        os.environ["MASTER_ADDR"] = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()[
            0
        ]
    os.environ.setdefault("MASTER_PORT", "29500")


def stop() -> None:
    """Leave the process group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process's number, 0 without a group."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process logs and writes."""
    return rank() == 0


@contextmanager
def together() -> Iterator[None]:
    """A block that every process leaves at once, and by the same error if one of them failed in it.

    Without it the others would wait for the one that failed, and then say that a connection was closed.

    Raises:
        TdirError: what the block raised, in the first process that failed; OSError likewise.
    """
    own: Exception | None = None
    try:
        yield
    except (TdirError, OSError) as error:
        own = error
    if not dist.is_initialized():
        if own is not None:
            raise own
        return
    failed = torch.tensor(own is not None, dtype=torch.int, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(failed)
    if failed:
        errors: list[Exception | None] = [None] * world_size()
        dist.all_gather_object(errors, own)
        raise next(error for error in errors if error is not None)


def gathered(own: Sequence[Any], count: int, together: int = 1) -> list[Any]:
    """What all processes of the group have of each image, in the images' order.

    Args:
        own: of this process, anything that can be pickled, one for each of its images.
        count: of all images.
        together: so many images in a row make a run, and process r of W has runs r, r + W, r + 2 W ...
    """
    parts: list[Any] = [None] * world_size()
    dist.all_gather_object(parts, list(own))
    found = []
    for i in range(count):
        turn, process = divmod(i // together, len(parts))
        found.append(parts[process][turn * together + i % together])
    return found
