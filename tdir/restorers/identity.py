"""No restoration: the row of every comparison that shows what the other restorers add."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer, refuse_weights


@RESTORERS.register_module(name="identity")
class Identity(Restorer):
    """Gives the images back as they are.

    Raises:
        ConfigError: if weights are given; it has none.
    """

    title = "identity"

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        refuse_weights("identity", weights)
        self.freeze()

    def restore(self, images: Tensor) -> Tensor:
        """The same ``(N, 3, H, W)`` images."""
        return images
