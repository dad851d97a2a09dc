"""Weight files: from a name to a file, and from a file to tensors, without ever running what the file says."""

from __future__ import annotations

import hashlib
import io
import os
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from tdir.errors import WeightsError

SEARCH_PATH = "TDIR_WEIGHTS"
"""The environment variable with the folders of weight files, separated like PATH."""

_ASSETS = Path(__file__).parent / "assets"
_PACKAGED = (_ASSETS, _ASSETS / "agpl")  # what is under other terms than tdir lies apart
_WRAPPERS = ("state_dict", "model", "params")
_IN_FOLDER = "model.safetensors"
_AGAIN = "copy or download it again"
_TAKES = "give a .pt, .pth or .safetensors file"
_DETECTOR = "is a detector of ultralytics: give it as head (--head); nothing in it was run"
# What zipfile raises on a damaged or a strange archive.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError)

# What a pickled dictionary of tensors imports; any other import in a file that torch refused is code of somebody's.
_TENSOR_IMPORTS = re.compile(
    r"collections\.OrderedDict|torch\.(_utils\._rebuild_\w+|\w+Storage|storage\.\w+Storage|nn\.parameter\.Parameter"
    r"|Size|device|bool|(bfloat|float|u?int|complex)\d+)"
)
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
# The pickles of a weight file come before its numbers (format of torch < 1.6) or apart from them (zip).
_LONGEST_PICKLE = 64 * 2**20


def find(name: str | os.PathLike[str]) -> Path:
    """The file of that name, or ``model.safetensors`` in the folder of that name, which ``save_pretrained`` writes.

    Looked at in this order: the path as given (``~`` is the home folder), the files packaged with tdir, each folder of
    the environment variable ``TDIR_WEIGHTS``.

    Raises:
        WeightsError: if there is no such file; every place looked at is in the message.
    """
    folders = [entry for entry in os.environ.get(SEARCH_PATH, "").split(os.pathsep) if entry]
    given = Path(os.path.expanduser(name))
    packaged = [folder / name for folder in _PACKAGED]
    places = dict.fromkeys([given, *packaged, *(Path(os.path.expanduser(folder)) / name for folder in folders)])
    for file in (file for place in places for file in (place, place / _IN_FOLDER)):
        if os.path.isfile(file):
            return file
    looked_at = ", ".join(
        f"{place} (a folder without {_IN_FOLDER})" if os.path.isdir(place) else str(place) for place in places
    )
    unset = "" if folders else f" ({SEARCH_PATH} is not set)"
    raise WeightsError(
        f"no weight file {str(name)!r}; looked at: {looked_at}{unset}: give the path of a file, or set {SEARCH_PATH} "
        "to the folders that hold it"
    )


