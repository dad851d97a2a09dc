from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tdir.data.folder import Folder
from tdir.errors import DataError
from tdir.registry import DATASETS


def test_names_are_paths_below_the_folder(tmp_path: Path, photo: Callable[..., Path]) -> None:
    photo(tmp_path / "b.png")
    photo(tmp_path / "night" / "a.jpg", height=7)
    samples = list(DATASETS.build({"type": "folder", "root": str(tmp_path)}))
    assert [sample.name for sample in samples] == ["b.png", "night/a.jpg"]
    assert samples[1].image.shape == (7, 20, 3)
    assert samples[1].truth is None


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path, photo: Callable[..., Path]) -> None:
    photo(tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"")
    folder = Folder(tmp_path)
    with pytest.raises(DataError, match=r"a\.png"):
        folder[0]
    assert folder[1].image.shape == (12, 20, 3)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        Folder(tmp_path)
