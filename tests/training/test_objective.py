from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tdir import parts
from tdir.data.images import read_image, to_tensor
from tdir.errors import ConfigError
from tdir.heads.base import Head
from tdir.structures import Detections
from tdir.structures.detections import padding_regions
from tdir.training.batches import Batch
from tdir.training.objective import ObjectiveSettings, VaTObjective
from tests.training.scenes import OBJECTIVE

HEIGHT, WIDTH = 48, 64
TERMS = {
    "cycle": ("cycle_degraded", "cycle_clean"),
    "clean_task": ("clean",),
    "identity": ("identity",),
    "degraded_task": ("mix_degraded",),
    "mixed_clean_task": ("mix_clean",),
}
NOTHING = dict.fromkeys(TERMS, 0.0)


def boxes(*rows: list[float], dropped: tuple[list[float], ...] = ()) -> Detections:
    labels = torch.arange(len(rows)) % 2
    own = Detections(torch.tensor(rows).reshape(-1, 4), labels)
    return own.with_ignored(torch.tensor(dropped).reshape(-1, 4))


@pytest.fixture
def batch() -> Batch:
    """Two degraded and two clean images of 40 x 56 pixels on a canvas of 48 x 64."""
    generator = torch.Generator().manual_seed(3)
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[..., :40, :56] = 1
    images = [torch.rand(2, 3, HEIGHT, WIDTH, generator=generator) * mask + 114 / 255 * (1 - mask) for _ in range(4)]
    return Batch(
        degraded=images[0],
        restored=images[1],
        degraded_mask=mask,
        clean=images[2],
        clean_restored=images[3],
        clean_mask=mask.clone(),
        degraded_labels=[boxes([2, 3, 20, 22], [30, 10, 50, 30]), boxes([5, 5, 25, 30], dropped=([30, 5, 50, 25],))],
        clean_labels=[boxes([10, 8, 30, 28]), boxes([3, 2, 22, 20], [24, 12, 48, 36])],
        degraded_uncertainty=torch.tensor([0.25, 0.5]),
        clean_uncertainty=torch.tensor([0.0, 1.0]),
        names=["a", "b", "c", "d"],
    )


def objective(head: Head, shaken: bool = True, seed: int = 0, **settings: Any) -> VaTObjective:
    """A small one; ``shaken`` moves the translator and T_B off the identity."""
    torch.manual_seed(5)
    translator = parts.translator("vat-light", side=16, dims=(4, 4, 8))
    built = VaTObjective(translator, head, ObjectiveSettings(**{**OBJECTIVE, **settings}), seed)
    torch.manual_seed(6)  # again: T_B, where there is one, has drawn too
    with torch.no_grad():
        for parameter in built.parameters() if shaken else ():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return built


def gradients(built: VaTObjective, batch: Batch, step: int = 3) -> dict[str, Tensor]:
    built.zero_grad()
    built(batch, step).total.backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in built.named_parameters()}


def moved(label: Detections, by: float) -> Detections:
    return replace(label, boxes=label.boxes + by)


def test_the_total_is_the_weighted_sum_of_the_terms(head, batch):
    weights = {"cycle": 0.3, "clean_task": 0.7, "identity": 1.1, "degraded_task": 1.9, "mixed_clean_task": 2.3}
    losses = objective(head, **weights)(batch, 3)
    assert losses.terms.keys() == {term for terms in TERMS.values() for term in terms}
    assert all(value > 0 for value in losses.terms.values())
    expected = sum(weights[name] * losses.terms[term].item() for name, terms in TERMS.items() for term in terms)
    assert losses.total.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", TERMS)
def test_a_weight_of_zero_takes_exactly_its_term_out(head, batch, name):
    everything, without = (objective(head, **{name: weight})(batch, 0) for weight in (1.0, 0.0))
    own = sum(everything.terms[term].item() for term in TERMS[name])
    assert without.total.item() == pytest.approx(everything.total.item() - own, rel=1e-5)
    alone = gradients(objective(head, **{**NOTHING, name: 1.0}), batch)
    assert any(value.abs().sum() > 0 for value in alone.values())


