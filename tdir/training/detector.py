"""A YOLO trained by ultralytics on a labelled data set of tdir's: the small one of the built-in scenes, or a user's.

It is the part in front of which translators are trained, not a part of VaT: clean images, with their labels.
ultralytics is AGPL-3.0, and so are the weights that it trains; it is imported only when such a training starts.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tdir import parts
from tdir.data.sample import DetectionSet
from tdir.errors import ConfigError, DataError
from tdir.evaluation import evaluate, readable
from tdir.heads.base import Head
from tdir.pipeline import Pipeline
from tdir.ranges import COUNT, NATURAL, POSITIVE
from tdir.report.pictures import save_picture
from tdir.report.records import environment, portable
from tdir.restorers.identity import Identity
from tdir.structures import Detections
from tdir.training.config import build_data, checked, read_config
from tdir.weights import sha256

log = logging.getLogger("tdir")
_RANGES = {"size": COUNT, "epochs": COUNT, "batch_size": COUNT, "seed": NATURAL, "depth": POSITIVE, "width": POSITIVE}


@dataclass
class DetectorConfig:
    """A training of a detector, with the names that a config file uses.

    Args:
        model: a model ``.yaml`` of ultralytics, such as "yolov8.yaml", or a ``.pt`` to start from.
        train: labelled images, as "val" of a translator's training.
        val: the same, of images that the training does not see.
        depth: a factor on the repeats of the ``.yaml``; not for a ``.pt``, which brings its own.
        width: a factor on the channels of the ``.yaml``; likewise.
        size: the longest side, pixels.
        epochs: passes over ``train``.
        batch_size: images in a step.
        seed: of the initial weights and the order of images.
        options: further settings of ultralytics' trainer, such as ``{"lr0": 0.01}``.
        name: of the weight file.

    Raises:
        ConfigError: if a value is out of range.
    """

    model: str
    train: dict[str, Any]
    val: dict[str, Any]
    depth: float = 1.0
    width: float = 1.0
    size: int = 320
    epochs: int = 20
    batch_size: int = 16
    seed: int = 0
    options: dict[str, Any] | None = None
    name: str = "detector"

    def __post_init__(self) -> None:
        for name, allowed in _RANGES.items():
            allowed.check(name, getattr(self, name))

    @classmethod
    def from_file(cls, path: str | Path, options: Mapping[str, Any] | None = None) -> DetectorConfig:
        """A config file, with ``options`` such as ``{"epochs": 3}`` on top.

        Raises:
            ConfigError: if the file is missing, or holds a wrong name or value.
        """
        return checked(cls, read_config(path, options))


def train_detector(config: DetectorConfig, work_dir: Path, device: torch.device | str = "cpu") -> Path:
    """Train a detector, and score it on ``val``.

    Args:
        config: the whole training.
        work_dir: where ``<name>.pt`` goes, ``<name>.json`` with the config and the scores, and ultralytics' own files.
        device: where to train.

    Returns:
        The path of the weight file, which ``tdir.head`` opens: the averaged weights after the last epoch.

    Raises:
        ConfigError: if ultralytics is not installed, or does not know the model or an option.
        DataError: if more than 1 % of the images of a set cannot be read, or there are no labels.
    """
    ultralytics = _ultralytics()
    work_dir.mkdir(parents=True, exist_ok=True)
    sets = {split: readable(build_data(getattr(config, split)))[0] for split in ("train", "val")}
    data = write_yolo(work_dir / "data", sets)
    settings = {
        "data": str(data), "epochs": config.epochs, "imgsz": config.size, "batch": config.batch_size,
        "seed": config.seed, "device": str(device), "project": str(work_dir.absolute()), "name": "ultralytics",
        "exist_ok": True, "plots": False, "val": False, "workers": 0, "amp": False, "verbose": False,
    }  # fmt: skip
    try:
        trainer = ultralytics.YOLO(_model_file(config, work_dir), task="detect")
        trainer.train(**{**settings, **(config.options or {})})
    except (SyntaxError, TypeError, FileNotFoundError, KeyError) as error:  # what it says of a wrong name
        raise ConfigError(f"ultralytics cannot train {config.model!r} so: {error}") from error
    file = work_dir / f"{config.name}.pt"
    shutil.copy(work_dir / "ultralytics" / "weights" / "last.pt", file)
    record = _record(config, parts.head(file).to(device), sets["val"])
    file.with_suffix(".json").write_text(json.dumps({**record, "sha256": sha256(file)}, indent=2) + "\n")
    return file


def _ultralytics() -> Any:
    try:
        import ultralytics
    except ImportError as error:
        raise ConfigError("training a YOLO needs ultralytics (AGPL-3.0): pip install 'tdir[yolo]'") from error
    return ultralytics


def _model_file(config: DetectorConfig, work_dir: Path) -> str:
    """The model as ultralytics takes it: a file to start from, or a ``.yaml`` with this depth and width."""
    if config.model.endswith(".pt"):
        return config.model
    from ultralytics.nn.tasks import yaml_model_load
    from ultralytics.utils import YAML

    recipe = yaml_model_load(config.model)
    for name in ("scales", "scale", "yaml_file"):
        recipe.pop(name, None)
    # Named without a letter that would stand for one of the library's own scales.
    file = work_dir / "model.yaml"
    YAML.save(file, {**recipe, "depth_multiple": config.depth, "width_multiple": config.width})
    return str(file)


def write_yolo(root: Path, sets: Mapping[str, DetectionSet]) -> Path:
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
            if sample.truth is None:
                raise DataError(f"{split} has no labels, and a detector is trained with them: give a labelled set")
            save_picture(images / f"{i:06d}.png", sample.image)
            lines = yolo_lines(sample.truth, sample.image.shape[0], sample.image.shape[1])
            (labels / f"{i:06d}.txt").write_text("".join(f"{line}\n" for line in lines))
    names = next(iter(sets.values())).classes
    paths = "".join(f"{split}: images/{split}\n" for split in sets)
    (root / "data.yaml").write_text(f"path: {root.absolute()}\n{paths}names: {json.dumps(names)}\n")
    return root / "data.yaml"


def yolo_lines(truth: Detections, height: int, width: int) -> list[str]:
    """``class x y w h`` of each object that is not difficult: its centre and size as shares of the image's."""
    kept = truth if truth.difficult is None else truth[~truth.difficult]
    corners = kept.boxes / torch.tensor([width, height, width, height])
    rows = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    return [
        f"{label} {' '.join(f'{value:.6f}' for value in row)}"
        for label, row in zip(kept.labels.tolist(), rows.tolist(), strict=True)
    ]


def _record(config: DetectorConfig, head: Head, val: DetectionSet) -> dict[str, Any]:
    scores = evaluate(Pipeline(Identity(), None, head, config.size), val)
    log.info("mAP50-95 %.3f, mAP50 %.3f on %d images", scores.map, scores.ap50, len(val))
    return {"config": portable(asdict(config)), "scores": scores.as_dict(), "environment": environment()}
