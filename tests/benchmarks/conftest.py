from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

Programs = Callable[[str], ModuleType]


@pytest.fixture(scope="session")
def program_named() -> Iterator[Programs]:
    """Imports a program of ``benchmarks/``, which is a folder of scripts and no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
        yield importlib.import_module
