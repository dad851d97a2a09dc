"""The bundle: a trained pipeline in one safetensors file, tensors and a JSON header, nothing that could run.

Tensors are named ``restorer.*``, ``translator.*`` and, on request, ``head.*``. The header lies in the metadata of the
file under one key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tdir import weights as weight_files
from tdir.errors import ConfigError, WeightsError

FORMAT = 1
SUFFIX = ".tdir"
PARTS = ("restorer", "translator", "head")
_KEY = "tdir"
_ASSETS = Path(__file__).parent / "assets"
_AGAIN = "copy or download it again"
_OF_A_PART = f"it is named like weights of a part, a bundle ends in {SUFFIX}; give a detector's file as head (--head)"
_PARTS_SUFFIXES = (".pt", ".pth")


@dataclass
class Bundle:
    """What a bundle holds.

    Args:
        config: "restorer", "translator" and "head" as ``{"type": name, **settings}``, the translator may be ``None``,
            and "size"; no paths of the machine that wrote it.
        classes: the class names of the head.
        weights: "restorer" and "head" as ``{"name": ..., "sha256": ...}`` of their weight files; both ``None`` where a
            part has no file.
        versions: of "tdir" and "torch" when it was written.
        trained: how it was trained, a free record.
        tensors: by prefixed name.
    """

    config: dict[str, Any]
    classes: list[str]
    weights: dict[str, dict[str, str | None]]
    versions: dict[str, str] = field(default_factory=dict)
    trained: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors of "restorer", "translator" or "head", by their names inside that part."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}

    def add(self, name: str, module: nn.Module) -> None:
        """Put a part's parameters and buffers in, as copies on the CPU."""
        for key, value in module.state_dict().items():
            self.tensors[f"{name}.{key}"] = value.detach().to("cpu", copy=True).contiguous()

    def fill(self, name: str, module: nn.Module, source: object) -> None:
        """Load a part's tensors into a module.

        Raises:
            WeightsError: if a tensor is missing, unknown or of another shape; ``source`` is named.
        """
        found, expected = self.part(name), module.state_dict()
        for key, value in expected.items():
            if key not in found:
                raise WeightsError(f"bundle {source} lacks tensor '{name}.{key}': save it again from the pipeline")
            if found[key].shape != value.shape:
                shapes = f"{tuple(found[key].shape)}, the {name} takes {tuple(value.shape)}"
                raise WeightsError(f"bundle {source} holds '{name}.{key}' as {shapes}: its config is of another {name}")
        unknown = sorted(found.keys() - expected.keys())
        if unknown:
            raise WeightsError(f"bundle {source} holds '{name}.{unknown[0]}', which its {name} does not have")
        module.load_state_dict(found)


def write(path: str | os.PathLike[str], bundle: Bundle) -> None:
    """Write a bundle; an old file of that name stays whole until the new one is complete.

    Raises:
        ConfigError: if the header holds something that JSON cannot, such as an object or a NaN.
        WeightsError: if the file cannot be written.
    """
    record = {entry.name: getattr(bundle, entry.name) for entry in fields(bundle) if entry.name != "tensors"}
    versions = {"torch": torch.__version__, **bundle.versions}
    try:
        header = json.dumps({"format": FORMAT, **record, "versions": versions}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"a setting or the record of the training cannot be stored in {path} ({error}): use only strings, finite "
            "numbers, booleans, None, lists and dicts"
        ) from error
    _write_atomically(Path(path), save(bundle.tensors, {_KEY: header}))


def _write_atomically(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise WeightsError(f"bundle {path} cannot be written ({error.strerror or error}): give another path") from error


def read(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle onto the CPU. Nothing that the file holds is executed.

    Raises:
        WeightsError: if the file is missing, truncated, not a bundle, or of a format that this version does not know.
    """
    try:
        with safe_open(os.fspath(path), framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
    except (SafetensorError, OSError) as error:
        fix = _OF_A_PART if Path(path).suffix in _PARTS_SUFFIXES else _AGAIN
        raise WeightsError(f"{path} is not a readable bundle ({error}): {fix}") from error
    if _KEY not in metadata:
        raise WeightsError(f"{path} is a safetensors file but not a tdir bundle: give a file that Pipeline.save wrote")
    bundle = Bundle(**_checked_header(path, metadata[_KEY]), tensors=tensors)
    parts = tuple(f"{name}." for name in PARTS)
    foreign = next((name for name in tensors if not name.startswith(parts)), None)
    if foreign is not None:
        raise WeightsError(f"bundle {path} holds tensor {foreign!r}, which belongs to none of {', '.join(PARTS)}")
    return bundle


def _checked_header(path: str | os.PathLike[str], text: str) -> dict[str, Any]:
    """The fields of a :class:`Bundle` but its tensors."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"the header of bundle {path} is damaged ({error}): {_AGAIN}") from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        raise WeightsError(
            f"bundle {path} has format {found!r}, this version of tdir reads format {FORMAT}: use the version that "
            "wrote it, or save it again"
        )
    kinds = {"config": dict, "classes": list, "weights": dict, "versions": dict, "trained": dict}
    for name, kind in kinds.items():
        if not isinstance(header.get(name), kind):
            raise WeightsError(f"the header of bundle {path} has no valid {name!r}: {_AGAIN}")
    _check_config(path, header["config"], header["weights"])
    return {name: header[name] for name in kinds}


def _check_config(path: str | os.PathLike[str], config: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    for name in PARTS:
        part = config.get(name)
        if not (isinstance(part, dict) and "type" in part) and not (name == "translator" and part is None):
            raise WeightsError(f"the header of bundle {path} does not say which {name} to build: {_AGAIN}")
    for name in ("restorer", "head"):
        record = weights.get(name)
        values = record.values() if isinstance(record, dict) else [record]
        if not isinstance(record, dict) or not all(value is None or isinstance(value, str) for value in values):
            raise WeightsError(f"the header of bundle {path} does not name the weights of the {name}: {_AGAIN}")


def shipped() -> list[str]:
    """The short names of the bundles that come with tdir."""
    return sorted(file.stem for file in _ASSETS.glob(f"*{SUFFIX}"))


def find(name: str | os.PathLike[str]) -> Path:
    """The file of a bundle: a path, or the short name of one that comes with tdir or lies in ``TDIR_WEIGHTS``.

    Raises:
        WeightsError: if there is no such file, or the name is that of a part's weights.
    """
    given = Path(name).expanduser()
    if given.is_file() or given.suffix == SUFFIX:
        return weight_files.find(given)
    if given.suffix in _PARTS_SUFFIXES:
        raise WeightsError(f"{str(name)!r} is no bundle: {_OF_A_PART}")
    try:
        return weight_files.find(f"{os.fspath(name)}{SUFFIX}")
    except WeightsError as error:
        raise WeightsError(f"{error}; bundles that come with tdir: {', '.join(shipped()) or 'none'}") from error
