"""The mix and the weights of its terms."""

import numpy as np
import pytest
import torch

from tdir.errors import ConfigError, ShapeError
from tdir.selftraining.umix import mix, mixing_weight, term_weight


def test_mixing_weight_depends_on_seed_and_iteration_only() -> None:
    first = [mixing_weight(3, i, 1.0) for i in range(20)]
    np.random.seed(99)
    assert [mixing_weight(3, i, 1.0) for i in reversed(range(20))][::-1] == first
    assert len(set(first)) == 20
    assert mixing_weight(4, 0, 1.0) != first[0]
    assert mixing_weight(0, 1, 1.0) != mixing_weight(1, 0, 1.0)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_mixing_weight_has_the_moments_of_beta(alpha: float) -> None:
    draws = np.array([mixing_weight(0, i, alpha) for i in range(3000)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert draws.min() >= 0 and draws.max() <= 1
    assert abs(draws.mean() - 0.5) < 4 * (variance / len(draws)) ** 0.5
    assert draws.var() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
def test_mixing_weight_refuses_a_wrong_alpha(alpha: float) -> None:
    with pytest.raises(ConfigError, match="alpha must be a positive number"):
        mixing_weight(0, 0, alpha)


@pytest.mark.parametrize(("seed", "iteration"), [(-1, 0), (0, -1)])
def test_mixing_weight_refuses_a_negative_key(seed: int, iteration: int) -> None:
    with pytest.raises(ConfigError, match="must not be negative, got"):
        mixing_weight(seed, iteration, 1.0)


def test_mix_is_equation_7_and_passes_gradients_by_share() -> None:
    generator = torch.Generator().manual_seed(0)
    fused = torch.rand(2, 3, 5, 7, generator=generator).requires_grad_()
    clean = torch.rand(2, 3, 5, 7, generator=generator).requires_grad_()
    mixed = mix(fused, clean, 0.3)
    assert torch.allclose(mixed, 0.3 * fused + 0.7 * clean)
    mixed.sum().backward()
    assert fused.grad is not None and torch.allclose(fused.grad, torch.full_like(fused, 0.3))
    assert clean.grad is not None and torch.allclose(clean.grad, torch.full_like(clean, 0.7))


def test_mix_at_the_ends_is_one_of_the_images() -> None:
    fused, clean = torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mix(fused, clean, 1.0), fused)
    assert torch.equal(mix(fused, clean, 0.0), clean)


def test_mix_broadcasts_nothing() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3, 4, 4\) and \(1, 3, 4, 4\)"):
        mix(torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4), 0.5)


@pytest.mark.parametrize("lam", [-0.1, 1.1, float("nan")])
def test_mix_refuses_a_share_outside_its_range(lam: float) -> None:
    with pytest.raises(ConfigError, match="lam must lie in"):
        mix(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), lam)


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
    with pytest.raises(ConfigError, match="eta must be a finite number"):
        term_weight(torch.zeros(2), "umix", eta)


@pytest.mark.parametrize(
    "uncertainty", [torch.tensor([0.5, 1.5]), torch.tensor([-0.1]), torch.tensor([]).mean()[None], torch.zeros(2, 1)]
)
def test_term_weight_refuses_what_is_no_rank(uncertainty: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match="give 0 for an image without pseudo-labels"):
        term_weight(uncertainty, "paper")
