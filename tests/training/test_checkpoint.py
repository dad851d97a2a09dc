from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch

from tdir.errors import WeightsError
from tdir.training.checkpoint import load_checkpoint, save_checkpoint
from tests.training.scenes import trainer


class Touches:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


class Breaks:
    """Cannot be pickled: the disk that fills up in the middle of a file."""

    def __reduce__(self):
        raise OSError("No space left on device")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "last.pth"
    save_checkpoint(path, {"step": 3, "objective": {"weight": torch.arange(1000.0)}}, {"optim": {"lr": 0.1}})
    return path


def test_it_comes_back(path):
    state = load_checkpoint(path)
    assert state["step"] == 3
    assert torch.equal(state["objective"]["weight"], torch.arange(1000.0))
    assert state["record"] == '{"optim": {"lr": 0.1}}'


def test_a_crash_while_writing_leaves_the_old_one(path):
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, {"step": 4, "objective": {"weight": torch.zeros(1000)}, "more": Breaks()}, {})
    assert path.read_bytes() == before
    assert load_checkpoint(path)["step"] == 3


def test_a_crash_before_the_move_leaves_the_old_one(path, monkeypatch):
    def fails(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fails)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(path, {"step": 4}, {})
    assert load_checkpoint(path)["step"] == 3
    save_checkpoint(path, {"step": 5}, {})
    assert load_checkpoint(path)["step"] == 5
    assert [entry.name for entry in path.parent.iterdir()] == ["last.pth"]


def test_a_truncated_one_is_refused(path):
    content = path.read_bytes()
    for length in (0, 1, 10, 500, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="last.pth is damaged or is not a checkpoint, nothing in it was run"):
            load_checkpoint(path)


def test_noise_is_refused(path):
    noise = torch.Generator().manual_seed(0)
    for _ in range(200):
        length = int(torch.randint(1, 300, (1,), generator=noise))
        path.write_bytes(bytes(torch.randint(0, 256, (length,), generator=noise).tolist()))
        with pytest.raises(WeightsError):
            load_checkpoint(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("write", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state, 2))])
def test_code_in_it_is_not_run(path, tmp_path, write):
    trap = tmp_path / "ran"
    write({"format": 1, "record": "{}", "step": Touches(trap)}, path)
    with pytest.raises(WeightsError, match="nothing in it was run"):
        load_checkpoint(path)
    assert not trap.exists()


def test_resuming_from_a_malicious_one_runs_nothing(root, tmp_path):
    runs, trap = trainer(root, tmp_path), tmp_path / "ran"
    torch.save({"format": 1, "record": "{}", "step": Touches(trap)}, tmp_path / "last.pth")
    with pytest.raises(WeightsError, match="nothing in it was run"):
        runs.resume()
    assert not trap.exists()


@pytest.mark.parametrize("content", [{"format": 99}, {"state_dict": {}}, torch.zeros(3)])
def test_other_files_of_torch_are_refused(path, content):
    torch.save(content, path)
    with pytest.raises(WeightsError, match=r"is not a checkpoint of this version of tdir \(format 1\)"):
        load_checkpoint(path)


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(WeightsError, match="no checkpoint .*absent.pth"):
        load_checkpoint(tmp_path / "absent.pth")
