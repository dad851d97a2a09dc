"""The mix and the weights of its terms."""

import numpy as np
import pytest
import torch

from tdir.errors import ConfigError, ShapeError
from tdir.selftraining.umix import mix, mixing_weights, term_weight


def test_mixing_weights_depend_on_seed_and_iteration_only() -> None:
    first = [mixing_weights(3, i, 1.0, 4) for i in range(20)]
    np.random.seed(99)
    assert all(torch.equal(mixing_weights(3, i, 1.0, 4), first[i]) for i in reversed(range(20)))
    assert len(torch.cat(first).unique()) == 80
    assert not torch.equal(mixing_weights(4, 0, 1.0, 4), first[0])
    assert not torch.equal(mixing_weights(0, 1, 1.0, 4), mixing_weights(1, 0, 1.0, 4))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_mixing_weights_have_the_moments_of_beta(alpha: float) -> None:
    draws = torch.cat([mixing_weights(0, i, alpha, 3) for i in range(1000)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert draws.min() >= 0 and draws.max() <= 1
    assert abs(draws.mean() - 0.5) < 4 * (variance / len(draws)) ** 0.5
    assert draws.var().item() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_mixing_weights_refuse_a_wrong_alpha(alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha is a number above 0, got"):
        mixing_weights(0, 0, alpha, 1)


@pytest.mark.parametrize(("seed", "iteration"), [(-1, 0), (0, -1)])
def test_mixing_weights_refuse_a_negative_key(seed: int, iteration: int) -> None:
    with pytest.raises(ConfigError, match="is a whole number from 0, got"):
        mixing_weights(seed, iteration, 1.0, 1)


def test_mix_is_equation_7_and_passes_gradients_by_share() -> None:
    generator = torch.Generator().manual_seed(0)
    fused = torch.rand(2, 3, 5, 7, generator=generator).requires_grad_()
    clean = torch.rand(2, 3, 5, 7, generator=generator).requires_grad_()
    share = torch.tensor([0.3, 0.8])
    mixed = mix(fused, clean, share)
    assert torch.allclose(mixed[0], 0.3 * fused[0] + 0.7 * clean[0])
    assert torch.allclose(mixed[1], 0.8 * fused[1] + 0.2 * clean[1])
    mixed.sum().backward()
    assert fused.grad is not None and torch.allclose(fused.grad[:, 0, 0, 0], share)
    assert clean.grad is not None and torch.allclose(clean.grad[:, 0, 0, 0], 1 - share)


def test_mix_at_the_ends_is_one_of_the_images() -> None:
    fused, clean = torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mix(fused, clean, torch.ones(1)), fused)
    assert torch.equal(mix(fused, clean, torch.zeros(1)), clean)


def test_mix_takes_one_share_per_pair() -> None:
    with pytest.raises(ShapeError, match=r"one share per pair, got \(1,\) for 2 pairs"):
        mix(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), torch.ones(1))


def test_mix_broadcasts_nothing() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3, 4, 4\) and \(1, 3, 4, 4\)"):
        mix(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.ones(2))


@pytest.mark.parametrize("lam", [-0.1, 1.1, float("nan")])
def test_mix_refuses_a_share_outside_its_range(lam: float) -> None:
    with pytest.raises(ConfigError, match="shares must lie in"):
        mix(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.tensor([lam]))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", [1.0, 1.0, 1.0]),
        ("certain", [1.0, 0.75, 0.0]),
        ("paper", [0.0, 0.25, 1.0]),
        ("umix", [1.0, 1.5, 3.0]),
    ],
)
def test_term_weight_formulas(mode: str, expected: list[float]) -> None:
    uncertainty = torch.tensor([0.0, 0.25, 1.0])
    assert term_weight(uncertainty, mode, eta=2.0).tolist() == expected  # type: ignore[arg-type]
    assert uncertainty.tolist() == [0.0, 0.25, 1.0]


def test_term_weight_of_no_images() -> None:
    assert term_weight(torch.zeros(0), "umix").shape == (0,)


def test_term_weight_names_the_nearest_mode() -> None:
    with pytest.raises(ConfigError, match="unknown uncertainty weight 'certan': did you mean 'certain'"):
        term_weight(torch.zeros(2), "certan")  # type: ignore[arg-type]


@pytest.mark.parametrize("eta", [-0.5, float("nan"), float("inf")])
def test_term_weight_refuses_a_wrong_eta(eta: float) -> None:
    with pytest.raises(ConfigError, match="eta is a number from 0, got"):
        term_weight(torch.zeros(2), "umix", eta)


@pytest.mark.parametrize(
    "uncertainty", [torch.tensor([0.5, 1.5]), torch.tensor([-0.1]), torch.tensor([]).mean()[None], torch.zeros(2, 1)]
)
def test_term_weight_refuses_what_is_no_rank(uncertainty: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="give 0 for an image without pseudo-labels"):
        term_weight(uncertainty, "paper")
