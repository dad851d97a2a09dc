"""What a training is made of, from a config file or from a few names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from mmengine.config import Config

from tdir import parts
from tdir.data.degradations import Degraded
from tdir.data.layouts import layout_of
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.ranges import COUNT, NATURAL, SHARE, Range
from tdir.registry import DATASETS, DEGRADATIONS, closest
from tdir.report.records import portable
from tdir.structures import Detections
from tdir.training.objective import ObjectiveSettings
from tdir.training.optim import AUTO, OptimSettings

Settings = TypeVar("Settings")
_TEACHER = {
    "score": SHARE,
    "iou": SHARE,
    "epsilon": SHARE,
    "dims": Range(2, whole=True),
    "neighbours": COUNT,
    "batch_size": COUNT,
    "rounds": COUNT,
}
VERSIONS = ("image", "restored")
"""What the teacher can be asked about a degraded image."""
_WHOLE = {"size": COUNT, "checkpoint_every": COUNT, "validate_every": NATURAL, "seed": NATURAL, "pictures": NATURAL}
_PARTS = ("restorer", "translator", "head")
_TABLES = (*_PARTS, "degraded", "clean", "val", "teacher", "objective", "optim")


@dataclass
class TeacherSettings:
    """How pseudo-labels are made.

    Args:
        score: the least confidence of a pseudo-label, in [0, 1].
        iou: overlap at which two boxes of a class are one object, for NMS and for the merge.
        epsilon: the largest risk of a pseudo-label on a degraded image, a quantile of the clean set's risk; 1 keeps
            everything.
        nuq: whether to estimate the risk at all.
        dims: the most dimensions of NUQ's projected embeddings.
        neighbours: of a NUQ estimate.
        sources: the versions of a degraded image that pseudo-labels are made of, merged: "image", "restored" or both.
        align: give the classes of each version the shares that they have on the clean set, before ``score`` and the
            merge (distribution alignment); for heads that keep the probability of every class, where both sets show
            about the same.
        rounds: trainings, one after the other, each with new weights; from the second on the pseudo-labels of degraded
            images are what the head says of them as translated by the one before, and of no other version.
        oracle: take the labels of degraded images from the images before the degradation: how much there is to win.
        batch_size: images at a time.
        cache_dir: where caches are kept; ``None`` is a folder in the work dir.
    """

    score: float = 0.25
    iou: float = 0.7
    epsilon: float = 1.0
    nuq: bool = True
    dims: int = 32
    neighbours: int = 50
    sources: Sequence[str] = VERSIONS
    align: bool = False
    rounds: int = 1
    oracle: bool = False
    batch_size: int = 8
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        for name, allowed in _TEACHER.items():
            allowed.check(f"teacher.{name}", getattr(self, name))
        for name in ("nuq", "align", "oracle"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"teacher.{name} is True or False, got {getattr(self, name)!r}")
        if not isinstance(self.cache_dir, str | None):
            raise ConfigError(f"teacher.cache_dir is a folder, in quotes, or None, got {self.cache_dir!r}")
        if isinstance(self.sources, str) or not self.sources:
            raise ConfigError(f"teacher.sources is a list of {' and '.join(VERSIONS)}, got {self.sources!r}")
        if self.oracle and self.rounds > 1:
            raise ConfigError(
                f"teacher.rounds={self.rounds}: a second round betters labels, and an oracle has the best"
            )
        for name in self.sources:
            if name not in VERSIONS:
                raise ConfigError(f"teacher.sources has no {name!r}: {closest(str(name), VERSIONS)}")


@dataclass
class TrainConfig:
    """A training, with the names that a config file uses.

    Args:
        restorer: ``{"type": name, "weights": file, ...}``.
        translator: ``{"type": name, ...}``.
        head: ``{"type": name, "weights": file, "classes": [...], ...}``.
        degraded: the unlabelled degraded images, ``{"type": layout, "root": folder, ...}`` or ``{"type": "streets",
            ...}``, with an optional "degradation", ``{"type": name, ...}`` or a name, and "degradation_seed".
        clean: the unlabelled clean images, likewise.
        val: labelled images that training never sees; with a "degradation" the rows include the clean images.
        size: the longest side, pixels.
        teacher: how pseudo-labels are made.
        objective: the weights of the losses.
        optim: optimiser and schedule.
        seed: of the initial weights, the order of images and lambda.
        checkpoint_every: steps.
        validate_every: steps; 0 validates at the end only.
        pictures: how many before/after pictures go to TensorBoard.
        name: of the bundle.
    """

    restorer: dict[str, Any]
    head: dict[str, Any]
    degraded: dict[str, Any]
    clean: dict[str, Any]
    translator: dict[str, Any] = field(default_factory=lambda: {"type": "vat-light"})
    val: dict[str, Any] | None = None
    size: int = 320
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    seed: int = 0
    checkpoint_every: int = 250
    validate_every: int = 0
    pictures: int = 4
    name: str = "vat"

    def __post_init__(self) -> None:
        for name, allowed in _WHOLE.items():
            allowed.check(name, getattr(self, name))
        if not isinstance(self.name, str) or self.name != Path(self.name).name:
            raise ConfigError(f"name is that of the bundle, a file name without a folder, got {self.name!r}")
        if self.objective.uncertainty == "paper" and (self.teacher.oracle or not self.teacher.nuq):
            raise ConfigError("objective.uncertainty='paper' weighs by a risk of 0 without NUQ and with an oracle")
        try:
            json.dumps(self.record())
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"a config is kept in checkpoints and bundles ({error}): write plain values into it; save a restorer "
                "that is an nn.Module with torch.jit.save and name it, dict(type='module', weights='net.ts')"
            ) from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """A checked config from plain values.

        Raises:
            ConfigError: on an unknown or a missing name, with the nearest right ones.
        """
        texts = {name: part for name, part in values.items() if name in _PARTS and isinstance(part, str)}
        values = {**values, **{name: parts.named(name, text) for name, text in texts.items()}}
        if isinstance(values.get("translator", {}), Mapping):
            values["translator"] = {"type": "vat-light", **values.get("translator", {})}
        return checked(cls, values, "config")

    @classmethod
    def from_file(cls, path: str | Path, options: Mapping[str, Any] | None = None) -> TrainConfig:
        """A config file, Python as mmengine reads it, with ``options`` such as ``{"optim.lr": 1e-4}`` on top.

        Raises:
            ConfigError: if the file is missing, or holds a wrong name.
        """
        return cls.from_dict(read_config(path, options))

    @classmethod
    def for_pair(
        cls,
        restorer: str,
        head: str,
        degraded: str,
        clean: str,
        val: str | None = None,
        classes: Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> TrainConfig:
        """A training for a new pair, from folders of images.

        Args:
            restorer: ``name`` or ``name:weights``.
            head: ``name:weights``, or a weight file of ultralytics.
            degraded: a folder of unlabelled degraded images.
            clean: a folder of unlabelled clean images.
            val: a labelled set, Pascal VOC (with a test split) or YOLO layout.
            classes: the classes of interest.
            options: as for ``from_file``.
        """
        values: dict[str, Any] = {
            "restorer": parts.named("restorer", restorer),
            "head": {**parts.named("head", head), **({"classes": list(classes)} if classes else {})},
            "degraded": {"type": "folder", "root": degraded},
            "clean": {"type": "folder", "root": clean},
        }
        if val is not None:
            values["val"] = {"root": val, **({"classes": list(classes)} if classes else {})}
        config = Config(values)
        config.merge_from_dict(dict(options or {}))
        return cls.from_dict(config.to_dict())

    def record(self) -> dict[str, Any]:
        """The config as plain values, for a checkpoint, a bundle and a result."""
        return asdict(self)

    def made(self, trained: Mapping[str, Any]) -> bool:
        """Whether a bundle with this record of its training, ``trained["config"]``, is what this config makes.

        A setting that is younger than the bundle was at its default. Precision "auto" makes bundles of any precision.
        """
        theirs = TrainConfig.from_dict(trained)
        if self.optim.precision == AUTO:
            theirs = replace(theirs, optim=replace(theirs.optim, precision=AUTO))
        return json.dumps(portable(theirs.record())) == json.dumps(portable(self.record()))


def read_config(path: str | Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values of a config file, Python as mmengine reads it, with ``options`` on top.

    Raises:
        ConfigError: if the file is missing or cannot be read.
    """
    if not Path(path).is_file():
        raise ConfigError(f"no config {str(path)!r}: the shipped ones are in configs/")
    try:
        config = Config.fromfile(str(path))
        config.merge_from_dict(dict(options or {}))
    except Exception as error:  # a config is a program of the user's: it may raise anything
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    # A name with an underscore is the file's own help, such as a class list that two settings share.
    return {name: value for name, value in config.to_dict().items() if not name.startswith("_")}


