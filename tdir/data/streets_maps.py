"""The built-in scenes with a label for every pixel."""

from __future__ import annotations

import torch

from tdir.data.streets import SEMANTIC_CLASSES, Streets
from tdir.registry import DATASETS
from tdir.structures import SemanticMap


@DATASETS.register_module("streets_maps")
class StreetsMaps(Streets):
    """The scenes of ``Streets``, whose truth is what every pixel shows; street furniture has no label.

    Args:
        split: "train", "val" or "test", which share no scene.
        count: how many scenes; fewer are the first ones of more.
        seed: not negative; another seed draws other scenes.
        size: (height, width) of the images.

    Raises:
        ConfigError: if a setting is none of these.
    """

    task = "segmentation"

    def __init__(self, split: str = "train", count: int = 1000, seed: int = 0, size: tuple[int, int] = (192, 320)):
        super().__init__(split, count, seed, size)
        self.classes = list(SEMANTIC_CLASSES)

    def truth(self, index: int) -> SemanticMap:  # type: ignore[override]  # the scenes are the same, the question is not
        """The labels of scene ``index``, which is drawn for them."""
        return SemanticMap(torch.from_numpy(self.semantic(index)))
