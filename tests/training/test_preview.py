from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tdir.data.images import read_image
from tdir.errors import DataError
from tdir.report.pictures import spread, to_width
from tdir.structures import Detections
from tdir.training.contact_sheet import DROPPED, KEPT, drawn
from tdir.training.preview import Figures, advice, preview
from tests.training.scenes import config, write_labelled


def looked(root: Path, work_dir: Path, limit: int = 32, **changes: Any) -> dict[str, Any]:
    preview(config(root, **changes), work_dir, limit=limit)
    return json.loads((work_dir / "preview.json").read_text())


def colours_of(image: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(image.reshape(-1, 3), axis=0).tolist()}


def test_it_says_what_a_training_would_learn_from(root, tmp_path, caplog):
    caplog.set_level(logging.INFO, "tdir")
    figures = looked(root, tmp_path, optim__steps=1200)
    assert figures["looked_at"] == [8, 8]
    assert figures["degraded_kept"] > 0.3
    assert figures["clean"] > figures["degraded_kept"]
    assert sum(count[0] for count in figures["classes"].values()) == pytest.approx(8 * figures["degraded_kept"])
    assert figures["risk_quantiles"].keys() == {"0.1", "0.25", "0.5", "0.75", "0.9"}
    assert figures["steps"] == 1200
    assert figures["step_seconds"] > 0
    assert figures["training_seconds"] == pytest.approx(1200 * figures["step_seconds"])
    assert figures["cache_bytes"] == 16 * 2 * 3 * 64 * 48
    assert figures["advice"] == []
    said = caplog.text
    assert f"boxes an image: degraded {figures['degraded_kept']:.2f} kept" in said
    assert "training: 1200 steps of" in said
    assert f"look at {tmp_path / 'preview.png'}" in said
    assert not any(record.levelno > logging.INFO for record in caplog.records)


def test_it_leaves_a_picture_and_its_figures_alone(root, tmp_path):
    looked(root, tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"preview.png", "preview.json"}
    sheet = read_image(tmp_path / "new" / "preview.png")
    # Four columns; eight degraded images with theirs and four clean ones with theirs are six rows, 3 : 4 and 480 wide.
    # Two lines of titles and one of explanations are 28 high.
    assert sheet.shape == (6 * (360 + 4) + 3 * 28, 4 * (480 + 4) - 4, 3)
    colours = colours_of(sheet[:-28])
    assert KEPT in colours
    assert DROPPED not in colours
    assert KEPT in (explained := colours_of(sheet[-28:]))
    assert DROPPED not in explained


def test_what_would_be_dropped_is_counted_and_shown(root, tmp_path):
    # At a risk of at most 0 nearly nothing is kept.
    everything, strict = looked(root, tmp_path / "all"), looked(root, tmp_path / "strict", teacher__epsilon=0.0)
    assert everything["degraded_dropped"] == 0
    assert strict["degraded_dropped"] > 0
    assert strict["degraded_kept"] + strict["degraded_dropped"] == pytest.approx(everything["degraded_kept"])
    sheet = read_image(tmp_path / "strict" / "preview.png")
    assert DROPPED in colours_of(sheet[:-28])
    assert {KEPT, DROPPED} <= colours_of(sheet[-28:])


def test_scarce_labels_are_advised_on(root, tmp_path, caplog):
    figures = looked(root, tmp_path, teacher__score=0.999, head__classes=["disc"])
    first, second, third = figures["advice"]
    assert first == f"no box on the clean images in {root / 'clean'}: wrong classes (disc), or the wrong folder"
    assert "0.00 boxes an image on the degraded set are too few to learn from: lower teacher.score (0.999)" in second
    assert "name classes that occur (now: disc), or use a restorer" in second
    assert "epsilon" not in second
    assert "too few predictions on these 8 clean images for a risk estimate" in third
    assert all(sentence in caplog.text for sentence in figures["advice"])
    assert figures["risk_quantiles"] == {}


def figures_of(kept: float, dropped: float, clean: float) -> Figures:
    counted = {"degraded_kept": kept, "degraded_dropped": dropped, "clean": clean, "looked_at": (8, 8)}
    nothing = {"degraded_images": 8, "clean_images": 8, "classes": {}, "risk_quantiles": {}, "risk_missing": False}
    times = {"cache_bytes": 1, "teacher_seconds": 1, "step_seconds": 1, "steps": 1, "training_seconds": 1}
    return Figures(**counted, **nothing, **times, advice=[])


