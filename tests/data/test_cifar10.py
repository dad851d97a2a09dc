from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tdir.data.cifar10 import CIFAR10
from tdir.data.layouts import layout_of
from tdir.errors import DataError
from tests.contracts.bad_files import RunsCode

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
LABELS = {"data_batch_1": [3, 0, 9], "data_batch_2": [5], "test_batch": [1, 2]}


def pixels(name: str) -> np.ndarray:
    """``(n, 3072)``, the red, green and blue planes of each image of a batch."""
    return np.random.default_rng(len(name) + LABELS[name][0]).integers(0, 256, (len(LABELS[name]), 3072), np.uint8)


def write_binary(root: Path) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    for name, labels in LABELS.items():
        records = np.column_stack([np.array(labels, np.uint8), pixels(name)])
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return folder


def as_python_2_wrote(content: dict[str, Any]) -> bytes:
    """Protocol 2 with every text and every array's bytes as Python 2's strings, as the official files have them."""
    pickled = b"\x80\x02}"
    for key, value in content.items():
        pickled += short(key) + written(value) + b"s"
    return pickled + b"."


def short(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()


def written(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        whole = value.tobytes()
        dtype = b"cnumpy\ndtype\n" + short("u1") + b"K\x00K\x01\x87R(K\x03" + short("|")
        dtype += b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
        shape = b"".join(b"M" + side.to_bytes(2, "little") for side in value.shape) + b"\x86"
        array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + short("b") + b"\x87R"
        return array + b"(K\x01" + shape + dtype + b"\x89T" + len(whole).to_bytes(4, "little") + whole + b"tb"
    if isinstance(value, list):
        return b"](" + b"".join(short(v) if isinstance(v, str) else b"K" + bytes([v]) for v in value) + b"e"
    return short(value)


def write_python(root: Path, dump: Callable[[dict[str, Any]], bytes] = as_python_2_wrote) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    (folder / "batches.meta").write_bytes(dump({"label_names": NAMES}))
    for name, labels in LABELS.items():
        content = {"batch_label": "a batch", "labels": labels, "data": pixels(name), "filenames": ["a.png"]}
        (folder / name).write_bytes(dump(content))
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "binary": write_binary,
    "python": write_python,
    "python 3, protocol 2": lambda root: write_python(root, lambda content: pickle.dumps(content, 2)),
    "python 3, protocol 4": lambda root: write_python(root, lambda content: pickle.dumps(content, 4)),
}


@pytest.mark.parametrize("version", WRITERS)
def test_images_and_classes_of_every_version(tmp_path: Path, version: str) -> None:
    folder = WRITERS[version](tmp_path)
    train, test = CIFAR10(tmp_path, "train"), CIFAR10(folder, "test")
    assert train.classes == test.classes == NAMES
    assert train.task == "classification"
    assert train.names == ["train/00000", "train/00001", "train/00002", "train/00003"]
    assert [train.truth(i).label for i in range(4)] == [3, 0, 9, 5]
    assert [test.truth(i).label for i in range(2)] == [1, 2]
    planes = pixels("data_batch_1")[1].reshape(3, 32, 32)
    for channel in range(3):
        assert (train.image(1)[..., channel] == planes[channel]).all()
    assert train.image_size(0) == train.image(0).shape[:2] == (32, 32)
    assert (train[3].image.transpose(2, 0, 1).ravel() == pixels("data_batch_2")[0]).all()
    assert CIFAR10.splits(tmp_path) == CIFAR10.splits(folder) == ["test", "train"]
    assert layout_of(str(tmp_path)) == {"type": "cifar10", "split": "test"}


def test_an_official_pickle_is_what_the_standard_reader_reads(tmp_path: Path) -> None:
    """What these tests write as the official files are is a pickle to Python as well."""
    content = pickle.loads((write_python(tmp_path) / "test_batch").read_bytes(), encoding="bytes")  # noqa: S301 - written above
    assert (content[b"data"] == pixels("test_batch")).all()
    assert content[b"labels"] == LABELS["test_batch"]


def test_the_fingerprint_is_of_the_pixels(tmp_path: Path) -> None:
    binary, python = CIFAR10(write_binary(tmp_path), "train"), CIFAR10(write_python(tmp_path), "train")
    assert [binary.fingerprint(i) for i in range(4)] == [python.fingerprint(i) for i in range(4)]
    assert len({binary.fingerprint(i) for i in range(4)}) == 4


def test_a_missing_folder_or_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not CIFAR-10, which has cifar-10-batches-bin/batches\.meta\.txt or"):
        CIFAR10(tmp_path, "train")
    folder = write_binary(tmp_path)
    with pytest.raises(DataError, match="no batch of split 'tset': did you mean 'test'"):
        CIFAR10(folder, "tset")
    (folder / "test_batch.bin").unlink()
    assert CIFAR10.splits(folder) == ["train"]
    with pytest.raises(DataError, match="no batch of split 'test': known: train"):
        CIFAR10(folder, "test")


def changed(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes([value]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("data_batch_1.bin", lambda b: b[:-1], r"data_batch_1\.bin: record 2 has 3072 bytes, and each has 3073"),
        ("data_batch_1.bin", lambda b: b"", r"data_batch_1\.bin: record 0 has 0 bytes"),
        ("data_batch_2.bin", lambda b: changed(b, 0, 10), r"data_batch_2\.bin: record 0 has label 10"),
        ("data_batch_1.bin", lambda b: changed(b, 3073, 255), r"data_batch_1\.bin: record 1 has label 255"),
        ("batches.meta.txt", lambda b: b"cat\n" * 10, r"batches\.meta\.txt: CIFAR-10 has 10 different class names"),
        ("batches.meta.txt", lambda b: b[:20], r"batches\.meta\.txt: CIFAR-10 has 10 different class names"),
        ("batches.meta.txt", lambda b: b"\xff" + b, r"batches\.meta\.txt: cannot be read as text"),
    ],
)
def test_a_damaged_binary_is_named(tmp_path: Path, name: str, damage: Callable[[bytes], bytes], message: str) -> None:
    path = write_binary(tmp_path) / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        CIFAR10(tmp_path, "train")


BATCH = {"labels": [1, 2], "data": np.zeros((2, 3072), np.uint8)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, not a dictionary"),
        ({**BATCH, "labels": [1, 10]}, "record 1 has label 10"),
        ({**BATCH, "labels": [-1, 3]}, "record 0 has label -1"),
        ({**BATCH, "labels": [True, 3]}, "no list of whole numbers as 'labels'"),
        ({**BATCH, "labels": [1, 2, 3]}, r"3 labels for images of shape \(2, 3072\), which should be \(3, 3072\)"),
        ({**BATCH, "labels": []}, r"0 labels for images"),
        ({"data": BATCH["data"]}, "no list of whole numbers as 'labels'"),
        ({"labels": [1]}, "no array of bytes as 'data'"),
        ({**BATCH, "data": [[1] * 3072] * 2}, "no array of bytes as 'data'"),
        ({**BATCH, "data": np.zeros((2, 3072), np.int16)}, "no array of bytes as 'data'"),
        ({**BATCH, "data": np.array([None, None])}, "no array of bytes as 'data'"),
        ({**BATCH, "data": np.zeros((2, 3071), np.uint8)}, r"images of shape \(2, 3071\)"),
        ({**BATCH, "data": RunsCode()}, r"wants to run code \('__builtin__\.exec'\); nothing was run"),
        ({**BATCH, "other": np.float64(3)}, "wants to run code .*scalar"),
    ],
)
def test_a_wrong_pickle_is_named(tmp_path: Path, content: Any, message: str) -> None:
    path = write_python(tmp_path) / "test_batch"
    path.write_bytes(pickle.dumps(content, 2))
    with pytest.raises(DataError, match=rf"test_batch: .*{message}"):
        CIFAR10(tmp_path, "test")


