"""The learning rate as a pure function of the step: nothing to save, nothing to resume."""

from bisect import bisect_right
from collections.abc import Sequence
from math import cos, pi

from snellen.training.settings import TrainSettings

__all__ = ["cosine_factor", "lr_factor", "multistep_factor", "warmup_factor"]


def warmup_factor(step: int, *, steps: int, start: float) -> float:
    """Return the share of the peak rate that a linear warm-up allows at ``step``.

    Args:
        step: From 0.
        steps: Length of the warm-up; 0 means none.
        start: Share at step 0.

    Source:
        Goyal et al. 2017, section 2.2, https://arxiv.org/abs/1706.02677; equals ``torch.optim.LinearLR``.
    """
    if step >= steps:
        return 1.0
    return start + (1.0 - start) * step / steps


def cosine_factor(step: int, *, steps: int, final: float) -> float:
    """Return the share of the peak rate on half a cosine from 1 (step 0) to ``final`` (step ``steps``).

    Source:
        Loshchilov & Hutter 2017, eq. 5, https://arxiv.org/abs/1608.03983, one cycle.
    """
    progress = min(step / max(steps, 1), 1.0)
    return final + (1.0 - final) * 0.5 * (1.0 + cos(pi * progress))


def multistep_factor(step: int, *, milestones: Sequence[int], factor: float) -> float:
    """Return ``factor`` to the power of the number of milestones (steps, ascending) reached at ``step``."""
    return float(factor ** bisect_right(milestones, step))


def lr_factor(step: int, settings: TrainSettings, *, steps_per_epoch: int) -> float:
    """Return the share of ``settings.lr`` to be used for ``step``.

    The cosine covers the steps after the warm-up. Milestones are counted from the start of training, and the
    warm-up multiplies whatever they say.

    Args:
        step: From 0: the number of steps done before.
        settings: Of the run.
        steps_per_epoch: Turns the milestones' epochs into steps.
    """
    warm = warmup_factor(step, steps=settings.warmup_steps, start=settings.warmup_factor)
    if settings.schedule == "cosine":
        if step < settings.warmup_steps:
            return warm
        rest = settings.epochs * steps_per_epoch - settings.warmup_steps
        return cosine_factor(step - settings.warmup_steps, steps=rest, final=settings.final_factor)
    if settings.schedule == "multistep":
        milestones = sorted(epoch * steps_per_epoch for epoch in settings.milestones)
        return warm * multistep_factor(step, milestones=milestones, factor=settings.milestone_factor)
    return warm
