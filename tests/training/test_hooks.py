from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tdir.training import hooks
from tdir.training.hooks import ScalarLog, Validation, duration
from tdir.training.objective import Losses
from tests.training.scenes import config, write_labelled


def clock(*seconds: float) -> Iterator[float]:
    return iter(seconds)


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """What is logged of a training that goes on from step 100 of 1000 and is at step 150 after a minute."""

    def logged(terminal: bool) -> str:
        caplog.set_level(logging.INFO, "tdir")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        monkeypatch.setattr(hooks.time, "perf_counter", clock(5.0, 65.0).__next__)
        optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
        trainer: Any = SimpleNamespace(step=100, steps=1000, optimizer=optimizer)
        hook = ScalarLog(tmp_path)
        hook.before_train(trainer)
        trainer.step = 150
        hook.after_train_iter(trainer, Losses(torch.tensor(1.5), {"clean": torch.tensor(0.25)}))
        hook.after_train(trainer)
        return caplog.text

    return logged


def test_without_a_terminal_the_log_says_how_long_it_will_take(look: Any, tmp_path: Path) -> None:
    assert "step 150 of 1000, about 17 min left: clean 0.250" in look(terminal=False)
    assert json.loads((tmp_path / "losses.jsonl").read_text()) == {"step": 150, "clean": 0.25, "total": 1.5}


def test_on_a_terminal_the_progress_bar_says_it(look: Any) -> None:
    assert look(terminal=True) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (90, "2 min"), (7260, "2 h 1 min")])
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_scoring_on_training_images_is_said(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_labelled(tmp_path)
    val = {"type": "yolo", "root": str(tmp_path), "split": "val"}
    pipeline: Any = None  # nothing is scored yet
    Validation(pipeline, config(root, val=val), tmp_path)
    assert "training images" not in caplog.text
    # The same files by another way; and clean ones count too.
    (tmp_path / "link").symlink_to(tmp_path / "images", target_is_directory=True)
    Validation(
        pipeline, config(root, val=val, clean={"type": "folder", "root": str(tmp_path / "link" / "val")}), tmp_path
    )
    assert "4 of the 4 images in 'val' are training images too" in caplog.text


def test_scenes_without_files_are_no_training_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scenes = {"type": "streets", "count": 2, "size": (32, 48)}
    Validation(None, config(tmp_path, degraded=scenes, clean=scenes, val=scenes), tmp_path)  # type: ignore[arg-type]
    assert "training images" not in caplog.text
