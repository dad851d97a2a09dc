"""The shapes of people and two-wheelers: limbs around joints, and wheels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Floats

ROLES = (
    "skin", "hair", "top", "legs", "shoes", "bag", "helmet", "frame", "rubber", "steel", "lamp", "rear lamp", "basket",
)  # fmt: skip
"""What limbs are made of; a figure has a colour for each."""

Point = tuple[float, float, float]
Ball = tuple[float, float, float, float]
"""x to the right, y up, z ahead, from where a figure stands, and a radius; metres."""


@dataclass(frozen=True, eq=False)
class Body:
    """The shape of a person, or of a two-wheeler with or without a rider.

    Args:
        labels: the classes of the things that it consists of, as positions in ``THINGS``.
        balls: ``(n, 4)``, limb by limb; a limb is the hull of its balls.
        lengths: ``(m,)``, how many balls each limb has.
        roles: ``(m,)``, what each is made of, positions in ``ROLES``.
        owners: ``(m,)``, the thing that each belongs to.
        fine: ``(m,)`` bool, those that are left out from afar.
        wheels: ``(k, 4)``, the axle and the radius of wheels that run ahead, of the first thing.
        tyre: the width of a tyre, metres.
    """

    labels: tuple[int, ...]
    balls: Floats
    lengths: NDArray[np.intp]
    roles: NDArray[np.intp]
    owners: NDArray[np.intp]
    fine: NDArray[np.bool_]
    wheels: Floats
    tyre: float

    @cached_property
    def height(self) -> float:
        """In metres."""
        return float((self.balls[:, 1] + self.balls[:, 3]).max())

    @cached_property
    def reach(self) -> float:
        """How far from where it stands it reaches to any side, metres."""
        parts = np.concatenate([np.abs(part[:, [0, 2]]) + part[:, 3:] for part in (self.balls, self.wheels)])
        return float(np.hypot(parts[:, 0], parts[:, 1]).max())


class BodyBuilder:
    """Collects limbs and wheels.

    Args:
        labels: as for ``Body``.
    """

    def __init__(self, *labels: int):
        self._labels = labels
        self._balls: list[Ball] = []
        self._limbs: list[tuple[int, int, int, bool]] = []
        self._wheels: list[Ball] = []
        self._tyre = 0.0

    def limb(self, *balls: Ball, role: str, owner: int = 0, fine: bool = False) -> None:
        """The hull of balls, such as an arm between two joints.

        Args:
            balls: one or more.
            role: what it is made of, one of ``ROLES``.
            owner: the thing it belongs to.
            fine: left out from afar.
        """
        self._balls += balls
        self._limbs.append((len(balls), ROLES.index(role), owner, fine))

    def wheel(self, axle: Point, radius: float, tyre: float) -> None:
        """A wheel, of the radius of the middle of its tyre."""
        self._wheels.append((*axle, radius))
        self._tyre = tyre

    def build(self) -> Body:
        """The body."""
        lengths, roles, owners, fine = np.array(self._limbs).T
        wheels = np.array(self._wheels).reshape(-1, 4)
        return Body(self._labels, np.array(self._balls), lengths, roles, owners, fine.astype(bool), wheels, self._tyre)
