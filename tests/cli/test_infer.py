from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tdir.cli import main
from tdir.cli.infer import find_sources
from tdir.errors import ConfigError, DataError
from tdir.heads.yolo import Yolo


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``a.png``, ``deep/b.jpg`` and ``deep/broken.jpg``."""
    root = tmp_path / "tree"
    (root / "deep").mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    assert cv2.imwrite(str(root / "a.png"), image)
    assert cv2.imwrite(str(root / "deep/b.jpg"), image[:32])
    (root / "deep/broken.jpg").write_bytes(b"no image")
    return root


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_a_tree_keeps_its_shape(bundle: Path, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    argv = [str(tree), "--pipeline", str(bundle), "--out", str(out), "--score", "0", "--save-enhanced"]
    assert main(["infer", *argv, "--batch-size", "1"]) == 0
    names = ["a.png", "deep/b.jpg"]
    assert files(out) == {"predictions.jsonl", *(f"{k}/{n}" for k in ("pictures", "enhanced") for n in names)}

    found = lines(out)
    assert [(entry["image"], entry["width"], entry["height"]) for entry in found] == [
        ("a.png", 56, 40),
        ("deep/b.jpg", 56, 32),
    ]
    best, *others = found[0]["detections"]
    assert set(best) == {"label", "score", "box"}
    assert all(best["score"] >= other["score"] for other in others)
    assert 0 <= best["box"][0] < best["box"][2] <= 56
    picture, enhanced = (cv2.imread(str(out / kind / "a.png")) for kind in ("pictures", "enhanced"))
    assert picture.shape == enhanced.shape == (40, 56, 3)
    assert (picture != cv2.imread(str(tree / "a.png"))).any()

    said = capsys.readouterr().err
    assert f"skipped: {tree / 'deep/broken.jpg'}: not a readable image" in said
    assert "in 2 images, 1 unreadable" in said


def test_the_size_of_a_batch_changes_no_detection(
    bundle: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is given, chosen by tdir, or what fits."""
    argv = ["infer", str(tree), "--pipeline", str(bundle), "--score", "0", "--save-enhanced", "--out"]
    assert main([*argv, str(tmp_path / "one"), "--batch-size", "1"]) == 0
    assert main([*argv, str(tmp_path / "chosen")]) == 0
    forward = Yolo.forward

    def narrow(self: Yolo, images: Tensor) -> Any:
        if len(images) > 1:
            raise torch.OutOfMemoryError("full")
        return forward(self, images)

    monkeypatch.setattr(Yolo, "forward", narrow)
    assert main([*argv, str(tmp_path / "halved"), "--batch-size", "64"]) == 0
    assert "2 images at a time do not fit into memory, going on with 1" in capsys.readouterr().err
    assert lines(tmp_path / "one") == lines(tmp_path / "halved")
    for one, other in zip(lines(tmp_path / "one"), lines(tmp_path / "chosen"), strict=True):
        assert len(one["detections"]) == len(other["detections"])
        for mine, theirs in zip(one["detections"][:20], other["detections"][:20], strict=True):
            assert mine["score"] == pytest.approx(theirs["score"], abs=2e-4)
    assert files(tmp_path / "one") == files(tmp_path / "halved")


def test_nothing_above_the_score_leaves_the_picture_as_it_is(bundle: Path, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["infer", str(tree / "a.png"), "--pipeline", str(bundle), "--out", str(out), "--score", "1"]) == 0
    assert lines(out)[0]["detections"] == []
    assert (cv2.imread(str(out / "pictures/a.png")) == cv2.imread(str(tree / "a.png"))).all()


def test_only_unreadable_images_are_a_failure(bundle: Path, tree: Path, tmp_path: Path) -> None:
    argv = [str(tree / "deep/broken.jpg"), "--pipeline", str(bundle), "--out", str(tmp_path / "out")]
    assert main(["infer", *argv]) == 1
    assert lines(tmp_path / "out") == []


def test_several_folders_stay_apart(tree: Path, tmp_path: Path) -> None:
    found = find_sources([tree, tree / "deep", tree / "a.png"], tmp_path / "out")
    assert [source.name.as_posix() for source in found] == [
        "tree/a.png", "tree/deep/b.jpg", "tree/deep/broken.jpg", "deep/b.jpg", "deep/broken.jpg", "a.png",
    ]  # fmt: skip


def test_results_are_no_input_of_the_next_run(tree: Path) -> None:
    (tree / "out/pictures").mkdir(parents=True)
    (tree / "out/pictures/a.png").write_bytes((tree / "a.png").read_bytes())
    found = find_sources([tree], tree / "out")
    assert [source.name.as_posix() for source in found] == ["a.png", "deep/b.jpg", "deep/broken.jpg"]
    with pytest.raises(DataError, match="every image found lies where results go"):
        find_sources([tree / "out/pictures"], tree / "out")


def test_a_picture_without_a_suffix_gets_one(bundle: Path, tree: Path, tmp_path: Path) -> None:
    bare = (tree / "a.png").rename(tree / "a")
    assert main(["infer", str(bare), "--pipeline", str(bundle), "--out", str(tmp_path / "out")]) == 0
    assert "pictures/a.png" in files(tmp_path / "out")


def test_wrong_inputs_are_named(bundle: Path, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing"
    assert main(["infer", str(missing), "--pipeline", str(bundle), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"error: {missing}: no such file or folder\n"
    argv = [str(tree / "a.png"), "--pipeline", str(bundle), "--out", str(tmp_path / "out"), "--score", "7"]
    assert main(["infer", *argv]) == 2
    assert "score is a number in [0, 1], got 7.0" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"would both be written to a\.png: give them in two runs"):
        find_sources([tree / "a.png", tree / "deep/../a.png"], tmp_path / "out")
