from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tdir.data._streets.camera import View
from tdir.data._streets.cars import SHAPES, car
from tdir.data._streets.cycles import bicycles, motorbikes
from tdir.data._streets.kinds import THINGS
from tdir.data._streets.paints import draw_car_paints
from tdir.data._streets.people import draw_clothes, pedestrians
from tdir.data._streets.render import render
from tdir.data._streets.scene import Scene, draw_scene
from tdir.data._streets.traffic import Vehicle, Vehicles, Walker, Walkers

SIZE = (192, 320)
PERSON, CAR, BICYCLE, MOTORBIKE = (THINGS.index(name) for name in ("person", "car", "bicycle", "motorbike"))


@pytest.fixture(scope="module")
def empty() -> Scene:
    """A straight street with houses, without anyone on it."""
    scene = draw_scene(np.random.default_rng(3))
    road = replace(scene.road, bend=0.0, camera=0.0, mirrored=False, view=View(1.3, 1.0, 0.03, 0.0))
    return replace(scene, road=road, layers=scene.layers[:1])


def with_cars(scene: Scene, *places: tuple[float, float]) -> Scene:
    rng = np.random.default_rng(0)
    members = [Vehicle(CAR, car("hatch"), draw_car_paints(rng), s, t, 0.0) for s, t in places]
    return replace(scene, layers=(*scene.layers, Vehicles(members)))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_car_is_in_front(empty, order):
    places = [(9.0, 0.0), (15.0, 0.7)]
    picture = render(with_cars(empty, *(places[i] for i in order)), SIZE)
    near, far = sorted(picture.things, key=lambda thing: -thing.box[3])
    assert near.shown == 1
    assert 0.02 < far.shown < 0.8
    numbers = [picture.things.index(thing) + 1 for thing in (near, far)]
    depths = [picture.depth[picture.instances == number].mean() for number in numbers]
    assert depths[0] < 9 < depths[1]


def test_a_car_behind_another_one_is_not_there(empty):
    picture = render(with_cars(empty, (8.0, 0.0), (30.0, 0.0)), SIZE)
    assert len(picture.things) == 1


def test_a_car_is_as_deep_as_it_is_far(empty):
    picture = render(with_cars(empty, (20.0, 0.0)), SIZE)
    depth = picture.depth[picture.instances == 1]
    half = SHAPES["hatch"].length / 2
    assert 20 - half - 0.2 < depth.min() < 20 - half + 0.4
    assert depth.max() < 20 + half


def test_a_car_that_leaves_the_image_is_known_to(empty):
    picture = render(with_cars(empty, (7.0, 3.9)), SIZE)
    (thing,) = picture.things
    assert thing.box[2] == SIZE[1]
    assert thing.within < 0.9
    assert thing.shown == 1


@pytest.mark.parametrize("turned", [0.0, 1.2, np.pi / 2, np.pi])
def test_riders_and_their_vehicles_are_two_things(empty, turned):
    clothes = draw_clothes(np.random.default_rng(0))
    for bodies, label in ((bicycles(True), BICYCLE), (motorbikes(True), MOTORBIKE)):
        walkers = Walkers([Walker(bodies[0], clothes, 8.0, 0.0, 0.0, turned)])
        picture = render(replace(empty, layers=(*empty.layers, walkers)), SIZE)
        assert sorted(thing.label for thing in picture.things) == sorted([PERSON, label])
        rider, vehicle = sorted(picture.things, key=lambda thing: thing.label)
        assert rider.box[1] < vehicle.box[1]
        assert rider.box[3] < vehicle.box[3] + 1


def test_a_person_is_as_tall_as_they_are(empty):
    body = pedestrians()[0]
    walkers = Walkers([Walker(body, draw_clothes(np.random.default_rng(0)), 10.0, 0.0, 0.0, 0.0)])
    picture = render(replace(empty, layers=(*empty.layers, walkers)), SIZE)
    (thing,) = picture.things
    expected = body.height * empty.road.view.focal * SIZE[1] / 10
    assert thing.box[3] - thing.box[1] == pytest.approx(expected, abs=3)


def test_what_traffic_keeps_to_the_left_of_is_mirrored(empty):
    cars = with_cars(empty, (15.0, 3.0))
    right, left = (render(replace(cars, road=replace(cars.road, mirrored=m)), SIZE).things[0] for m in (False, True))
    assert right.box[0] == pytest.approx(SIZE[1] - left.box[2], abs=1)


def test_a_car_casts_its_shadow_away_from_the_sun(empty):
    light = replace(empty.light, cover=0.0, sun=np.array([0.8, 0.6, 0.0]), sun_colour=np.ones(3))
    bare = replace(empty, light=light, layers=(Vehicles([]),))
    before, after = render(bare, SIZE), render(replace(with_cars(bare, (9.0, 0.0)), light=light), SIZE)
    left, _, right, bottom = (round(edge) for edge in after.things[0].box)
    rows = slice(bottom - 8, bottom - 3)
    for columns, darker in ((slice(left - 25, left - 5), True), (slice(right + 5, right + 25), False)):
        ratio = after.image[rows, columns].mean() / before.image[rows, columns].mean()
        assert ratio < 0.8 if darker else ratio > 0.95


def test_every_face_of_a_car_is_turned_outwards():
    for name in SHAPES:
        mesh = car(name)
        assert np.all(((mesh.middles - [0, 0.7, 0]) * mesh.normals).sum(1) > 0)
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1)
