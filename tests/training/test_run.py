from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tdir
from tdir.errors import ConfigError, DataError, WeightsError
from tdir.frozen import state_hash
from tdir.training.checkpoint import LAST, load_checkpoint
from tdir.training.config import TrainConfig
from tdir.training.loop import STUDIED
from tdir.training.run import ask_teacher, build_frozen, train
from tests.training.scenes import config, write_everything, write_labelled

ROWS = ["clean", "clean + restorer", "degraded", "restorer", "vat", "clean + vat"]


def labelled(root: Path, **settings: Any) -> dict[str, Any]:
    return {"type": "yolo", "root": str(root / "labelled"), "split": "val", **settings}


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[tdir.Pipeline, Path]:
    """A pipeline after twenty steps, and its work dir."""
    work_dir = tmp_path_factory.mktemp("run") / "new"
    val = labelled(root, degradation={"type": "haze"})
    wanted = config(root, val=val, optim__steps=20, validate_every=10, checkpoint_every=10, name="fog")
    pipeline, bundle = train(wanted, work_dir)
    assert bundle == work_dir / "fog.tdir"
    return pipeline, work_dir


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_losses_are_written(trained):
    entries = lines(trained[1] / "losses.jsonl")
    assert [entry["step"] for entry in entries] == [10, 20]
    terms = {"step", "total", "clean", "mix_degraded", "mix_clean", "cycle_degraded", "cycle_clean"}
    assert all(entry.keys() == terms for entry in entries)
    assert all(entry["total"] > 0 for entry in entries)


def test_every_row_is_scored(trained):
    entries = lines(trained[1] / "validation.jsonl")
    assert [entry["step"] for entry in entries] == [10, 20]
    for entry in entries:
        assert [name for name in entry if name in ROWS] == ROWS
        assert all(0 <= entry[name]["map"] <= 1 and entry[name]["images"] == 4 for name in ROWS)
    # What no training changes is scored once.
    assert all(entries[0][name] == entries[1][name] for name in ROWS[:4])


def test_tensorboard_has_scalars_and_pictures(trained):
    losses = EventAccumulator(str(trained[1] / "tensorboard"))
    scores = EventAccumulator(str(trained[1] / "tensorboard" / "validation"))
    losses.Reload()
    scores.Reload()
    assert {"loss/total", "loss/clean", "lr"} <= set(losses.Tags()["scalars"])
    assert [event.step for event in losses.Scalars("loss/total")] == [10, 20]
    assert {"mAP/vat", "mAP/degraded"} <= set(scores.Tags()["scalars"])
    assert scores.Tags()["images"] == ["before and after/00.png"]


def test_the_bundle_opens_and_sees_what_was_trained(trained, root, monkeypatch):
    monkeypatch.setenv("TDIR_WEIGHTS", str(root))
    pipeline, work_dir = trained
    opened = tdir.load(work_dir / "fog.tdir")
    assert state_hash(opened.translator) == state_hash(pipeline.translator)
    assert state_hash(opened.head) == state_hash(pipeline.head)
    image = sorted((root / "degraded").iterdir())[0]
    wanted, found = pipeline.predict(image, score=0.3), opened.predict(image, score=0.3)
    assert len(found) > 0
    torch.testing.assert_close(found.boxes, wanted.boxes)
    torch.testing.assert_close(found.scores, wanted.scores)


def test_what_is_kept_is_the_average(trained):
    pipeline, work_dir = trained
    state = load_checkpoint(work_dir / LAST)
    kept = pipeline.translator.state_dict()
    assert all(torch.equal(state["average"][f"translator.{name}"], value) for name, value in kept.items())
    assert any(not torch.equal(state["objective"][f"translator.{name}"], value) for name, value in kept.items())


def test_the_translator_is_the_identity_no_more(trained):
    images = torch.rand(1, 3, 48, 64)
    pipeline = trained[0]
    with torch.no_grad():
        assert (pipeline.translator.translate(images) - images).abs().max() > 1e-4


