"""The factories: a part by its name in one line, and what can be named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from tdir import bundle as bundles
from tdir import weights as weight_files
from tdir.errors import ConfigError
from tdir.heads.base import Head
from tdir.registry import HEADS, RESTORERS, TRANSLATORS, Registry, closest
from tdir.restorers.base import Restorer
from tdir.translators.base import Translator

REGISTRIES: dict[str, Registry] = {"restorer": RESTORERS, "translator": TRANSLATORS, "head": HEADS}
PathLike = str | os.PathLike[str]


def restorer(name: str, weights: PathLike | None = None, **settings: Any) -> Restorer:
    """A frozen restorer.

    Args:
        name: one of ``tdir.available()["restorer"]``, or with its weights, "aodnet:dehazer.pth".
        weights: the published file, as a path or a name that ``tdir.weights.find`` finds.
        settings: of that restorer.

    Raises:
        ConfigError: if the name or a setting is unknown.
        WeightsError: if the file is missing, damaged, of another model, or wants to run code.
    """
    return build_registered("restorer", {**_named("restorer", name, weights), **settings})


def translator(name: str, weights: PathLike | None = None, **settings: Any) -> Translator:
    """A trainable translator.

    Args:
        name: one of ``tdir.available()["translator"]``.
        weights: a bundle (``.tdir``) whose translator to start from, or a file of its tensors; ``None`` starts anew.
        settings: of that translator.

    Raises:
        ConfigError: if the name or a setting is unknown.
        WeightsError: if the file is missing, damaged or of another translator.
    """
    part = build_registered("translator", {"type": name, **settings})
    if weights is not None:
        _start_from(part, weights)
        part.config["weights"] = str(weights)
    return part


def head(name: PathLike, weights: PathLike | None = None, **settings: Any) -> Head:
    """A frozen head.

    Args:
        name: one of ``tdir.available()["head"]``, or with its weights, "retinanet:fpn.pth", or a file ending in
            ``.pt``, which is a YOLO with these weights.
        weights: a path, or a name that ``tdir.weights.find`` finds.
        settings: of that head, such as ``classes=["person", "car"]``.

    Raises:
        ConfigError: if the name, a class or a setting is unknown, or a package that the head needs is not installed.
        WeightsError: if the file is missing, damaged, of another model, or wants to run code.
    """
    config = _named("head", name, weights)
    if (kind := config["type"]) not in HEADS.names():
        raise ConfigError(
            f"unknown head {kind!r}: {closest(kind, HEADS.names())} (A file of weights is named with its suffix, as in "
            f"{Path(kind).stem + '.pt'!r}.)"
        )
    return build_registered("head", {**config, **settings})


def named(kind: str, text: PathLike) -> dict[str, str]:
    """The config that ``NAME[:WEIGHTS]`` stands for; a ``.pt`` alone, where a head is wanted, is a YOLO's weights."""
    name, _, weights = os.fspath(text).partition(":")
    if kind == "head" and os.fspath(text).endswith(".pt") and name not in HEADS.names():
        return {"type": "yolo", "weights": os.fspath(text)}
    return {"type": name, **({"weights": weights} if weights else {})}


def build_part(kind: str, config: Any) -> Any:
    """A part from ``{"type": name, **settings}``, or from ``NAME[:WEIGHTS]``.

    Raises:
        ConfigError: if the config is neither, or as the factory of that kind does.
    """
    if isinstance(config, str):
        config = named(kind, config)
    if not isinstance(config, Mapping) or "type" not in config:
        raise ConfigError(f"a {kind} is a name or {{'type': name, ...}}, got {config!r}")
    settings = {key: value for key, value in config.items() if key != "type"}
    if "name" in settings:
        raise ConfigError(f"{kind} {config['type']!r} has no setting 'name': its name is the 'type'")
    return {"restorer": restorer, "translator": translator, "head": head}[kind](config["type"], **settings)


def working_restorer(config: Any) -> Restorer:
    """A restorer from a config or from ``NAME[:WEIGHTS]``, to be used on images and not only described or filled.

    Raises:
        ConfigError: if it is a network without weights, or as :func:`build_part` does.
    """
    part: Restorer = build_part("restorer", config)
    if part.state_dict() and part.weights_sha256 is None:
        name = config_of("restorer", part)["type"]
        raise ConfigError(
            f"restorer {name!r} has no weights, and an untrained one restores nothing: --restorer {name}:FILE, or "
            f"restorer=dict(type={name!r}, weights=FILE) in a config; 'identity' needs none"
        )
    return part


def available() -> dict[str, list[str]]:
    """The names that can be built, by kind, and the bundles that come with tdir."""
    return {**{kind: registry.names() for kind, registry in REGISTRIES.items()}, "bundle": bundles.shipped()}


def config_of(kind: str, part: nn.Module) -> dict[str, Any]:
    """``{"type": name, **settings}``, which the factory noted when it built the part.

    Raises:
        ConfigError: if the part was built in another way.
    """
    config = getattr(part, "config", None)
    if not isinstance(config, dict):
        raise ConfigError(
            f"nothing says how to rebuild this {kind}, a {type(part).__name__} made without tdir.{kind}(): build it "
            f"with tdir.{kind}(name, ...), or set its .config to {{'type': registered name, **settings}}"
        )
    return config


def build_registered(kind: str, config: dict[str, Any]) -> Any:
    """A part from ``{"type": registered name, **settings}`` and nothing else; the config is noted on the part.

    Raises:
        ConfigError: if the name or a setting is unknown.
    """
    part = REGISTRIES[kind].build(config)
    part.config = dict(config)
    return part


def _named(kind: str, name: PathLike, weights: PathLike | None) -> dict[str, str]:
    """The config of a name and weights, with weights only if there are some: not every part takes them."""
    config = named(kind, name)
    if weights is None:
        return config
    if "weights" in config:
        raise ConfigError(
            f"{kind} {os.fspath(name)!r} names its weights already, got weights={os.fspath(weights)!r} too"
        )
    return {**config, "weights": os.fspath(weights)}


def _start_from(part: nn.Module, weights: PathLike) -> None:
    if Path(weights).suffix == bundles.SUFFIX:
        path = bundles.find(weights)
        bundles.read(path).fill("translator", part, path)
        return
    path = weight_files.find(weights)
    source = bundles.Bundle({}, [], {})
    source.tensors = {f"translator.{name}": value for name, value in weight_files.read_tensors(path).items()}
    source.fill("translator", part, path)
