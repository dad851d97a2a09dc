from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tdir.data.images import PAD_VALUE, to_tensor
from tdir.errors import DataError
from tdir.heads.base import Head
from tdir.training.batches import Batches, BatchPlan
from tdir.training.run import Taught, ask_teacher, build_frozen
from tests.training.scenes import config, write_pictures

WIDE, TALL = (30, 40), (40, 30)
SIZES = st.lists(st.sampled_from([WIDE, TALL, (20, 20), (25, 40)]), min_size=1, max_size=40)
PLANS = {"degraded": SIZES, "clean": SIZES, "batch_size": st.integers(1, 7), "seed": st.integers(0, 5)}


def plan_of(degraded, clean, batch_size, seed) -> BatchPlan:
    return BatchPlan(degraded, clean, batch_size, seed)


@settings(max_examples=40, deadline=None)
@given(**PLANS, epoch=st.integers(0, 3))
def test_every_degraded_image_comes_once_an_epoch(degraded, clean, batch_size, seed, epoch):
    plan = plan_of(degraded, clean, batch_size, seed)
    steps = range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
    seen = Counter(int(i) for step in steps for i in plan(step)[0])
    assert seen.keys() == set(range(len(degraded)))
    # A group that does not fill its last batch starts over, and no image comes a second time before all have come.
    for tall in (False, True):
        counts = [seen[i] for i, (height, width) in enumerate(degraded) if (height > width) == tall]
        assert not counts or max(counts) - min(counts) <= 1
        assert sum(counts) < len(counts) + batch_size


@settings(max_examples=40, deadline=None)
@given(**PLANS, step=st.integers(0, 200))
def test_a_step_depends_on_seed_and_number_alone(degraded, clean, batch_size, seed, step):
    np.random.seed(step)
    first = plan_of(degraded, clean, batch_size, seed)
    for other in range(3):
        first(other)
    second = plan_of(degraded, clean, batch_size, seed)
    for low, again in zip(first(step), second(step)):
        assert len(low) == batch_size
        assert low.tolist() == again.tolist()


@settings(max_examples=40, deadline=None)
@given(**PLANS, step=st.integers(0, 50))
def test_images_meet_their_own_orientation_only(degraded, clean, batch_size, seed, step):
    low, high = plan_of(degraded, clean, batch_size, seed)(step)
    orientations = {degraded[i][0] > degraded[i][1] for i in low}
    assert len(orientations) == 1
    partners = [size for size in clean if (size[0] > size[1]) in orientations]
    if partners:
        assert {clean[i][0] > clean[i][1] for i in high} == orientations
    # Where there are enough, no clean image comes twice in a batch.
    if len(partners or clean) >= batch_size:
        assert len(set(high.tolist())) == batch_size


def test_another_seed_and_another_epoch_have_another_order():
    sizes = [WIDE] * 30
    plan, other = BatchPlan(sizes, sizes, 5, seed=0), BatchPlan(sizes, sizes, 5, seed=1)
    orders = [[i for step in steps for i in p(step)[0]] for p, steps in
              [(plan, range(6)), (plan, range(6, 12)), (other, range(6))]]  # fmt: skip
    assert orders[0] != orders[1] != orders[2] != orders[0]
    partners = [tuple(plan(step)[1]) for step in range(12)]
    assert len(set(partners)) == 12


@pytest.mark.parametrize(("degraded", "clean"), [([], [WIDE]), ([WIDE], [])])
def test_an_empty_set_is_refused(degraded, clean):
    with pytest.raises(DataError, match=f"got {len(degraded)} degraded, {len(clean)} clean"):
        BatchPlan(degraded, clean, 2, 0)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Taught:
    """Two sets of landscapes and portraits of several sizes."""
    folder = tmp_path_factory.mktemp("mixed")
    write_pictures(folder / "degraded", 6, seed=3, sizes=[(48, 64), (64, 48), (40, 64)])
    write_pictures(folder / "clean", 5, seed=4, sizes=[(64, 40), (32, 64)])
    changes = {name: {"type": "folder", "root": str(folder / name)} for name in ("degraded", "clean")}
    wanted = config(root, **changes)
    return ask_teacher(wanted, *build_frozen(wanted), folder)


def batches_of(taught: Taught) -> Batches:
    plan = BatchPlan(taught.degraded.sizes, taught.clean.sizes, 2, 0)
    return Batches(taught.degraded, taught.degraded_labels, taught.clean, taught.clean_labels, plan)


@pytest.mark.parametrize("step", range(4))
def test_a_batch_holds_the_cached_images_on_one_grey_canvas(mixed, step):
    batches = batches_of(mixed)
    batch, (low, high) = batches[step], batches.plan(step)
    shapes = {tensor.shape for tensor in (batch.degraded, batch.restored, batch.clean, batch.clean_restored)}
    assert len(shapes) == 1
    sizes = [mixed.degraded.sizes[i] for i in low] + [mixed.clean.sizes[i] for i in high]
    assert shapes.pop()[-2:] == tuple(max(side) for side in zip(*sizes))
    for row, i in enumerate(low):
        check(batch.degraded[row], batch.restored[row], batch.degraded_mask[row], mixed.degraded.pixels(i))
    for row, i in enumerate(high):
        check(batch.clean[row], batch.clean_restored[row], batch.clean_mask[row], mixed.clean.pixels(i))


def check(image: torch.Tensor, restored: torch.Tensor, mask: torch.Tensor, pixels: np.ndarray) -> None:
    height, width = pixels.shape[1:3]
    assert torch.equal(image[:, :height, :width], to_tensor(pixels[0]))
    assert torch.equal(restored[:, :height, :width], to_tensor(pixels[1]))
    assert mask.sum() == height * width == mask[:, :height, :width].sum()
    assert all(bool((one[:, mask[0] == 0] == PAD_VALUE).all()) for one in (image, restored))


def test_labels_and_names_belong_to_the_images(mixed, head: Head):
    batches = batches_of(mixed)
    for step in range(4):
        batch, (low, high) = batches[step], batches.plan(step)
        assert batch.names == [mixed.degraded.names[i] for i in low] + [mixed.clean.names[i] for i in high]
        for label, i in zip(batch.degraded_labels, low):
            assert label is mixed.degraded_labels[i].target
        for label, i in zip(batch.clean_labels, high):
            assert label is mixed.clean_labels[i].target
        assert batch.degraded_uncertainty.tolist() == pytest.approx([mixed.degraded_labels[i].uncertainty for i in low])
        assert batch.clean_uncertainty.tolist() == pytest.approx([mixed.clean_labels[i].uncertainty for i in high])


def test_a_batch_moves_as_a_whole(mixed):
    batch = batches_of(mixed)[0].to("meta")
    assert {value.device.type for value in vars(batch).values() if isinstance(value, torch.Tensor)} == {"meta"}
    assert {label.boxes.device.type for label in batch.degraded_labels + batch.clean_labels} == {"meta"}
    assert len(batch.names) == 4


def test_a_head_that_wants_one_size_gets_one_size() -> None:
    sizes = [(48, 64), (64, 48), (48, 64), (40, 64)]
    plan = BatchPlan(sizes, [(64, 48), (48, 64), (40, 64)], 2, seed=0, padded=False)
    clean = [(64, 48), (48, 64), (40, 64)]
    for step in range(plan.steps_per_epoch):
        low, high = plan(step)
        assert len({sizes[i] for i in low} | {clean[i] for i in high}) == 1
    with pytest.raises(DataError, match=r"no clean image is of \(40, 64\)"):
        BatchPlan(sizes, [(64, 48), (48, 64)], 2, seed=0, padded=False)
