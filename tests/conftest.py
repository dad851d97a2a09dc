"""Fixtures for all tests: where real data is, seeds, one thread."""

from __future__ import annotations

import os
import random
from pathlib import Path

# Before torch is imported: tests run in parallel processes, which would fight for the cores with more threads each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch


def pytest_configure() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Every test starts from the same random state, alone or in any order."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries under test may draw from the global state
    torch.manual_seed(0)


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"{variable}={value} is not a folder")
    return folder


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images that ``TDIR_DATA`` names."""
    return _folder("TDIR_DATA")


@pytest.fixture(scope="session")
def weights_root() -> Path:
    """The folder of published weights that ``TDIR_WEIGHTS`` names."""
    return _folder("TDIR_WEIGHTS")
