"""A restorer of the user's own: a TorchScript file or any ``nn.Module``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from tdir import weights as weight_files
from tdir.errors import ConfigError, ShapeError, WeightsError
from tdir.padding import to_multiple
from tdir.ranges import COUNT
from tdir.registry import RESTORERS
from tdir.restorers.base import Restorer


@RESTORERS.register_module(name="module")
class Module(Restorer):
    """Runs the program that it is given on images as they are: ``(N, 3, H, W)`` RGB in [0, 1] to the same shape.

    It is code, and so it is opened only where the user names it. A bundle never holds it: it refers to it, and
    ``tdir.load(bundle, restorer=...)`` takes it again.

    Args:
        weights: a TorchScript file, as ``torch.jit.save`` writes it. Only name one that you trust.
        module: or an ``nn.Module``; it is frozen in place.
        multiple: of which the program takes height and width; images are padded by reflection and cropped again.

    Raises:
        ConfigError: if neither or both are given, or a setting is not what it should be.
        WeightsError: if the file is missing or is no TorchScript.
    """

    title = "a restorer of your own"
    is_code = True

    def __init__(self, weights: str | Path | None = None, module: nn.Module | None = None, multiple: int = 1) -> None:
        super().__init__()
        if (weights is None) == (module is None):
            given = "neither" if weights is None else "both"
            raise ConfigError(f"restorer 'module' takes weights='net.ts', a TorchScript file, or module=, got {given}")
        COUNT.check("multiple", multiple)
        self.multiple = multiple
        if weights is not None:
            path = weight_files.find(weights)
            self.module = _open(path)
            self.weights_name, self.weights_sha256 = str(weights), weight_files.sha256(path)
        elif isinstance(module, nn.Module):
            self.module = module
        else:
            raise ConfigError(f"module= takes an nn.Module, got {module!r}: a TorchScript file is weights='net.ts'")
        self.freeze()

    def restore(self, images: Tensor) -> Tensor:
        """What the program makes of ``(N, 3, H, W)`` images in [0, 1], same shape.

        Raises:
            ShapeError: if that is anything else than images of this shape.
        """
        height, width = images.shape[-2:]
        taken = to_multiple(images, self.multiple)
        restored = self.module(taken)
        if not isinstance(restored, Tensor) or restored.shape != taken.shape:
            found = tuple(restored.shape) if isinstance(restored, Tensor) else f"a {type(restored).__name__}"
            raise ShapeError(
                f"restorer 'module' gave {found} for images {tuple(taken.shape)}: wrap it in an nn.Module that gives "
                "the restored images alone, or pass the multiple= that it takes"
            )
        return restored[..., :height, :width]


def _open(path: Path) -> nn.Module:
    try:
        return torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as error:  # torch's reader of archives: a damaged one, or another content
        raise WeightsError(
            f"{path} is not a TorchScript file ({str(error).splitlines()[0]}): write one with torch.jit.save, or pass "
            "module= an nn.Module"
        ) from error
