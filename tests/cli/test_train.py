from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tdir
from tdir.cli import main
from tdir.cli.train import _mixed_precision

CONFIG = """
restorer = dict(type="aodnet", weights="dehazer.pth")
translator = dict(type="vat-light", side=32)
head = dict(type="yolo", weights="detector.pt")
degraded = dict(type="voc", root={root!r}, split="test", degradation=dict(type="haze", light=0.75))
clean = dict(type="voc", root={root!r}, split="train")
size = 64
teacher = dict(nuq=False, score=0.0001)
optim = dict(steps=2, batch_size=2, warmup=1)
pictures = 1
"""


@pytest.fixture
def config(tmp_path: Path, voc: Path, detector: Path) -> Path:
    path = tmp_path / "tiny_voc.py"
    path.write_text(CONFIG.format(root=str(voc)))
    torch.save(tdir.restorer("aodnet").state_dict(), detector.parent / "dehazer.pth")
    return path


def said_by(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command that must fail says."""
    assert main(["train", *argv]) == 2
    return capsys.readouterr().err


def test_a_config_becomes_a_bundle(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", str(config), "--amp", "--seed", "5", "--cfg-options", "optim.lr=0.01", "name=fog"]) == 0
    bundle = Path("work_dirs/tiny_voc/fog.tdir")
    assert capsys.readouterr().out == f"{bundle}\n"
    record = json.loads((bundle.parent / "config.json").read_text())
    precision = _mixed_precision(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    assert (record["seed"], record["optim"]["lr"], record["optim"]["precision"]) == (5, 0.01, precision)
    assert tdir.load(bundle).trained["config"]["seed"] == 5

    assert main(["train", str(config), "--resume"]) == 2
    assert "was trained with other settings" in capsys.readouterr().err


def test_a_new_pair_needs_no_config(
    voc: Path, detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    images = str(voc / "JPEGImages")
    pair = ["--restorer", "identity", "--head", str(detector), "--degraded", images, "--clean", images]
    small = ["size=64", "optim.steps=1", "optim.batch_size=2", "teacher.nuq=false", "pictures=0"]
    small += ["translator.type=vat-light", "translator.side=32"]
    assert main(["train", *pair, "--val", str(voc), "--classes", "person", "car", "--cfg-options", *small]) == 0
    printed = capsys.readouterr().out
    assert printed == "work_dirs/identity_detector/vat.tdir\n"
    assert tdir.load(printed.strip()).head.classes == ["person", "car"]
    scored = json.loads((tmp_path / "work_dirs/identity_detector/validation.jsonl").read_text())
    assert scored["vat"]["images"] == 4


def test_amp_on_a_cpu_is_bf16() -> None:
    assert _mixed_precision(torch.device("cpu")) == "bf16"


def test_a_config_and_a_pair_exclude_each_other(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = said_by([str(config), "--restorer", "sci", "--val", "x"], capsys)
    assert "says what to train, but --restorer, --val given too" in said


def test_what_a_pair_lacks_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    said = said_by(["--restorer", "aodnet", "--degraded", "x"], capsys)
    assert said == "error: a training needs a config file, or a new pair: --head, --clean missing\n"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("sede=1", "config has no setting 'sede': did you mean 'seed'"),
        ("optim.lrr=1", "optim has no setting 'lrr': did you mean 'lr'"),
        ("translator.sid=1", "no setting 'sid': did you mean 'side'"),
        ("restorer.type=aodnett", "unknown restorer 'aodnett': did you mean 'aodnet'"),
    ],
)
def test_an_unknown_option_is_answered_with_the_nearest(
    config: Path, tmp_path: Path, option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(config), "--work-dir", str(tmp_path / "work"), "--cfg-options", option]
    assert said in said_by(argv, capsys)
    assert not list(tmp_path.glob("work/cache/*"))


def test_a_wrong_folder_is_named(detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing")
    argv = ["--restorer", "identity", "--head", str(detector), "--degraded", missing, "--clean", missing]
    assert f"no data set '{missing}'" in said_by([*argv, "--work-dir", str(tmp_path / "work")], capsys)


def test_a_validation_set_without_labels_is_found_before_the_training(
    config: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(config), "--work-dir", str(tmp_path / "work"), "--cfg-options"]
    assert "has no labels" in said_by([*argv, f"val.root={voc / 'JPEGImages'}", "val.type=folder"], capsys)
    strange = ["head.classes=[cat]", f"val.root={voc}", "val.type=voc", "val.split=train", "val.classes=[dog]"]
    assert "the head knows none of the data set's classes (dog)" in said_by([*argv, *strange], capsys)
    assert not (tmp_path / "work").exists()


def test_a_broken_config_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("size = (\n")
    assert f"{broken} cannot be read" in said_by([str(broken)], capsys)
    assert "no config 'none.py'" in said_by(["none.py"], capsys)


def test_a_preview_runs_in_one_process(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "leave out --launcher pytorch" in said_by([str(config), "--preview", "--launcher", "pytorch"], capsys)


def test_a_launcher_needs_its_variables(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert "start it with torchrun or srun" in said_by([str(config), "--launcher", "pytorch"], capsys)


def test_a_preview_trains_nothing(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(config), "--preview", "--work-dir", str(tmp_path / "work")]) == 0
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"preview.png", "preview.json"}
    said = capsys.readouterr()
    assert "preview of 4 of 4 degraded and 2 of 2 clean images" in said.err
    assert said.out == ""
