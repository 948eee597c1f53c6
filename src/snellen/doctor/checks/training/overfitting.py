"""overfitting (T12)."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.watching.curves import noise_of
from snellen.doctor.watching.outcome import HeldOut, Learning, Outcome, held_out_losses, held_out_scores
from snellen.doctor.watching.showing import held_out_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_VALIDATIONS = 4
IN_A_ROW = 3
SIGMAS = 2.0  # of the scatter of validations
RISE_WARNING = 0.5  # of the lowest held-out loss
RISE_INFO = 0.1  # SageMaker Debugger, Overfit
FALL = 0.02  # of a score that is a share
LEARNT_BY_HEART = 0.1  # training loss over held-out loss, below which hardly anything is left to learn
HARDLY_LEFT = 0.2  # of the training loss that it began with
PATIENCE = 5  # as a treatment
_SOURCE = "SageMaker Debugger, Overfit; Prechelt 1998, Early Stopping — but when?"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if held-out data get worse while training data get better."""
    losses, scores = held_out_losses(trace), held_out_scores(trace)
    rows = [row for row in (*losses[:1], *scores[:1]) if len(row.values) >= LEAST_VALIDATIONS]
    if not rows:
        raise NotCheckable(
            Text(
                en=f"fewer than {LEAST_VALIDATIONS} validations were made: train for more epochs or validate more "
                "often (--validate-every); in a loop of your own tell validated(loss=…, accuracy=…)",
                zh=f"验证不足 {LEAST_VALIDATIONS} 次：请训练更多周期或更频繁地验证（--validate-every）；"
                "在自己的循环中请调用 validated(loss=…, accuracy=…)",
            )
        )
    if learning.outcome == Outcome.BAD:
        return
    is_held = any(row in rows and not _is_lost(row, learning) for row in scores[:1])  # the score stays at its best
    for row in rows:
        finding = _score_falls(row, learning) if row in scores else _loss_rises(row, learning, is_held=is_held)
        if finding is not None:
            yield finding
            return
    if losses and len(losses[0].values):
        yield from _gap(losses[0], learning)


def _loss_rises(row: HeldOut, learning: Learning, *, is_held: bool) -> Finding | None:
    lowest = int(row.values.argmin())
    noise = noise_of(row.values)
    last = row.values[lowest + 1 :][-IN_A_ROW:]
    rise = float(last.min() - row.values[lowest]) if len(last) == IN_A_ROW else 0.0
    if row.values[lowest] <= 0 or rise <= max(SIGMAS * noise, RISE_INFO * row.values[lowest]):
        return None
    if not _is_learning_on(learning, row.steps[lowest]):
        return None
    share = rise / float(row.values[lowest])
    is_grave = share > RISE_WARNING and not is_held
    return Finding(
        level=Level.WARNING if is_grave else Level.INFO,
        numbers=_numbers(row, lowest),
        measured=share,
        limit=Limit(value=RISE_WARNING, unit="share", source=_SOURCE),
        treatment=Treatment(settings={"patience": PATIENCE}),
    )


def _is_lost(row: HeldOut, learning: Learning) -> bool:
    """Return whether a score is below its best beyond its scatter, three times in a row, while the loss falls on."""
    best = int(row.values.argmax())
    last = row.values[best + 1 :][-IN_A_ROW:]
    if len(last) < IN_A_ROW or not _is_learning_on(learning, row.steps[best]):
        return False
    least = FALL * float(max(abs(row.values[best]), 1e-9))
    return float(row.values[best] - last.max()) > max(SIGMAS * noise_of(row.values), least)


def _score_falls(row: HeldOut, learning: Learning) -> Finding | None:
    if not _is_lost(row, learning):
        return None
    best = int(row.values.argmax())
    fall = float(row.values[best] - row.values[best + 1 :][-IN_A_ROW:].max()) / float(abs(row.values[best]))
    return Finding(
        level=Level.WARNING,
        message="score",
        numbers=_numbers(row, best),
        measured=fall,
        limit=Limit(value=FALL, unit="share", source=_SOURCE),
        treatment=Treatment(settings={"patience": PATIENCE}),
    )


