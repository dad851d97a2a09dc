from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch

from tdir.errors import ConfigError, TrainingError, WeightsError
from tdir.frozen import state_hash
from tdir.restorers.aodnet import AODNet
from tdir.training.batches import Batch, Batches
from tdir.training.checkpoint import LAST, load_checkpoint
from tdir.training.config import build_data
from tdir.training.loop import Hook, Trainer
from tdir.training.objective import Losses
from tests.training.scenes import config, trainer, write_pictures


class Power(Exception):
    """The power fails."""


class FailsAfter(Hook):
    """A hook that ends the training at a step."""

    def __init__(self, step: int):
        self.step = step

    def after_train_iter(self, trainer: Trainer, losses: Losses) -> None:
        if trainer.step == self.step:
            raise Power


class Poisons(FailsAfter):
    """A hook that makes a weight NaN after a step."""

    def after_train_iter(self, trainer: Trainer, losses: Losses) -> None:
        if trainer.step == self.step:
            next(trainer.objective.parameters()).data.view(-1)[0] = torch.nan


class Notes(Hook):
    """A hook that notes the losses of every step."""

    def __init__(self) -> None:
        self.totals: list[float] = []
        self.ended_at = -1

    def after_train_iter(self, trainer: Trainer, losses: Losses) -> None:
        self.totals.append(losses.total.item())

    def after_train(self, trainer: Trainer) -> None:
        self.ended_at = trainer.step


class OneBatch:
    """The same batch at every step."""

    def __init__(self, batches: Batches):
        self.plan, self.batch = batches.plan, batches[0]

    def __getitem__(self, step: int) -> Batch:
        return self.batch


