"""The registries: a plain name -> class, one decorator away.

A name is looked up among the registered ones only. mmengine's own look-up also imports dotted names, so that
``type="os.system"`` would run; here it is a wrong name like any other.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmengine.registry import Registry as _MMRegistry

from tdir.errors import ConfigError


def closest(name: str, known: Iterable[str]) -> str:
    """A sentence with the right names nearest to a wrong one, for an error message."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(names) or 'none'}"


class Registry(_MMRegistry):
    """Names of one kind of part, filled by the files of one package.

    Args:
        kind: what the names are, in the singular, for messages.
        package: every module of this package that does not start with ``_`` is imported before a look-up.
    """

    def __init__(self, kind: str, package: str):
        super().__init__(kind, scope="tdir")
        self.kind, self.package = kind, package

    def import_from_location(self) -> None:
        """Import the package's modules, so that a new part is one new file and nothing else."""
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self.package}.{module.name}")

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        self.import_from_location()
        return sorted(self.module_dict)

    def get(self, key: str) -> Callable[..., Any]:
        """The class or function of that name.

        Raises:
            ConfigError: if the name is not registered; the nearest right names are in the message.
        """
        self.import_from_location()
        if not isinstance(key, str) or key not in self.module_dict:
            raise ConfigError(f"unknown {self.kind} {key!r}: {closest(str(key), self.module_dict)}")
        return self.module_dict[key]

    def build(self, cfg: Mapping[str, Any] | str, **defaults: Any) -> Any:
        """Build ``{"type": name, **settings}``; a name alone is one without settings.

        Raises:
            ConfigError: if it is neither, the name is unknown, or a setting is not one that this part takes.
        """
        cfg = {"type": cfg} if isinstance(cfg, str) else cfg
        if not isinstance(cfg, Mapping):
            raise ConfigError(f"a {self.kind} is a name or {{'type': name, ...}}, got {cfg!r}")
        settings = {**defaults, **cfg}
        if "type" not in settings:
            raise ConfigError(f"a {self.kind} needs a 'type', got {dict(cfg)}: {closest('', self.names())}")
        name = settings.pop("type")
        factory = self.get(name)
        takes = inspect.signature(factory).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            for key in settings.keys() - takes.keys():
                raise ConfigError(f"{self.kind} {name!r} has no setting {key!r}: {closest(key, takes)}")
        try:
            inspect.signature(factory).bind(**settings)
        except TypeError as error:
            raise ConfigError(f"{self.kind} {name!r}: {error}") from error
        return factory(**settings)


RESTORERS = Registry("restorer", "tdir.restorers")
TRANSLATORS = Registry("translator", "tdir.translators")
HEADS = Registry("head", "tdir.heads")
DATASETS = Registry("data set", "tdir.data")
DEGRADATIONS = Registry("degradation", "tdir.data")