def test_how_it_was_trained_is_in_the_bundle_and_beside_it(trained, root, monkeypatch):
    monkeypatch.setenv("TDIR_WEIGHTS", str(root))
    record = json.loads((trained[1] / "config.json").read_text())
    assert record["optim"]["steps"] == 20
    opened = tdir.load(trained[1] / "fog.tdir")
    assert opened.trained["config"]["objective"] == record["objective"]


@pytest.mark.parametrize(("amx", "precision"), [(True, "bf16"), (False, "fp32")])
def test_the_precision_that_a_processor_chose_is_recorded_and_resumed(root, tmp_path, monkeypatch, amx, precision):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    wanted = config(root, optim__steps=2, optim__precision="auto")
    pipeline, bundle = train(wanted, tmp_path)
    trained_with = pipeline.trained["config"]
    assert trained_with["optim"]["precision"] == precision
    assert wanted.made(trained_with)
    named, _ = train(config(root, optim__steps=2, optim__precision=precision), tmp_path / "named")
    assert state_hash(pipeline.translator) == state_hash(named.translator)

    bundle.unlink()
    train(wanted, tmp_path, resume=True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: not amx)
    with pytest.raises(ConfigError, match=f"optim.precision={precision}, now "):
        train(wanted, tmp_path, resume=True)
    monkeypatch.setenv("TDIR_WEIGHTS", str(root))
    assert tdir.load(bundle).trained["config"]["optim"]["precision"] == precision


def test_the_frozen_parts_are_the_files_still(trained, root):
    pipeline = trained[0]
    restorer, head = build_frozen(config(root))
    assert state_hash(pipeline.restorer) == state_hash(restorer)
    assert state_hash(pipeline.head) == state_hash(head)


def test_a_finished_training_resumes_to_the_same_bundle(root, tmp_path):
    wanted = config(root, optim__steps=3)
    first, bundle = train(wanted, tmp_path)
    bundle.unlink()
    second, bundle = train(wanted, tmp_path, resume=True)
    assert bundle.exists()
    assert state_hash(first.translator) == state_hash(second.translator)


def test_what_is_written_of_steps_that_are_made_again_is_cut_off(root, tmp_path):
    wanted = config(root, val=labelled(root), optim__steps=30, validate_every=10, checkpoint_every=10)
    train(wanted, tmp_path)
    state = load_checkpoint(tmp_path / LAST)
    for name in ("losses.jsonl", "validation.jsonl"):  # as after a crash in the middle of a line of a later step
        with (tmp_path / name).open("a") as file:
            file.write(json.dumps({"step": 40}) + '\n{"step": 4')
    torch.save({**state, "step": 20}, tmp_path / LAST)
    train(wanted, tmp_path, resume=True)
    for name in ("losses.jsonl", "validation.jsonl"):
        assert [entry["step"] for entry in lines(tmp_path / name)] == [10, 20, 30], name
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/total")] == [10, 20, 30]


def test_the_clean_rows_need_an_image_before_the_degradation(root, tmp_path):
    train(config(root, val=labelled(root), optim__steps=1), tmp_path)
    (entry,) = lines(tmp_path / "validation.jsonl")
    assert [name for name in entry if name in ROWS] == ["degraded", "restorer", "vat"]
    assert entry["recovered"] is None


def test_an_oracle_trains(root, tmp_path):
    pipeline, bundle = train(config(root, teacher__oracle=True, optim__steps=1), tmp_path)
    assert bundle.exists()


