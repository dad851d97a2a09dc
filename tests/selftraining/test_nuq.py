"""NUQ on clusters whose risk is known."""

import math

import pytest
import torch
from torch import Tensor

from tdir.errors import ConfigError, DataError, ShapeError
from tdir.selftraining.nuq import NUQ, Risk, _bandwidth, _nadaraya_watson

CLASSES, LENGTH = 4, 64
CENTRES = 2.0 * torch.randn(CLASSES, LENGTH, generator=torch.Generator().manual_seed(7))


def clusters(count: int, seed: int, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """Gaussian clusters, one per class, varying in a few directions as embeddings do."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(6, LENGTH, generator=torch.Generator().manual_seed(8))
    labels = torch.randint(CLASSES, (count,), generator=generator)
    inside = torch.randn(count, 6, generator=generator) @ directions
    noise = 0.2 * torch.randn(count, LENGTH, generator=generator)
    return CENTRES[labels] + spread * (inside + noise), labels


@pytest.fixture(scope="module")
def fitted() -> NUQ:
    embeddings, labels = clusters(1500, seed=0)
    return NUQ().fit(embeddings, labels, CLASSES)


def assert_sound(risk: Risk, count: int) -> None:
    for part in (risk.aleatoric, risk.epistemic, risk.total):
        assert part.shape == (count,) and part.dtype == torch.float32 and bool(part.isfinite().all())
    assert float(risk.aleatoric.min()) >= 0 and float(risk.aleatoric.max()) < 1
    assert float(risk.total.min()) >= 0 and float(risk.total.max()) <= 1


def furthest_from_uniform(total: Tensor) -> float:
    """The Kolmogorov-Smirnov distance."""
    steps = torch.arange(1, len(total) + 1) / len(total)
    return float((total.sort().values - steps).abs().max())


def test_formula_on_points_counted_by_hand() -> None:
    squared = torch.tensor([[0.0, 2.0, 8.0]], dtype=torch.float64)
    estimate = _nadaraya_watson(squared, bandwidth=2.0)
    kernel = [math.exp(-d / 8) for d in (0.0, 2.0, 8.0)]
    assert float(estimate.log_mass) == pytest.approx(math.log(sum(kernel)))
    assert estimate.log_weights.exp()[0].tolist() == pytest.approx([k / sum(kernel) for k in kernel])
    assert float(estimate.size) == pytest.approx(sum(kernel) ** 2 / sum(k * k for k in kernel))


def plainly(state: dict[str, Tensor], embedding: Tensor) -> tuple[float, float, float, float]:
    """Aleatoric, epistemic, n(x) and effective sample size of one embedding, without logarithms."""
    standard = (embedding.double() - state["mean"]) / state["scale"]
    inside = state["components"] @ standard
    point = torch.cat([inside, (standard - inside @ state["components"]).norm()[None]])
    distance, nearest = (state["points"] - point).norm(dim=1).topk(int(state["neighbours"]), largest=False)
    kernel = torch.exp(-((distance / float(state["bandwidth"])) ** 2) / 2)
    classes = int(state["num_classes"])
    share = torch.stack([kernel[state["labels"][nearest] == c].sum() for c in range(classes)]) / kernel.sum()
    size = float(kernel.sum() ** 2 / (kernel**2).sum())
    one_more = (size * share + 1 / classes) / (size + 1)
    count = float(kernel.sum()) * math.exp(float(state["log_factor"]))
    tau = math.sqrt(float((one_more * (1 - one_more)).max()) / count)
    return float((1 - share).min()), 2 * math.sqrt(2 / math.pi) * tau, count, size


def test_risk_is_the_formula_in_the_open() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 3
    centres = torch.eye(3)  # close enough that neighbourhoods are mixed
    nuq = NUQ(neighbours=20).fit(centres[labels] + 0.5 * torch.randn(600, 3, generator=generator), labels, 3)
    embeddings = 1 / 3 + 0.5 * torch.randn(50, 3, generator=generator)
    risk, state = nuq.risk(embeddings), nuq.state()
    expected = [plainly(state, row) for row in embeddings]
    aleatoric, epistemic = (torch.tensor([e[i] for e in expected]) for i in (0, 1))
    rank = [float((state["held_out"].exp() < a + e).double().mean()) for a, e, _, _ in expected]
    assert float(aleatoric.median()) > 0.1
    assert torch.allclose(risk.aleatoric, aleatoric, atol=1e-5)
    assert torch.allclose(risk.epistemic.exp(), epistemic, rtol=1e-4)
    assert torch.allclose(risk.total, torch.tensor(rank), atol=1e-6)


def test_the_median_clean_prediction_rests_on_its_effective_sample_size(fitted: NUQ) -> None:
    ratios = torch.tensor([e[2] / e[3] for e in (plainly(fitted.state(), row) for row in clusters(300, seed=9)[0])])
    assert 0.7 < float(ratios.median()) < 1.4


def test_total_is_ordered_by_the_sum_of_the_parts(fitted: NUQ) -> None:
    risk = fitted.risk(clusters(300, seed=1)[0])
    plain = risk.aleatoric.double() + risk.epistemic.double().exp()
    order = plain.argsort()
    assert bool((risk.total[order].diff() >= 0).all())


def test_held_out_data_of_the_same_kind_is_uniform_in_total(fitted: NUQ) -> None:
    embeddings, _ = clusters(1000, seed=1)
    total = fitted.risk(embeddings).total
    assert furthest_from_uniform(total) < 1.63 * math.sqrt(1 / 1000 + 1 / 300)  # two samples, 1 % level


def test_fitted_predictions_do_not_vouch_for_themselves(fitted: NUQ) -> None:
    embeddings, _ = clusters(1500, seed=0)
    left_out = furthest_from_uniform(fitted.risk(embeddings, fitted=True).total)
    assert left_out < 1.63 * math.sqrt(1 / 1500 + 1 / 300)
    assert furthest_from_uniform(fitted.risk(embeddings).total) > 2 * left_out


def street(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images with five predictions each that resemble each other."""
    embeddings, labels = clusters(count, seed)
    scene = torch.randn(count, LENGTH, generator=torch.Generator().manual_seed(seed + 100))
    images = torch.arange(5 * count) // 5
    noise = 0.3 * torch.randn(5 * count, LENGTH, generator=torch.Generator().manual_seed(seed + 200))
    return (embeddings + scene)[images] + noise, labels[images], images


def test_predictions_on_one_image_do_not_vouch_for_each_other() -> None:
    embeddings, labels, images = street(400, seed=0)
    unseen, _, _ = street(400, seed=1)
    by_image = NUQ().fit(embeddings, labels, CLASSES, images)
    by_prediction = NUQ().fit(embeddings, labels, CLASSES)
    assert furthest_from_uniform(by_image.risk(unseen).total) < 0.15
    assert furthest_from_uniform(by_image.risk(embeddings, fitted=True).total) < 0.15
    assert furthest_from_uniform(by_prediction.risk(unseen).total) > 0.5
    assert by_image.state()["bandwidth"] > 1.5 * by_prediction.state()["bandwidth"]


def test_leaving_an_image_out_leaves_all_of_it_out_and_nothing_else() -> None:
    embeddings, labels, images = street(40, seed=0)
    nuq = NUQ(neighbours=20).fit(embeddings, labels, CLASSES, images)
    reference = nuq.state()["images"]
    points = nuq.state()["points"]
    distance = torch.cdist(points, points).masked_fill(reference[:, None] == reference, math.inf)
    expected = distance.topk(20, largest=False).values.square()
    squared, nearest = nuq._neighbourhood(points, fitted=True)
    assert torch.allclose(squared, expected, rtol=1e-6)
    assert not (reference[nearest] == reference[:, None]).any()


def test_what_fit_has_not_seen_has_nothing_to_leave_out(fitted: NUQ) -> None:
    embeddings, _ = clusters(100, seed=2)
    assert torch.allclose(fitted.risk(embeddings, fitted=True).epistemic, fitted.risk(embeddings).epistemic)


def test_an_image_is_held_out_even_when_each_is_more_than_the_share() -> None:
    embeddings, labels = clusters(9, seed=0)
    state = NUQ(holdout=0.2).fit(embeddings, labels, CLASSES, torch.arange(9) // 3).state()
    assert len(state["held_out"]) == 3


def test_whole_images_are_held_out() -> None:
    embeddings, labels, images = street(40, seed=0)
    state = NUQ(holdout=0.25).fit(embeddings, labels, CLASSES, images).state()
    assert state["held_out"].shape == (50,)
    assert sorted(state["images"].bincount().tolist())[-30:] == [5] * 30


def test_an_image_with_nearly_all_predictions_is_no_trouble() -> None:
    embeddings, labels = clusters(60, seed=0)
    images = torch.cat([torch.zeros(56, dtype=torch.long), torch.tensor([7, 7, 8, 9])])
    nuq = NUQ().fit(embeddings, labels, CLASSES, images)
    assert_sound(nuq.risk(embeddings, fitted=True), 60)


def test_risk_does_not_depend_on_the_batch(fitted: NUQ) -> None:
    embeddings, _ = clusters(64, seed=2)
    together, alone = fitted.risk(embeddings), [fitted.risk(row[None]) for row in embeddings]
    assert torch.allclose(together.total, torch.cat([r.total for r in alone]), atol=2 / 300)
    assert torch.allclose(together.epistemic, torch.cat([r.epistemic for r in alone]), atol=1e-4)


def test_what_the_ranks_were_made_of_ties_with_itself_up_to_rounding(fitted: NUQ) -> None:
    embeddings = clusters(1500, seed=0)[0].double()  # a fifth of them are those that the ranks were made of
    rounded = embeddings * (1 + 1e-14)
    assert not torch.equal(fitted._parts(embeddings, False)[2], fitted._parts(rounded, False)[2])
    assert torch.equal(fitted.risk(embeddings).total, fitted.risk(rounded).total)


@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_outliers_are_epistemic_and_rank_above(fitted: NUQ, factor: float) -> None:
    usual, outlying = fitted.risk(clusters(200, seed=3)[0]), fitted.risk(clusters(200, seed=3, spread=factor)[0])
    assert float(outlying.epistemic.median()) > float(usual.epistemic.quantile(0.75))
    assert float(outlying.total.mean()) > float(usual.total.mean()) + 0.2


def test_far_away_is_finite_and_ranks_last(fitted: NUQ) -> None:
    embeddings, _ = clusters(50, seed=4)
    generator = torch.Generator().manual_seed(0)
    for distance in (1e3, 1e6, 1e12):
        directions = torch.randn(50, LENGTH, generator=generator)
        risk = fitted.risk(embeddings + distance * directions)
        assert_sound(risk, 50)
        assert bool((risk.total == 1).all())


def test_off_the_subspace_is_far_away_too() -> None:
    embeddings, labels = clusters(400, seed=0)
    embeddings[:, -1] = 0.5  # a channel that is always the same has no part in any principal component
    nuq = NUQ(dims=4).fit(embeddings, labels, CLASSES)
    strange = embeddings[:20].clone()
    strange[:, -1] += 1e3
    assert bool((nuq.risk(strange).total == 1).all())


def test_between_two_clusters_is_more_ambiguous_than_at_their_centres() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 2
    centres = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    nuq = NUQ().fit(centres[labels] + 0.5 * torch.randn(600, 3, generator=generator), labels, 2)
    between, at_centre = nuq.risk(torch.zeros(1, 3)), nuq.risk(centres)
    assert float(between.aleatoric) > 0.2
    assert float(at_centre.aleatoric.max()) < 0.1
    assert float(between.total) > float(at_centre.total.max())


def test_one_class_has_no_ambiguity_and_still_sees_outliers() -> None:
    embeddings, _ = clusters(200, seed=0)
    for classes in (1, 80):
        nuq = NUQ().fit(embeddings, torch.zeros(200, dtype=torch.long), classes)
        risk = nuq.risk(torch.cat([embeddings, embeddings + 1e3]))
        assert_sound(risk, 400)
        assert float(risk.aleatoric.max()) == 0
        assert bool((risk.total[200:] == 1).all())


@pytest.mark.parametrize("count", [8, 12, 33])
def test_few_predictions_shrink_dims_and_neighbours(count: int) -> None:
    embeddings, labels = clusters(count, seed=0)
    nuq = NUQ(dims=32, neighbours=50).fit(embeddings, labels, CLASSES)
    assert_sound(nuq.risk(embeddings, fitted=True), count)
    assert bool((nuq.risk(embeddings + 1e3).total == 1).all())


def test_embeddings_shorter_than_dims() -> None:
    embeddings, labels = clusters(100, seed=0)
    nuq = NUQ(dims=32).fit(embeddings[:, :2], labels, CLASSES)
    assert_sound(nuq.risk(embeddings[:, :2]), 100)


@pytest.mark.filterwarnings("error")
def test_equal_embeddings_rank_in_the_middle() -> None:
    same = torch.full((40, 16), 0.1)
    nuq = NUQ().fit(same, torch.arange(40) % 2, 2)
    for fitted in (False, True):
        risk = nuq.risk(same, fitted=fitted)
        assert_sound(risk, 40)
        assert bool((risk.total == 0.5).all())
    assert bool((nuq.risk(same + 1e3).total == 1).all())


def test_repeated_embeddings_do_not_collapse_the_bandwidth() -> None:
    embeddings, labels = clusters(400, seed=0)
    once = NUQ().fit(embeddings, labels, CLASSES)
    twice = NUQ().fit(torch.cat([embeddings, embeddings[:100]]), torch.cat([labels, labels[:100]]), CLASSES)
    assert float(twice.state()["bandwidth"]) > 0.25 * float(once.state()["bandwidth"])


def test_bandwidth_follows_the_scale_of_the_data() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(300, 3, generator=generator, dtype=torch.float64)
    squared = torch.cdist(points, points).square().sort(dim=1).values[:, 1:51]
    agree = torch.ones_like(squared, dtype=torch.bool)
    small, large = (_bandwidth(s * squared, agree, 3, 2) for s in (1.0, 100.0))
    assert large == pytest.approx(10 * small)
    assert 0.1 < small < 1.0  # Silverman's rule says 0.44 for 300 points in three dimensions


def test_isolated_predictions_do_not_decide_the_bandwidth() -> None:
    usual = clusters(400, seed=0)[0].double()
    isolated = torch.cat([usual, usual[:4] + 1e4 * torch.arange(1, 5)[:, None]])
    found = []
    for rows in (usual, isolated):
        squared = torch.cdist(rows, rows).square().sort(dim=1).values[:, 1:51]
        found.append(_bandwidth(squared, torch.ones_like(squared, dtype=torch.bool), 6, 2))
    assert found[1] == pytest.approx(found[0], rel=0.3)


def test_bandwidth_is_smaller_where_near_neighbours_know_the_label_better() -> None:
    generator = torch.Generator().manual_seed(0)
    squared = torch.rand(300, 50, generator=generator, dtype=torch.float64).sort(dim=1).values + 0.05
    near_agree = (torch.arange(50) < 3).expand(300, 50)
    assert _bandwidth(squared, near_agree, 1, 2) < _bandwidth(squared, torch.ones(300, 50, dtype=torch.bool), 1, 2)


def test_no_predictions_have_no_risk(fitted: NUQ) -> None:
    risk = fitted.risk(torch.zeros(0, LENGTH))
    assert risk.aleatoric.shape == risk.epistemic.shape == risk.total.shape == (0,)


def test_half_precision_is_taken(fitted: NUQ) -> None:
    embeddings, _ = clusters(100, seed=5)
    full, half = fitted.risk(embeddings).total, fitted.risk(embeddings.half()).total
    assert float((full - half).abs().max()) < 0.05


def test_same_seed_same_risk_and_another_seed_another_split() -> None:
    embeddings, labels = clusters(100, seed=0)
    first, again, other = (NUQ(seed=s).fit(embeddings, labels, CLASSES) for s in (0, 0, 1))
    assert torch.equal(first.risk(embeddings).total, again.risk(embeddings).total)
    assert not torch.equal(first.state()["labels"], other.state()["labels"])


def test_too_few_predictions_name_the_fix() -> None:
    embeddings, labels = clusters(7, seed=0)
    with pytest.raises(DataError, match=r"7 confident predictions.*at least 8.*more clean images"):
        NUQ().fit(embeddings, labels, CLASSES)


def test_too_few_images_name_the_fix() -> None:
    embeddings, labels = clusters(20, seed=0)
    with pytest.raises(DataError, match=r"20 confident predictions on 2 clean images.*at least 8 on 3"):
        NUQ().fit(embeddings, labels, CLASSES, torch.arange(20) % 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_embeddings_that_are_not_finite_are_counted(fitted: NUQ, value: float) -> None:
    embeddings, labels = clusters(20, seed=0)
    embeddings[3, 5] = embeddings[9, 0] = value
    for use in (lambda: fitted.risk(embeddings), lambda: NUQ().fit(embeddings, labels, CLASSES)):
        with pytest.raises(ShapeError, match="2 of 20 embeddings hold NaN or infinity, first in row 3"):
            use()


def test_wrong_shapes_and_labels_are_named(fitted: NUQ) -> None:
    embeddings, labels = clusters(20, seed=0)
    with pytest.raises(ShapeError, match="length 8, but NUQ was fitted on length 64"):
        fitted.risk(torch.zeros(3, 8))
    with pytest.raises(ShapeError, match=r"must be \(n, D\)"):
        fitted.risk(torch.zeros(LENGTH))
    with pytest.raises(ShapeError, match=r"int64 \(20,\)"):
        NUQ().fit(embeddings, labels.float(), CLASSES)
    for images in (torch.arange(19), torch.zeros(20)):
        with pytest.raises(ShapeError, match=r"images must be int64 \(20,\)"):
            NUQ().fit(embeddings, labels, CLASSES, images)
    with pytest.raises(ShapeError, match=r"\[0, 2\), got 0 to 3"):
        NUQ().fit(embeddings, labels, 2)


def test_risk_before_fit_is_an_error() -> None:
    with pytest.raises(ConfigError, match="call fit"):
        NUQ().risk(torch.zeros(1, 4))


@pytest.mark.parametrize("setting", [{"dims": 1}, {"neighbours": 0}, {"holdout": 0.0}, {"holdout": 0.9}, {"seed": -1}])
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="NUQ takes dims >= 2"):
        NUQ(**setting)  # type: ignore[arg-type]
