from __future__ import annotations

from pathlib import Path

import pytest

from tdir import parts
from tdir.data.degradations import Degraded, Haze
from tdir.data.folder import Folder
from tdir.heads.base import Head
from tdir.restorers.base import Restorer
from tests.training.scenes import write_everything


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Landscapes and portraits, a dehazer and a detector."""
    return write_everything(tmp_path_factory.mktemp("pictures"), sizes=[(48, 64), (64, 48), (40, 64)])


@pytest.fixture(scope="session")
def head(root: Path) -> Head:
    return parts.head(root / "tiny.pt")


@pytest.fixture(scope="session")
def restorer(root: Path) -> Restorer:
    return parts.restorer("aodnet", weights=root / "dehazer.pth")


@pytest.fixture
def clean(root: Path) -> Folder:
    return Folder(root / "clean")


@pytest.fixture
def hazy(root: Path) -> Degraded:
    return Degraded(Folder(root / "degraded"), Haze())