@pytest.mark.parametrize("names", [None, "cat", [1] * 10, NAMES[:9], ["cat"] * 10])
def test_wrong_names_are_named(tmp_path: Path, names: Any) -> None:
    (write_python(tmp_path) / "batches.meta").write_bytes(pickle.dumps({"label_names": names}, 2))
    with pytest.raises(
        DataError, match=r"batches\.meta: (holds no list of texts|CIFAR-10 has 10 different class names)"
    ):
        CIFAR10(tmp_path, "test")


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"\x80\x02}",
        b"\x80\x02cos\nsystem\nU\x09echo pwned\x85R.",
        b"(S'echo pwned'\nios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0aecho pwned\x85R.",
        b"\x80\x02c_codecs\nencode\nU\x01a\x85R.",
        b"\x80\x02cnumpy\nndarray\n}U\x01aK\x01sb.",
        b"\x80\x02\x82\x01.",
        b"Pid\n.",
        b"}r\xff\xff\xff\x7f.",  # an object numbered two milliards: a table of that size in the reader written in C
        b"]" * 100_000 + b".",
        b"I" + b"9" * 10_000 + b"\n.",
    ],
)
def test_a_hostile_pickle_is_refused(tmp_path: Path, pickled: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    (write_python(tmp_path) / "test_batch").write_bytes(pickled)
    with pytest.raises(DataError, match="test_batch"):
        CIFAR10(tmp_path, "test")
    assert "pwned" not in capfd.readouterr().out


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """One of the ways in which files go wrong; mostly outside of the pixels, any of which may have any value."""
    places = np.r_[0:300, len(whole) - 100 : len(whole)]
    a, b = sorted(rng.choice(places, 2, replace=False).tolist())
    kinds: list[Callable[[], bytes]] = [
        lambda: whole[:a],
        lambda: whole[:a] + whole[b:],
        lambda: changed(whole, a, int(rng.integers(256))),
        lambda: whole[:a] + rng.bytes(int(rng.integers(1, 9))) + whole[a:],
        lambda: whole[:a] + rng.bytes(4) + whole[a + 4 :],
        lambda: whole[a:] + whole[:a],
    ]
    return kinds[rng.integers(len(kinds))]()


@pytest.mark.parametrize("version", WRITERS)
def test_a_damaged_file_is_read_or_named(tmp_path: Path, version: str) -> None:
    folder, refused = WRITERS[version](tmp_path), list[str]()
    (path,) = folder.glob("test_batch*")
    whole = path.read_bytes()
    for seed in range(300):
        path.write_bytes(damaged(whole, np.random.default_rng(seed)))
        try:
            data_set = CIFAR10(folder, "test")
        except DataError as error:
            refused.append(str(error))
        else:
            assert all(0 <= data_set.truth(i).label < 10 for i in range(len(data_set)))
            assert all(data_set.image(i).shape == (32, 32, 3) for i in range(len(data_set)))
    assert all(path.name in message and len(message) < 1000 for message in refused)
    assert 100 < len(refused) < 300


@pytest.mark.real
def test_the_real_set_is_in_ten_classes_of_nearly_one_size(data_root: Path) -> None:
    train, test = CIFAR10("cifar10", "train"), CIFAR10("cifar10", "test")
    assert (len(train), len(test)) == (8000, 2000)
    assert train.classes == NAMES
    assert np.bincount([test.truth(i).label for i in range(2000)]).tolist() == [200] * 10
    assert np.bincount([train.truth(i).label for i in range(8000)]).min() > 750
    # Ships and planes are on blue.
    blue = [np.mean([test.image(i)[..., 2].mean() for i in range(2000) if test.truth(i).label == k]) for k in range(10)]
    assert {NAMES[k] for k in np.argsort(blue)[-2:]} == {"airplane", "ship"}
