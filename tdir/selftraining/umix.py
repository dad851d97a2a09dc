"""The mix of degraded and clean images (VaT eq. 7) and what uncertainty does to its weights.

With w the ``term_weight``, the second term of eq. 8 reads
``lam * w(U_LQ) * L(F(I_mix), Y_LQ) + (1 - lam) * w(U_HQ) * L(F(I_mix), Y_HQ)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tdir.errors import ConfigError, ShapeError
from tdir.ranges import NATURAL, NOT_NEGATIVE, POSITIVE
from tdir.registry import closest

Mode = Literal["none", "certain", "paper", "umix"]

_WEIGHTS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "none": lambda uncertainty, eta: torch.ones_like(uncertainty),
    "certain": lambda uncertainty, eta: 1 - uncertainty,
    "paper": lambda uncertainty, eta: uncertainty,
    "umix": lambda uncertainty, eta: 1 + eta * uncertainty,
}


def mixing_weights(seed: int, iteration: int, alpha: float, count: int) -> Tensor:
    """The share of the degraded image in every mix of a batch, lambda ~ Beta(alpha, alpha) in [0, 1] (VaT eq. 7).

    They depend on nothing but the arguments, so a resumed training draws what an unbroken one would have drawn. Every
    image draws its own: one draw for a whole batch makes steps that differ more than their images do.

    Returns:
        ``(count,)`` float32.

    Raises:
        ConfigError: if alpha is not a positive number, or the seed or the iteration is negative.
    """
    POSITIVE.check("alpha", alpha)
    NATURAL.check("seed", seed)
    NATURAL.check("iteration", iteration)
    draws = np.random.default_rng([seed, iteration]).beta(alpha, alpha, count)
    return torch.from_numpy(draws.astype(np.float32))


def mix(fused: Tensor, clean: Tensor, share: Tensor) -> Tensor:
    """``lambda * fused + (1 - lambda) * clean`` (VaT eq. 7).

    Args:
        fused: ``(N, 3, H, W)`` RGB in [0, 1], the fused degraded images.
        clean: the same shape, the clean images they are mixed with.
        share: ``(N,)``, lambda of every pair, in [0, 1].

    Raises:
        ShapeError: if the two differ in shape, or there is not one share per pair; nothing is broadcast.
        ConfigError: if a share lies outside [0, 1].
    """
    if fused.shape != clean.shape:
        raise ShapeError(
            f"mix takes one clean image per fused image, all of one size, got {tuple(fused.shape)} and "
            f"{tuple(clean.shape)}: pad both to one canvas first"
        )
    if share.shape != fused.shape[:1]:
        raise ShapeError(f"mix takes one share per pair, got {tuple(share.shape)} for {len(fused)} pairs")
    if not bool(((share >= 0) & (share <= 1)).all()):
        raise ConfigError(f"shares must lie in [0, 1], got {share.tolist()}")
    share = share.to(fused)[:, None, None, None]
    return share * fused + (1 - share) * clean


def term_weight(uncertainty: Tensor, mode: Mode = "none", eta: float = 1.0) -> Tensor:
    """The weight of each image's loss on the mix.

    Args:
        uncertainty: ``(N,)`` in [0, 1], the mean total risk of each image's pseudo-labels; 0 where there are none.
        mode: ``none``, 1; ``certain``, 1 - U, which trusts safe labels more; ``paper``, U, as VaT eq. 7 is printed;
            ``umix``, 1 + eta * U, which trains more on the uncertain, as UMix (NeurIPS 2022) does.
        eta: the strength of ``umix``, not negative; the other modes take no notice.

    Returns:
        ``(N,)`` weights.

    Raises:
        ConfigError: if the mode is unknown or ``eta`` is negative or not finite.
        ShapeError: if ``uncertainty`` is not ``(N,)`` in [0, 1].
    """
    if mode not in _WEIGHTS:
        raise ConfigError(f"unknown uncertainty weight {mode!r}: {closest(str(mode), _WEIGHTS)}")
    NOT_NEGATIVE.check("eta", eta)
    # Written so that NaN fails too: the mean risk of an image without predictions is NaN.
    if uncertainty.ndim != 1 or not bool(((uncertainty >= 0) & (uncertainty <= 1)).all()):
        raise ShapeError(
            f"uncertainty must be (N,) with values in [0, 1], got shape {tuple(uncertainty.shape)} and values "
            f"{uncertainty.flatten()[:8].tolist()}: give 0 for an image without pseudo-labels"
        )
    return _WEIGHTS[mode](uncertainty, eta)
