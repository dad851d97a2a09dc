"""Painting meshes: all of a scene at once, in any place, direction and colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.camera import Camera, Floats
from tdir.data._streets.canvas import Canvas, Level, Thing, levels
from tdir.data._streets.kinds import PERSON
from tdir.data._streets.light import Light
from tdir.data._streets.mesh import Mesh, Paint
from tdir.data._streets.outlines import NEAR, fixed, pieces, starts_of
from tdir.data._streets.stage import Painter

_LEAST = 1.8  # pixels: a face that is seen smaller is left out


@dataclass(frozen=True)
class Placed:
    """A mesh in a scene.

    Args:
        mesh: the faces.
        paints: by the names of the mesh.
        place: ``(3,)``, where its ground is.
        heading: its direction, radians from the z axis to the right.
        label: its class, a position in ``THINGS``.
        lit: the share of the sun that arrives.
    """

    mesh: Mesh
    paints: Mapping[str, Paint]
    place: Floats
    heading: float
    label: int
    lit: float


@dataclass(frozen=True)
class _Faces:
    """The faces of all meshes that are turned to the camera, in the order of the meshes."""

    owner: NDArray[np.intp]  # of each face, its mesh
    starts: NDArray[np.intp]  # where the corners of each face begin
    corners: Floats  # in the world
    normals: Floats
    middles: Floats
    paints: Floats  # albedo, gloss, glow, and the share of the sun


def mesh_painters(canvas: Canvas, light: Light, placed: Sequence[Placed]) -> list[Painter | None]:
    """What paints the faces that are turned to the camera, for each mesh; ``None`` for one out of sight."""
    camera, faces = canvas.camera, _turned_to(canvas.camera, placed)
    painters: list[Painter | None] = [None] * len(placed)
    if not len(faces.owner):
        return painters
    pixels, depths = camera.project(faces.corners)
    nearest, farthest = np.minimum.reduceat(depths, faces.starts), np.maximum.reduceat(depths, faces.starts)
    labels = np.array([one.label for one in placed])[faces.owner]
    surface = canvas.surfaces(camera.planes(faces.normals, faces.middles), nearest, farthest, PERSON + labels)
    count = len(faces.owner)
    outlines = pieces(fixed(pixels), faces.starts, np.arange(count))
    painted = levels(_colours(camera, light, faces), surface + np.arange(count))
    shown, first = np.unique(faces.owner, return_index=True)
    bounds = faces.starts[first]
    boxes, shares = canvas.inside(np.minimum.reduceat(pixels, bounds), np.maximum.reduceat(pixels, bounds))
    ahead = np.minimum.reduceat(nearest, first) > NEAR
    ends = [*first[1:].tolist(), count]
    for k, a, b, box, share, ok in zip(shown.tolist(), first.tolist(), ends, boxes, shares, ahead.tolist()):
        if box is not None and ok:
            thing = Thing(placed[k].label, surface + a, surface + b - 1, box, share)
            canvas.things.append(thing)
            painters[k] = partial(_paint, canvas, thing, outlines[a:b], painted[a:b])
    return painters


def _paint(canvas: Canvas, thing: Thing, outlines: list[NDArray[np.int32]], painted: list[Level]) -> None:
    canvas.fill(outlines, painted)
    canvas.count([thing])


def _turned_to(camera: Camera, placed: Sequence[Placed]) -> _Faces:
    meshes = [one.mesh for one in placed]
    cos, sin = (f(np.array([one.heading for one in placed])) for f in (np.cos, np.sin))
    owner = np.repeat(np.arange(len(meshes)), [len(mesh.starts) for mesh in meshes])
    # Where each mesh sees the camera: few faces are turned to it, and only those are taken to the world.
    viewer = _rotated(camera.position - np.array([one.place for one in placed]), cos, -sin)[owner]
    middles, normals = np.concatenate([m.middles for m in meshes]), np.concatenate([m.normals for m in meshes])
    view = viewer - middles
    distance, towards = np.sqrt((view * view).sum(1)), (view * normals).sum(1)
    large = np.concatenate([mesh.sizes for mesh in meshes]) * camera.focal > _LEAST * distance
    which = np.flatnonzero((towards > 0.01 * distance) & large)
    shifts = starts_of([mesh.points for mesh in meshes])
    begins = np.concatenate([mesh.starts + shift for mesh, shift in zip(meshes, shifts)])[which]
    lengths = np.concatenate([mesh.lengths for mesh in meshes])[which]
    starts = np.cumsum(lengths) - lengths
    corners = np.arange(lengths.sum()) + np.repeat(begins - starts, lengths)
    owner = owner[which]
    whose, places = np.repeat(owner, lengths), np.array([one.place for one in placed])
    points = np.concatenate([mesh.points for mesh in meshes])[corners]
    return _Faces(
        owner=owner,
        starts=starts,
        corners=_rotated(points, cos[whose], sin[whose]) + places[whose],
        normals=_rotated(normals[which], cos[owner], sin[owner]),
        middles=_rotated(middles[which], cos[owner], sin[owner]) + places[owner],
        paints=_paints(placed)[which],
    )


def _rotated(points: Floats, cos: Floats, sin: Floats) -> Floats:
    """Points ``(n, 3)``, each turned to the right by an angle of its own."""
    turned = np.empty_like(points)
    turned[:, 0] = points[:, 0] * cos + points[:, 2] * sin
    turned[:, 1] = points[:, 1]
    turned[:, 2] = points[:, 2] * cos - points[:, 0] * sin
    return turned


def _paints(placed: Sequence[Placed]) -> Floats:
    """Albedo, gloss, glow and the share of the sun ``(n, 8)`` of every face of every mesh."""
    return np.concatenate(
        [np.array([(*one.paints[name], one.lit) for name in one.mesh.names])[one.mesh.paints] for one in placed]
    )


def _colours(camera: Camera, light: Light, faces: _Faces) -> Floats:
    albedo, gloss, glow, lit = np.split(faces.paints, [3, 4, 7], axis=1)
    view = camera.position - faces.middles
    view /= np.sqrt((view * view).sum(1, keepdims=True))
    # Gloss grows towards grazing angles (Schlick's approximation).
    slant = 1 - np.clip((view * faces.normals).sum(1, keepdims=True), 0, 1)
    mirror = np.where(gloss > 0, gloss + (1 - gloss) * 0.6 * slant**5, 0)
    sent = (1 - mirror) * albedo * light.arriving(faces.normals, lit)
    return sent + mirror * light.mirrored(faces.normals, view, lit) + glow
