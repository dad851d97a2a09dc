"""The built-in scenes: streets as a car's camera sees them, drawn by a program, with boxes, classes and depth.

They need no download, and everything about them is known exactly: for a first try, for tests, and for haze that
follows the true depth. ``python benchmarks/scenes.py --pictures scenes.png`` shows some of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tdir.data._streets.kinds import SEMANTIC, THINGS
from tdir.data._streets.render import Picture, Seen, render
from tdir.data._streets.scene import draw_scene
from tdir.data.classes import canonical, label_positions
from tdir.data.images import Depth, Pixels
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.ranges import COUNT, NATURAL
from tdir.registry import DATASETS, closest
from tdir.structures import Detections

SPLITS = ("train", "val", "test")
SEMANTIC_CLASSES = SEMANTIC
"""The classes of the semantic maps, in the order of their values; 255 is street furniture that is none of them."""
VERSION = 2
"""Raised with every change after which a scene looks different, so that no cache outlives it."""

_LEAST_SIDE = 32
_KEPT = 8  # an image, its boxes and its depth are asked for one after the other
_LEAST_AREA = 48  # pixels
_LEAST_SHARE = 0.3


@DATASETS.register_module("streets")
class Streets(ImageSet):
    """Street scenes; scene ``i`` is a function of (seed, split, i) alone, and shows the same at any size.

    A box surrounds the visible pixels of an object. It is difficult if fewer than 48 pixels of it are seen, less than
    30 % of what of it lies within the image, or if less than 30 % of it lies within the image. A bicycle or a
    motorbike and its rider are two objects.

    Args:
        split: "train", "val" or "test", which share no scene.
        count: how many scenes; fewer are the first ones of more.
        seed: not negative; another seed draws other scenes.
        size: (height, width) of the images.
        classes: the classes of interest, in label order, usual other names count. Default: person, car, bus, bicycle,
            motorbike.

    Raises:
        ConfigError: if a setting is none of these, or two of ``classes`` mean the same.
    """

    def __init__(
        self,
        split: str = "train",
        count: int = 1000,
        seed: int = 0,
        size: tuple[int, int] = (192, 320),
        classes: Sequence[str] | None = None,
    ):
        if split not in SPLITS:
            raise ConfigError(f"no split {split!r} in the built-in scenes: {closest(split, SPLITS)}")
        COUNT.check("count", count)
        NATURAL.check("seed", seed)
        if len(size) != 2 or not all(isinstance(side, int) and side >= _LEAST_SIDE for side in size):
            raise ConfigError(f"size is (height, width) in whole pixels from {_LEAST_SIDE}, got {size!r}")
        self.split, self.seed, self.size = split, seed, (size[0], size[1])
        self.root = Path("streets")
        self.names = [f"{split}-{seed}-{index:06d}" for index in range(count)]
        self.paths = [self.root / name for name in self.names]
        self.classes = list(THINGS if classes is None else classes)
        self._labels = _labels(self.classes)

    def image(self, index: int) -> Pixels:
        """Scene ``index``."""
        return self._picture(index).image.copy()

    def truth(self, index: int) -> Detections:
        """The boxes of scene ``index``, which is drawn for them."""
        things = [(self._labels[t.label], t) for t in self._picture(index).things if t.label in self._labels]
        return Detections(
            torch.tensor([thing.box for _, thing in things], dtype=torch.float32).reshape(-1, 4),
            torch.tensor([label for label, _ in things], dtype=torch.long),
            difficult=torch.tensor([_is_difficult(thing) for _, thing in things], dtype=torch.bool),
        )

    def depth(self, index: int) -> Depth:
        """The depth of scene ``index``; the sky is 10 km away."""
        return self._picture(index).depth.copy()

    def semantic(self, index: int) -> NDArray[np.uint8]:
        """The class of every pixel of scene ``index``, ``(H, W)``: positions in ``SEMANTIC_CLASSES``, or 255."""
        return self._picture(index).semantic.copy()

    def instances(self, index: int) -> NDArray[np.uint8]:
        """What every pixel of scene ``index`` shows, ``(H, W)``: k for box k - 1 of all classes, 0 for no object."""
        return self._picture(index).instances.copy()

    def fingerprint(self, index: int) -> tuple[int | str, ...]:
        """What the pixels depend on besides the name."""
        # Neither NumPy's draws nor OpenCV's rounding are promised to stay as they are.
        return "streets", VERSION, np.__version__, cv2.__version__, *self.size

    def image_size(self, index: int) -> tuple[int, int]:
        """The height and width of every scene."""
        return self.size

    def _picture(self, index: int) -> Picture:
        if not 0 <= index < len(self):
            raise IndexError(f"no scene {index} in a set of {len(self)}")
        return _draw(self.seed, SPLITS.index(self.split), index, self.size)


@lru_cache(maxsize=_KEPT)
def _draw(seed: int, split: int, index: int, size: tuple[int, int]) -> Picture:
    return render(draw_scene(np.random.default_rng([seed, split, index])), size)


def _labels(classes: Sequence[str]) -> dict[int, int]:
    """Position in ``THINGS`` -> label, for the classes of interest."""
    known = {canonical(name): position for position, name in enumerate(THINGS)}
    for name in classes:
        if canonical(name) not in known:
            raise ConfigError(f"the built-in scenes have no class {name!r}: {closest(name, THINGS)}")
    return {known[name]: label for name, label in label_positions(classes).items()}


def _is_difficult(thing: Seen) -> bool:
    return thing.area < _LEAST_AREA or min(thing.shown, thing.within) < _LEAST_SHARE
