"""The plan of a street: its cross-section, its bend and its junction, in road coordinates.

Road coordinates: s ahead along the road from the camera, t to the right of the road's middle, metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from tdir.data._streets.camera import Floats, View
from tdir.data._streets.draws import weighted

BAYS = 4.0
"""Strips for parking that are wider, in metres, hold cars across the street."""
KERB = 0.12
"""The height of pavements above the road, metres."""
CROSSING = 3.0
"""The length of a zebra crossing along the road."""
START, END = 1.0, 150.0
"""Where the built world begins and ends along the road."""
_KINDS = {"rows": 0.5, "houses": 0.25, "blocks": 0.25}
_STRAIGHT = 6.0  # metres: the bend of a shorter strip cannot be seen
_SECTIONS = 12  # of a longer one


@dataclass(frozen=True)
class Side:
    """What lies beside the lanes on one side, widths in metres, from the middle of the road outwards.

    Args:
        lanes: how many.
        cycle: a cycle lane, 0 for none.
        parking: a strip for parked cars, 0 for none; see ``BAYS``.
        pavement: the pavement.
        verge: grass between the pavement and the buildings, or gardens.
        kind: what stands there: "rows", "houses", "park" or "blocks".
    """

    lanes: int
    cycle: float
    parking: float
    pavement: float
    verge: float
    kind: str


@dataclass(frozen=True)
class Road:
    """A street.

    Args:
        left: beside the oncoming lanes.
        right: beside the lanes that the camera drives in.
        lane: the width of a lane.
        bend: curvature, 1 / metres, positive to the right.
        junction: where a crossing street begins and ends, or ``None``.
        crossings: where zebra crossings begin, s, ``CROSSING`` long.
        camera: where the camera is, t.
        mirrored: traffic keeps to the left.
        view: height and direction of the camera.
    """

    left: Side
    right: Side
    lane: float
    bend: float
    junction: tuple[float, float] | None
    crossings: tuple[float, ...]
    camera: float
    mirrored: bool
    view: View

    def side(self, sign: int) -> Side:
        """The right side for 1, the left one for -1."""
        return self.right if sign > 0 else self.left

    def edges(self, sign: int) -> tuple[float, float, float, float, float]:
        """Distances from the middle: end of lanes, of cycle lane, kerb, end of pavement, front of the buildings."""
        side = self.side(sign)
        steps = [side.lanes * self.lane, side.cycle, side.parking, side.pavement, side.verge]
        lanes, cycle, kerb, pavement, front = accumulate(steps)
        return lanes, cycle, kerb, pavement, front

    def place(self, s: Floats | float, t: Floats | float, y: Floats | float = 0.0) -> Floats:
        """Road coordinates, at a height -> world points ``(..., 3)``."""
        x = t - self.camera + 0.5 * self.bend * np.square(s)
        points = np.empty((*np.shape(x), 3))
        points[..., 0] = -x if self.mirrored else x
        points[..., 1] = y
        points[..., 2] = s
        return points

    def heading(self, s: Floats, turned: Floats) -> Floats:
        """The direction at ``s`` of what is turned to the right of the road, radians from the z axis to the right."""
        angle = np.arctan(self.bend * s) + turned
        return -angle if self.mirrored else angle

    def strip(self, t0: float, t1: float, s0: float, s1: float, y: float = 0.0) -> Floats:
        """The outline ``(n, 3)`` of a strip along the road."""
        return self.strips(np.array([[t0, t1, s0, s1]]), y)[0]

    def strips(self, bounds: Floats, y: float = 0.0) -> list[Floats]:
        """The outlines ``(m, 3)`` of strips along the road.

        Args:
            bounds: ``(n, 4)``, t from and to, s from and to.
            y: their height.
        """
        bounds = np.maximum(bounds, [-np.inf, -np.inf, START, START])
        # Perspective shows the bend near the camera as well as far away: sections grow with the distance.
        long = bounds[:, 3] - bounds[:, 2] > _STRAIGHT if self.bend else np.zeros(len(bounds), dtype=bool)
        outlines: list[Floats] = [np.empty(0)] * len(bounds)
        for chosen, count in ((np.flatnonzero(~long), 2), (np.flatnonzero(long), _SECTIONS)):
            t0, t1, s0, s1 = bounds[chosen].T[..., None]
            s = s0 * (s1 / s0) ** np.linspace(0, 1, count)
            points = self.place(
                np.concatenate([s, s[:, ::-1]], axis=1), np.repeat(np.concatenate([t0, t1], axis=1), count, axis=1), y
            )
            for i, outline in zip(chosen.tolist(), points):
                outlines[i] = outline
        return outlines

    def sees(self, s: float, t: float, margin: float) -> bool:
        """Whether what lies within a margin around a place may be in the image."""
        x = t - self.camera + 0.5 * self.bend * s * s
        return abs(x) - margin < (0.5 / self.view.focal + abs(self.view.yaw)) * (s + margin)

    def crossed(self, s: float, margin: float = 0.0) -> bool:
        """Whether ``s`` lies in the junction, or within a margin of it."""
        return self.junction is not None and self.junction[0] - margin < s < self.junction[1] + margin


def draw_road(rng: np.random.Generator) -> Road:
    """A street that a camera drives along."""
    kind = weighted(rng, _KINDS)
    lanes = 2 if kind != "houses" and rng.random() < 0.3 else 1
    left, right = (_draw_side(rng, kind, lanes) for _ in range(2))
    lane, junction = rng.uniform(2.9, 3.5), None
    if rng.random() < 0.45:
        start = rng.uniform(14, 55)
        junction = (start, start + rng.uniform(6.5, 11))
    places = [rng.uniform(9, 40)] if junction is None else [junction[0] - 4.6, junction[1] + 1.6]
    chance = 0.35 if junction is None else 0.75
    own_lane = lanes - 1 if rng.random() < 0.7 else 0
    return Road(
        left=left,
        right=right,
        lane=lane,
        bend=0.0 if rng.random() < 0.45 else rng.uniform(-0.0045, 0.0045),
        junction=junction,
        crossings=tuple(s for s in places if rng.random() < chance),
        camera=lane * (own_lane + 0.5) + rng.uniform(-0.3, 0.3),
        mirrored=bool(rng.random() < 0.25),
        view=_draw_view(rng),
    )


def _draw_side(rng: np.random.Generator, kind: str, lanes: int) -> Side:
    own = "park" if rng.random() < 0.12 else kind
    parked = rng.random() < (0.6 if lanes == 1 else 0.35)
    along, across = rng.uniform(2.0, 2.4), 4.9
    return Side(
        lanes=lanes,
        cycle=rng.uniform(1.4, 1.9) if rng.random() < 0.25 else 0.0,
        parking=(across if rng.random() < 0.2 else along) if parked else 0.0,
        pavement=rng.uniform(1.8, 3.0) if own == "houses" else rng.uniform(2.4, 5.0),
        verge={"rows": 0.0, "houses": rng.uniform(2.5, 6), "park": 6.0, "blocks": rng.uniform(1, 7)}[own],
        kind=own,
    )


def _draw_view(rng: np.random.Generator) -> View:
    """The camera of a car, or sometimes of a van."""
    return View(
        height=rng.uniform(1.15, 1.6) if rng.random() < 0.7 else rng.uniform(1.6, 2.4),
        focal=rng.uniform(0.82, 1.12),
        pitch=float(np.radians(rng.uniform(-1.5, 4.5))),
        yaw=float(np.radians(rng.uniform(-3, 3))),
    )
