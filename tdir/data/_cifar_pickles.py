"""The pickles of CIFAR-10's Python version, without what pickles can do: nothing that they name is imported or run.

An array is read by stand-ins for NumPy's own functions, because even those can be made to read memory that is not
theirs: a pickled dtype says by itself how its bytes are to be taken.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from tdir.errors import DataError, shown

_AGAIN = "copy or download it again"


class _Dtype:
    """Stands for ``numpy.dtype``; what counts is checked by :func:`array`."""

    def __init__(self, code: str | bytes, *_: Any):
        self.code = code.decode() if isinstance(code, bytes) else code

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like mean nothing for single bytes."""


class _Array:
    """Stands for ``numpy.ndarray``."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode(encoding)


_ALLOWED = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


class _ForeignCode(Exception):
    """A pickle names something that is not in :data:`_ALLOWED`."""


# In Python: the one in C fills gigabytes when a damaged file numbers one of its objects absurdly.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _ForeignCode(f"{module}.{name}") from None


def read(path: Path) -> dict[str, Any]:
    """The entries of a pickled dictionary.

    Raises:
        DataError: if the file cannot be read, is no such pickle, or names anything but what arrays are made of.
    """
    try:
        # Python 2 wrote texts and arrays as the same strings of bytes.
        content = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except _ForeignCode as error:
        raise DataError(
            f"{path}: wants to run code ({shown(str(error))}); nothing was run: download it from CIFAR-10's own page"
        ) from error
    # A damaged file reaches every line of the reader: IndexError, KeyError, struct.error, RecursionError ...
    except Exception as error:
        raise DataError(f"{path}: damaged or not a pickle ({shown(error)}): {_AGAIN}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a {type(content).__name__}, not a dictionary: {_AGAIN}")
    return {_text(key): value for key, value in content.items() if isinstance(key, str | bytes)}


def texts(path: Path, value: Any) -> list[str]:
    """A list of texts.

    Raises:
        DataError: if it is none.
    """
    if not isinstance(value, list) or not all(isinstance(_text(one), str) for one in value):
        raise DataError(f"{path}: holds no list of texts as 'label_names': {_AGAIN}")
    return [_text(one) for one in value]


def array(path: Path, value: Any) -> np.ndarray:
    """An array of bytes, ``uint8`` of the shape that the file says.

    Raises:
        DataError: if it is none, or has another number of bytes than its shape says.
    """
    state = value.state if isinstance(value, _Array) else ()
    try:
        _, shape, dtype, by_column, content = state
        if not isinstance(dtype, _Dtype) or dtype.code != "u1" or not isinstance(content, bytes):
            raise ValueError("not of bytes")
        return np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_column else "C")
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: holds no array of bytes as 'data' ({shown(error)}): {_AGAIN}") from error


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
