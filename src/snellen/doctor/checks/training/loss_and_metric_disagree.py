"""loss-and-metric-disagree (T13)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.watching.curves import Floats, noise_of, rank_correlation
from snellen.doctor.watching.outcome import HeldOut, held_out_losses, held_out_scores
from snellen.doctor.watching.showing import held_out_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_VALIDATIONS = 6
MANY_VALIDATIONS = 20  # TheDeepChecker
WEAK = 0.5  # rank correlation; TheDeepChecker has the same for the linear one
AGAINST = 0.5  # score and loss rise and fall together
FALLEN = 0.2  # of the held-out loss
SIGMAS = 3.0  # of the scatter, that a score must be below its first values
_SOURCE = "TheDeepChecker, https://arxiv.org/abs/2204.00694"


def judge(trace: Trace) -> Iterator[Finding]:
    """Yield a finding if the held-out loss and the score do not go together."""
    losses, scores = held_out_losses(trace), held_out_scores(trace)
    if not losses or not scores:
        raise NotCheckable(
            Text(
                en="a loss and a score of the same validations are needed; in a loop of your own tell "
                "validated(loss=…, accuracy=…)",
                zh="需要同一次验证的损失和分数；在自己的循环中请调用 validated(loss=…, accuracy=…)",
            )
        )
    steps, first, second = np.intersect1d(losses[0].steps, scores[0].steps, return_indices=True)
    if len(steps) < LEAST_VALIDATIONS:
        raise NotCheckable(
            Text(en=f"{len(steps)} validations are too few to compare", zh=f"只有 {len(steps)} 次验证，无法比较")
        )
    loss, score = losses[0].values[first], scores[0].values[second]
    correlation = rank_correlation(loss, score)
    if correlation > AGAINST and _has_fallen(loss) and _is_lower(score):
        yield _finding(Level.WARNING, "against", correlation, losses[0], scores[0], len(steps))
    elif len(steps) >= MANY_VALIDATIONS and abs(correlation) < WEAK and _has_fallen(loss):
        yield _finding(Level.INFO, "apart", correlation, losses[0], scores[0], len(steps))


def _has_fallen(loss: Floats) -> bool:
    begun, now = float(np.median(loss[:2])), float(np.median(loss[-3:]))
    return begun > 0 and begun - now > FALLEN * begun


def _is_lower(score: Floats) -> bool:
    begun, now = float(np.median(score[:2])), float(np.median(score[-3:]))
    return begun - now > SIGMAS * noise_of(score)


def _finding(level: Level, message: str, correlation: float, loss: HeldOut, score: HeldOut, count: int) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"loss": loss.name, "score": score.name, "correlation": f"{correlation:.2f}", "count": count},
        measured=correlation,
        limit=Limit(value=AGAINST if message == "against" else -WEAK, source=_SOURCE),
    )


CHECK = Check(
    code="T13",
    name="loss-and-metric-disagree",
    stage=Stage.TRAINING,
    judge=judge,
    curves=held_out_curves,
    covers=("DX-044",),
    caused_by=("T1", "T14", "T3", "T11"),
    source=_SOURCE,
    pages={
        "en": Page(
            title="loss and metric do not go together",
            finds="Held-out data whose loss falls while the score falls too, or does not move with it.",
            matters="What is optimized is then not what is wanted: the wrong loss, a metric that is computed wrongly, "
            "or answers that are decoded in another way than they are learned.",
            measured="Rank correlation of held-out loss and score over at least 6 validations. Above 0.5 while the "
            "loss has fallen by a fifth and the score is below its first values by three spreads: a warning. Between "
            "-0.5 and 0.5 over 20 validations while the loss has fallen by a fifth: told.",
            false_alarms="Scores of few held-out images hardly move. A loss that rises because a classifier is too "
            "sure is not told here.",
            fix="Check the metric on known answers; look whether validation decodes the outputs as the loss reads "
            "them, and whether the loss fits the task.",
            messages={
                "against": "{loss} and {score} fall together over {count} validations (rank correlation "
                "{correlation}).",
                "apart": "{loss} falls and {score} does not follow over {count} validations (rank correlation "
                "{correlation}).",
            },
        ),
        "zh": Page(
            title="损失与指标不一致",
            finds="留出数据的损失下降，而分数也下降，或不随之变化。",
            matters="此时优化的并不是想要的：损失不对、指标算错，或答案的解码方式与学习方式不同。",
            measured="至少 6 次验证中留出损失与分数的秩相关。高于 0.5，且损失下降五分之一、分数低于最初值三倍散布："
            "警告。20 次验证中介于 -0.5 与 0.5 之间且损失下降五分之一：提示。",
            false_alarms="留出图像很少时分数几乎不动。因分类器过于自信而上升的损失不在此提示。",
            fix="用已知答案检查指标；查看验证时输出的解码是否与损失的读法一致，以及损失是否适合任务。",
            messages={
                "against": "{count} 次验证中 {loss} 与 {score} 一起下降（秩相关 {correlation}）。",
                "apart": "{count} 次验证中 {loss} 下降而 {score} 不跟随（秩相关 {correlation}）。",
            },
        ),
    },
)
