from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tdir.errors import DataError
from tdir.selftraining.store import Source, TeacherStore, TeacherWriter, check_free, content_key
from tdir.structures import Detections

SIZES = [(4, 6), (6, 4), (5, 5)]
COUNTS = [2, 0, 3]


def pictures(i: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(i)
    first, second = rng.integers(0, 256, (2, *SIZES[i], 3), dtype=np.uint8)
    return first, second


def said(i: int) -> Source:
    count, draw = COUNTS[i], torch.Generator().manual_seed(i)
    found = Detections(torch.rand(count, 4, generator=draw), torch.arange(count), torch.rand(count, generator=draw))
    return Source(found, torch.randn(count, 7, generator=draw))


def fill(writer: TeacherWriter) -> None:
    for i in range(3):
        writer.add(f"{i}.png", *pictures(i), {"image": said(i), "restored": said(2 - i)})


def check(store: TeacherStore) -> None:
    assert store.names == ["0.png", "1.png", "2.png"]
    assert store.sizes == SIZES
    assert store.skipped == ["broken.png: empty"]
    assert store.sources() == ["image", "restored"]
    assert len(store) == 3
    for i in range(3):
        assert np.array_equal(store.pixels(i), np.stack(pictures(i)))
        for name, wanted in (("image", said(i)), ("restored", said(2 - i))):
            source = store.source(name, i)
            assert torch.equal(source.found.boxes, wanted.found.boxes)
            assert torch.equal(source.found.labels, wanted.found.labels)
            assert torch.equal(source.found.scores, wanted.found.scores)
            assert torch.equal(source.embeddings, wanted.embeddings.half().float())


def test_everything_comes_back_now_and_after_a_restart(tmp_path):
    with TeacherWriter(tmp_path / "key") as writer:
        fill(writer)
        check(writer.finish(["broken.png: empty"]))
    check(TeacherStore(tmp_path / "key"))
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_there_is_no_cache_before_it_is_finished(tmp_path):
    with TeacherWriter(tmp_path / "key") as writer:
        fill(writer)
        assert not (tmp_path / "key").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt), TeacherWriter(tmp_path / "key") as writer:
        fails(writer)
    assert list(tmp_path.iterdir()) == []


def fails(writer: TeacherWriter) -> None:
    fill(writer)
    raise KeyboardInterrupt


def test_what_a_killed_process_left_is_started_anew(tmp_path):
    partial = tmp_path / f"key.partial-{os.getpid()}"
    partial.mkdir()
    (partial / "pixels.u8").write_bytes(b"half")
    with TeacherWriter(tmp_path / "key") as writer:
        fill(writer)
        check(writer.finish(["broken.png: empty"]))


def test_a_failure_while_finishing_leaves_no_cache(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"), TeacherWriter(tmp_path / "key") as writer:
        finishes(writer)
    assert list(tmp_path.iterdir()) == []


def finishes(writer: TeacherWriter) -> None:
    fill(writer)
    writer.finish([])


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=3_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(DataError, match=r"need about 2.90 GB, .* has 3.00 GB left: set .*cache_dir .* or lower size"):
        check_free(tmp_path / "not" / "there", 2_900_000_000)
    assert list(tmp_path.iterdir()) == []
    check_free(tmp_path / "not" / "there", 2_800_000_000)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


@pytest.mark.parametrize("damage", [Path.unlink, truncated, lambda file: file.write_bytes(b"{}")])
@pytest.mark.parametrize("name", ["index.json", "pixels.u8", "predictions.safetensors"])
def test_a_damaged_cache_is_named(tmp_path, name, damage):
    with TeacherWriter(tmp_path / "key") as writer:
        fill(writer)
        writer.finish([])
    damage(tmp_path / "key" / name)
    with pytest.raises(DataError, match=r"key is a damaged cache of the teacher \(.+\): delete it"):
        TeacherStore(tmp_path / "key")


def test_predictions_of_other_images_are_noticed(tmp_path):
    for name, count in (("key", 3), ("other", 2)):
        with TeacherWriter(tmp_path / name) as writer:
            for i in range(count):
                writer.add(f"{i}.png", *pictures(i), {"image": said(i)})
            writer.finish([])
    file = "predictions.safetensors"
    shutil.copy(tmp_path / "other" / file, tmp_path / "key" / file)
    with pytest.raises(DataError, match="has the image predictions of other images"):
        TeacherStore(tmp_path / "key")


def test_the_cache_is_data_and_no_pickle(tmp_path):
    with TeacherWriter(tmp_path / "key") as writer:
        fill(writer)
        writer.finish([])
    assert {path.name for path in (tmp_path / "key").iterdir()} == {
        "index.json",
        "pixels.u8",
        "predictions.safetensors",
    }
    assert json.loads((tmp_path / "key" / "index.json").read_text())["sizes"] == [list(size) for size in SIZES]
    assert (tmp_path / "key" / "pixels.u8").stat().st_size == sum(2 * 3 * height * width for height, width in SIZES)


def test_a_key_depends_on_the_content_and_not_on_the_order():
    assert content_key({"a": [1, 2], "b": None}) == content_key({"b": None, "a": [1, 2]})
    assert content_key({"a": [1, 2]}) != content_key({"a": [2, 1]})
    assert len(Path(content_key({})).name) == 16
