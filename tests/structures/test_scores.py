from __future__ import annotations

import pytest
import torch

from tdir.errors import ShapeError
from tdir.structures import ClassScores
from tdir.structures.scores import aligned, more_confident


def said(risk: float | None = None) -> ClassScores:
    return ClassScores(torch.tensor([0.1, 0.6, 0.3]), None if risk is None else torch.tensor([risk]))


def test_the_label_is_the_most_probable_class() -> None:
    assert said().label == 1
    assert said().embedded_labels.tolist() == [1]
    assert said().embedded_labels.dtype == torch.int64
    truth = ClassScores.of(2, 4)
    assert truth.scores.tolist() == [0, 0, 1, 0]
    assert truth.label == 2
    assert ClassScores(torch.zeros(3)).label == -1


def test_a_class_has_no_place_in_the_image() -> None:
    found = said(0.5)
    assert found.clipped((2, 3)) is found
    assert found.resized((2, 3), (4, 6)) is found
    assert found.on_canvas(torch.ones(1, 4, 6)) is found
    assert found.beside(said()) is found


def test_scores_become_those_of_another_list() -> None:
    other = said(0.5).relabelled(torch.tensor([2, 0, -1]), 3)
    torch.testing.assert_close(other.scores, torch.tensor([0.6, 0, 0.1]))
    assert other.risk.tolist() == [0.5]
    # Two that are one class there add up.
    torch.testing.assert_close(said().relabelled(torch.tensor([0, 1, 0]), 2).scores, torch.tensor([0.4, 0.6]))


def test_a_risk_is_given() -> None:
    assert said().with_risk(None).risk.tolist() == [0]
    assert said().with_risk(torch.tensor([0.25], dtype=torch.float64)).risk.tolist() == [0.25]


@pytest.mark.parametrize(("risk", "epsilon", "kept"), [(0.5, 0.5, True), (0.5, 0.49, False), (0.0, 0.0, True)])
def test_what_is_risky_has_no_label(risk: float, epsilon: float, kept: bool) -> None:
    target, uncertainty = said(risk).filtered(epsilon)
    assert target.scores.tolist() == ([0, 1, 0] if kept else [0, 0, 0])
    assert target.label == (1 if kept else -1)
    assert uncertainty == (risk if kept else 0)


def test_an_image_without_a_label_gets_none_from_a_filter() -> None:
    unsure = ClassScores(torch.zeros(5), torch.zeros(1))
    target, uncertainty = unsure.filtered(1.0)
    assert target.label == -1
    assert not target.scores.any()
    assert uncertainty == 0
    assert unsure.embedded_labels.tolist() == [-1]
    assert unsure.amounts(5).tolist() == [0, 0, 0, 0, 0, 1]


def test_a_cache_keeps_the_scores() -> None:
    again = ClassScores.from_columns(said(0.5).columns())
    assert torch.equal(again.scores, said().scores)
    assert again.risk is None


def test_of_two_the_higher_score_stays() -> None:
    surer, same = ClassScores(torch.tensor([0.7, 0.2, 0.1])), ClassScores(torch.tensor([0.6, 0.1, 0.3]))
    first = said()
    assert more_confident(first, surer) is surer
    assert more_confident(surer, first) is surer
    assert more_confident(first, same) is first


def test_scores_move_as_a_whole() -> None:
    moved = said(0.5).to("meta")
    assert {moved.scores.device.type, moved.risk.device.type} == {"meta"}
    assert said().to("meta").risk is None


@pytest.mark.parametrize("shape", [(), (0,), (1, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"class scores have shape \(C,\), got"):
        ClassScores(torch.zeros(shape))


def test_an_alignment_weighs_the_classes() -> None:
    found = [ClassScores(torch.tensor(row)) for row in ([0.8, 0.2], [0.6, 0.4])]
    after = aligned(found, [ClassScores.of(0, 2), ClassScores.of(1, 2)])
    # One weight w for the second class: .2w / (.8 + .2w) + .4w / (.6 + .4w) = 1 is .08 w^2 = .48.
    weight = 6**0.5
    expected = [0.2 * weight / (0.8 + 0.2 * weight), 0.4 * weight / (0.6 + 0.4 * weight)]
    assert [one.scores[1].item() for one in after] == pytest.approx(expected, abs=2e-4)
    assert [one.scores.sum().item() for one in after] == pytest.approx([1, 1])


def test_an_alignment_that_has_nothing_to_do_changes_nothing() -> None:
    found = [said(0.5), said(0.1)]
    for one, before in zip(aligned(found, [said()]), found, strict=True):
        torch.testing.assert_close(one.scores, before.scores, atol=1e-6, rtol=0)
        assert one.risk is before.risk


def test_images_without_a_label_are_not_aligned() -> None:
    none = ClassScores(torch.zeros(2), torch.ones(1))
    first = ClassScores(torch.tensor([0.9, 0.1]))
    wanted = [ClassScores(torch.tensor([0.5, 0.5])), none]
    after = aligned([none, first, none], wanted)
    assert after[0] is after[2] is none
    torch.testing.assert_close(after[1].scores, torch.tensor([0.5, 0.5]), atol=1e-3, rtol=0)
    assert aligned([none, none], wanted) == [none, none]
    assert aligned([first], [none]) == [first]


def test_an_alignment_with_shares_that_cannot_be_met_is_still_a_probability() -> None:
    certain = [ClassScores.of(0, 3)] * 2 + [ClassScores(torch.tensor([1 - 1e-6, 1e-6, 0]))]
    after = torch.stack([one.scores for one in aligned(certain, [ClassScores.of(2, 3), ClassScores.of(1, 3)])])
    torch.testing.assert_close(after.sum(1), torch.ones(3))
    assert bool((after[:, 2] == 0).all())
    assert float(after[2, 1]) > 0.99
