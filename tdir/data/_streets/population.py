"""Who is on the street: driving and parked vehicles, riders, people on foot."""

from __future__ import annotations

import numpy as np

from tdir.data._streets.bodies import Body
from tdir.data._streets.buses import LENGTHS, bus
from tdir.data._streets.cars import SHARES, car
from tdir.data._streets.cycles import bicycles, motorbikes
from tdir.data._streets.draws import one_of, sign_of, weighted
from tdir.data._streets.kinds import THINGS
from tdir.data._streets.paints import draw_bus_paints, draw_car_paints
from tdir.data._streets.people import draw_clothes, draw_pedestrian
from tdir.data._streets.road import BAYS, CROSSING, KERB, Road
from tdir.data._streets.traffic import Vehicle, Vehicles, Walker, Walkers

CAR, BUS = THINGS.index("car"), THINGS.index("bus")
_ACROSS = 0.5 * np.pi
_LANE = {"car": 0.8, "bus": 0.09, "motorbike": 0.11}
"""What drives in a lane."""
_CROSSING = {"car": 0.66, "bus": 0.12, "bicycle": 0.12, "motorbike": 0.1}
"""What drives along a crossing street."""
_PEOPLE = {"rows": 4.2, "houses": 1.6, "park": 2.2, "blocks": 3.2}
"""People on foot on one side of the street, on average."""


class _Population:
    """Collects who is on a street."""

    def __init__(self, rng: np.random.Generator, road: Road):
        self.rng, self.road = rng, road
        self.vehicles: list[Vehicle] = []
        self.walkers: list[Walker] = []

    def add_car(self, s: float, t: float, turned: float) -> None:
        """A car of any make."""
        if s > 4.6 and self.road.sees(s, t, 3):
            mesh = car(weighted(self.rng, SHARES))
            self.vehicles.append(Vehicle(CAR, mesh, draw_car_paints(self.rng), s, t, turned))

    def add_bus(self, s: float, t: float, turned: float) -> None:
        """A bus with one or two decks."""
        if s > 8.5 and self.road.sees(s, t, 6):
            mesh = bus(1 + (self.rng.random() < 0.25), one_of(self.rng, LENGTHS))
            self.vehicles.append(Vehicle(BUS, mesh, draw_bus_paints(self.rng), s, t, turned))

    def add_body(self, body: Body, s: float, t: float, y: float, turned: float) -> None:
        """A figure."""
        if s > 3.2 and self.road.sees(s, t, 1):
            self.walkers.append(Walker(body, draw_clothes(self.rng), s, t, y, turned))

    def add(self, kind: str, s: float, t: float, turned: float) -> float:
        """A moving vehicle -> half its length."""
        if kind == "car":
            self.add_car(s, t, turned)
            return 2.4
        if kind == "bus":
            self.add_bus(s, t, turned)
            return 5.5
        bodies = bicycles(ridden=True) if kind == "bicycle" else motorbikes(ridden=True)
        self.add_body(one_of(self.rng, bodies), s, t + self.rng.uniform(-0.4, 0.4), 0.0, turned)
        return 1.2


def draw_population(rng: np.random.Generator, road: Road) -> tuple[Vehicles, Walkers]:
    """Everyone on a street."""
    population = _Population(rng, road)
    crossed = [s for s in road.crossings if 7 < s < 45 and rng.random() < 0.5]
    kept_free = [(s - 1, s + CROSSING + 1) for s in crossed]
    if road.junction is not None and rng.random() < 0.6:
        kept_free.append((road.junction[0] - 1, road.junction[1] + 1))
        _fill_crossing_street(population, road.junction)
    busy = rng.uniform(0.25, 1.0)
    for sign in (-1, 1):
        for lane in range(road.side(sign).lanes):
            _fill_lane(population, sign, lane, busy, kept_free)
        _park_cars(population, sign)
        _add_cyclists(population, sign)
        _park_two_wheelers(population, sign)
        _add_pedestrians(population, sign)
    for s in crossed:
        _add_crossing_people(population, s)
    return Vehicles(population.vehicles), Walkers(population.walkers)


def _along(sign: int) -> float:
    """The direction of the traffic on a side."""
    return 0.0 if sign > 0 else float(np.pi)


def _fill_lane(
    population: _Population, sign: int, lane: int, busy: float, kept_free: list[tuple[float, float]]
) -> None:
    """Vehicles behind each other in a lane, with nobody where others cross it."""
    rng, road = population.rng, population.road
    t = sign * (lane + 0.5) * road.lane
    own = sign > 0 and abs(t - road.camera) < 0.5 * road.lane
    s = rng.uniform(9, 26) if own else rng.uniform(3, 18)
    while s < 95:
        kind = weighted(rng, _LANE)
        half = {"car": 2.4, "bus": 5.5, "motorbike": 1.2}[kind]
        s += half
        if not any(a - half < s < b + half for a, b in kept_free) and rng.random() < 0.85:
            population.add(kind, s, t + rng.uniform(-0.25, 0.25), _along(sign) + rng.normal(0, 0.01))
        s += half + rng.exponential(16 / busy) + 2.5