@pytest.fixture(scope="module")
def in_rounds(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[tdir.Pipeline, Path]:
    """A pipeline after two rounds of twenty steps, and its work dir."""
    work_dir = tmp_path_factory.mktemp("rounds")
    return train(rounds(root), work_dir)[0], work_dir


def rounds(root: Path, **changes: Any) -> TrainConfig:
    return config(root, teacher__rounds=2, optim__steps=20, optim__lr=1e-2, **changes)


def test_the_second_round_learns_from_the_translated_images_of_the_first(in_rounds, root):
    pipeline, work_dir = in_rounds
    first = tdir.load(work_dir / "round-1" / "vat.tdir", head=pipeline.head)
    assert state_hash(first.translator) != state_hash(pipeline.translator)
    records = [json.loads(load_checkpoint(folder / LAST)["record"]) for folder in (work_dir / "round-1", work_dir)]
    keys = [record[STUDIED]["degraded"] for record in records]
    assert records[0][STUDIED]["clean"] == records[1][STUDIED]["clean"]
    once = config(root)
    restorer, head = build_frozen(once)
    assert ask_teacher(once, restorer, head, work_dir).degraded.key == keys[0]
    again = ask_teacher(once, restorer, head, work_dir, translator=first.translator.eval())
    assert again.degraded.key == keys[1]
    assert again.degraded.sources() == ["translated"]


def test_a_first_round_is_the_training_without_rounds(in_rounds, root, tmp_path):
    alone, _ = train(config(root, optim__steps=20, optim__lr=1e-2), tmp_path)
    first = tdir.load(in_rounds[1] / "round-1" / "vat.tdir", head=alone.head)
    assert state_hash(first.translator) == state_hash(alone.translator)


@pytest.mark.parametrize("lost", ["vat.tdir", "last.pth", "round-1/vat.tdir"])
def test_rounds_are_resumed_where_they_stopped(in_rounds, root, tmp_path, lost):
    pipeline, work_dir = in_rounds
    shutil.copytree(work_dir, tmp_path / "run")
    (tmp_path / "run" / "vat.tdir").unlink()
    (tmp_path / "run" / lost).unlink(missing_ok=True)
    done = tmp_path / "run" / "round-1" / "vat.tdir"
    stamp = done.stat().st_mtime_ns if done.exists() else None
    resumed, bundle = train(rounds(root), tmp_path / "run", resume=True)
    assert bundle == tmp_path / "run" / "vat.tdir"
    assert state_hash(resumed.translator) == state_hash(pipeline.translator)
    assert stamp is None or done.stat().st_mtime_ns == stamp


def test_rounds_of_another_training_are_neither_taken_nor_overwritten(in_rounds, root, tmp_path):
    shutil.copytree(in_rounds[1] / "round-1", tmp_path / "round-1")
    with pytest.raises(ConfigError, match=r"round-1/last\.pth is a training already: add --resume"):
        train(rounds(root), tmp_path)
    with pytest.raises(ConfigError, match=r"round-1/vat\.tdir was trained with other settings.*remove .*round-1"):
        train(rounds(root, seed=1), tmp_path, resume=True)


def test_a_translator_without_a_gate_trains_on_the_labels_of_restored_images(root, tmp_path):
    wanted = config(root, optim__steps=2, teacher__sources=["restored"], translator__gate=False)
    pipeline, bundle = train(wanted, tmp_path)
    assert not list(pipeline.translator.gate.parameters())
    opened = tdir.load(bundle, head=pipeline.head)
    assert state_hash(opened.translator) == state_hash(pipeline.translator)
    assert opened.trained["config"]["teacher"]["sources"] == ["restored"]


def test_boxes_cannot_be_aligned(root, tmp_path):
    wanted = r"teacher\.align=True needs a head .* is for detection: set teacher\.align=False"
    with pytest.raises(ConfigError, match=wanted):
        train(config(root, teacher__align=True, optim__steps=1), tmp_path)
    assert not list((tmp_path / "cache").glob("*"))  # it is said before the teacher is asked


def test_the_cache_lies_in_the_work_dir_unless_told_otherwise(root, tmp_path):
    wanted = config(root, teacher__cache_dir=None)
    taught = ask_teacher(wanted, *build_frozen(wanted), tmp_path)
    assert taught.degraded.folder.parent == taught.clean.folder.parent == tmp_path / "cache"
    assert len(taught.degraded_labels) == len(taught.clean_labels) == 8
    assert taught.risk is not None


def test_the_risk_can_be_switched_off(root, tmp_path):
    wanted = config(root, teacher__nuq=False, teacher__epsilon=0.0)
    taught = ask_teacher(wanted, *build_frozen(wanted), tmp_path)
    assert taught.risk is None
    assert all(label.uncertainty == 0 for label in taught.degraded_labels)
    assert sum(len(label.target.labelled) for label in taught.degraded_labels) > 0


@pytest.mark.parametrize(("epsilon", "warns"), [(0.9, True), (1.0, False)])
def test_a_risk_among_few_is_said_to_mean_little_where_it_is_used(root, tmp_path, caplog, epsilon, warns):
    wanted = config(root, teacher__epsilon=epsilon)
    taught = ask_teacher(wanted, *build_frozen(wanted), tmp_path)
    said = f"the risk is a rank among {taught.risk.ranks} predictions on clean images, and below 100"
    assert 0 < taught.risk.ranks < 100
    assert (said in caplog.text) is warns


def test_an_unreadable_image_costs_a_picture_and_not_the_bundle(tmp_path):
    root = write_everything(tmp_path / "scenes", count=101)
    (root / "degraded" / "00.png").write_bytes(b"not an image")
    pipeline, bundle = train(config(root, optim__steps=1, pictures=2), tmp_path / "run")
    assert bundle.exists() and len(pipeline.predict([root / "clean" / "00.png"])) == 1


def test_labelled_images_that_cannot_be_read_are_counted_or_refused_before_the_training(root, tmp_path):
    write_labelled(tmp_path / "labelled", count=101)
    images = tmp_path / "labelled" / "images" / "val"
    wanted = config(root, val=labelled(tmp_path), optim__steps=1, pictures=0)
    (images / "05.png").write_bytes(b"not an image")
    train(wanted, tmp_path / "run")
    (entry,) = lines(tmp_path / "run" / "validation.jsonl")
    assert entry["unreadable"] == ["05.png"]
    assert {entry[row]["images"] for row in ("degraded", "restorer", "vat")} == {100}
    (images / "06.png").write_bytes(b"")
    with pytest.raises(DataError, match="2 of 101 images cannot be read"):
        train(wanted, tmp_path / "again")
    assert not (tmp_path / "again" / LAST).exists()


def test_a_restorer_without_weights_is_refused_before_any_work(root, tmp_path):
    with pytest.raises(ConfigError, match="'aodnet' has no weights.*--restorer aodnet:FILE"):
        train(config(root, restorer={"type": "aodnet"}), tmp_path)


def test_a_used_work_dir_is_resumed_or_refused(trained, root):
    with pytest.raises(ConfigError, match="is a training already: add --resume"):
        train(config(root), trained[1])
    with pytest.raises(WeightsError, match="no checkpoint"):
        train(config(root), trained[1] / "elsewhere", resume=True)


def test_a_head_of_another_library_trains(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, weights = ["disc", "square"], str(tmp_path / "retinanet.pth")
    torch.save(tdir.head("retinanet", model="mobilenet_v3_small_fpn", names=names).model.state_dict(), weights)
    head = {"type": "retinanet", "weights": weights, "names": names}
    wanted = config(root, head=head, teacher__score=0.0, teacher__nuq=False, optim__steps=10)
    pipeline, bundle = train(wanted, tmp_path / "run")
    assert state_hash(pipeline.head) == state_hash(build_frozen(wanted)[1])
    assert lines(tmp_path / "run" / "losses.jsonl")[-1]["mix_degraded"] > 0
    monkeypatch.setenv("TDIR_WEIGHTS", str(tmp_path))
    assert state_hash(tdir.load(bundle)) == state_hash(pipeline)
