"""A restorer that is code, in a pipeline: a bundle refers to it, and nothing but the user opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import tdir
from tdir import weights as weight_files
from tdir.cli import main
from tdir.data.folder import Folder
from tdir.errors import ConfigError, WeightsError
from tdir.frozen import state_hash
from tdir.heads.base import Head
from tdir.report.records import describe_pipeline
from tdir.selftraining.teacher import Teacher
from tdir.training.config import TrainConfig


@pytest.fixture(scope="module")
def head() -> Head:
    torch.manual_seed(0)
    return tdir.head("yolo", model="yolov8n.yaml")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A TorchScript file, in a folder that is searched for weights."""
    path = tmp_path / "weights" / "own.ts"
    path.parent.mkdir()
    torch.jit.save(torch.jit.script(nn.Conv2d(3, 3, 3, padding=1)), path)
    return path


@pytest.fixture
def saved(script: Path, head: Head, tmp_path: Path) -> Path:
    """A bundle whose restorer is that file."""
    translator = tdir.translator("vat-light", side=32)
    tdir.Pipeline(tdir.restorer("module", script), translator, head, size=48).save(tmp_path / "own.tdir")
    return tmp_path / "own.tdir"


def test_a_bundle_refers_to_it_and_does_not_hold_it(saved: Path, script: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        header = json.loads(file.metadata()["tdir"])
        assert not [name for name in file.keys() if name.startswith("restorer.")]  # noqa: SIM118
    assert header["config"]["restorer"] == {"type": "module"}
    assert header["weights"]["restorer"] == {"name": "own.ts", "sha256": weight_files.sha256(script)}


@pytest.mark.parametrize("more", [{}, {"weights": "own.ts"}, {"weights": "own.ts", "multiple": 4}, {"module": "a.ts"}])
def test_loading_a_bundle_opens_no_code(
    saved: Path, script: Path, head: Head, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TDIR_WEIGHTS", str(script.parent))
    monkeypatch.chdir(script.parent)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("code was opened"))
    with safe_open(saved, framework="pt") as file:
        header = json.loads(file.metadata()["tdir"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header["config"]["restorer"] |= more
    save_file(tensors, saved, {"tdir": json.dumps(header)})
    with pytest.raises(WeightsError, match=r"is code, 'own.ts' of sha256 \w{64}.* pass restorer='module:own.ts'"):
        tdir.load(saved, head=head)


def test_another_in_its_place_needs_weights(saved: Path, head: Head) -> None:
    with pytest.raises(ConfigError, match="'aodnet' has no weights"):
        tdir.load(saved, head=head, restorer="aodnet")


def test_it_is_given_again(saved: Path, script: Path, head: Head) -> None:
    restorer = tdir.restorer("module", script)
    loaded = tdir.load(saved, head=head, restorer=restorer)
    assert loaded.restorer is restorer
    assert loaded.size == 48
    by_name = tdir.load(saved, head=head, restorer=f"module:{script}")
    assert state_hash(by_name) == state_hash(loaded)
    image = torch.rand(3, 40, 48)
    torch.testing.assert_close(by_name.enhance(image), loaded.enhance(image))


def test_a_bundle_that_brings_its_restorer_takes_no_other(head: Head, tmp_path: Path) -> None:
    tdir.Pipeline(tdir.restorer("identity"), None, head).save(tmp_path / "plain.tdir")
    with pytest.raises(ConfigError, match="brings its restorer, 'identity', got another too"):
        tdir.load(tmp_path / "plain.tdir", head=head, restorer="sci")


def test_a_module_can_be_saved_described_and_given_again(head: Head, tmp_path: Path) -> None:
    restorer = tdir.restorer("module", module=nn.Conv2d(3, 3, 1))
    pipeline = tdir.Pipeline(restorer, None, head)
    assert describe_pipeline(pipeline)["pipeline"]["restorer"] == {"type": "module", "module": "Conv2d"}
    pipeline.save(tmp_path / "own.tdir")
    with pytest.raises(WeightsError, match="is code, an nn.Module, which a bundle never opens"):
        tdir.load(tmp_path / "own.tdir", head=head)
    assert tdir.load(tmp_path / "own.tdir", head=head, restorer=restorer).restorer is restorer


def test_a_config_file_names_a_file() -> None:
    folders = {name: {"type": "folder", "root": name} for name in ("degraded", "clean")}
    config = {"restorer": "module:own.ts", "head": "yolov8n.pt", **folders}
    assert TrainConfig.from_dict(config).restorer == {"type": "module", "weights": "own.ts"}
    with pytest.raises(ConfigError, match=r"Module.*name it, dict\(type='module', weights='net.ts'\)"):
        TrainConfig.from_dict({**config, "restorer": {"type": "module", "module": nn.Identity()}})


class Brightens(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * 2


class Darkens(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images / 2


def test_a_cache_of_one_program_is_none_of_another(head: Head, tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 48, 3), 99, np.uint8))
    keys = []
    for module in (Brightens(), Darkens()):
        torch.jit.save(torch.jit.script(module), tmp_path / "own.ts")
        teacher = Teacher(tdir.restorer("module", tmp_path / "own.ts"), head, 64, tmp_path)
        keys.append(teacher.key(Folder(tmp_path), ("image",)))
    assert keys[0] != keys[1]


def test_the_command_line_takes_it(
    saved: Path, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((32, 48, 3), 99, np.uint8))
    torch.save({"model": tdir.head("yolo", model="yolov8n.yaml", fold=False).model}, tmp_path / "detector.pt")
    argv = ["infer", str(tmp_path / "a.png"), "--pipeline", str(saved), "--head", str(tmp_path / "detector.pt")]
    argv += ["--out", str(tmp_path / "out")]
    assert main(argv) == 2
    assert "pass restorer='module:own.ts'" in capsys.readouterr().err
    assert main([*argv, "--restorer", f"module:{script}"]) == 0