def test_all_weights_zero_teach_nothing(head, batch):
    assert all(value.abs().sum() == 0 for value in gradients(objective(head, **NOTHING), batch).values())


def test_gradients_reach_gate_transformation_and_inverse(head, batch):
    found = gradients(objective(head), batch)
    assert all(value.isfinite().all() for value in found.values())
    silent = [name for name, value in found.items() if value.abs().sum() == 0]
    assert silent == []
    assert {name.rsplit(".")[0] for name in found} == {"translator", "inverse"}
    assert all(parameter.grad is None for parameter in head.parameters())


def test_no_cycle_builds_no_inverse(head, batch):
    built = objective(head, cycle=0)
    assert built.inverse is None
    assert not any(name.startswith("inverse") for name in built.state_dict())
    assert built(batch, 0).terms.keys() == {"clean", "mix_degraded", "mix_clean"}


def test_the_cycle_is_the_mean_distance_over_the_image(head, batch):
    built = objective(head)
    losses = built(batch, 0)
    fused = built.translator.fuse(batch.degraded, batch.restored)
    back = built.inverse(built.translator.translate(fused))[..., :40, :56]
    forth = built.translator.translate(built.inverse(batch.clean))[..., :40, :56]
    assert losses.terms["cycle_degraded"].item() == pytest.approx((fused[..., :40, :56] - back).abs().mean().item())
    assert losses.terms["cycle_clean"].item() == pytest.approx((batch.clean[..., :40, :56] - forth).abs().mean().item())


def test_the_cycle_may_be_closed_on_small_copies(head, batch):
    small, whole, full = (objective(head, cycle_side=side)(batch, 0).terms for side in (32, 64, None))
    assert whole["cycle_degraded"] == full["cycle_degraded"]
    assert small["cycle_degraded"] != full["cycle_degraded"]
    assert small["clean"] == full["clean"]


def test_without_a_mix_the_clean_image_is_not_in_it(head, batch):
    other = replace(batch, clean=batch.clean.flip(3), clean_restored=batch.clean_restored.flip(3))
    only = {**NOTHING, "degraded_task": 1.0}
    unmixed, mixed = objective(head, **only, alpha=None), objective(head, **only)
    assert unmixed(batch, 0).total == unmixed(other, 0).total
    assert unmixed(batch, 0).terms["mix_clean"] == 0
    assert mixed(batch, 0).total != mixed(other, 0).total


def test_without_a_mix_the_degraded_term_counts_in_full(head, batch):
    translated = objective(head, shaken=False, alpha=None, background="ignore_dropped", clean_through_gate=0.0)
    fused = translated.translator.fuse(batch.degraded, batch.restored)
    strips = padding_regions(batch.degraded_mask)
    targets = [label.with_ignored(strip) for label, strip in zip(batch.degraded_labels, strips)]
    seen = fused * batch.degraded_mask + 114 / 255 * (1 - batch.degraded_mask)
    expected = head.loss(head(seen), targets, "ignore_dropped")
    assert translated(batch, 0).terms["mix_degraded"].item() == pytest.approx(expected.mean().item(), rel=1e-4)
    with_padding = head.loss(head(seen), batch.degraded_labels, "ignore_dropped")
    assert not torch.allclose(with_padding, expected, rtol=1e-3)


def test_the_clean_term_is_the_head_s_loss_on_what_is_image(head, batch):
    built = objective(head, shaken=False, clean_through_gate=0.0)
    strips = padding_regions(batch.clean_mask)
    targets = [label.with_ignored(strip) for label, strip in zip(batch.clean_labels, strips)]
    expected = head.loss(head(batch.clean), targets, "ignore_dropped")
    assert built(batch, 0).terms["clean"].item() == pytest.approx(expected.mean().item(), rel=1e-4)