def equal(left: Any, right: Any) -> bool:
    """Whether two nested states are equal bit for bit."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def test_a_resumed_training_ends_where_an_unbroken_one_does(root, tmp_path):
    changes = {"optim__steps": 6, "checkpoint_every": 3}
    unbroken = trainer(root, tmp_path / "unbroken", **changes)
    unbroken.fit()
    broken = trainer(root, tmp_path / "broken", **changes)
    broken.hooks = [FailsAfter(5)]
    with pytest.raises(Power):
        broken.fit()
    # Other initial weights and another random state: everything must come from the checkpoint.
    resumed = trainer(root, tmp_path / "broken", seed=7, **changes)
    resumed.resume()
    assert resumed.step == 3
    resumed.fit()
    assert resumed.step == unbroken.step == 6
    assert equal(resumed.objective.state_dict(), unbroken.objective.state_dict())
    assert equal(resumed.average.state, unbroken.average.state)
    assert equal(resumed.optimizer.state_dict(), unbroken.optimizer.state_dict())
    last = [load_checkpoint(tmp_path / name / LAST) for name in ("unbroken", "broken")]
    assert all(equal(last[0][name], last[1][name]) for name in ("step", "record", "objective", "average", "optimizer"))


def test_a_hook_that_fails_costs_no_step(root, tmp_path):
    runs = trainer(root, tmp_path, optim__steps=6, checkpoint_every=3)
    runs.hooks = [FailsAfter(3)]
    with pytest.raises(Power):
        runs.fit()
    assert load_checkpoint(tmp_path / LAST)["step"] == 3


def test_two_trainings_are_equal_bit_for_bit(root, tmp_path):
    first, second = (trainer(root, tmp_path / name) for name in ("a", "b"))
    first.fit()
    torch.rand(100)
    second.fit()
    assert equal(first.objective.state_dict(), second.objective.state_dict())


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "with batch norm"])
def test_a_training_changes_the_translator_and_nothing_frozen(root, tmp_path, fold):
    runs = trainer(root, tmp_path, head__fold=fold)
    head, translator = runs.objective.head, runs.objective.translator
    statistics = [name for name, _ in head.named_buffers() if name.endswith(("running_mean", "num_batches_tracked"))]
    assert bool(statistics) is not fold
    before = state_hash(head), state_hash(translator)
    runs.fit()
    assert state_hash(head) == before[0]
    assert state_hash(translator) != before[1]
    assert all(parameter.grad is None for parameter in head.parameters())


def test_checkpoint_and_average_hold_no_frozen_weight(root, tmp_path):
    runs = trainer(root, tmp_path)
    runs.fit()
    state = load_checkpoint(tmp_path / LAST)
    owned = runs.objective.state_dict()
    assert {name.split(".")[0] for name in owned} == {"translator", "inverse"}
    assert state["objective"].keys() == state["average"].keys() == owned.keys()
    trained = sum(value.numel() for value in owned.values())
    frozen = sum(value.numel() for value in runs.objective.head.state_dict().values())
    assert frozen > 5 * trained
    # Weights, their average and two moments, in four bytes each, and names.
    assert (tmp_path / LAST).stat().st_size < 16 * trained + 200_000 < 4 * frozen


def test_a_nan_stops_the_training_and_leaves_the_last_checkpoint(root, tmp_path):
    runs = trainer(root, tmp_path, optim__steps=6, checkpoint_every=2)
    runs.hooks = [Poisons(3)]
    names = runs.batches[3].names
    with pytest.raises(TrainingError, match="loss is nan at step 3") as raised:
        runs.fit()
    assert all(name in str(raised.value) for name in names)
    state = load_checkpoint(tmp_path / LAST)
    assert state["step"] == 2
    assert all(value.isfinite().all() for value in state["objective"].values())
    resumed = trainer(root, tmp_path, optim__steps=6, checkpoint_every=2)
    resumed.resume()
    resumed.fit()
    assert resumed.step == 6


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(root, tmp_path):
    runs = trainer(root, tmp_path)
    before = state_hash(runs.objective)
    weight = next(runs.objective.parameters())
    weight.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(TrainingError, match="gradient is (inf|nan) at step 0"):
        runs.fit()
    assert state_hash(runs.objective) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [({"optim__lr": 0.5}, "optim.lr=0.001, now 0.5"), ({"objective__alpha": None}, "objective.alpha=1.0, now None")],
)
def test_resuming_with_other_settings_is_refused_by_name(root, tmp_path, change, said):
    runs = trainer(root, tmp_path, optim__steps=1)
    runs.fit()
    other = trainer(root, tmp_path, optim__steps=1, **change)
    before = state_hash(other.objective)
    with pytest.raises(ConfigError) as raised:
        other.resume()
    assert f"({said})" in str(raised.value)
    assert state_hash(other.objective) == before


def test_resuming_on_other_images_or_weights_is_refused(root, tmp_path):
    here = shutil.copytree(root, tmp_path / "here", ignore=shutil.ignore_patterns("cache"))
    trainer(here, tmp_path / "run", optim__steps=1).fit()
    write_pictures(here / "clean", seed=77)
    with pytest.raises(ConfigError, match=r"\(the clean images, or the weights of the frozen parts, are others\)"):
        trainer(here, tmp_path / "run", optim__steps=1).resume()
    torch.manual_seed(9)
    torch.save(AODNet().state_dict(), here / "dehazer.pth")
    with pytest.raises(ConfigError, match="the clean and the degraded images, or the weights"):
        trainer(here, tmp_path / "run", optim__steps=1).resume()


def test_what_was_moved_is_resumed(root, tmp_path):
    here = shutil.copytree(root, tmp_path / "here", ignore=shutil.ignore_patterns("cache"))
    trainer(here, tmp_path / "run", optim__steps=1).fit()
    moved = trainer(here.rename(tmp_path / "there"), tmp_path / "run", optim__steps=1)
    moved.resume()
    assert moved.step == 1


def test_resuming_without_a_checkpoint_is_refused(root, tmp_path):
    with pytest.raises(WeightsError, match="no checkpoint .*last.pth: train without --resume first"):
        trainer(root, tmp_path).resume()


def test_hooks_see_every_step_and_the_end(root, tmp_path):
    runs, notes = trainer(root, tmp_path), Notes()
    runs.hooks = [notes]
    runs.fit()
    assert notes.ended_at == -1
    runs.end()
    assert len(notes.totals) == 4
    assert notes.ended_at == 4


def test_a_longer_training_lowers_the_loss(root, tmp_path):
    # One batch again and again: whatever it shows, the loss on it must fall.
    runs, notes = trainer(root, tmp_path, optim__steps=50, optim__lr=0.01, objective__alpha=None), Notes()
    runs.hooks, runs.batches = [notes], OneBatch(runs.batches)
    runs.fit()
    assert sum(notes.totals[-5:]) < 0.9 * sum(notes.totals[:5])


def test_epochs_are_passes_over_the_degraded_set(root, tmp_path):
    count = len(build_data(config(root).degraded))
    assert count == 8
    assert trainer(root, tmp_path, optim__steps=None, optim__epochs=3, optim__batch_size=3).steps == 9


def test_bf16_trains_on_a_cpu(root, tmp_path):
    runs, notes = trainer(root, tmp_path, optim__precision="bf16"), Notes()
    reference, exact = trainer(root, tmp_path / "fp32"), Notes()
    before = state_hash(runs.objective)
    runs.hooks, reference.hooks = [notes], [exact]
    runs.fit()
    reference.fit()
    assert state_hash(runs.objective) != before
    assert notes.totals != exact.totals
    assert notes.totals == pytest.approx(exact.totals, rel=0.1)
    assert {value.dtype for value in runs.objective.state_dict().values()} == {torch.float32}


def test_fp16_on_a_cpu_is_refused(root, tmp_path):
    with pytest.raises(ConfigError, match="'fp16' needs a GPU: use 'bf16' on a CPU"):
        trainer(root, tmp_path, optim__precision="fp16")


def test_the_averaged_translator_fits_the_translator(root, tmp_path):
    runs = trainer(root, tmp_path)
    runs.fit()
    averaged = runs.averaged_translator()
    assert averaged.keys() == runs.objective.translator.state_dict().keys()
    assert not equal(averaged, runs.objective.translator.state_dict())
