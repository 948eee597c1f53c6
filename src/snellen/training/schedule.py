"""The learning rate as a function of the step, and for one schedule of how often validation stalled."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import ceil, cos, pi

from snellen.training.settings import ScheduleName, TrainSettings

__all__ = [
    "cosine_factor",
    "cycle_steps",
    "lr_factor",
    "multistep_factor",
    "one_cycle_factor",
    "polynomial_factor",
    "snapshot_factor",
    "warmup_factor",
]

# Of the one-cycle schedule, as in torch and fastai.
_RISING_SHARE = 0.3
_START_DIVISOR = 25.0
_END_DIVISOR = 1e4  # of the start


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


def polynomial_factor(step: int, *, steps: int, power: float, final: float) -> float:
    """Return the share of the peak rate on a power of the part that is left, from 1 to ``final``.

    Source:
        Chen et al. 2018 (DeepLab), section 4.1, https://arxiv.org/abs/1606.00915, with power 0.9; with ``final`` 0 it
        equals ``torch.optim.PolynomialLR``.
    """
    left = 1.0 - min(step / max(steps, 1), 1.0)
    return final + (1.0 - final) * float(left**power)


def one_cycle_factor(step: int, *, steps: int) -> float:
    """Return the share of the peak rate on one rise (30 % of the steps, from 1/25) and one fall to almost nothing.

    Source:
        Smith and Topin 2018, https://arxiv.org/abs/1708.07120, with cosines as in ``torch.optim.OneCycleLR``, whose
        rates these are. Momentum stays as it is.
    """
    top = _RISING_SHARE * steps - 1
    start, end = 1 / _START_DIVISOR, 1 / (_START_DIVISOR * _END_DIVISOR)
    if step <= top:
        return start + (1.0 - start) * 0.5 * (1.0 - cos(pi * step / max(top, 1e-9)))
    progress = min((step - top) / max(steps - 1 - top, 1e-9), 1.0)
    return 1.0 + (end - 1.0) * 0.5 * (1.0 - cos(pi * progress))


def cycle_steps(steps: int, cycles: int) -> int:
    """Return the steps of each cycle but the last, which has what is left."""
    return max(1, ceil(steps / cycles))


def snapshot_factor(step: int, *, steps: int, cycles: int) -> float:
    """Return the share of the peak rate on a cosine that starts anew with every cycle.

    Source:
        Huang et al. 2017, Snapshot ensembles, eq. 2, https://arxiv.org/abs/1704.00109.
    """
    length = cycle_steps(steps, cycles)
    return 0.5 * (cos(pi * (step % length) / length) + 1.0)


def lr_factor(step: int, settings: TrainSettings, *, steps_per_epoch: int, cuts: int = 0) -> float:
    """Return the share of the peak rate to be used for ``step``.

    The cosine and the polynomial cover the steps after the warm-up. All else is counted from the start of training, and
    the warm-up multiplies whatever it says. Where the weights of the last epochs are averaged with equal shares, the
    schedule covers the epochs before and does not fall below the rate that those have.

    Args:
        step: From 0: the number of steps done before.
        settings: Of the run.
        steps_per_epoch: Turns epochs into steps.
        cuts: How often validation stalled; only the schedule ``"plateau"`` looks at it.

    Source:
        For the averaged epochs Izmailov et al. 2018, section 3.2, https://arxiv.org/abs/1803.05407, constant rate.
    """
    total = (settings.epochs - settings.swa_epochs) * steps_per_epoch
    warm = warmup_factor(step, steps=settings.warmup_steps, start=settings.warmup_factor)
    if step >= total and settings.swa_epochs:
        return warm * settings.swa_factor
    factor = _FACTORS[settings.schedule](step, settings, total, steps_per_epoch, cuts)
    if settings.swa_epochs and step >= settings.warmup_steps:
        factor = max(factor, settings.swa_factor)
    return warm * factor


def _after_warmup(step: int, settings: TrainSettings, total: int) -> tuple[int, int]:
    return max(step - settings.warmup_steps, 0), total - settings.warmup_steps


def _cosine(step: int, settings: TrainSettings, total: int, _epoch: int, _cuts: int) -> float:
    place, rest = _after_warmup(step, settings, total)
    return cosine_factor(place, steps=rest, final=settings.final_factor)


def _polynomial(step: int, settings: TrainSettings, total: int, _epoch: int, _cuts: int) -> float:
    place, rest = _after_warmup(step, settings, total)
    return polynomial_factor(place, steps=rest, power=settings.power, final=settings.final_factor)


def _multistep(step: int, settings: TrainSettings, _total: int, epoch: int, _cuts: int) -> float:
    milestones = sorted(place * epoch for place in settings.milestones)
    return multistep_factor(step, milestones=milestones, factor=settings.milestone_factor)


def _constant(_step: int, _settings: TrainSettings, _total: int, _epoch: int, _cuts: int) -> float:
    return 1.0


def _one_cycle(step: int, _settings: TrainSettings, total: int, _epoch: int, _cuts: int) -> float:
    return one_cycle_factor(step, steps=total)


def _snapshot(step: int, settings: TrainSettings, total: int, _epoch: int, _cuts: int) -> float:
    return snapshot_factor(step, steps=total, cycles=settings.cycles)


def _plateau(_step: int, settings: TrainSettings, _total: int, _epoch: int, cuts: int) -> float:
    return float(settings.plateau_factor**cuts)


_FACTORS: Mapping[ScheduleName, Callable[[int, TrainSettings, int, int, int], float]] = {
    "cosine": _cosine,
    "multistep": _multistep,
    "constant": _constant,
    "polynomial": _polynomial,
    "onecycle": _one_cycle,
    "plateau": _plateau,
    "snapshot": _snapshot,
}