def _park_cars(population: _Population, sign: int) -> None:
    """Cars beside the lanes and in gardens, and a bus at its stop."""
    rng, road = population.rng, population.road
    side, (_, cycle, kerb, pavement, front) = road.side(sign), road.edges(sign)
    if side.parking:
        across = side.parking > BAYS
        full, s, middle = rng.uniform(0.35, 0.95), rng.uniform(3, 9), sign * 0.5 * (cycle + kerb)
        while s < 68:
            crossed = road.crossed(s, 7) or any(c - 4 < s < c + CROSSING + 4 for c in road.crossings)
            if not crossed and rng.random() < full:
                turned = sign_of(rng) * _ACROSS if across else _along(sign) + (np.pi if rng.random() < 0.12 else 0)
                population.add_car(s, middle + rng.uniform(-0.1, 0.1), turned + rng.normal(0, 0.02))
            s += rng.uniform(2.7, 3.0) if across else rng.uniform(5.3, 7.2)
    if side.kind == "houses" and front - pavement > 3:
        for s in np.arange(rng.uniform(8, 20), 70, 17).tolist():
            if rng.random() < 0.5 and not road.crossed(s, 6):
                population.add_car(s, sign * (pavement + 2.2), sign_of(rng) * _ACROSS)
    if not side.parking and rng.random() < 0.2:
        s = rng.uniform(14, 45)
        if not road.crossed(s, 8):
            population.add_bus(s, sign * (kerb - 1.4), _along(sign))


def _add_cyclists(population: _Population, sign: int) -> None:
    rng, road = population.rng, population.road
    lanes, cycle, _, _, _ = road.edges(sign)
    for _ in range(int(rng.poisson(1.1 if cycle > lanes else 0.5))):
        t = 0.5 * (lanes + cycle) if cycle > lanes else lanes - 0.45
        turned = _along(sign) + rng.normal(0, 0.06)
        population.add_body(one_of(rng, bicycles(ridden=True)), rng.uniform(6, 55), sign * t, 0.0, turned)


def _park_two_wheelers(population: _Population, sign: int) -> None:
    """Bicycles at a rack or a wall, and motorbikes."""
    rng, road = population.rng, population.road
    _, _, kerb, pavement, _ = road.edges(sign)
    if rng.random() < 0.42:
        s, t = rng.uniform(7, 35), kerb + 1.0 if rng.random() < 0.6 else pavement - 0.6
        turned, step = (sign_of(rng) * _ACROSS, 0.75) if rng.random() < 0.5 else (0.0, 1.9)
        for k in range(int(rng.integers(1, 5))):
            if not road.crossed(s + k * step, 3):
                body = one_of(rng, bicycles(ridden=False))
                population.add_body(body, s + k * step, sign * t, KERB, turned + rng.normal(0, 0.1))
    if rng.random() < 0.3:
        s = rng.uniform(7, 32)
        for k in range(int(rng.integers(1, 3))):
            if not road.crossed(s + 1.3 * k, 3):
                turned = one_of(rng, (0.0, 0.35, -0.35, _ACROSS)) + _along(sign)
                body = one_of(rng, motorbikes(ridden=False))
                population.add_body(body, s + 1.3 * k, sign * (kerb + 0.9), KERB, turned)


def _add_pedestrians(population: _Population, sign: int) -> None:
    rng, road = population.rng, population.road
    _, _, kerb, pavement, _ = road.edges(sign)
    for _ in range(int(rng.poisson(_PEOPLE[road.side(sign).kind] * rng.uniform(0.3, 1.5)))):
        s, t = 4.5 + 60 * rng.beta(1.1, 1.8), rng.uniform(kerb + 0.4, pavement - 0.3)
        if road.crossed(s):
            continue
        body, walks = draw_pedestrian(rng)
        turned = (sign_of(rng) - 1) * _ACROSS + rng.normal(0, 0.15) if walks else rng.uniform(-np.pi, np.pi)
        population.add_body(body, s, sign * t, KERB, turned)
        if rng.random() < 0.3:  # with company
            beside = min(max(t + sign_of(rng) * 0.65, kerb + 0.2), pavement)
            population.add_body(draw_pedestrian(rng)[0], s + rng.uniform(-0.3, 0.3), sign * beside, KERB, turned)


def _add_crossing_people(population: _Population, s: float) -> None:
    rng, road = population.rng, population.road
    for _ in range(int(rng.integers(1, 5))):
        body = one_of(rng, bicycles(ridden=True)) if rng.random() < 0.12 else draw_pedestrian(rng)[0]
        t = rng.uniform(-road.edges(-1)[2], road.edges(1)[2])
        turned = sign_of(rng) * _ACROSS + rng.normal(0, 0.1)
        population.add_body(body, s + rng.uniform(0.2, CROSSING - 0.2), t, 0.0, turned)


def _fill_crossing_street(population: _Population, junction: tuple[float, float]) -> None:
    """Vehicles that cross ahead of the camera, seen from the side."""
    rng = population.rng
    for direction in (-1, 1):
        s, t = 0.5 * (junction[0] + junction[1]) - direction * 1.7, rng.uniform(-24, -8)
        while t < 26:
            kind = weighted(rng, _CROSSING)
            t += {"bus": 5.5}.get(kind, 2.2)
            half = population.add(kind, s, t, direction * _ACROSS)
            t += half + rng.uniform(3, 22)
