"""People and two-wheelers: round limbs around joints, and wheels, painted from far to near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from tdir.data._streets.bodies import ROLES, Body
from tdir.data._streets.camera import Floats
from tdir.data._streets.canvas import Canvas, Level, Thing, levels
from tdir.data._streets.kinds import PERSON
from tdir.data._streets.light import Light
from tdir.data._streets.outlines import NEAR, SHIFT, fixed
from tdir.data._streets.stage import Painter

_ARC = np.linspace(-1, 1, 6)
_RING = np.linspace(0, 2 * np.pi, 20, endpoint=False)
_ROUND = np.stack([np.cos(_RING[::2]), np.sin(_RING[::2])], axis=1)
_SMALL = 36  # pixels: a figure that is seen smaller is painted in one tone and without its finer parts
_NARROW = 0.7  # the width of the brighter part of a limb


@dataclass(frozen=True)
class Figure:
    """A body in a scene.

    Args:
        body: its shape.
        colours: albedo ``(len(ROLES), 3)``, linear RGB.
        place: ``(3,)``, where it stands.
        heading: its direction, radians from the z axis to the right.
        lit: the share of the sun that arrives.
    """

    body: Body
    colours: Floats
    place: Floats
    heading: float
    lit: float


@dataclass
class _Jobs:
    """What paints one figure: outlines, and rings with a width, each with its depth."""

    things: list[Thing]
    depths: list[float] = field(default_factory=list)
    tasks: list[tuple[NDArray[np.int32], Level, float]] = field(default_factory=list)


def figure_painters(canvas: Canvas, light: Light, figures: Sequence[Figure]) -> list[Painter | None]:
    """What paints each figure; ``None`` for one out of sight."""
    painters: list[Painter | None] = [None] * len(figures)
    boxes = _boxes(canvas, figures)
    inside = [(k, box, share) for k, (box, share) in enumerate(zip(*canvas.inside(*boxes.transpose(1, 0, 2))))]
    found = [(k, box, share) for k, box, share in inside if box is not None]
    shown = [k for k, _, _ in found]
    if not shown:
        return painters
    chosen = [figures[k] for k in shown]
    jobs = _register(canvas, chosen, [(box, share) for _, box, share in found])
    large = boxes[shown, 1, 1] - boxes[shown, 0, 1] > _SMALL
    tones = _tones(canvas, light, np.array([one.lit for one in chosen]))
    _add_limbs(canvas, light, chosen, jobs, tones, large)
    _add_wheels(canvas, chosen, jobs, 0.5 * (tones[0] + tones[1]))
    for k, job in zip(shown, jobs):
        painters[k] = partial(_paint, canvas, job)
    return painters


def _paint(canvas: Canvas, jobs: _Jobs) -> None:
    for i in np.argsort(-np.array(jobs.depths), kind="stable").tolist():
        outline, pixel, width = jobs.tasks[i]
        if width:
            canvas.lines([outline], width, pixel, closed=True)
        else:
            cv2.fillConvexPoly(canvas.pixels, outline, pixel, shift=SHIFT)
    canvas.count(jobs.things)


def _boxes(canvas: Canvas, figures: Sequence[Figure]) -> Floats:
    """The pixels ``(n, 2, 2)`` around each figure: top left and bottom right; off the canvas for one too near."""
    places, bodies = np.array([one.place for one in figures]), [one.body for one in figures]
    heights, reach = np.array([(body.height, body.reach) for body in bodies]).T
    feet, depths = canvas.camera.project(places)
    heads, _ = canvas.camera.project(places + heights[:, None] * np.array([0, 1, 0]))
    near = np.maximum(depths - reach, NEAR)
    wide = reach * canvas.camera.focal / near
    boxes = np.stack([heads, feet], axis=1)
    boxes[:, 0, 0], boxes[:, 1, 0] = feet[:, 0] - wide, feet[:, 0] + wide
    # What is nearer than the middle reaches lower down.
    boxes[:, 1, 1] += (feet[:, 1] - canvas.camera.horizon).clip(0) * (depths / near - 1) + 2
    boxes[depths - reach < NEAR] = -1
    return boxes


def _register(
    canvas: Canvas, figures: Sequence[Figure], boxes: Sequence[tuple[tuple[slice, slice], float]]
) -> list[_Jobs]:
    """The things of each figure, one surface for each."""
    _, depths = canvas.camera.project(np.array([one.place for one in figures]))
    labels = np.array([label for one in figures for label in one.body.labels])
    surface = canvas.upright(np.repeat(depths, [len(one.body.labels) for one in figures]), PERSON + labels)
    jobs = []
    for one, (box, share) in zip(figures, boxes):
        own = [Thing(label, surface + k, surface + k, box, share) for k, label in enumerate(one.body.labels)]
        canvas.things += own
        jobs.append(_Jobs(own))
        surface += len(own)
    return jobs


def _tones(canvas: Canvas, light: Light, lit: Floats) -> tuple[Floats, Floats]:
    """The light ``(n, 3)`` on the darker and on the brighter side of limbs."""
    right, _, ahead = canvas.camera.turn
    right = right * _bright_side(canvas, light)
    normals = np.stack([-0.5 * ahead - 0.85 * right, -0.65 * ahead + 0.6 * right + [0, 0.45, 0]])
    normals /= np.sqrt((normals**2).sum(1, keepdims=True))
    sunny, shaded = light.arriving(normals), light.arriving(normals, lit=0)
    dark, bright = (dim + lit[:, None] * (full - dim) for full, dim in zip(sunny, shaded))
    return dark, bright


def _bright_side(canvas: Canvas, light: Light) -> float:
    """1 if the sun is on the right, else -1."""
    return 1.0 if canvas.camera.turn[0] @ light.sun > 0 else -1.0


@dataclass
class _Limbs:
    """Limbs on a canvas, without those that are too fine for the size of their figures."""

    pixels: Floats  # of each ball, limb by limb
    radii: Floats
    depths: Floats  # of each limb
    lengths: NDArray[np.intp]  # how many balls each limb has
    whose: NDArray[np.intp]  # the figure of each
    albedo: Floats
    surfaces: NDArray[np.intp]


def _seen_limbs(canvas: Canvas, figures: Sequence[Figure], jobs: list[_Jobs], large: NDArray[np.bool_]) -> _Limbs:
    bodies = [one.body for one in figures]
    whose = np.repeat(np.arange(len(bodies)), [len(body.lengths) for body in bodies])
    lengths = np.concatenate([body.lengths for body in bodies])
    kept = ~np.concatenate([body.fine for body in bodies]) | large[whose]
    balls = np.concatenate([body.balls for body in bodies])
    world, chosen = _in_world(balls, figures, [len(body.balls) for body in bodies]), np.repeat(kept, lengths)
    pixels, depths = canvas.camera.project(world[chosen])
    whose, lengths = whose[kept], lengths[kept]
    last = np.cumsum(lengths) - 1
    return _Limbs(
        pixels=pixels,
        radii=balls[chosen, 3] * canvas.camera.focal / depths,
        depths=0.5 * (depths[last - lengths + 1] + depths[last]),
        lengths=lengths,
        whose=whose,
        albedo=np.concatenate([one.colours[one.body.roles] for one in figures])[kept],
        surfaces=np.array([job.things[0].first for job in jobs])[whose]
        + np.concatenate([b.owners for b in bodies])[kept],
    )


def _add_limbs(
    canvas: Canvas,
    light: Light,
    figures: Sequence[Figure],
    jobs: list[_Jobs],
    tones: tuple[Floats, Floats],
    large: NDArray[np.bool_],
) -> None:
    """Each limb as a dark outline and, on large figures, a narrower bright one that is shifted to the light."""
    limbs = _seen_limbs(canvas, figures, jobs, large)
    base = np.where(large[:, None], tones[0], 0.5 * (tones[0] + tones[1]))[limbs.whose]
    outlines = _outlines(limbs.pixels, limbs.radii, limbs.lengths)
    sides = [list(zip(outlines, levels(limbs.albedo * base, limbs.surfaces)))]
    lit = large[limbs.whose]
    if lit.any():
        balls, bright = np.repeat(lit, limbs.lengths), tones[1][limbs.whose[lit]]
        shift = limbs.radii[balls, None] * np.array([0.3 * _bright_side(canvas, light), -0.12])
        outlines = _outlines(limbs.pixels[balls] + shift, _NARROW * limbs.radii[balls], limbs.lengths[lit])
        sides.append(list(zip(outlines, levels(limbs.albedo[lit] * bright, limbs.surfaces[lit]))))
    nth = (np.cumsum(lit) - 1).tolist()
    for i, (k, depth, both) in enumerate(zip(limbs.whose.tolist(), limbs.depths.tolist(), lit.tolist())):
        for outline, pixel in (sides[0][i], sides[1][nth[i]]) if both else (sides[0][i],):
            jobs[k].depths.append(depth)
            jobs[k].tasks.append((outline, pixel, 0.0))


def _in_world(local: Floats, figures: Sequence[Figure], counts: list[int]) -> Floats:
    """Points of several figures, ``counts`` of each, in the world."""
    headings = np.repeat([one.heading for one in figures], counts)
    cos, sin = np.cos(headings), np.sin(headings)
    world = np.repeat(np.array([one.place for one in figures]), counts, axis=0)
    world[:, 0] += local[:, 0] * cos + local[:, 2] * sin
    world[:, 1] += local[:, 1]
    world[:, 2] += local[:, 2] * cos - local[:, 0] * sin
    return world


def _outlines(pixels: Floats, radii: Floats, lengths: NDArray[np.integer]) -> list[NDArray[np.int32]]:
    """The convex outlines of limbs of several balls each."""
    last = np.cumsum(lengths) - 1
    first = last - lengths + 1
    outlines = list(_capsules(pixels[first], pixels[last], radii[first], radii[last]))
    for i in np.flatnonzero(lengths > 2).tolist():
        part = slice(first[i], last[i] + 1)
        around = fixed(pixels[part, None] + radii[part, None, None] * _ROUND)
        outlines[i] = np.asarray(cv2.convexHull(around.reshape(-1, 2)), dtype=np.int32)
    return outlines


def _capsules(a: Floats, b: Floats, p: Floats, q: Floats) -> NDArray[np.int32]:
    """The outlines ``(n, 12, 2)`` of circles around ``a`` and ``b`` with radii ``p`` and ``q``, and their tangents."""
    along = b - a
    angle = np.arctan2(along[:, 1], along[:, 0])[:, None]
    # The common tangents touch both circles at this angle from the line between their middles.
    touch = np.arccos(np.clip((p - q) / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6), -1, 1))[:, None]
    angles = np.concatenate([angle + np.pi + (np.pi - touch) * _ARC, angle + touch * _ARC], axis=1)
    count = len(_ARC)
    outlines = np.empty((len(a), 2 * count, 2))
    for part, middle, radius in ((slice(0, count), a, p), (slice(count, None), b, q)):
        outlines[:, part, 0] = middle[:, :1] + radius[:, None] * np.cos(angles[:, part])
        outlines[:, part, 1] = middle[:, 1:] + radius[:, None] * np.sin(angles[:, part])
    return fixed(outlines)


def _add_wheels(canvas: Canvas, figures: Sequence[Figure], jobs: list[_Jobs], tone: Floats) -> None:
    """Each wheel as a ring; nothing is seen of thin spokes."""
    counts = [len(one.body.wheels) for one in figures]
    if not sum(counts):
        return
    wheels = np.concatenate([one.body.wheels for one in figures])
    rings = np.repeat(wheels[:, None, :3], len(_RING), axis=1)
    rings[:, :, 1] += wheels[:, 3:] * np.sin(_RING)
    rings[:, :, 2] += wheels[:, 3:] * np.cos(_RING)
    corners = [count * len(_RING) for count in counts]
    pixels, depths = canvas.camera.project(_in_world(rings.reshape(-1, 3), figures, corners))
    drawn, middle = fixed(pixels).reshape(-1, len(_RING), 2), depths.reshape(-1, len(_RING)).mean(1)
    whose = np.repeat(np.arange(len(figures)), counts)
    rubber = np.array([one.colours[ROLES.index("rubber")] for one in figures]) * tone
    painted = levels(rubber[whose], np.array([job.things[0].first for job in jobs])[whose])
    tyres = canvas.camera.focal * np.array([one.body.tyre for one in figures])[whose] / middle
    for i, k in enumerate(whose.tolist()):
        jobs[k].depths.append(float(middle[i]))
        jobs[k].tasks.append((drawn[i], painted[i], max(float(tyres[i]), 1.0)))
