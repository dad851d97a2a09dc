"""A module that a training never changes."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound="Frozen")


class Frozen(nn.Module):
    """No parameter requires a gradient, and batch norm and dropout stay in eval even after ``.train()``."""

    def freeze(self) -> None:
        """Freeze what has been built so far; subclasses call it at the end of ``__init__``."""
        self.requires_grad_(False)
        self.train()

    def train(self: Module, mode: bool = True) -> Module:
        """Stay in eval mode whatever ``mode`` says."""
        return super().train(False)


def state_hash(module: nn.Module) -> str:
    """sha256 over the names and bytes of every parameter and buffer of a module."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