def checked(kind: type[Settings], values: Mapping[str, Any], where: str = "config") -> Settings:
    """Settings of a kind from a config's values, nested ones too.

    Raises:
        ConfigError: if a name is unknown or missing, or a value is out of range; ``where`` is in the message.
    """
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ConfigError(f"{where} has no setting {name!r}: {closest(name, known)}")
    for name, value in values.items():
        if where == "config" and name in _TABLES and not isinstance(value, Mapping) and value is not None:
            raise ConfigError(f"config: {name} is a table of settings such as dict(type=...), got {value!r}")
    nested = {"teacher": TeacherSettings, "objective": ObjectiveSettings, "optim": OptimSettings}
    settings = {
        name: checked(nested[name], value, name) if name in nested and isinstance(value, Mapping) else value
        for name, value in values.items()
    }
    try:
        return kind(**settings)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}".replace(f"{kind.__name__}.__init__() ", "")) from error


def build_data(settings: Mapping[str, Any], degrade: bool = True) -> ImageSet:
    """The data set of a config's "degraded", "clean" or "val".

    Args:
        settings: ``{"type": layout, "root": folder, ...}``; without a type, the layout is told from the folder. A type
            that has no files, such as "streets", needs no root. "leave_out" lists names of images to do without,
            "with_objects" leaves out those without an object of the classes.
        degrade: whether to make the degradation that the settings name.

    Raises:
        ConfigError: if a setting is wrong, or an image to leave out is not in the set.
        DataError: if the set cannot be opened.
    """
    settings = dict(settings)
    degradation, seed = settings.pop("degradation", None), settings.pop("degradation_seed", 0)
    leave_out, with_objects = settings.pop("leave_out", ()), settings.pop("with_objects", False)
    if "type" not in settings:
        if "root" not in settings:
            raise ConfigError(f"a data set needs a 'root', its folder, or a 'type' that has none, got {settings}")
        settings = {**layout_of(settings["root"]), **settings}
    data_set = _without(DATASETS.build(settings), leave_out)
    if with_objects and data_set.task != "detection":
        raise ConfigError(f"with_objects=True is for boxes, and this set is for {data_set.task}: leave it out")
    if with_objects:
        data_set = data_set.subset([i for i in range(len(data_set)) if _objects(data_set, i)])
    if degradation is None or not degrade:
        return data_set
    return Degraded(data_set, DEGRADATIONS.build(degradation), seed)


def _objects(data_set: ImageSet, index: int) -> int:
    truth = data_set.truth(index)
    return len(truth) if isinstance(truth, Detections) else 0


def _without(data_set: ImageSet, names: Sequence[str]) -> ImageSet:
    if not names:
        return data_set
    for name in names:
        if name not in data_set.names:
            raise ConfigError(f"leave_out: no image {name!r} in the set: {closest(str(name), data_set.names)}")
    return data_set.subset([i for i, name in enumerate(data_set.names) if name not in names])
