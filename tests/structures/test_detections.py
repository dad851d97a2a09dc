from __future__ import annotations

import pytest
import torch

from tdir.structures import KINDS, Detections, Prediction


def said(risk: bool = True) -> Detections:
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40], [5, 30, 25, 50]])
    risks = torch.tensor([0.1, 0.9, 0.5]) if risk else None
    return Detections(boxes, torch.tensor([1, 0, 2]), torch.tensor([0.9, 0.5, 0.4]), risk=risks)


def test_every_kind_is_found_by_its_name() -> None:
    assert sorted(KINDS) == ["ClassScores", "Detections", "SemanticMap"]
    assert all(issubclass(kind, Prediction) and kind.__name__ == name for name, kind in KINDS.items())


def test_resized_boxes_are_cut_at_the_border_of_the_image() -> None:
    found = said().resized((45, 30), (90, 90))  # twice as high, three times as wide
    assert found.boxes.tolist() == [[0, 0, 30, 20], [60, 40, 90, 80], [15, 60, 75, 90]]
    beside = said().resized((45, 20), (45, 20))
    assert beside.labels.tolist() == [1, 2]
    assert beside.scores.tolist() == pytest.approx([0.9, 0.4])


def test_labels_become_those_of_another_list_and_the_others_are_left_out() -> None:
    other = said().relabelled(torch.tensor([-1, 5, 0]), 6)
    assert other.labels.tolist() == [5, 0]
    assert torch.equal(other.boxes, said().boxes[[0, 2]])
    assert torch.equal(other.risk, said().risk[[0, 2]])
    assert len(Detections.empty(scored=True).relabelled(torch.tensor([0]), 1)) == 0


def test_each_box_has_its_label_embedded_and_its_risk() -> None:
    found = said(risk=False)
    assert found.embedded_labels is found.labels
    assert found.with_risk(None).risk.tolist() == [0, 0, 0]
    given = found.with_risk(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    assert given.risk.tolist() == [0.25, 0.5, 0.75]
    assert given.risk.dtype == torch.float32
    assert torch.equal(given.scores, found.scores)


def test_risky_boxes_become_regions() -> None:
    target, uncertainty = said().filtered(0.5)
    assert target.labelled.labels.tolist() == [1, 2]
    assert target.ignored_boxes.tolist() == [[20, 20, 40, 40]]
    assert uncertainty == pytest.approx(0.3)
    assert said().filtered(0.0)[1] == 0


def test_the_boxes_of_the_other_image_of_a_mix_are_regions() -> None:
    other = Detections(torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([7]))
    target = said().beside(other)
    assert torch.equal(target.labelled.boxes, said().boxes)
    assert target.ignored_boxes.tolist() == [[1, 2, 3, 4]]


def test_the_rest_of_a_canvas_is_two_regions() -> None:
    mask = torch.zeros(1, 60, 80)
    mask[:, :50, :40] = 1
    target = said().on_canvas(mask)
    assert torch.equal(target.labelled.boxes, said().boxes)
    assert target.ignored_boxes.tolist() == [[40, 0, 80, 60], [0, 50, 80, 60]]


def test_a_cache_keeps_boxes_labels_and_scores() -> None:
    again = Detections.from_columns(said().columns())
    for name in ("boxes", "labels", "scores"):
        assert torch.equal(getattr(again, name), getattr(said(), name))
    assert again.risk is None
