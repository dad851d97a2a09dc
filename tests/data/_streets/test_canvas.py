from __future__ import annotations

import numpy as np
import pytest

from tdir.data._streets.camera import Camera, View
from tdir.data._streets.canvas import Canvas, Thing, levels
from tdir.data._streets.colours import UNIT, linear, tone_table
from tdir.data._streets.outlines import fixed
from tdir.data._streets.textures import lit_table, pyramid


@pytest.fixture
def canvas() -> Canvas:
    return Canvas(Camera(View(height=0, focal=1, pitch=0, yaw=0), (40, 60)))


def picture() -> np.ndarray:
    """Red, green, blue and white quarters."""
    quarters = np.zeros((32, 32, 4), dtype=np.uint8)
    quarters[:16, :16, 0] = quarters[:16, 16:, 1] = quarters[16:, :16, 2] = 255
    quarters[16:, 16:] = 255
    quarters[..., 3] = 255
    return quarters


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def stretch(canvas: Canvas, pixels: np.ndarray, outline: np.ndarray, surface: int) -> None:
    (stretched,) = canvas.stretched(pixels[None], [pyramid(picture())], outline[None])
    assert stretched is not None
    canvas.stretch(stretched, lit_table(np.ones(3), surface))


def sprite(canvas: Canvas, place: list[float], shown: np.ndarray, surface: int, mirrored: bool = False) -> None:
    (found,) = canvas.sprites(np.array([place]), [pyramid(shown)], mirrored)
    assert found is not None
    canvas.sprite(found, lit_table(np.ones(3), surface))


def test_surfaces_are_numbered_and_keep_their_planes(canvas):
    first = canvas.upright(np.array([5.0, 8.0]), np.array([3, 4]))
    second = canvas.upright(np.array([2.0]), 7)
    planes, nearest, farthest, kinds = canvas.tables()
    assert (first, second) == (0, 2)
    assert kinds.tolist() == [3, 4, 7]
    np.testing.assert_allclose(planes[:, 2], [0.2, 0.125, 0.5])
    np.testing.assert_array_equal(nearest, farthest)


def test_the_nearer_of_two_things_hides_the_other(canvas):
    surface = canvas.upright(np.array([90.0, 9.0, 4.0]), 1) + 1
    outlines = [fixed(box(10, 10, 30, 30)), fixed(box(20, 10, 40, 30))]
    things = [Thing(0, surface + k, surface + k, (slice(0, 40), slice(0, 60)), 1.0) for k in range(2)]
    for thing, outline in zip(things, outlines):
        canvas.fill([outline], levels(np.ones((1, 3)), np.array([thing.first])))
        canvas.count([thing])
    visible = [int(canvas.shows(thing).sum()) for thing in things]
    assert visible[1] == things[1].painted
    assert 0.4 * things[0].painted < visible[0] < 0.6 * things[0].painted


def test_a_texture_is_stretched_the_right_way_round(canvas):
    surface = canvas.upright(np.array([5.0]), 1)
    corners = box(10, 4, 50, 36)
    stretch(canvas, corners, corners, surface)
    for (y, x), colour in {(8, 14): (1, 0, 0), (8, 46): (0, 1, 0), (32, 14): (0, 0, 1), (32, 46): (1, 1, 1)}.items():
        np.testing.assert_allclose(canvas.pixels[y, x], [*(UNIT * c for c in colour), surface], atol=2)
    assert canvas.pixels[2, 30].tolist() == canvas.pixels[20, 55].tolist() == [0, 0, 0, 0]


def test_only_the_outline_of_a_texture_is_painted(canvas):
    surface = canvas.upright(np.array([5.0, 5.0]), 1) + 1
    stretch(canvas, box(10, 4, 50, 36), box(10, 20, 50, 36), surface)
    assert canvas.pixels[10, 30, 3] == 0
    assert canvas.pixels[30, 14].tolist() == [0, 0, UNIT, surface]


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_sprite_leaves_holes_and_can_be_mirrored(canvas, mirrored):
    surface = canvas.upright(np.array([5.0, 5.0]), 1) + 1
    holed = picture()
    holed[16:, :, 3] = 0
    sprite(canvas, [10.0, 4, 50, 36], holed, surface, mirrored)
    red, green = ((8, 46), (8, 14)) if mirrored else ((8, 14), (8, 46))
    np.testing.assert_allclose(canvas.pixels[red], [UNIT, 0, 0, surface], atol=2)
    np.testing.assert_allclose(canvas.pixels[green], [0, UNIT, 0, surface], atol=2)
    assert canvas.pixels[30, 30, 3] == 0


def test_a_sprite_that_is_mostly_off_the_canvas_shows_the_part_that_is_on_it(canvas):
    surface = canvas.upright(np.array([5.0, 5.0]), 1) + 1
    sprite(canvas, [-200.0, -10, 30, 50], picture(), surface)
    np.testing.assert_allclose(canvas.pixels[5, 5], [0, UNIT, 0, surface], atol=2)
    np.testing.assert_allclose(canvas.pixels[35, 5], [UNIT, UNIT, UNIT, surface], atol=2)
    assert canvas.pixels[5, 40, 3] == 0


def test_what_is_off_the_canvas_is_not_painted(canvas):
    off = box(70, 4, 90, 36)
    assert canvas.stretched(off[None], [pyramid(picture())], off[None]) == [None]
    assert canvas.sprites(np.array([[10.0, -30, 50, -2]]), [pyramid(picture())]) == [None]
    assert canvas.stretched(np.empty((0, 4, 2)), [], np.empty((0, 4, 2))) == []


def test_a_polygon_behind_the_camera_is_not_painted_and_one_beside_it_is_cut(canvas):
    ground = np.array([[-1.0, -1, -4], [1, -1, -4], [1, -1, 9], [-1, -1, 9]])
    canvas.flat([ground - [0, 0, 20], ground], np.array([0.0, 1, 0]), np.ones(3), 2)
    assert canvas.pixels[39, 30, 0] == UNIT
    assert canvas.pixels[5, 30, 0] == 0
    assert len(canvas.tables()[3]) == 1


def test_what_of_boxes_is_on_the_canvas(canvas):
    low, high = np.array([[-10.0, 10], [70, 0], [5, 5]]), np.array([[10.0, 20], [80, 10], [15, 15.5]])
    boxes, shares = canvas.inside(low, high)
    assert boxes == [(slice(9, 21), slice(0, 11)), None, (slice(4, 17), slice(4, 16))]
    np.testing.assert_allclose(shares, [0.5, 0, 1])


def test_tones_rise_from_black_to_white():
    table = tone_table()
    assert table[0] == 0
    assert table[65535] >= 250
    assert np.all(np.diff(table.astype(int)) >= 0)
    np.testing.assert_allclose(linear(np.array([0.0, 255])), [0, 1])
