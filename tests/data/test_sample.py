from __future__ import annotations

import os
from pathlib import Path

import pytest

from tdir.data.sample import find_root, read_lines
from tdir.errors import DataError


def test_find_root_takes_an_existing_path(tmp_path: Path) -> None:
    assert find_root(tmp_path) == tmp_path


def test_find_root_looks_through_the_folders_of_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "second" / "fog").mkdir(parents=True)
    monkeypatch.setenv("TDIR_DATA", os.pathsep.join([str(tmp_path / "first"), str(tmp_path / "second")]))
    assert find_root("fog") == tmp_path / "second" / "fog"


def test_find_root_lists_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TDIR_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError) as caught:
        find_root("fog")
    assert str(tmp_path / "fog") in str(caught.value)
    assert str(tmp_path / "data" / "fog") in str(caught.value)


def test_find_root_works_without_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TDIR_DATA", raising=False)
    with pytest.raises(DataError, match="nowhere"):
        find_root(tmp_path / "nowhere")


def test_read_lines_drops_windows_marks(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffa\r\nb \r\n".encode())
    assert read_lines(tmp_path / "list.txt") == ["a", "b"]


def test_read_lines_names_what_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(DataError, match=r"list\.txt"):
        read_lines(tmp_path / "list.txt")