def _gap(row: HeldOut, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if the training data are known by heart and held-out data are not known."""
    held_out = float(np.median(row.values[-IN_A_ROW:]))
    is_by_heart = 0 <= learning.end < min(LEARNT_BY_HEART * held_out, HARDLY_LEFT * learning.start)
    if is_by_heart and held_out > HARDLY_LEFT * learning.start:
        yield Finding(
            level=Level.INFO,
            message="gap",
            numbers={"train": f"{learning.end:.3g}", "held_out": f"{held_out:.3g}", "name": row.name},
            measured=learning.end / held_out,
            limit=Limit(value=LEARNT_BY_HEART, source="healthy trainings of small nets"),
        )


def _is_learning_on(learning: Learning, step: float) -> bool:
    """Return whether the training loss has fallen further since a step."""
    before = learning.values[learning.steps <= step]
    width = max(3, len(learning.values) // 20)
    return not len(before) or float(np.median(learning.values[-width:])) < float(np.median(before[-width:]))


def _numbers(row: HeldOut, best: int) -> dict[str, int | float | str]:
    since = sum(1 for first, second in pairwise(row.steps[best:]) if second > first)
    return {
        "name": row.name,
        "best": f"{row.values[best]:.3g}",
        "step": int(row.steps[best]),
        "now": f"{np.median(row.values[-IN_A_ROW:]):.3g}",
        "since": since,
    }


CHECK = Check(
    code="T12",
    name="overfitting",
    stage=Stage.TRAINING,
    judge=judge,
    curves=held_out_curves,
    covers=("DX-075", "DX-078", "DX-080"),
    caused_by=("T1", "T28", "T26", "T27", "T3", "T11"),
    source="SageMaker Debugger, Overfit; AutoTrainer; Prechelt 1998",
    pages={
        "en": Page(
            title="held-out data get worse while training data get better",
            finds="The turn from which on a training learns its images by heart, and trainings that know their images "
            "by heart and others not.",
            matters="From there on each step makes the model worse at what it is for. The best weights lie behind.",
            measured="Held-out loss: the last three validations at least 10 % and two spreads above the lowest, while "
            "the training loss has fallen since. Held-out score: the last three below the best by 2 % of it and two "
            "spreads. A score that falls is a warning; a loss that rises by half is one if the score falls too or is "
            "not known, else it is told: classifiers that become too sure lose loss and no answers. A training loss "
            "below a tenth of the held-out one, with a fifth of the start left there, is told.",
            false_alarms="Few held-out images: their scores scatter, which the spread of neighbours measures only in "
            "part.",
            fix="Keep the best weights and stop there (--patience); more images or augmentation, weight decay, "
            "dropout, a smaller network, or weights to begin with.",
            messages={
                "default": "{name} on held-out data was best at step {step} ({best}) and is {now} now, {since} "
                "validations later, while the training loss fell on.",
                "score": "{name} on held-out data was best at step {step} ({best}) and is {now} now, {since} "
                "validations later, while the training loss fell on.",
                "gap": "The training loss is {train} and {name} on held-out data {held_out}: the images are known by "
                "heart.",
            },
        ),
        "zh": Page(
            title="训练数据变好而留出数据变差",
            finds="训练从何时起开始死记图像，以及只记住了自己的图像而不认识其他图像的训练。",
            matters="从那里起，每一步都使模型在真正的用途上变差。最好的权重已在身后。",
            measured="留出损失：最后三次验证高出最低值至少 10% 和两倍散布，而此后训练损失仍在下降。留出分数："
            "最后三次低于最好值 2% 和两倍散布。分数下降则警告；损失上升一半，若分数也下降或未知则警告，否则提示："
            "过于自信的分类器只损失损失值而不损失答案。训练损失低于留出损失的十分之一，"
            "而后者仍有起点的五分之一以上时提示。",
            false_alarms="留出图像很少：其分数散布大，相邻差只能部分反映。",
            fix="保留最好的权重并在那里停止（--patience）；增加图像或数据增强、权重衰减、dropout、更小的网络，"
            "或从预训练权重开始。",
            messages={
                "default": "留出数据上的 {name} 在第 {step} 步最好（{best}），{since} 次验证之后为 {now}，"
                "而训练损失仍在下降。",
                "score": "留出数据上的 {name} 在第 {step} 步最好（{best}），{since} 次验证之后为 {now}，"
                "而训练损失仍在下降。",
                "gap": "训练损失为 {train}，留出数据上的 {name} 为 {held_out}：图像被死记下来了。",
            },
        ),
    },
)
