from __future__ import annotations

import numpy as np
import pytest

from tdir.data._streets.camera import Camera, View
from tdir.data._streets.outlines import ahead_of, fixed, pieces, starts_of


@pytest.fixture
def camera() -> Camera:
    return Camera(View(height=1.5, focal=0.9, pitch=0.05, yaw=0.03), (192, 320))


def test_what_is_projected_lies_on_the_plane_it_came_from(camera):
    rng = np.random.default_rng(0)
    points = rng.uniform([-5, 0, 4], [5, 4, 40], (50, 3))
    normals = rng.standard_normal((50, 3))
    pixels, depths = camera.project(points)
    planes = camera.planes(normals, points)
    inverse = planes[:, 0] * pixels[:, 0] + planes[:, 1] * pixels[:, 1] + planes[:, 2]
    np.testing.assert_allclose(inverse, 1 / depths, rtol=1e-6)


def test_the_ground_ends_at_the_horizon(camera):
    pixels, _ = camera.project(np.array([[0.0, 0, 1e7]]))
    assert pixels[0, 1] == pytest.approx(camera.horizon, abs=0.2)
    mapped = camera.ground() @ [2.0, 30.0, 1.0]
    pixels, _ = camera.project(np.array([[2.0, 0, 30]]))
    np.testing.assert_allclose(mapped[:2] / mapped[2], pixels[0])


def test_polygons_are_cut_where_the_camera_begins_to_see():
    camera = Camera(View(height=0, focal=1, pitch=0, yaw=0), (10, 10))
    square = np.array([[-1.0, 0, -1], [1, 0, -1], [1, 0, 3], [-1, 0, 3]])
    which, left = ahead_of(camera, [square - [0, 0, 9], square, square + [0, 0, 9]], near=1)
    assert which.tolist() == [1, 2]
    np.testing.assert_allclose(left[1], square + [0, 0, 9])
    assert sorted(map(tuple, left[0].tolist())) == [(-1, 0, 1), (-1, 0, 3), (1, 0, 1), (1, 0, 3)]


def test_groups_are_found_again_in_what_they_were_joined_to():
    groups = [np.full((count, 2), count, dtype=np.int32) for count in (3, 5, 4)]
    starts = starts_of(groups)
    assert starts.tolist() == [0, 3, 8]
    found = pieces(np.concatenate(groups), starts, np.array([2, 0]))
    assert [len(one) for one in found] == [4, 3]
    assert found[0][0, 0] == 4


def test_fixed_point_has_pixel_centres_at_whole_numbers():
    assert fixed(np.array([[0.5, 1.5]])).tolist() == [[0, 16]]


@pytest.mark.filterwarnings("error")
def test_what_is_infinitely_far_off_the_image_fits_fixed_point():
    drawn = fixed(np.array([[np.inf, -np.inf], [1e12, 0.5]]))
    assert drawn[0, 0] == drawn[1, 0] > 1e9
    assert drawn[0, 1] < -1e9
