from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tdir.cli import main
from tdir.data.voc import VOC


def test_a_set_is_made_and_explained(voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "VOCh"
    assert main(["prepare", "voch", str(voc), "--out", str(out), "--seed", "2", "--workers", "1"]) == 0
    told = json.loads((out / "manifest.json").read_text())
    assert told["seed"] == 2
    assert len(VOC(out, "test")) == 8
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("VOCh-train: 4 images of 2 photos; published are 16222 of 8111. ")
    assert said[-1] == f"{out / 'manifest.json'}: sha256 {told['sha256']}"


def test_classes_draws_and_settings_are_the_user_s(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "hazy"
    argv = ["--classes", "car", "--draws", "1", "--options", "light=0.75", "scale=1.5", "--format", "jpg"]
    assert main(["prepare", "voch", str(voc), "--out", str(out), *argv]) == 0
    assert VOC(out, "test").names == ["1", "3"]
    assert (out / "JPEGImages/1.jpg").is_file()
    haze = {"type": "haze", "light": 0.75, "low": 0, "high": 9, "scale": 1.5}
    assert json.loads((out / "manifest.json").read_text())["recipe"]["degradation"] == haze
    assert capsys.readouterr().out.startswith("VOCh-train: 1 images of 1 photos\n")


def test_depth_maps_make_haze_by_the_true_depth(voc: Path, tmp_path: Path) -> None:
    depths = tmp_path / "depths"
    depths.mkdir()
    for name in ("4", "0"):
        np.save(depths / f"{name}.npy", np.full((48, 64), 20.0))
    out = tmp_path / "hazy"
    assert main(["prepare", "voch", str(voc), "--out", str(out), "--depth", str(depths)]) == 0
    assert json.loads((out / "manifest.json").read_text())["recipe"]["degradation"]["type"] == "depth_haze"
    assert VOC(out, "test").names == ["0_0", "0_1"]


def test_mistakes_are_one_line(voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["prepare", "voch", str(tmp_path / "missing"), *out]) == 2
    assert "no data set" in capsys.readouterr().err
    assert main(["prepare", "vocd", str(voc), *out, "--options", "gama=3"]) == 2
    assert "no setting 'gama': did you mean 'gamma'" in capsys.readouterr().err
    assert main(["prepare", "vocd", str(voc), *out, "--depth", str(tmp_path / "missing")]) == 2
    assert "no data set" in capsys.readouterr().err
