"""The program that renames the tensors of ImageNet's MobileNetV2."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from tdir.errors import WeightsError
from tdir.heads.deeplab import network
from tdir.weights import read_tensors, sha256
from tests.benchmarks.conftest import Programs


def test_tensors_take_the_names_of_their_places(
    program_named: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = program_named("imagenet_encoder")
    described = {"model": "unet", "encoder": program.ENCODER, "names": ["any"]}
    encoder = network(described, "a test").get_submodule("encoder").state_dict()
    others = {f"layer.{i}": value for i, value in enumerate(encoder.values())}
    source, target = tmp_path / "net.pt", tmp_path / "encoder.safetensors"
    torch.save({**others, "classifier": torch.zeros(1000, 1280)}, source)
    monkeypatch.setattr(sys, "argv", ["imagenet_encoder.py", str(source), str(target)])
    assert program.main() == 0
    assert capsys.readouterr().out.strip() == sha256(target)
    written = read_tensors(target)
    assert set(written) == set(encoder)
    assert all(torch.equal(written[name], value) for name, value in encoder.items())
    torch.save(dict(reversed(others.items())), source)
    with pytest.raises(WeightsError, match=r"net\.pt is not a MobileNetV2 of SMP's layers"):
        program.renamed(source, target)
