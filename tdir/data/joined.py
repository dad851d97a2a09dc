"""Several data sets as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from tdir.data.images import Depth, Pixels
from tdir.data.sample import ImageSet
from tdir.errors import ConfigError
from tdir.registry import DATASETS
from tdir.structures import Prediction


@DATASETS.register_module("joined")
class Joined(ImageSet):
    """The images of several sets, one set after the other, such as VOC 2007 and 2012.

    Args:
        sets: ``{"type": layout, ...}`` of each, as ``DATASETS.build`` takes it.

    Raises:
        ConfigError: if there is no set, they differ in their classes, or two images have one name.
    """

    def __init__(self, sets: Sequence[Mapping[str, Any]]):
        if not sets:
            raise ConfigError("joined: sets is a list of data sets, got none")
        self.sets: list[ImageSet] = [DATASETS.build(one) for one in sets]
        self.classes, self.task = self.sets[0].classes, self.sets[0].task
        for one in self.sets[1:]:
            if one.classes != self.classes:
                differ = f"the sets differ in their classes, {self.classes} and {one.classes}"
                raise ConfigError(f"joined: {differ}: give each classes=[...]")
            if one.task != self.task:
                raise ConfigError(
                    f"joined: a set is for {self.task} and another for {one.task}: join sets for one task"
                )
        self.paths = [path for one in self.sets for path in one.paths]
        self.names = [name for one in self.sets for name in one.names]
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ConfigError(f"joined: two images are named {twice!r}, and draws and caches go by the name")
        self._ends = list(accumulate(map(len, self.sets)))

    def _place(self, index: int) -> tuple[ImageSet, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"no image {index} in a set of {len(self)}")
        which = bisect_right(self._ends, index)
        return self.sets[which], index - (self._ends[which - 1] if which else 0)

    def group(self, index: int) -> str | None:
        """What image ``index`` is also scored with apart, as in its own set."""
        data_set, own = self._place(index)
        return data_set.group(own)

    def truth(self, index: int) -> Prediction | None:
        """The truth of image ``index``, as in its own set."""
        data_set, own = self._place(index)
        return data_set.truth(own)

    def image(self, index: int) -> Pixels:
        """The pixels of image ``index``, as in its own set."""
        data_set, own = self._place(index)
        return data_set.image(own)

    def depth(self, index: int) -> Depth | None:
        """The depth of image ``index``, as in its own set."""
        data_set, own = self._place(index)
        return data_set.depth(own)

    def fingerprint(self, index: int) -> tuple[int | str, ...]:
        """What tells image ``index`` from another of the same name, as in its own set."""
        data_set, own = self._place(index)
        return data_set.fingerprint(own)

    def image_size(self, index: int) -> tuple[int, int]:
        """``(height, width)`` of image ``index``, as in its own set."""
        data_set, own = self._place(index)
        return data_set.image_size(own)
