"""stopped-too-early (T5)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.watching.curves import Trend, line_through, noise_of
from snellen.doctor.watching.outcome import Learning, Outcome, held_out_losses
from snellen.doctor.watching.showing import rate_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

STILL_FALLING = 0.6  # fall of the last third over that of the third before; 0.58 where a loss falls as the log of steps
LAST_SHARE = 0.1  # of the whole fall that the last third must make
FEW_STEPS = 200  # notes of practice: after 100 to 200 steps nothing is known
FEW_SHARE = 0.03  # of the whole fall, in so short a run
LEARNT = 0.9  # of the loss, gone: then nothing is missing
MUCH_SHARE = 0.2
LEAST_VALIDATIONS = 6
SPREADS = 1.0  # of the held-out loss, by which it must have fallen in the last third of the validations
LONGER = 3.0  # times the epochs, as a treatment
_SOURCE = "healthy trainings of small nets; notes of practice: thousands of steps"


def judge(trace: Trace, learning: Learning, setup: Setup | None) -> Iterator[Finding]:
    """Yield a finding if the training ended while the loss was falling about as fast as before."""
    if not _is_at_its_end(trace):
        raise NotCheckable(Text(en="the training has not come to its end", zh="训练尚未结束"))
    found = None if learning.outcome == Outcome.BAD else _by_training_loss(trace, learning, setup)
    if found is None and trace.steps[-1] <= FEW_STEPS:
        found = _by_held_out_loss(trace, learning, setup)
    if found is not None:
        yield found


def _by_training_loss(trace: Trace, learning: Learning, setup: Setup | None) -> Finding | None:
    (second, middle), (third, last) = _fall(learning, 1), _fall(learning, 2)
    whole = learning.start - learning.end
    has_decayed = not third.is_falling and trace.steps[-1] <= FEW_STEPS and learning.drop < LEARNT
    if has_decayed:
        third, last = second, middle  # a rate that decays brings any loss to rest at the end
    if whole <= 0 or not third.is_falling:
        return None
    share, pace = last / whole, last / max(middle, 1e-9)
    steps = int(trace.steps[-1])
    is_short = steps <= FEW_STEPS and share > FEW_SHARE
    if not is_short and (pace < STILL_FALLING or share < LAST_SHARE):
        return None
    return Finding(
        level=Level.WARNING
        if is_short and not has_decayed and pace > STILL_FALLING and share > MUCH_SHARE
        else Level.INFO,
        message="short" if is_short else "default",
        numbers={"steps": steps, "percent": f"{100 * share:.0f}", "end": f"{learning.end:.3g}", "pace": f"{pace:.1f}"},
        measured=pace,
        limit=Limit(value=STILL_FALLING, source=_SOURCE),
        treatment=_longer(setup),
    )


def _by_held_out_loss(trace: Trace, learning: Learning, setup: Setup | None) -> Finding | None:
    """Return a finding if the held-out loss, which scatters less than that of batches, fell steadily to the end."""
    rows = [row for row in held_out_losses(trace)[:1] if len(row.values) >= LEAST_VALIDATIONS]
    if not rows or learning.drop >= LEARNT:
        return None
    values = rows[0].values
    last = values[len(values) - len(values) // 3 - 1 :]
    fall, whole = float(last[0] - last[-1]), float(values[0] - values.min())
    if (np.diff(last) >= 0).any() or fall <= SPREADS * noise_of(values) or fall < FEW_SHARE * whole:
        return None
    return Finding(
        level=Level.INFO,
        message="held_out",
        numbers={"steps": int(trace.steps[-1]), "percent": f"{100 * fall / whole:.0f}", "end": f"{values[-1]:.3g}"},
        measured=fall / whole,
        limit=Limit(value=FEW_SHARE, unit="share", source=_SOURCE),
        treatment=_longer(setup),
    )


def _longer(setup: Setup | None) -> Treatment | None:
    known = None if setup is None else setup.epochs
    return None if known is None else Treatment(settings={"epochs": round(LONGER * known)})


def _is_at_its_end(trace: Trace) -> bool:
    if not len(trace.steps):
        return False
    return trace.is_over or (trace.planned_steps is not None and trace.steps[-1] >= trace.planned_steps)


def _fall(learning: Learning, third: int) -> tuple[Trend, float]:
    """Return the line through a third of the run (0 to 2), and by how much it falls there."""
    places = np.array_split(np.arange(len(learning.values)), 3)[third]
    noise = noise_of(learning.values[places])
    line = line_through(learning.steps[places], learning.values[places], least_variance=noise**2)
    return line, -line.slope * float(np.ptp(learning.steps[places]))


CHECK = Check(
    code="T5",
    name="stopped-too-early",
    stage=Stage.TRAINING,
    judge=judge,
    curves=rate_curves,
    covers=("DX-038", "DX-040"),
    caused_by=("T1", "T28", "T29", "T14", "T20", "T25", "T24", "T10", "T7", "T3", "T2"),
    source="DX-038; AutoTrainer, slow convergence; DeepCrime's operator change_epochs (HNE)",
    pages={
        "en": Page(
            title="stopped while the loss was still falling fast",
            finds="A training whose loss fell about as fast at the end as in the middle.",
            matters="The result says how short the training was, and nothing about data or model; it is easily taken "
            "for 'it does not work'.",
            measured="Lines through the second and the last third of the finished run. Told if the last third falls, "
            "beyond its error, by 60 % or more of what the third before fell, and by a tenth or more of the whole fall "
            "(a loss that falls as the logarithm of the steps stays below both). Runs of up to 200 steps are told if "
            "the last third brought 3 %, or the one before did (the rate may have decayed since) and less than 90 % of "
            "the loss is gone; they are a warning if it brought a fifth at such a pace. They are told as well if the "
            "held-out loss (six validations at least) fell with each of the last third of the validations, by 3 % of "
            "its fall and more than it scatters.",
            false_alarms="A short run on purpose. A rate that decays at the end makes any loss fall there.",
            fix="Train longer, three times as long for a start. If the loss falls evenly from the first step on, the "
            "rate may be too low as well.",
            messages={
                "default": "The last third of {steps} steps brought {percent} % of the fall of the loss ({end} at the "
                "end), {pace} times as much as the third before.",
                "short": "{steps} steps were too few: the last third of them brought {percent} % of the fall of the "
                "loss ({end} at the end).",
                "held_out": "{steps} steps were too few: the held-out loss fell to the end ({end}), and the last third "
                "of them brought {percent} % of its fall.",
            },
        ),
        "zh": Page(
            title="损失仍在快速下降时就停止了",
            finds="结束时损失的下降速度与中途差不多的训练。",
            matters="这样的结果只说明训练太短，说明不了数据或模型的好坏，却很容易被当成“行不通”。",
            measured="对已结束训练的第二个和最后一个三分之一拟合直线。最后三分之一的下降超出误差、"
            "不少于前一个三分之一的 60%，且不少于总下降的十分之一时提示（按步数的对数下降的损失两者都达不到）。"
            "不超过 200 步的训练，若最后三分之一带来 3% 的下降则提示，若以这样的速度带来五分之一以上的下降，则警告。"
            "若留出损失（至少六次验证）在最后三分之一的验证中每次都下降，且降幅达其总下降的 3% 并超过其散布，也提示。",
            false_alarms="有意的短训练。结束时衰减的学习率会使任何损失在末尾下降。",
            fix="延长训练，先试三倍长。如果损失从第一步起均匀下降，学习率也可能太低。",
            messages={
                "default": "{steps} 步的最后三分之一带来了损失下降的 {percent}%（最终 {end}），"
                "是前一个三分之一的 {pace} 倍。",
                "short": "{steps} 步太少：最后三分之一带来了损失下降的 {percent}%（最终 {end}）。",
                "held_out": "{steps} 步太少：留出损失一直下降到结束（最终 {end}），"
                "最后三分之一带来了其下降的 {percent}%。",
            },
        ),
    },
)
