"""The JSON record of a measurement: all that is needed to read it, and to make it again.

Names of machines and their folders stay out of it: of every path only the base name is kept.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch

from tdir import __version__
from tdir.data import manifest
from tdir.data.classes import unmatched_classes
from tdir.data.degradations import Degraded
from tdir.data.sample import ImageSet
from tdir.evaluation import differences, recovered
from tdir.heads.base import Head
from tdir.metrics.bootstrap import Bootstrap
from tdir.metrics.protocols import USUAL, Protocol
from tdir.metrics.quality import QUALITY, Score
from tdir.metrics.scores import Scores
from tdir.pipeline import Pipeline

FORMAT = 1
PACKAGES = (
    "torchvision", "torchmetrics", "ultralytics", "segmentation-models-pytorch", "timm", "open_clip_torch", "numpy",
    "pycocotools", "scikit-learn",
)  # fmt: skip
PATHS = ("weights", "encoder_weights", "model", "root", "cache_dir")
"""Settings that hold a file or a folder."""


def write_record(
    path: str | os.PathLike[str],
    rows: Mapping[str, Scores],
    *,
    samples: int = 1000,
    seed: int = 0,
    command: str | None = None,
    photos: Sequence[str] | None = None,
    **about: Any,
) -> dict[str, Any]:
    """Write the record of some rows as JSON.

    Args:
        path: the file; its folder is made.
        rows: name -> scores; "clean", "degraded", "restorer", "vat", "clean + vat" are compared with each other.
        samples: of the bootstrap.
        seed: of the bootstrap.
        command: how the measurement is made again; default: the program and arguments of this process.
        photos: what each image shows, see ``Bootstrap``.
        about: whatever else belongs to it, such as :func:`describe_pipeline` and :func:`describe_data`; JSON values.

    Returns:
        The record.
    """
    record = {
        "format": FORMAT,
        "command": portable_command(sys.argv) if command is None else command,
        "seed": seed,
        **about,
        **compare(rows, samples, seed, photos),
        "environment": environment(),
    }
    save_record(path, record)
    return record


def save_record(path: str | os.PathLike[str], record: Mapping[str, Any]) -> None:
    """Write a record as JSON; its folder is made."""
    text = json.dumps(record, indent=2, allow_nan=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text + "\n", encoding="utf-8")


def compare(
    rows: Mapping[str, Scores], samples: int = 1000, seed: int = 0, photos: Sequence[str] | None = None
) -> dict[str, Any]:
    """The scores of rows on the same images, with what can be said of them.

    Returns:
        "rows", their "intervals", "class_intervals" and "differences" by bootstrap over images, the share "recovered"
        of the gap from degraded to clean, by row, where there is a clean row, and "samples".
    """
    bootstrap = Bootstrap(samples, seed, photos)
    shares = {name: recovered(rows, name) for name in ("restorer", "vat") if name in rows}
    return {
        "rows": {name: scores.as_dict() for name, scores in rows.items()},
        "intervals": {name: bootstrap.interval(scores) for name, scores in rows.items()},
        "class_intervals": {name: bootstrap.by_class(scores) for name, scores in rows.items()},
        "differences": differences(rows, bootstrap),
        "recovered": {name: share for name, share in shares.items() if share is not None},
        "samples": samples,
    }


def describe_pipeline(pipeline: Pipeline, protocol: Protocol[Any] | None = None) -> dict[str, Any]:
    """The "pipeline" as settings, how it was "trained", its "weights" with sha256, and the "protocol" of a score."""
    head, restorer = pipeline.head, pipeline.restorer
    protocol = protocol or USUAL[head.task]
    return {
        "pipeline": portable(pipeline.config),
        "trained": portable(pipeline.trained),
        "weights": {
            name: {"name": portable(part.weights_name, "weights"), "sha256": part.weights_sha256}
            for name, part in (("restorer", restorer), ("head", head))
        },
        "protocol": {**protocol.settings(), "size": pipeline.size},
    }


def describe_data(data_set: ImageSet, unreadable: Sequence[str] = ()) -> dict[str, Any]:
    """What was scored, as JSON values.

    Args:
        data_set: all of its images were scored.
        unreadable: the names of those that could not be.

    Returns:
        The base name of the set's folder, the sha256 of its manifest where it has one, its classes, how many images,
        those left out, and the degradation made.
    """
    degraded = data_set if isinstance(data_set, Degraded) else None
    return {
        "name": None if data_set.root is None else data_set.root.resolve().name,
        "manifest": None if data_set.root is None else (manifest.read(data_set.root) or {}).get("sha256"),
        "classes": list(data_set.classes),
        "images": len(data_set),
        "unreadable": list(unreadable),
        "degradation": degraded.degradation.settings() if degraded else None,
        "degradation_seed": degraded.seed if degraded else None,
    }


def describe_scored(
    reader: Mapping[str, Any], data_set: ImageSet, head: Head, unreadable: Sequence[str] = ()
) -> dict[str, Any]:
    """The "data" of a record: how a set was read, ``{"type": layout, "split": name}``, what it is, and its classes."""
    read = {"layout": reader["type"], "split": reader["split"]}
    return {**read, **describe_data(data_set, unreadable), **describe_classes(data_set, head)}


def describe_quality(rows: Mapping[str, Mapping[str, Score]], images: int) -> dict[str, Any]:
    """How images look, as JSON values.

    Args:
        rows: from ``quality_rows``.
        images: how many there are.

    Returns:
        "images"; "metrics", what ``Quality.settings`` says of each; and "rows", the value of each metric that a row has
        and how many of the images have one.
    """
    names = dict.fromkeys(name for scores in rows.values() for name in scores)
    metrics = {name: metric.settings() for name, metric in QUALITY.items() if name in names}
    found = {row: {name: asdict(score) for name, score in scores.items()} for row, scores in rows.items()}
    return {"images": images, "metrics": metrics, "rows": found}


def describe_classes(data_set: ImageSet, head: Head) -> dict[str, list[str]]:
    """The classes of the set that are "unknown" to the head, and those of the head that are "unlabelled" in the set."""
    return {
        "unknown": unmatched_classes(data_set.classes, head.classes),
        "unlabelled": unmatched_classes(head.classes, data_set.classes),
    }


def environment() -> dict[str, Any]:
    """Versions and machine, without its name."""
    return {
        "versions": {
            "python": platform.python_version(),
            "tdir": __version__,
            "torch": str(torch.__version__),  # with the build, such as +cu130, which the metadata leave out
            **{package: _version(package) for package in PACKAGES},
        },
        "machine": {
            "system": platform.system(),
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def portable(value: Any, key: str = "") -> Any:
    """Settings with the base name of every path in them, and the class of a module; ``key`` names a single value."""
    if isinstance(value, Mapping):
        return {name: portable(entry, name) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [portable(entry, key) for entry in value]
    if isinstance(value, torch.nn.Module):
        return type(value).__name__
    if isinstance(value, os.PathLike):
        return _base_name(os.fspath(value))
    # Other words may hold a slash too, the name of a class for instance.
    is_path = isinstance(value, str) and (
        key in PATHS or PurePosixPath(value).is_absolute() or PureWindowsPath(value).drive
    )
    return _base_name(value) if is_path else value


def portable_command(command: Sequence[str]) -> str:
    """A command line as text: a program keeps the folder that it is in, every other path its base name alone."""
    program, *arguments = command
    parts = Path(program).parts
    program = "/".join(parts[-2:]) if program.endswith(".py") else parts[-1]
    return " ".join([program, *(shlex.quote(_portable_argument(argument)) for argument in arguments)])


def _portable_argument(argument: str) -> str:
    """``aodnet:/a/b.pth`` and ``key=/a/b`` keep what comes before the path."""
    for mark in "=:":
        key, found, value = argument.partition(mark)
        # A single letter before a colon is a drive, not a name.
        if found and len(key) > 1 and key == _base_name(key):
            return f"{key}{mark}{_base_name(value)}"
    return _base_name(argument)


def _base_name(text: str) -> str:
    # As Windows reads it: both kinds of slash.
    return PureWindowsPath(text).name if "/" in text or "\\" in text else text


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    """The model of the processor; Python itself knows it on some systems only."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
