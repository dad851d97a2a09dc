"""One scene: what there is, drawn from a generator and without any notion of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdir.data._streets.light import Light, draw_light
from tdir.data._streets.paving import Ground, draw_ground
from tdir.data._streets.planting import draw_trees
from tdir.data._streets.population import draw_population
from tdir.data._streets.props import draw_furniture
from tdir.data._streets.road import Road, draw_road
from tdir.data._streets.rows import draw_buildings
from tdir.data._streets.stage import Layer


@dataclass(frozen=True)
class Scene:
    """Everything that a picture of a street shows.

    Args:
        road: the plan of the street, and where the camera is.
        light: time of day and weather.
        ground: what the ground looks like.
        layers: what stands on it.
    """

    road: Road
    light: Light
    ground: Ground
    layers: tuple[Layer, ...]


def draw_scene(rng: np.random.Generator) -> Scene:
    """A scene; what is drawn first does not depend on what comes later."""
    road, light = draw_road(rng), draw_light(rng)
    ground = draw_ground(rng, road)
    layers = draw_buildings(rng, road), draw_trees(rng, road), draw_furniture(rng, road), *draw_population(rng, road)
    return Scene(road, light, ground, layers)