def test_what_clean_images_lose_of_themselves_is_a_distance_over_the_image(head, batch):
    for share in (0.0, 1.0):
        built = objective(head, identity=1.0, clean_through_gate=share)
        given = built.translator.fuse(batch.clean, batch.clean_restored) if share else batch.clean
        changed = (built.translator.translate(given) - batch.clean)[..., :40, :56].abs().mean().item()
        assert built(batch, 0).terms["identity"].item() == pytest.approx(changed)
        assert changed > 0.01
    untrained = objective(head, shaken=False, identity=1.0, clean_through_gate=0.0)
    assert untrained(batch, 0).terms["identity"].item() == pytest.approx(0, abs=1e-6)


def test_the_distance_is_not_looked_at_without_a_weight(head, batch):
    assert "identity" not in objective(head, identity=0.0)(batch, 0).terms


def test_the_power_of_lambda_in_the_weights_is_a_setting(head, batch):
    paper, equal = (objective(head, mix_power=power)(batch, 0).terms for power in (1.0, 0.0))
    # Lambda and 1 - lambda only shrink the terms; what is mixed stays.
    assert 0 < paper["mix_degraded"] < equal["mix_degraded"]
    assert 0 < paper["mix_clean"] < equal["mix_clean"]
    assert paper["clean"] == equal["clean"]


def test_lambda_depends_on_seed_and_step_alone(head, batch):
    first, second, other = objective(head), objective(head), objective(head, seed=1)
    terms = [first(batch, step).terms["mix_degraded"].item() for step in range(4)]
    torch.rand(7)
    assert [second(batch, step).terms["mix_degraded"].item() for step in reversed(range(4))] == terms[::-1]
    assert len(set(terms)) == 4
    assert other(batch, 0).terms["mix_degraded"].item() != terms[0]


def test_one_lambda_for_every_pair_or_for_the_whole_step(head, batch):
    pairs, one = (objective(head, lambda_per=per)._share(3, batch.degraded) for per in ("pair", "step"))
    assert len(set(pairs.tolist())) == 2
    assert one.tolist() == [pairs[0].item()] * 2
    assert objective(head, lambda_per="step")(batch, 3).terms != objective(head)(batch, 3).terms
    with pytest.raises(ConfigError, match=r"objective\.lambda_per: 'image' is none of pair, step"):
        objective(head, lambda_per="image")


def test_background_modes_leave_out_more_and_more(head, batch):
    modes = ("all", "ignore_dropped", "ignore_unclaimed")
    losses = [objective(head, background=mode)(batch, 0).terms for mode in modes]
    for term in ("mix_degraded", "mix_clean"):
        everything, but_dropped, claimed = (loss[term] for loss in losses)
        assert everything > but_dropped > claimed > 0
    # On clean images the labels are trusted: everything else there is background.
    assert len({loss["clean"].item() for loss in losses}) == 1


def test_the_other_image_s_boxes_are_no_background(head, batch):
    moved_away = replace(batch, clean_labels=[moved(label, 6.0) for label in batch.clean_labels])
    for mode, matters in (("all", False), ("ignore_dropped", True), ("ignore_unclaimed", False)):
        built = objective(head, background=mode)
        same = built(batch, 0).terms["mix_degraded"] == built(moved_away, 0).terms["mix_degraded"]
        assert bool(same) is not matters, mode


def test_padding_never_trains(head, batch):
    # Before training translators are the identity, so that nothing but a loss on the padding could tell its colour.
    built = objective(head, shaken=False)
    painted = {}
    for name in ("degraded", "restored", "clean", "clean_restored"):
        painted[name] = getattr(batch, name).clone()
        painted[name][..., 40:, :] = 0.9
        painted[name][..., 56:] = 0.1
    for step in range(3):
        before, after = built(batch, step), built(replace(batch, **painted), step)
        assert before.terms == after.terms
    touched = replace(batch, degraded=batch.degraded.clone())
    touched.degraded[..., 20:30, 20:30] = 0
    assert built(batch, 0).terms != built(touched, 0).terms


def test_padding_is_a_strip_on_the_right_and_one_below(batch):
    strips = padding_regions(batch.degraded_mask)
    assert [strip.tolist() for strip in strips] == [[[56, 0, 64, 48], [0, 40, 64, 48]]] * 2


