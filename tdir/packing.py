"""Between a pipeline's parts and a bundle: what goes in, and the parts built again from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from torch import nn

from tdir import __version__
from tdir import weights as weight_files
from tdir.bundle import Bundle
from tdir.errors import ConfigError, TdirError, WeightsError
from tdir.heads.base import Head
from tdir.parts import PathLike, build_registered, working_restorer
from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer
from tdir.translators.base import Translator


def pack(
    parts: Mapping[str, Any], config: Mapping[str, Any], trained: Mapping[str, Any], include_head: bool = False
) -> Bundle:
    """A bundle of the weights of restorer and translator, which refers to the head or, on request, holds it.

    A restorer that is code is referred to, and never inside.

    Args:
        parts: "restorer", "translator" (may be ``None``) and "head".
        config: of the pipeline, see :attr:`tdir.Pipeline.config`; only the base names of its paths are kept.
        trained: a free record.
        include_head: put the head's weights inside as well.

    Raises:
        ConfigError: if this head cannot be inside.
    """
    restorer, translator, head = parts["restorer"], parts["translator"], parts["head"]
    described = {**config["head"], **_architecture(head)} if include_head else config["head"]
    own = _portable(config["restorer"], keep_weights=False)
    portable = {
        "restorer": {"type": own["type"]} if restorer.is_code else own,
        "translator": None if translator is None else _portable(config["translator"], keep_weights=False),
        "head": _portable(described, keep_weights=not include_head),
        "size": config["size"],
    }
    weights = {"restorer": _weights_of(restorer), "head": _weights_of(head)}
    bundle = Bundle(portable, list(head.classes), weights, {"tdir": __version__}, dict(trained))
    inside: dict[str, nn.Module | None] = {"restorer": None if restorer.is_code else restorer, "translator": translator}
    for kind, part in {**inside, "head": head if include_head else None}.items():
        if part is not None:
            bundle.add(kind, part)
    return bundle


def unpack_body(
    bundle: Bundle, file: Path, given: PathLike | Restorer | None = None
) -> tuple[Restorer, Translator | None]:
    """The restorer and the translator of a bundle.

    Args:
        bundle: as read.
        file: for messages.
        given: the restorer of a bundle whose restorer is code.

    Raises:
        WeightsError: if a part cannot be built, its tensors do not fit, or the restorer is code and is not given.
        ConfigError: if a part or a setting is unknown here, or a restorer is given to a bundle that brings its own.
    """
    restorer = _restorer(bundle, file, given)
    return restorer, None if bundle.config["translator"] is None else _rebuilt("translator", bundle, file)


def _restorer(bundle: Bundle, file: Path, given: PathLike | Restorer | None) -> Restorer:
    kind = bundle.config["restorer"]["type"]
    is_code = getattr(RESTORERS.get(kind), "is_code", False)
    name, digest = _recorded(bundle, "restorer")
    if not is_code and given is not None:
        raise ConfigError(f"bundle {file} brings its restorer, {kind!r}, got another too: leave it out")
    if is_code and given is None:
        which = "an nn.Module" if name is None else f"{name!r} of sha256 {digest}"
        raise WeightsError(
            f"the restorer of bundle {file} is code, {which}, which a bundle never opens: where you trust it, pass "
            f"restorer='module:{name or 'net.ts'}', or a restorer as it is"
        )
    if given is not None:
        return given if isinstance(given, Restorer) else working_restorer(os.fspath(given))
    restorer: Restorer = _rebuilt("restorer", bundle, file)
    restorer.weights_name, restorer.weights_sha256 = name, digest
    return restorer


def _rebuilt(kind: str, bundle: Bundle, file: Path) -> Any:
    """A part from its config and its tensors in the bundle."""
    part = _built(kind, _portable(bundle.config[kind], keep_weights=False), file)
    bundle.fill(kind, part, file)
    return part


def _built(kind: str, config: dict[str, Any], file: Path) -> Any:
    try:
        return build_registered(kind, config)
    except TdirError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError, LookupError, OverflowError) as error:
        raise WeightsError(f"bundle {file} describes a {kind} that cannot be built, {config} ({error})") from error


def _recorded(bundle: Bundle, kind: str) -> tuple[str | None, str | None]:
    return bundle.weights[kind].get("name"), bundle.weights[kind].get("sha256")


def unpack_head(bundle: Bundle, file: Path) -> Head:
    """The head that a bundle holds, or else the one that it names, from the very weights that it names.

    Raises:
        WeightsError: if the weights are not found, or are others; the sha256 wanted is in the message.
    """
    name, digest = _recorded(bundle, "head")
    if bundle.part("head"):
        head = _rebuilt("head", bundle, file)
        head.weights_name, head.weights_sha256 = name, digest
        return head
    config = _portable(bundle.config["head"])
    if "weights" not in config:
        raise WeightsError(
            f"bundle {file} was made with a head without weights, {name!r}: pass head=, a name or a head"
        )
    try:
        weights = weight_files.find(config["weights"])
    except WeightsError as error:
        raise WeightsError(
            f"bundle {file} needs its head's weights, sha256 {digest}: {error}; or pass head="
        ) from error
    found = weight_files.sha256(weights)
    if found != digest:
        raise WeightsError(
            f"bundle {file} was made with {name!r} of sha256 {digest}, but {weights} has {found}: give the former, "
            f"or pass head={str(weights)!r} if this one is meant"
        )
    return _built("head", {**config, "weights": str(weights)}, file)


def _portable(config: Mapping[str, Any], keep_weights: bool = True) -> dict[str, Any]:
    """A part's config without the folders of this machine."""
    kept = {key: value for key, value in config.items() if keep_weights or key != "weights"}
    return {key: _base_name(value) if _is_file(key, value) else value for key, value in kept.items()}


def _is_file(key: str, value: Any) -> bool:
    named = key in ("weights", "model") and isinstance(value, str)
    return named or isinstance(value, os.PathLike) or (isinstance(value, str) and os.path.isabs(value))


def _base_name(path: PathLike) -> str:
    # As Windows reads it: both kinds of slash, on whatever machine the bundle was written.
    return PureWindowsPath(path).name


def _weights_of(part: Restorer | Head) -> dict[str, str | None]:
    name = getattr(part, "weights_name", None)
    return {"name": None if name is None else _base_name(name), "sha256": getattr(part, "weights_sha256", None)}


def _architecture(head: Head) -> dict[str, Any]:
    describe = getattr(head, "architecture", None)
    if describe is None:
        raise ConfigError(f"a {type(head).__name__} cannot be stored inside a bundle: save with include_head=False")
    return describe()
