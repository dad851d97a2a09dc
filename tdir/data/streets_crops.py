"""Objects of the built-in scenes, one to an image."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from tdir.data._streets.kinds import THINGS
from tdir.data.images import Depth, Pixels
from tdir.data.streets import Streets
from tdir.ranges import Range
from tdir.registry import DATASETS
from tdir.structures import ClassScores, Detections

STREET = "street"
"""The class of an image without an object."""
_LEAST = 24  # pixels of the longer side of an object
_MARGIN = 1.3  # of a crop around an object
_ROOM = 64 * 2**20  # bytes


@DATASETS.register_module("streets_crops")
class StreetsCrops(Streets):
    """Image ``i`` shows one object of scene ``i``, or a place without one; its truth is what that is.

    Which object is left to chance, the rarer classes first. A crop is a square around it, a third larger. A scene takes
    long to be drawn for so little, and most that look at a set look at it several times: up to 64 MB of crops are kept.

    Args:
        split: "train", "val" or "test", which share no scene.
        count: how many images; fewer are the first ones of more.
        seed: not negative; another seed draws other scenes.
        side: of the images, pixels.

    Raises:
        ConfigError: if a setting is none of these.
    """

    task = "classification"

    def __init__(self, split: str = "train", count: int = 1000, seed: int = 0, side: int = 64):
        super().__init__(split, count, seed, (288, 480))
        Range(16, whole=True).check("side", side)
        self.side = side
        self.classes = [*THINGS, STREET]
        self._known: dict[int, tuple[int, tuple[int, int, int, int]]] = {}
        self._kept: dict[int, Pixels] = {}

    def truth(self, index: int) -> ClassScores:  # type: ignore[override]  # the scenes are the same, the question is not
        """What image ``index`` shows."""
        return ClassScores.of(self._chosen(index)[0], len(self.classes))

    def image(self, index: int) -> Pixels:
        """The square around what image ``index`` shows."""
        if index in self._kept:
            return self._kept[index].copy()
        scene = super().image(index)
        left, top, right, bottom = self._chosen(index)[1]
        crop: Pixels = np.asarray(
            cv2.resize(scene[top:bottom, left:right], (self.side, self.side), interpolation=cv2.INTER_AREA)
        )
        if (len(self._kept) + 1) * crop.nbytes <= _ROOM:
            self._kept[index] = crop.copy()
        return crop

    def depth(self, index: int) -> Depth:
        """The depth of what image ``index`` shows."""
        left, top, right, bottom = self._chosen(index)[1]
        square = super().depth(index)[top:bottom, left:right]
        return np.asarray(cv2.resize(square, (self.side, self.side), interpolation=cv2.INTER_NEAREST_EXACT))

    def image_size(self, index: int) -> tuple[int, int]:
        """The same for every image."""
        return self.side, self.side

    def fingerprint(self, index: int) -> tuple[int | str, ...]:
        """What the pixels depend on besides the name."""
        return *super().fingerprint(index), self.side

    def _chosen(self, index: int) -> tuple[int, tuple[int, int, int, int]]:
        """The class of image ``index``, and the square of its scene; the scene is drawn for them once."""
        if index not in self._known:
            self._known[index] = self._choose(index)
        return self._known[index]

    def _choose(self, index: int) -> tuple[int, tuple[int, int, int, int]]:
        objects = Streets.truth(self, index)
        rng = np.random.default_rng([self.seed, 1, index])
        wanted = int(rng.integers(len(self.classes)))
        sides = (objects.boxes[:, 2:] - objects.boxes[:, :2]).amax(1)
        clear = objects[(sides >= _LEAST) & ~_difficult(objects)]
        fitting = clear[clear.labels == wanted]
        shown = fitting if len(fitting) else clear
        if len(shown) and wanted < len(THINGS):
            pick = int(rng.integers(len(shown)))
            return int(shown.labels[pick]), self._square(*shown.boxes[pick].tolist())
        return len(THINGS), self._empty(objects, rng)

    def _square(self, left: float, top: float, right: float, bottom: float) -> tuple[int, int, int, int]:
        height, width = self.size
        side = min(height, width, max(_LEAST, round(_MARGIN * max(right - left, bottom - top))))
        x = int(min(max(0, round((left + right - side) / 2)), width - side))
        y = int(min(max(0, round((top + bottom - side) / 2)), height - side))
        return x, y, x + side, y + side

    def _empty(self, objects: Detections, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """The square, of some that are drawn, that the least of any object is in."""
        drawn = []
        for _ in range(20):
            side = int(rng.integers(40, 120))
            x, y = int(rng.integers(self.size[1] - side)), int(rng.integers(self.size[0] // 4, self.size[0] - side))
            drawn.append((_covered(objects, (x, y, x + side, y + side)), (x, y, x + side, y + side)))
        return min(drawn)[1]


def _difficult(objects: Detections) -> Tensor:
    assert objects.difficult is not None
    return objects.difficult


def _covered(objects: Detections, square: tuple[int, int, int, int]) -> float:
    """The share of a square that lies in boxes, counted for each box."""
    inside = objects.clipped((square[3], square[2])).boxes
    if not len(inside):
        return 0.0
    low = inside[:, :2].maximum(inside.new_tensor(square[:2]))
    sides = (inside[:, 2:] - low).clamp(min=0)
    return float(sides.prod(1).sum()) / (square[2] - square[0]) ** 2