def test_clean_images_reach_the_gate_in_a_share_of_the_steps(head, batch):
    only = {**NOTHING, "clean_task": 1.0}

    def gate_learns(share: float, step: int) -> bool:
        found = gradients(objective(head, **only, clean_through_gate=share), batch, step)
        return any(value.abs().sum() > 0 for name, value in found.items() if ".gate." in name)

    assert [gate_learns(0.0, step) for step in range(3)] == [False] * 3
    assert [gate_learns(1.0, step) for step in range(3)] == [True] * 3
    half = [gate_learns(0.5, step) for step in range(8)]
    assert half == [gate_learns(0.5, step) for step in range(8)]
    assert {True, False} == set(half)


@pytest.mark.parametrize(
    ("mode", "low", "high"),
    [
        ("none", [1, 1], [1, 1]),
        ("certain", [0.75, 0.5], [1, 0]),
        ("paper", [0.25, 0.5], [0, 1]),
        ("umix", [1.5, 2], [1, 3]),
    ],
)
def test_uncertainty_weighs_each_image(head, batch, mode, low, high):
    def terms_of(row: int, mode: str) -> dict[str, Tensor]:
        """With labels on one image only, so that the terms are that image's."""
        kept = {
            name: [label if i == row else boxes() for i, label in enumerate(getattr(batch, name))]
            for name in ("degraded_labels", "clean_labels")
        }
        return objective(head, uncertainty=mode, eta=2.0)(replace(batch, **kept), 0).terms

    for row in range(2):
        plain, weighted = terms_of(row, "none"), terms_of(row, mode)
        assert weighted["mix_degraded"].item() == pytest.approx(low[row] * plain["mix_degraded"].item(), rel=1e-5)
        assert weighted["mix_clean"].item() == pytest.approx(high[row] * plain["mix_clean"].item(), rel=1e-5)
        assert weighted["clean"] == plain["clean"]


@pytest.mark.parametrize(("cycle", "identity"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_a_batch_without_any_label_can_be_trained_on(head, batch, cycle, identity):
    empty = replace(batch, degraded_labels=[boxes(), boxes()], clean_labels=[boxes(), boxes()])
    built = objective(head, cycle=cycle, identity=identity)
    losses = built(empty, 0)
    assert losses.terms["clean"] == losses.terms["mix_degraded"] == losses.terms["mix_clean"] == 0
    found = gradients(built, empty)
    assert any(value.abs().sum() > 0 for value in found.values()) is bool(cycle or identity)


@pytest.mark.parametrize(
    ("name", "side"), [("vat-light", 64), pytest.param("vat-8", 96, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_a_translator_learns_a_hazy_image_by_heart(root, head, name, side):
    """Through the frozen head: most of what haze adds to the head's loss goes, while the cycle stays closed."""
    clean = to_tensor(read_image(root / "clean" / "00.png"))[None]
    clean = functional.interpolate(clean, (side, side), mode="bilinear")
    with torch.no_grad():
        labels = head.decode(head(clean), score=0.2)
        least = head.loss(head(clean), labels).item()
    hazy = 0.4 * clean + 0.6 * 0.8
    mask, none = torch.ones(1, 1, side, side), torch.zeros(1)
    batch = Batch(hazy, hazy, mask, clean, clean, mask, labels, labels, none, none, ["hazy", "clean"])
    torch.manual_seed(0)
    built = VaTObjective(parts.translator(name), head, ObjectiveSettings(cycle=1.0, alpha=None), seed=0)
    optimizer = torch.optim.AdamW(built.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        losses.append(built(batch, 0))
        optimizer.zero_grad()
        losses[-1].total.backward()
        optimizer.step()
    added = [one.terms["mix_degraded"].item() - least for one in (losses[0], losses[-1])]
    assert added[1] < 0.3 * added[0]
    assert losses[-1].terms["cycle_degraded"] < 0.1
    assert losses[-1].terms["cycle_clean"] < 0.1