def sha256(path: str | os.PathLike[str]) -> str:
    """sha256 of a file's bytes, in hexadecimal.

    Raises:
        WeightsError: if the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a weight file by name, on the CPU, without gradients.

    ``.safetensors`` files are read as such, all others as what ``torch.save`` writes, now or before version 1.6. A
    wrapping ``{"state_dict": ...}``, ``{"model": ...}`` or ``{"params": ...}`` and the ``module.`` that data-parallel
    training puts before every name are taken off. Nothing that the file holds is ever executed.

    Raises:
        WeightsError: if the file is missing, empty, truncated, no weight file at all, wants to run code, or holds
            something else than tensors; the message says which.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(_LONGEST_PICKLE)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not start:
        raise WeightsError(f"weight file {path} is empty (0 bytes): {_AGAIN}")
    content = _read_safetensors(path, start) if path.suffix == ".safetensors" else _read_pickle(path, start)
    return _named_tensors(path, content)


def header(path: str | os.PathLike[str], name: str) -> str | None:
    """What the metadata of a safetensors file hold under a name.

    ``None`` if that is nothing, the file is of another kind, or it is damaged, which reading its tensors says.
    """
    if Path(path).suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "pt") as tensors:
            return (tensors.metadata() or {}).get(name)
    except SafetensorError:
        return None


def fill(module: nn.Module, tensors: Mapping[str, Tensor], fault: str) -> None:
    """Load tensors into a module, all of them and no others.

    Raises:
        WeightsError: if they do not fit; ``fault`` and torch's reason are in the message.
    """
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise WeightsError(f"{fault}: {str(error)[:300]}") from error


def _unreadable(path: str | os.PathLike[str], error: OSError) -> WeightsError:
    return WeightsError(f"weight file {path} cannot be read ({error.strerror or error}): give a file that can")


def _read_safetensors(path: Path, start: bytes) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        # The format: 8 bytes of length, then a header that starts with a brace.
        fault = "is truncated or damaged" if start[8:9] == b"{" else "is not a safetensors file"
        raise WeightsError(f"weight file {path} {fault} ({error}): {_AGAIN}") from error


def _read_pickle(path: Path, start: bytes) -> Any:
    try:
        with warnings.catch_warnings():
            # About odd protocols and TorchScript; torch then refuses the file, and the error below says more.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    # A hostile or damaged file reaches every line of torch's reader: IndexError, KeyError, EOFError, struct.error ...
    except Exception as error:
        raise WeightsError(f"weight file {path} {_fault(path, start)}") from error


def _fault(path: Path, start: bytes) -> str:
    """What is wrong with a file that torch refused, and the fix."""
    if start.startswith(b"PK"):
        return _zip_fault(path)
    # Every pickle since protocol 2 starts with the same byte; torch has never written an older protocol.
    if start.startswith(b"\x80"):
        return _pickle_fault(start)
    # Older pickles are text and could be any text, unless they import something.
    return _code_fault(start) or f"is not a weight file: {_TAKES}"


def _zip_fault(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return f"is truncated: {_AGAIN}"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any("/code/" in name for name in names):
                return "is a TorchScript program and wants to run code: save tensors alone"
            pickles = [name for name in names if name.endswith("data.pkl")]
            if not pickles:
                return f"is a zip archive without tensors, not a weight file: {_TAKES}"
            with archive.open(pickles[0]) as file:
                return _pickle_fault(file.read(_LONGEST_PICKLE))
    except _ZIP_ERRORS as error:
        return f"is damaged ({error}): {_AGAIN}"


def _pickle_fault(pickled: bytes) -> str:
    return _code_fault(pickled) or f"is truncated or damaged: {_AGAIN}"


def _code_fault(pickled: bytes) -> str:
    code = [name for name in _imports(pickled) if not _TENSOR_IMPORTS.fullmatch(name)]
    if not code:
        return ""
    if any(name.startswith("ultralytics.") for name in code):
        return _DETECTOR
    return (
        f"wants to run code ({', '.join(dict.fromkeys(code[:3]))}); nothing was executed: where you trust the file, "
        "save its tensors alone with torch.save(model.state_dict(), path)"
    )


def _imports(pickled: bytes) -> list[str]:
    """The dotted names that the pickles at the start of ``pickled`` import, read from their opcodes; runs nothing."""
    names: list[str] = []
    strings: list[str] = []
    stream = io.BytesIO(pickled)
    try:
        while True:  # one file holds several pickles; the end of the last one, or of sense, is a ValueError
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name in ("GLOBAL", "INST"):
                    names.append(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    names.append(".".join(strings[-2:]))
                elif isinstance(argument, str):
                    strings.append(argument)
    except ValueError:
        return [name for name in names if _DOTTED_NAME.fullmatch(name)]


def _named_tensors(path: Path, content: Any) -> dict[str, Tensor]:
    while isinstance(content, Mapping):
        inner = [content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not content:
        found = "an empty dictionary" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise WeightsError(f"weight file {path} holds {found}, not tensors by name: save model.state_dict()")
    if any(type(value).__module__.startswith("ultralytics.") for value in content.values()):
        raise WeightsError(f"weight file {path} {_DETECTOR}")  # torch reads them once ultralytics has opened one
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            kind = type(value).__name__
            raise WeightsError(f"weight file {path} holds {key!r}: {kind}, not a tensor: save model.state_dict()")
    prefix = "module." if all(key.startswith("module.") for key in content) else ""
    return {key.removeprefix(prefix): value.detach() for key, value in content.items()}
