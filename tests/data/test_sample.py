from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tdir.data.folder import Folder
from tdir.data.sample import find_root, read_lines
from tdir.data.yolo import YOLO
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


def test_a_subset_has_the_same_samples(tmp_path: Path, photo: Callable[..., Path]) -> None:
    (tmp_path / "labels" / "val").mkdir(parents=True)
    for seed in range(4):
        photo(tmp_path / "images" / "val" / f"{seed}.png", seed=seed)
        (tmp_path / "labels" / "val" / f"{seed}.txt").write_text(f"{seed} 0.5 0.5 0.2 0.{seed + 1}\n")
    whole = YOLO(tmp_path, "val")
    some = whole.subset([3, 1])
    assert len(some) == 2
    assert (some.names, some.classes) == (["3.png", "1.png"], whole.classes)
    for i, j in enumerate([3, 1]):
        assert (some[i].name, some[i].path, some.paths[i]) == (whole[j].name, whole[j].path, whole.paths[j])
        np.testing.assert_array_equal(some[i].image, whole[j].image)
        for truth in (some.truth(i), some[i].truth):
            assert truth is not None
            assert torch.equal(truth.boxes, whole[j].truth.boxes)  # type: ignore[union-attr]
            assert truth.labels.tolist() == [j]


def test_a_set_of_files_knows_no_depth_and_tells_its_files_apart(tmp_path: Path, photo: Callable[..., Path]) -> None:
    for seed in range(2):
        photo(tmp_path / f"{seed}.png", seed=seed)
    photos = Folder(tmp_path)
    assert photos.depth(0) is None
    assert photos.fingerprint(0)[0] == photos.paths[0].stat().st_size
    assert photos.fingerprint(0) != photos.fingerprint(1) == photos.subset([1]).fingerprint(0)
    assert photos.image_size(0) == photos.image(0).shape[:2]
    before, data = photos.fingerprint(0), bytearray(photos.paths[0].read_bytes())
    data[len(data) // 2] ^= 1  # wherever in the file
    photos.paths[0].write_bytes(data)
    assert photos.fingerprint(0) != before
    photos.paths[0].unlink()
    assert photos.fingerprint(0) == (-1, 0)


def test_a_subset_of_what_is_not_there_is_refused(tmp_path: Path, photo: Callable[..., Path]) -> None:
    photo(tmp_path / "a.png")
    with pytest.raises(DataError, match="no image 1 in a set of 1"):
        Folder(tmp_path).subset([0, 1])
