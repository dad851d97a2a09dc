from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tdir import distributed, parts
from tdir.errors import ConfigError
from tdir.training.batches import Batch, Batches
from tdir.training.checkpoint import LAST, load_checkpoint
from tests.training.scenes import settings, trainer, write_everything
from tests.training.two_processes import changes

REPOSITORY = Path(__file__).parents[2]
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


class Doubled:
    """Batch i of one process: batches 2 i and 2 i + 1, which two processes have."""

    def __init__(self, batches: Batches):
        self.plan, self.batches = batches.plan, batches

    def __getitem__(self, step: int) -> Batch:
        first, second = (vars(self.batches[2 * step + rank]) for rank in range(2))
        return Batch(**{name: joined(first[name], second[name]) for name in first})


def joined(first: Any, second: Any) -> Any:
    return torch.cat([first, second]) if isinstance(first, torch.Tensor) else first + second


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes have trained."""
    folder = write_everything(tmp_path_factory.mktemp("two"))
    torch.manual_seed(0)
    start = parts.translator("vat-light", side=16, dims=(4, 4, 8)).state_dict()
    torch.save({name: value + 0.05 * torch.randn_like(value) for name, value in start.items()}, folder / "start.pth")
    result = launched("-m", "tests.training.two_processes", str(folder))
    assert result.returncode == 0, result.stderr
    return folder


def launched(*command: str) -> subprocess.CompletedProcess[str]:
    """The result of two processes under torchrun."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *command]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(launch, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=280)


def saw(folder: Path, rank: int) -> dict[str, Any]:
    return json.loads((folder / f"rank{rank}.json").read_text())


def flat(state: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([state[name].flatten() for name in sorted(state)])


def test_two_processes_see_different_batches_and_end_with_equal_weights(both):
    first, second = saw(both, 0), saw(both, 1)
    assert first["world"] == second["world"] == 2
    assert first["translator"] == second["translator"]
    batches = {tuple(names) for names in first["names"] + second["names"]}
    assert len(batches) == 6


def test_the_first_process_writes_and_the_other_does_not(both):
    written = {path.name for path in (both / "rank0").iterdir()}
    assert {"last.pth", "vat.tdir", "config.json", "tensorboard"} <= written
    assert list((both / "rank1").iterdir()) == []


def test_two_processes_train_as_one_with_twice_the_batch(both, tmp_path):
    one, half = (trainer(both, tmp_path / name, **changes(both)) for name in ("one", "half"))
    start = flat(one.objective.state_dict()).clone()
    one.batches = Doubled(one.batches)
    one.fit()
    half.fit()
    end = flat(one.objective.state_dict())
    two = flat(load_checkpoint(both / "rank0" / LAST)["objective"])
    way = (end - start).norm()
    assert (two - end).norm() < 0.01 * way
    # The second process counts: without its batches the weights end elsewhere.
    assert (flat(half.objective.state_dict()) - end).norm() > 0.1 * way


def test_where_one_process_fails_both_raise_its_error(both):
    expected = [f"process {rank} has a damaged image" for rank in range(2)]
    assert saw(both, 0)["failures"] == saw(both, 1)["failures"] == expected


def test_the_program_trains_under_torchrun_and_no_process_ends_in_a_traceback(both):
    values = "".join(f"{name} = {value!r}\n" for name, value in settings(both, optim__steps=2).items())
    (both / "tiny.py").write_text(values)
    work_dir = both / "program"
    command = ["tools/train_vat.py", str(both / "tiny.py"), "--launcher", "pytorch", "--work-dir", str(work_dir)]
    result = launched(*command)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(work_dir / "vat.tdir")
    assert (work_dir / "vat.tdir").exists()
    result = launched(*command)
    assert result.returncode != 0
    # The first process alone looks into the work dir.
    assert result.stderr.count(f"error: {work_dir / LAST} is a training already") == 2
    assert "train_vat.py FAILED" in result.stderr  # torchrun's own words
    assert "main(" not in result.stderr.partition("torch/distributed")[0]


def test_an_unknown_launcher_is_refused():
    with pytest.raises(ConfigError, match="launcher must be one of none, pytorch, slurm, got 'mpi'"):
        distributed.start("mpi")


@pytest.mark.parametrize(
    ("launcher", "missing"),
    [("pytorch", "RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT not set"), ("slurm", "SLURM_PROCID, SLURM_NTASKS")],
)
def test_a_launcher_that_did_not_launch_is_named(monkeypatch, launcher, missing):
    for name in [name for name in os.environ if name.startswith("SLURM_") or name in VARIABLES]:
        monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=missing):
        distributed.start(launcher)


def test_slurm_s_variables_become_torch_s(monkeypatch):
    given = {"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_LOCALID": "0", "SLURM_NODELIST": "node1"}
    # Set before they are taken away, so that whatever the launcher sets is taken away again at the end.
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name)
    for name, value in {**given, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "CUDA_VISIBLE_DEVICES": ""}.items():
        monkeypatch.setenv(name, value)
    try:
        distributed.start("slurm")
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert [os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")] == ["0", "1", "0"]
    finally:
        distributed.stop()


def test_one_process_alone_needs_no_group():
    assert distributed.start("none").type in ("cpu", "cuda")
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    assert distributed.is_first()
    with pytest.raises(ConfigError, match="alone"), distributed.together():
        raise ConfigError("alone")
    distributed.stop()
