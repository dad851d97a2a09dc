from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Photo = Callable[..., Path]


@pytest.fixture
def photo() -> Photo:
    """Writes a picture of noise; a PNG comes back exactly as written."""

    def write(path: Path, height: int = 12, width: int = 20, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), image)
        return path

    return write


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets."""
    if "TDIR_DATA" not in os.environ:
        pytest.skip("TDIR_DATA is not set")
    return Path(os.environ["TDIR_DATA"])
