"""From a name to a file, and from a file to tensors; hostile and damaged files are named and never run."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from tdir import weights
from tdir.errors import WeightsError
from tdir.heads.yolo import Yolo

TENSORS = {"conv.weight": torch.arange(4096.0).reshape(64, 64), "conv.bias": torch.arange(3)}
LEGACY = {"_use_new_zipfile_serialization": False}


class MakesFolder:
    """Unpickled carelessly, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor] = TENSORS) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value)
        assert found[name].dtype == value.dtype


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Every kind of place that is searched, empty, in the order of the search."""
    folders = {name: tmp_path / name for name in ("here", "assets", "first", "second")}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.chdir(folders["here"])
    monkeypatch.setattr(weights, "_PACKAGED", (folders["assets"],))
    monkeypatch.setenv("TDIR_WEIGHTS", os.pathsep.join([str(folders["first"]), "", str(folders["second"])]))
    return folders


def test_find_searches_in_order(places: dict[str, Path]) -> None:
    for folder in reversed(places.values()):
        (folder / "net.pth").write_bytes(b"x")
        assert weights.find("net.pth").resolve() == (folder / "net.pth").resolve()


def test_find_takes_a_name_with_folders(places: dict[str, Path]) -> None:
    (places["second"] / "sci").mkdir()
    (places["second"] / "sci" / "easy.pt").write_bytes(b"x")
    assert weights.find("sci/easy.pt") == places["second"] / "sci" / "easy.pt"


def test_find_knows_the_home_folder(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(places["first"]))
    monkeypatch.setenv("USERPROFILE", str(places["first"]))
    monkeypatch.setenv("TDIR_WEIGHTS", "~")
    (places["first"] / "net.pth").write_bytes(b"x")
    assert weights.find("~/net.pth") == places["first"] / "net.pth"
    assert weights.find("net.pth") == places["first"] / "net.pth"


def test_find_takes_a_folder_of_save_pretrained(places: dict[str, Path]) -> None:
    (places["second"] / "net").mkdir()
    (places["second"] / "net" / "model.safetensors").write_bytes(b"x")
    for name in ("net", places["second"] / "net"):
        assert weights.find(name) == places["second"] / "net" / "model.safetensors"
    (places["first"] / "net").write_bytes(b"x")
    assert weights.find("net") == places["first"] / "net"


def test_find_lists_every_place(places: dict[str, Path]) -> None:
    (places["first"] / "net.pth").mkdir()
    with pytest.raises(WeightsError) as caught:
        weights.find("net.pth")
    for folder in ("assets", "first", "second"):
        assert str(places[folder] / "net.pth") in str(caught.value)
    assert f"{places['first'] / 'net.pth'} (a folder without model.safetensors)" in str(caught.value)
    assert "is not set" not in str(caught.value)


@pytest.mark.parametrize("name", ["net.pth", "", "a\0b", "x" * 5000])
def test_find_without_search_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TDIR_WEIGHTS", raising=False)
    with pytest.raises(WeightsError, match="TDIR_WEIGHTS is not set"):
        weights.find(name)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert weights.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(WeightsError, match=r"none.*cannot be read"):
        weights.sha256(tmp_path / "none")


@pytest.mark.parametrize("options", [{}, LEGACY], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrappers", [(), ("state_dict",), ("model",), ("params",), ("model", "state_dict")])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_read_unwraps(tmp_path: Path, options: dict[str, bool], wrappers: tuple[str, ...], prefix: str) -> None:
    content: dict[str, Any] = {prefix + name: value for name, value in TENSORS.items()}
    for wrapper in wrappers:
        content = {"epoch": 3, wrapper: content}
    torch.save(content, tmp_path / "net.pth", **options)
    assert_same(weights.read_tensors(tmp_path / "net.pth"))


def test_read_keeps_a_prefix_that_only_some_names_have(tmp_path: Path) -> None:
    content = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(content, tmp_path / "net.pth")
    assert_same(weights.read_tensors(tmp_path / "net.pth"), content)


def test_read_safetensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "net.safetensors")
    assert_same(weights.read_tensors(tmp_path / "net.safetensors"))


def test_read_drops_gradients(tmp_path: Path) -> None:
    torch.save({"a": nn.Parameter(torch.ones(2))}, tmp_path / "net.pth")
    assert not weights.read_tensors(str(tmp_path / "net.pth"))["a"].requires_grad


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "an empty dictionary"),
        ({"state_dict": {}}, "an empty dictionary"),
        ([torch.ones(1)], "a list"),
        ({"a": torch.ones(1), "epoch": 3}, "holds 'epoch': int"),
        ({3: torch.ones(1)}, "holds 3: Tensor"),
    ],
)
def test_read_wants_tensors_by_name(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=message):
        weights.read_tensors(tmp_path / "net.pth")


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_missing_empty_and_garbage_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(WeightsError, match=r"cannot be read \(No such file"):
        weights.read_tensors(path)
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.read_tensors(tmp_path)
    path.touch()
    with pytest.raises(WeightsError, match=r"is empty \(0 bytes\)"):
        weights.read_tensors(path)
    for garbage in (b"<!DOCTYPE html><html>404 not found</html>", bytes(range(256)), b"c" * 100):
        path.write_bytes(garbage)
        with pytest.raises(WeightsError, match=r"is not a (weight|safetensors) file"):
            weights.read_tensors(path)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_is_named(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pth")
    if kind == "safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, **(LEGACY if kind == "legacy" else {}))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(WeightsError, match=r"net\.\w+ is truncated"):
        weights.read_tensors(path)


@pytest.mark.parametrize("kind", ["zip", "legacy", *range(pickle.HIGHEST_PROTOCOL + 1)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_wants_to_run_code_is_named_and_not_run(tmp_path: Path, kind: str | int, suffix: str) -> None:
    made, path = tmp_path / "made", tmp_path / f"net{suffix}"
    content = {**TENSORS, "more": MakesFolder(made)}
    if isinstance(kind, int):
        path.write_bytes(pickle.dumps(content["more"], protocol=kind))
    else:
        torch.save(content, path, **(LEGACY if kind == "legacy" else {}))
    expected = r"wants to run code \((posix|nt)\.mkdir\)" if suffix == ".pth" else "is not a safetensors file"
    with pytest.raises(WeightsError, match=expected):
        weights.read_tensors(path)
    assert not made.exists()
    # The trap works: whoever reads the file carelessly does make the folder.
    if isinstance(kind, int):
        pickle.loads(path.read_bytes())  # noqa: S301
    else:
        torch.load(path, weights_only=False)  # noqa: S614
    assert made.is_dir()


def test_a_pickled_module_is_named(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "net.pth")
    # Once ultralytics has opened a file of its own, torch takes layers for harmless in the whole process.
    with pytest.raises(WeightsError, match=r"wants to run code \(torch\.nn\.modules\.conv\.Conv2d|holds a Conv2d"):
        weights.read_tensors(tmp_path / "net.pth")


def test_a_detector_of_ultralytics_is_sent_to_the_head(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "model": Yolo(model="yolov8n.yaml", fold=False).model}, tmp_path / "yolo.pt")
    with pytest.raises(WeightsError, match=r"yolo\.pt is a detector of ultralytics: give it as head \(--head\)"):
        weights.read_tensors(tmp_path / "yolo.pt")
    Yolo(tmp_path / "yolo.pt")  # from now on torch takes such files for harmless
    with pytest.raises(WeightsError, match=r"yolo\.pt is a detector of ultralytics: give it as head \(--head\)"):
        weights.read_tensors(tmp_path / "yolo.pt")


def test_a_torchscript_program_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/code/__torch__.py", "op_version_set = 1")
        archive.writestr("net/constants.pkl", b"\x80\x02).")
        archive.writestr("net/data.pkl", b"\x80\x02).")
        archive.writestr("net/version", "3\n")
    with pytest.raises(WeightsError, match="TorchScript program and wants to run code"):
        weights.read_tensors(tmp_path / "net.pt")


def test_another_archive_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsError, match="zip archive without tensors"):
        weights.read_tensors(tmp_path / "net.pt")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["zip", "legacy", "safetensors", "noise"]))
def test_a_damaged_file_never_raises_anything_else(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    path = tmp_path / ("net.safetensors" if kind == "safetensors" else "net.pth")
    small = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    if kind == "safetensors":
        save_file(small, path)
    else:
        torch.save(small, path, **(LEGACY if kind == "legacy" else {}))
    content = bytearray(data.draw(st.binary(max_size=200)) if kind == "noise" else path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        found = weights.read_tensors(path)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017 - both outcomes are right, each has its own claim
    else:
        assert all(isinstance(value, Tensor) for value in found.values())
