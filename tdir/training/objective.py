"""The objective of Algorithm 1: cycle consistency (VaT eq. 6) and the head's loss on clean and mixed images (eq. 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tdir.data.images import PAD_VALUE
from tdir.errors import ConfigError
from tdir.heads.base import Background, Head
from tdir.ranges import COUNT, NOT_NEGATIVE, POSITIVE, SHARE
from tdir.selftraining.umix import Mode, mix, mixing_weights, term_weight
from tdir.structures import Prediction
from tdir.training.batches import Batch
from tdir.translators.base import Translator

LambdaPer = Literal["pair", "step"]


@dataclass
class ObjectiveSettings:
    """Every term of Algorithm 1 as a setting.

    Args:
        cycle: weight of the cycle loss (eq. 6), 1 in the paper; 0 trains without T_B, which costs less and finds more
            in haze (benchmarks/README.md).
        cycle_side: the cycle is closed on copies with this longest side, pixels; ``None`` for the full size.
        clean_task: weight of the head's loss on translated clean images (eq. 8, first term).
        identity: weight of |I_HQ - T_A(I_HQ)|, which keeps clean images what they are; the gate, where they go through
            it, is held to that as well. Not in VaT: the identity loss of CycleGAN (Zhu et al., ICCV 2017, section 5.2).
        degraded_task: w_LQ, weight of the degraded labels on the mix (eq. 8, second term).
        mixed_clean_task: w_HQ, weight of the clean labels on the mix.
        alpha: lambda ~ Beta(alpha, alpha); 1 is uniform. ``None`` switches the mix off: lambda is 1.
        lambda_per: whether every "pair" of a batch draws its own lambda or, as in the paper, one serves the "step".
        mix_power: the terms on the mix weigh lambda and 1 - lambda to this power: 1 is the paper's, 0 weighs all alike.
        uncertainty: what an image's U does to its term on the mix: none, certain, paper or umix.
        eta: the strength of umix.
        background: what carries the loss of "nothing here" on the mix.
        clean_through_gate: the share of steps in which clean images reach T_A through the gate, with R(I_HQ) beside
            them, as they will when deployed.
    """

    cycle: float = 0.0
    cycle_side: int | None = None
    clean_task: float = 1.0
    identity: float = 0.0
    degraded_task: float = 1.0
    mixed_clean_task: float = 1.0
    alpha: float | None = 1.0
    lambda_per: LambdaPer = "pair"
    mix_power: float = 0.0
    uncertainty: Mode = "none"
    eta: float = 1.0
    background: Background = "ignore_unclaimed"
    clean_through_gate: float = 0.5

    def __post_init__(self) -> None:
        for name, kind in (("background", Background), ("uncertainty", Mode), ("lambda_per", LambdaPer)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigError(f"objective.{name}: {getattr(self, name)!r} is none of {', '.join(get_args(kind))}")
        for name in ("cycle", "clean_task", "identity", "degraded_task", "mixed_clean_task", "mix_power", "eta"):
            NOT_NEGATIVE.check(f"objective.{name}", getattr(self, name))
        SHARE.check("objective.clean_through_gate", self.clean_through_gate)
        for name, allowed in (("alpha", POSITIVE), ("cycle_side", COUNT)):
            if getattr(self, name) is not None:
                allowed.check(f"objective.{name}", getattr(self, name))


@dataclass
class Losses:
    """The total to minimise and its terms, unweighted, for the log."""

    total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)


class VaTObjective(nn.Module):
    """Translator and T_B with the losses that train them; the frozen head is used, not owned.

    Args:
        translator: gate and T_A.
        head: the frozen head.
        settings: the weights of the terms.
        seed: of lambda and of the clean images' way.
    """

    def __init__(self, translator: Translator, head: Head, settings: ObjectiveSettings, seed: int):
        super().__init__()
        self.translator = translator
        self.inverse = translator.inverse() if settings.cycle else None
        self.settings, self.seed = settings, seed
        self._frozen = (head,)  # in a tuple, so that checkpoints, EMA and DDP do not see the head's weights

    @property
    def head(self) -> Head:
        """The frozen head."""
        return self._frozen[0]

    def forward(self, batch: Batch, step: int) -> Losses:
        """The losses of one step; differentiable with respect to gate, T_A and T_B only."""
        fused = self.translator.fuse(batch.degraded, batch.restored)
        terms = self._cycle_terms(fused, batch) if self.inverse is not None else {}
        terms |= self._task_terms(fused, batch, step)
        weights = self.settings
        total = (
            weights.cycle * (terms.get("cycle_degraded", 0) + terms.get("cycle_clean", 0))
            + weights.clean_task * terms["clean"]
            + weights.identity * terms.get("identity", 0)
            + weights.degraded_task * terms["mix_degraded"]
            + weights.mixed_clean_task * terms["mix_clean"]
        )
        return Losses(total, {name: value.detach() for name, value in terms.items()})

    def _cycle_terms(self, fused: Tensor, batch: Batch) -> dict[str, Tensor]:
        """|I_F - T_B(T_A(I_F))| and |I_HQ - T_A(T_B(I_HQ))|, means over pixels of the images (eq. 6)."""
        assert self.inverse is not None
        side = self.settings.cycle_side
        low, low_mask = _reduced(fused, side), _reduced(batch.degraded_mask, side)
        high, high_mask = _reduced(batch.clean, side), _reduced(batch.clean_mask, side)
        back = self.inverse(self.translator.translate(low))
        forth = self.translator.translate(self.inverse(high))
        return {
            "cycle_degraded": _masked_l1(low, back, low_mask),
            "cycle_clean": _masked_l1(high, forth, high_mask),
        }

    def _task_terms(self, fused: Tensor, batch: Batch, step: int) -> dict[str, Tensor]:
        """The head's loss on T_A(I_HQ) and, against both label sets, on T_A(I_mix), in one pass (eq. 7, 8).

        With them what T_A changes in I_HQ, where that has a weight.
        """
        settings, count = self.settings, len(fused)
        share = self._share(step, fused)
        mixed = mix(fused, batch.clean, share)
        mixed_mask = batch.degraded_mask
        if settings.alpha is not None:
            mixed_mask = torch.maximum(mixed_mask, batch.clean_mask)
        images = torch.cat([self._clean_input(batch, step), mixed])
        mask = torch.cat([batch.clean_mask, mixed_mask])
        translated = torch.lerp(torch.full_like(images, PAD_VALUE), self.translator.translate(images), mask)
        outputs = self.head(translated)
        clean = self.head.loss(outputs[:count], _with_padding(batch.clean_labels, batch.clean_mask), "ignore_dropped")
        on_mix = outputs[count:]
        low, high = (
            self.head.loss(on_mix, labels, settings.background) for labels in self._labels_on_mix(batch, mixed_mask)
        )
        low = low * share**settings.mix_power * self._certainty(batch.degraded_uncertainty)
        high = high * (1 - share) ** settings.mix_power * self._certainty(batch.clean_uncertainty)
        # A batch without any label has no task loss, and still needs a way back to the weights: in every process alike.
        attached = 0 * translated.sum()
        terms = {"clean": clean.mean() + attached, "mix_degraded": low.mean(), "mix_clean": high.mean()}
        if settings.identity:
            terms["identity"] = _masked_l1(batch.clean, translated[:count], batch.clean_mask)
        return terms

    def _labels_on_mix(self, batch: Batch, mask: Tensor) -> tuple[Sequence[Prediction], Sequence[Prediction | None]]:
        """Y_LQ and Y_HQ for the mix: the other image's objects are in the picture too, so they are no background."""
        low = _with_padding(batch.degraded_labels, mask)
        if self.settings.alpha is None:
            return low, [None] * len(low)
        high = _with_padding(batch.clean_labels, mask)
        return (
            [own.beside(other) for own, other in zip(low, batch.clean_labels)],
            [own.beside(other) for own, other in zip(high, batch.degraded_labels)],
        )

    def _share(self, step: int, images: Tensor) -> Tensor:
        """Lambda of every pair, ``(N,)``; 1 without a mix."""
        alpha = self.settings.alpha
        if alpha is None:
            return images.new_ones(len(images))
        draws = mixing_weights(self.seed, step, alpha, len(images) if self.settings.lambda_per == "pair" else 1)
        return draws.to(images).expand(len(images))

    def _certainty(self, uncertainty: Tensor) -> Tensor:
        """What U does to a term on the mix, ``(N,)``."""
        return term_weight(uncertainty, self.settings.uncertainty, self.settings.eta)

    def _clean_input(self, batch: Batch, step: int) -> Tensor:
        """The clean images as they are or, in some steps, fused with what the restorer makes of them."""
        draw = float(mixing_weights(self.seed + 1, step, 1.0, 1))
        if draw >= self.settings.clean_through_gate:
            return batch.clean
        return self.translator.fuse(batch.clean, batch.clean_restored)


def _reduced(images: Tensor, side: int | None) -> Tensor:
    if side is None or max(images.shape[-2:]) <= side:
        return images
    scale = side / max(images.shape[-2:])
    size = [max(1, round(length * scale)) for length in images.shape[-2:]]
    return F.interpolate(images, size, mode="area")


def _masked_l1(wanted: Tensor, got: Tensor, mask: Tensor) -> Tensor:
    return ((wanted - got).abs() * mask).sum() / (3 * mask.sum())


def _with_padding(labels: list[Prediction], mask: Tensor) -> list[Prediction]:
    return [label.on_canvas(one) for label, one in zip(labels, mask)]
