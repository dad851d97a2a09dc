from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch

from tdir.cli.arguments import Options, device, folder, natural, positive


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=Options)
    return parser


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("a.b=3", {"a.b": 3}),
        ("lr=1e-4", {"lr": 1e-4}),
        ("nuq=false", {"nuq": False}),
        ("size=None", {"size": None}),
        ("classes=[person,car]", {"classes": ["person", "car"]}),
        ("name=a=b", {"name": "a=b"}),
    ],
)
def test_pairs_are_read(parser: argparse.ArgumentParser, pair: str, value: dict[str, Any]) -> None:
    assert parser.parse_args(["--cfg-options", pair]).cfg_options == value


def test_pairs_add_up(parser: argparse.ArgumentParser) -> None:
    given = parser.parse_args(["--cfg-options", "a=1", "b=2", "--cfg-options", "b=3"])
    assert given.cfg_options == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("pair", "said"),
    [("lr", "expected KEY=VALUE, got 'lr'"), ("=3", "KEY=VALUE"), ("a=[1,2", "not closed in 'a=[1,2'")],
)
def test_a_wrong_pair_is_named(
    parser: argparse.ArgumentParser, pair: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser.parse_args(["--cfg-options", pair])
    assert said in capsys.readouterr().err


def test_numbers() -> None:
    assert positive("7") == 7
    assert natural("0") == 0
    for check, text in ((positive, "0"), (positive, "1.5"), (natural, "-1"), (natural, "a")):
        with pytest.raises(argparse.ArgumentTypeError, match=f"got '{text}'"):
            check(text)


def test_results_need_a_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert folder(str(tmp_path / "new/deep")) == tmp_path / "new/deep"
    for place in ("notes.txt", "notes.txt/deep"):
        with pytest.raises(argparse.ArgumentTypeError, match=r"notes\.txt' is a file, and results need a folder"):
            folder(str(tmp_path / place))


def test_a_device_must_be_here() -> None:
    assert device("cpu") == torch.device("cpu")
    with pytest.raises(argparse.ArgumentTypeError, match="unknown device 'gpu'"):
        device("gpu")
    with pytest.raises(argparse.ArgumentTypeError, match=f"torch finds {torch.cuda.device_count()} CUDA GPUs"):
        device("cuda:99")
    with pytest.raises(argparse.ArgumentTypeError, match="'meta': tdir computes on cpu, cuda or mps"):
        device("meta")
