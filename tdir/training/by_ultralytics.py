"""Detectors trained by ultralytics, which is AGPL-3.0, and so are the weights that it trains.

It is imported only when such a training starts.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tdir import parts
from tdir.data.images import write_image
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.heads.base import Head
from tdir.heads.yolo import require_ultralytics
from tdir.ranges import COUNT, POSITIVE
from tdir.report.records import portable
from tdir.structures import Detections

_RANGES = {"epochs": COUNT, "batch_size": COUNT, "depth": POSITIVE, "width": POSITIVE}


@dataclass
class UltralyticsTraining:
    """A YOLO, from the first weights or from a file.

    Args:
        model: a model ``.yaml`` of ultralytics, such as "yolov8.yaml", or a ``.pt`` to start from.
        depth: a factor on the repeats of the ``.yaml``; not for a ``.pt``, which brings its own.
        width: a factor on the channels of the ``.yaml``; likewise.
        epochs: passes over the training images.
        batch_size: images in a step.
        options: further settings of ultralytics' trainer, such as ``{"lr0": 0.01}``.

    Raises:
        ConfigError: if a value is out of range.
    """

    model: str
    depth: float = 1.0
    width: float = 1.0
    epochs: int = 20
    batch_size: int = 16
    options: dict[str, Any] = field(default_factory=dict)

    suffix = ".pt"

    def __post_init__(self) -> None:
        for name, allowed in _RANGES.items():
            allowed.check(f"by.{name}", getattr(self, name))

    def train(self, sets: Mapping[str, ImageSet], size: int, seed: int, file: Path, device: torch.device | str) -> None:
        """Train on ``sets["train"]`` at a longest side of ``size``, and write the averaged weights to ``file``.

        Raises:
            ConfigError: if ultralytics is not installed, or does not know the model or an option.
        """
        ultralytics, folder = require_ultralytics("training a YOLO"), file.parent.absolute()
        settings = {
            "data": str(write_yolo(folder / "data", sets)), "epochs": self.epochs, "imgsz": size, "seed": seed,
            "batch": self.batch_size, "device": str(device), "project": str(folder), "name": "ultralytics",
            "exist_ok": True, "plots": False, "val": False, "workers": 0, "amp": False, "verbose": False,
        }  # fmt: skip
        try:
            ultralytics.YOLO(self._model_file(folder), task="detect").train(**{**settings, **self.options})
        except (SyntaxError, TypeError, FileNotFoundError, KeyError) as error:  # what it says of a wrong name
            raise ConfigError(f"ultralytics cannot train {self.model!r} so: {error}") from error
        write_portable(folder / "ultralytics" / "weights" / "last.pt", file)

    def head(self, file: Path, classes: list[str]) -> Head:
        """The trained detector as a head; its file knows its classes."""
        return parts.head(file)

    def _model_file(self, folder: Path) -> str:
        """The model as ultralytics takes it: a file to start from, or a ``.yaml`` with this depth and width."""
        if self.model.endswith(".pt"):
            return self.model
        from ultralytics.nn.tasks import yaml_model_load
        from ultralytics.utils import YAML

        recipe = yaml_model_load(self.model)
        for name in ("scales", "scale", "yaml_file"):
            recipe.pop(name, None)
        # Named without a letter that would stand for one of the library's own scales.
        YAML.save(folder / "model.yaml", {**recipe, "depth_multiple": self.depth, "width_multiple": self.width})
        return str(folder / "model.yaml")


def write_portable(checkpoint: Path, file: Path) -> None:
    """Write a checkpoint of ultralytics that was trained here without the folders of this machine and its repository.

    Args:
        checkpoint: as its trainer wrote it.
        file: where it goes.
    """
    from ultralytics.nn.tasks import torch_safe_load

    content = torch_safe_load(str(checkpoint), safe_only=True)[0]
    content.pop("git", None)
    content["train_args"] = portable(content["train_args"])
    model = content["model"]
    model.yaml, model.args = portable(model.yaml), portable(model.args)
    torch.save(content, file)


def write_yolo(root: Path, sets: Mapping[str, ImageSet]) -> Path:
    """Write data sets as PNG files and labels in YOLO layout; difficult objects are left out.

    Returns:
        The path of its ``data.yaml``.

    Raises:
        DataError: if a set has no truth.
    """
    for split, data_set in sets.items():
        images, labels = root / "images" / split, root / "labels" / split
        for folder in (images, labels):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for i in tqdm(range(len(data_set)), desc=f"writing {split}", unit="image", disable=None):
            sample = data_set[i]
            write_image(images / f"{i:06d}.png", sample.image)
            lines = yolo_lines(sample.objects(), sample.image.shape[0], sample.image.shape[1])
            (labels / f"{i:06d}.txt").write_text("".join(f"{line}\n" for line in lines))
    names = next(iter(sets.values())).classes
    paths = "".join(f"{split}: images/{split}\n" for split in sets)
    (root / "data.yaml").write_text(f"path: {root.absolute()}\n{paths}names: {json.dumps(names)}\n")
    return root / "data.yaml"


def yolo_lines(truth: Detections, height: int, width: int) -> list[str]:
    """``class x y w h`` of each object: its centre and size as shares of the image's."""
    corners = truth.boxes / torch.tensor([width, height, width, height])
    rows = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    return [
        f"{label} {' '.join(f'{value:.6f}' for value in row)}"
        for label, row in zip(truth.labels.tolist(), rows.tolist(), strict=True)
    ]
