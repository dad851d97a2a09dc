from __future__ import annotations

import pytest
import torch

from tdir.errors import ShapeError
from tdir.structures import IGNORE, SemanticMap
from tdir.structures.maps import grid_size, merged


def said(height: int = 20, width: int = 37, classes: int = 5) -> SemanticMap:
    """Labels of every class, some of them none, with confidence and risk."""
    labels = torch.randint(0, classes + 1, (height, width))
    return SemanticMap(
        labels.masked_fill(labels == classes, IGNORE).byte(), torch.rand(height, width), torch.rand(height, width)
    )


@pytest.mark.parametrize(
    ("size", "grid"), [((1, 1), (1, 1)), ((16, 32), (1, 2)), ((17, 33), (2, 3)), ((360, 480), (23, 30))]
)
def test_the_grid_has_a_cell_for_each_16_pixels_begun(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert grid_size(size) == grid
    assert len(SemanticMap(torch.zeros(size, dtype=torch.uint8)).embedded_labels) == grid[0] * grid[1]


def test_the_label_of_a_cell_is_that_in_its_middle() -> None:
    found = said()
    rows, columns = (8, 19), (8, 24, 36)  # the last cell of each is narrower than half, and ends at the border
    expected = [int(found.labels[y, x]) for y in rows for x in columns]
    assert found.embedded_labels.tolist() == [-1 if label == IGNORE else label for label in expected]
    assert -1 in found.embedded_labels
    assert found.embedded_labels.dtype == torch.int64


def test_clipping_keeps_the_top_left_corner_of_all_that_is_said() -> None:
    found = said()
    cut = found.clipped((7, 9))
    assert torch.equal(cut.labels, found.labels[:7, :9])
    assert torch.equal(cut.confidence, found.confidence[:7, :9])
    assert torch.equal(cut.risk, found.risk[:7, :9])
    assert SemanticMap(found.labels).clipped((7, 9)).confidence is None


def test_resizing_takes_the_nearest_pixel() -> None:
    found = said(6, 8)
    doubled = found.resized((6, 8), (12, 16))
    for small, large in ((found.labels, doubled.labels), (found.confidence, doubled.confidence)):
        assert torch.equal(large, small.repeat_interleave(2, 0).repeat_interleave(2, 1))
        assert large.dtype == small.dtype
    again = doubled.resized((12, 16), (6, 8))
    assert torch.equal(again.labels, found.labels)
    assert torch.equal(again.risk, found.risk)
    # Of three pixels the one in the middle: no shift.
    assert torch.equal(found.resized((6, 6), (2, 2)).labels, found.labels[1:6:3, 1:6:3])


def test_resizing_leaves_out_what_lies_beside_the_image() -> None:
    found = said()
    assert torch.equal(found.resized((7, 9), (7, 9)).labels, found.labels[:7, :9])
    assert torch.equal(found.resized((7, 9), (14, 18)).labels[::2, ::2], found.labels[:7, :9])


def test_labels_become_those_of_another_list() -> None:
    found = SemanticMap(torch.tensor([[0, 1, 2, 3, IGNORE]]).byte(), torch.rand(1, 5), torch.rand(1, 5))
    other = found.relabelled(torch.tensor([2, -1, 0]), 3)
    assert other.labels.tolist() == [[2, IGNORE, 0, IGNORE, IGNORE]]  # 3 is no label of that list
    assert torch.equal(other.confidence, found.confidence)
    assert torch.equal(other.risk, found.risk)


def test_every_pixel_of_a_cell_takes_its_risk() -> None:
    risk = torch.rand(6, dtype=torch.float64)
    given = said().with_risk(risk)
    assert given.risk.shape == (20, 37)
    for y, x in ((0, 0), (15, 15), (16, 16), (19, 36), (3, 31), (3, 32)):
        assert given.risk[y, x] == risk.float()[x // 16 + 3 * (y // 16)]
    assert not said().with_risk(None).risk.any()


def test_what_is_risky_has_no_label() -> None:
    labels = torch.tensor([[0, 1, 2, IGNORE]]).byte()
    found = SemanticMap(labels, torch.rand(1, 4), torch.tensor([[0.1, 0.5, 0.6, 0.0]]))
    target, uncertainty = found.filtered(0.5)
    assert target.labels.tolist() == [[0, 1, IGNORE, IGNORE]]
    assert uncertainty == pytest.approx(0.3)  # of the labels that are kept, and not of the pixel without one
    nothing, uncertainty = found.filtered(0.05)
    assert (nothing.labels == IGNORE).all()
    assert uncertainty == 0
    assert found.labels is labels and found.labels.tolist() == [[0, 1, 2, IGNORE]]


def test_the_rest_of_a_canvas_has_no_label() -> None:
    found = said(3, 4)
    mask = torch.zeros(1, 6, 9)
    mask[:, :3, :4] = 1
    target = found.on_canvas(mask)
    assert (target.labels[mask[0] == 0] == IGNORE).all()
    assert torch.equal(target.labels[:3, :4], found.labels)


def test_in_a_mix_a_map_stays_as_it_is() -> None:
    found = said()
    assert found.beside(said()) is found


def test_a_cache_keeps_labels_exactly_and_confidence_to_half_a_level() -> None:
    found = said()
    columns = found.columns()
    assert columns["size"].tolist() == [20, 37]
    pixels = [columns[name] for name in ("labels", "confidence")]
    assert all(len(value) == 20 * 37 and value.dtype == torch.uint8 for value in pixels)
    again = SemanticMap.from_columns(columns)
    assert torch.equal(again.labels, found.labels)
    assert (again.confidence - found.confidence).abs().max() <= 0.5001 / 255
    twice = SemanticMap.from_columns(again.columns())
    assert torch.equal(twice.confidence, again.confidence)


def test_of_two_maps_the_more_confident_pixel_stays() -> None:
    first, second = said(), said()
    whole = merged(first, second)
    takes = second.confidence > first.confidence
    for name in ("labels", "confidence", "risk"):
        assert torch.equal(getattr(whole, name), torch.where(takes, getattr(second, name), getattr(first, name)))
    equal = SemanticMap(second.labels, first.confidence)
    assert torch.equal(merged(first, equal).labels, first.labels)
    assert merged(first, equal).risk is None


def test_a_map_moves_as_a_whole() -> None:
    moved = said().to("meta")
    assert {value.device.type for value in (moved.labels, moved.confidence, moved.risk)} == {"meta"}
    assert SemanticMap(said().labels).to("meta").risk is None


def test_other_shapes_and_types_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"labels are \(H, W\) uint8, got torch.int64 \(2, 3\)"):
        SemanticMap(torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(ShapeError, match=r"labels are \(H, W\) uint8, got torch.uint8 \(1, 2, 3\)"):
        SemanticMap(torch.zeros(1, 2, 3, dtype=torch.uint8))
    for name in ("confidence", "risk"):
        with pytest.raises(ShapeError, match=rf"labels are \(2, 3\) but {name} is \(3, 2\)"):
            SemanticMap(torch.zeros(2, 3, dtype=torch.uint8), **{name: torch.zeros(3, 2)})
    with pytest.raises(ShapeError, match=r"maps of one scene have one size, got \(20, 37\) and \(20, 36\)"):
        merged(said(), said(20, 36))