@pytest.mark.parametrize(("clean", "advised"), [(19.0, False), (37.0, True)])
def test_more_labels_than_photos_hold_are_advised_on(root, clean, advised):
    said = advice(config(root, teacher__score=0.25), figures_of(5.0, 0.0, clean))
    assert any("37 boxes an image" in one and "raise teacher.score (0.25)" in one for one in said) is advised


@pytest.mark.parametrize(("kept", "dropped", "raises"), [(0.2, 1.5, True), (0.2, 0.0, False), (0.3, 1.5, None)])
def test_a_filter_that_drops_is_advised_on(root, kept, dropped, raises):
    said = advice(config(root, teacher__epsilon=0.5), figures_of(kept, dropped, 2.0))
    assert ["raise teacher.epsilon (0.5)" in sentence for sentence in said] == ([] if raises is None else [raises])


def test_a_sample_is_looked_at_and_the_whole_is_reckoned_with(root, tmp_path):
    figures = looked(root, tmp_path, limit=3, optim__steps=None, optim__epochs=5)
    assert figures["looked_at"] == [3, 3]
    assert (figures["degraded_images"], figures["clean_images"]) == (8, 8)
    assert figures["steps"] == 5 * 4
    assert figures["cache_bytes"] == 16 * 2 * 3 * 64 * 48


def test_every_round_is_reckoned_with(root, tmp_path):
    once, thrice = looked(root, tmp_path / "once"), looked(root, tmp_path / "thrice", teacher__rounds=3)
    assert thrice["steps"] == 3 * once["steps"]
    assert thrice["training_seconds"] == pytest.approx(thrice["steps"] * thrice["step_seconds"])
    assert once["cache_bytes"] < thrice["cache_bytes"] < 3 * once["cache_bytes"]


def test_an_oracle_is_previewed_as_one(root, tmp_path):
    oracle = looked(root, tmp_path / "oracle", teacher__oracle=True)
    assert oracle["risk_quantiles"] == {}
    assert oracle["degraded_kept"] > looked(root, tmp_path / "usual")["degraded_kept"]


def test_an_unreadable_image_is_left_out_and_named(root, tmp_path, caplog):
    shutil.copytree(root / "clean", tmp_path / "clean")
    (tmp_path / "clean" / "02.png").write_bytes(b"")
    clean = {"type": "folder", "root": str(tmp_path / "clean")}
    assert looked(root, tmp_path, clean=clean)["looked_at"] == [8, 7]
    assert f"left out of the preview: {tmp_path / 'clean' / '02.png'}: the file is empty" in caplog.text


def test_no_label_of_a_training_set_is_read(root, tmp_path):
    write_labelled(tmp_path, count=8)
    for path in (tmp_path / "labels" / "val").iterdir():
        path.write_text("no label at all")
    clean = {"type": "yolo", "root": str(tmp_path), "split": "val"}
    assert looked(root, tmp_path / "work", clean=clean)["looked_at"] == [8, 8]


def test_a_set_without_a_readable_image_is_refused(root, tmp_path):
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"none of the images looked at can be read, .*a\.png for one"):
        looked(root, tmp_path, clean={"type": "folder", "root": str(tmp_path / "clean")})


def test_a_sheet_of_nothing_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    none = Detections(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0), risk=torch.zeros(0))
    assert np.array_equal(drawn(image, none, ["car"], 1.0), to_width(image))


def test_a_risk_that_was_not_estimated_is_not_shown():
    image = np.zeros((60, 120, 3), dtype=np.uint8)
    box, label = torch.tensor([[10.0, 30, 100, 50]]), torch.tensor([0])
    found = Detections(box, label, torch.tensor([0.5]), risk=torch.zeros(1))
    shown, hidden = (drawn(image, found, ["car"], 1.0, risky) for risky in (True, False))
    assert (hidden == KEPT).all(-1).sum() < (shown == KEPT).all(-1).sum()  # fewer words need less of a plate


@pytest.mark.parametrize(
    ("count", "most", "chosen"), [(3, 8, [0, 1, 2]), (9, 3, [0, 4, 8]), (100, 1, [0]), (1, 4, [0])]
)
def test_positions_are_spread(count, most, chosen):
    assert spread(count, most) == chosen
