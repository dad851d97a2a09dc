from __future__ import annotations

from pathlib import Path

import pytest

from tdir import parts
from tdir.heads.base import Head
from tests.training.scenes import write_everything


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, a dehazer and a detector; the teacher's cache lies there too, so that the tests share it."""
    return write_everything(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="session")
def head(root: Path) -> Head:
    """The detector; it is frozen, so that one serves every test."""
    return parts.head(root / "tiny.pt")
