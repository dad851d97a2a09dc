from __future__ import annotations

import numpy as np
import pytest
import torch

from tdir.report.pictures import COLOURS, annotated, draw, legend, sheet
from tdir.structures import Detections


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), dtype=np.uint8)


def holds(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == np.array(colour)).all(-1).any())


def test_boxes_and_words_are_drawn_on_a_copy() -> None:
    image = black(100, 200)
    found = Detections(torch.tensor([[40.0, 50, 120, 90]]), torch.tensor([1]), torch.tensor([0.5]))
    picture = draw(image, found, ["person", "car"])
    assert picture.shape == image.shape
    assert picture.dtype == np.uint8
    assert not image.any()
    assert tuple(picture[70, 40]) == tuple(picture[90, 80]) == COLOURS[1]
    assert not picture[60:80, 60:100].any(), "the inside of a box stays as it is"
    above = picture[35:50, 40:]
    assert holds(above, COLOURS[1]), "the plate of the words"
    assert holds(above, (0, 0, 0)), "the words"


def test_words_of_neighbours_do_not_hide_each_other() -> None:
    # Four boxes around one place, as a detector that is unsure gives them: black words, and nothing else is dark.
    boxes = torch.tensor([40.0, 50, 120, 90]) + 4 * torch.arange(4)[:, None]

    def written(count: int) -> int:
        picture = annotated(255 - black(200, 300), boxes[:count], ["some words"] * count, COLOURS[:1] * count)
        return int((picture.max(-1) < 150).sum())

    assert written(4) == 4 * written(1) > 0


def test_words_without_room_are_drawn_all_the_same() -> None:
    boxes = torch.tensor([[0.0, 0, 30, 12]] * 9)
    picture = annotated(black(14, 30), boxes, ["words"] * 9, [COLOURS[0]] * 9)
    assert holds(picture, COLOURS[0])


def test_a_legend_explains_colours() -> None:
    line = legend({"kept": COLOURS[0], "dropped": COLOURS[1], "words": None}, width=400)
    assert line.shape == (28, 400, 3)
    assert holds(line[:, :200], COLOURS[0]) and holds(line, COLOURS[1])
    assert holds(line, (0, 0, 0))


def test_no_boxes_leave_the_picture_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    picture = draw(image, Detections.empty(scored=True), [])
    assert (picture == image).all()
    assert picture is not image


@pytest.mark.parametrize("box", [(0.0, 0.0, 30.0, 20.0), (20.0, 10.0, 30.0, 20.0), (29.5, 0.2, 30.0, 0.4)])
def test_boxes_at_the_edge_of_a_small_picture(box: tuple[float, ...]) -> None:
    found = Detections(torch.tensor([box]), torch.tensor([0]), torch.tensor([0.25]))
    assert holds(draw(black(20, 30), found, ["person"]), COLOURS[0])


def test_truths_and_ignored_regions_have_no_confidence() -> None:
    truth = Detections(torch.tensor([[10.0, 30, 60, 60]]), torch.tensor([0]))
    guess = Detections(truth.boxes, truth.labels, torch.tensor([0.99]))
    drawn, longer = (draw(black(80, 100), found, ["car"]) for found in (truth, guess))
    assert drawn.any()
    assert longer[14:29].astype(bool).sum() > drawn[14:29].astype(bool).sum()
    assert draw(black(80, 100), Detections.regions(truth.boxes), []).any()


def test_a_sheet_holds_every_picture_in_its_place() -> None:
    red, green = black(10, 20), black(40, 40)
    red[..., 0] = green[..., 1] = 255
    page = sheet([[red, green], [green, red]], ["before", "after"], width=40)
    # Titles 28, lines as high as their highest picture (40), gaps of 4.
    assert page.shape == (28 + 2 * 44, 84, 3)
    assert tuple(page[30, 5]) == tuple(page[75, 50]) == (255, 0, 0)
    assert tuple(page[30, 50]) == tuple(page[75, 5]) == (0, 255, 0)
    assert tuple(page[60, 5]) == (255, 255, 255), "below the smaller picture"
    assert page[:28].min() == 0, "the titles"
