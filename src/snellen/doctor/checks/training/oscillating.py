"""oscillating (T4)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Number, Treatment
from snellen.doctor.watching.curves import noise_of, trend
from snellen.doctor.watching.outcome import GOOD_DROP, Learning, Outcome
from snellen.doctor.watching.showing import agreement_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import with_rate
from snellen.doctor.words import Text

__all__ = ["CHECK"]

JAGGED = 0.2  # spread of single losses over their level
AGAINST = -0.1  # cosine of gradients in a row: each step goes back over the one before
ALIKE = 0.05  # cosine below which a gradient says next to nothing about the next
SURE = 2.0  # standard errors
HANDFUL = 4  # images a step; with so few a loss that rests is told whether it scatters or not
CLEAR = 0.3  # cosine from which on gradients are clear
LEAST_SAMPLES = 5  # of the second half
SMALL_BATCH = 8  # images; DeepCrime's HBS goes to 1 and 2
LOWER = 0.1  # times the rate; DX-039: divide by ten
_SOURCE = "AutoTrainer and TheDeepChecker, oscillating loss; healthy trainings of small nets"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if the loss goes up and down and gets nowhere, and say whether rate or batch makes it so."""
    second_half = trace.sampled > trace.steps[len(trace.steps) // 2]
    cosines = trace.agreement[second_half & np.isfinite(trace.agreement)].astype(np.float64)
    if len(cosines) < LEAST_SAMPLES:
        raise NotCheckable(
            Text(
                en=f"gradients in a row were compared {len(cosines)} times; {LEAST_SAMPLES} are the least",
                zh=f"只比较过 {len(cosines)} 次相邻梯度；至少需要 {LEAST_SAMPLES} 次",
            )
        )
    mean, error = float(cosines.mean()), float(cosines.std(ddof=1) / np.sqrt(len(cosines)))
    jagged = _jaggedness(learning)
    batch = int(np.median(trace.images)) if len(trace.images) else 0
    numbers: dict[str, Number] = {
        "percent": f"{100 * jagged:.0f}",
        "cosine": f"{mean:.2f}",
        "end": f"{learning.end:.3g}",
        "batch": batch,
    }
    if _is_moving(learning) or (learning.outcome == Outcome.GOOD and learning.drop > 1 - JAGGED):
        return
    if mean + SURE * error < AGAINST:
        yield Finding(
            level=learning.level if jagged > JAGGED else Level.INFO,
            message="rate",
            numbers=numbers,
            measured=mean,
            limit=Limit(value=AGAINST, source=_SOURCE),
            treatment=with_rate(trace, LOWER),
        )
    elif (jagged > JAGGED and abs(mean) < max(ALIKE, SURE * error)) or _is_starved(learning, batch, mean):
        yield Finding(
            level=learning.level if 0 < batch <= SMALL_BATCH else Level.INFO,
            message="batch",
            numbers=numbers,
            measured=jagged,
            limit=Limit(value=JAGGED, unit="share", source=_SOURCE),
            treatment=Treatment(settings={"accumulate": 4}),
        )


def _is_starved(learning: Learning, batch: int, cosine: float) -> bool:
    """Return whether a handful of images a step is the likely reason that a loss gets nowhere."""
    return 0 < batch <= HANDFUL and cosine < CLEAR and learning.outcome in (Outcome.BAD, Outcome.FAIR)


def _jaggedness(learning: Learning) -> float:
    """Return the spread of single losses in the second half, over their level or, for negative ones, the gain."""
    values = learning.values[len(learning.values) // 2 :]
    scale = float(np.median(values)) if values.min() > 0 else abs(learning.start - learning.end)
    return noise_of(values) / scale if scale > 0 else 0.0


def _is_moving(learning: Learning) -> bool:
    """Return whether the loss still falls in the second half, or has fallen far and is at rest there."""
    half = len(learning.values) // 2
    line = trend(learning.steps[half:], learning.values[half:])
    gained = abs(learning.start - learning.end)
    return line is not None and line.is_falling and -line.slope * half > (1 - GOOD_DROP) * 0.1 * gained


CHECK = Check(
    code="T4",
    name="oscillating",
    stage=Stage.TRAINING,
    judge=judge,
    curves=agreement_curves,
    covers=("DX-039", "DX-042", "DX-052"),
    caused_by=("T1", "T28", "T29", "T14", "T26", "T27", "T25", "T10", "T6", "T3"),
    source="AutoTrainer; TheDeepChecker; McCandlish et al. 2018, https://arxiv.org/abs/1812.06162",
    pages={
        "en": Page(
            title="the loss goes up and down and gets nowhere",
            finds="A loss that no longer falls and scatters, and which of the two usual causes it is: a rate too high "
            "or a batch too small.",
            matters="The two look alike in the curve and need opposite cures: a lower rate, or more images a step.",
            measured="Second half of the run, where the loss does not fall and is above a fifth of its start. The "
            "cosine of gradients in a row: clearly below -0.1 (beyond 2 standard errors), each step goes back over the "
            "one before, and the rate is too high; near 0 while single losses scatter by 20 % or more, gradients are "
            "noise, and the batch is too small; with up to 4 images a step a cosine below 0.3 is enough. A warning "
            "where the loss has not fallen at all, else it is told.",
            false_alarms="A training at rest at the floor that its data allow: label smoothing, mixing of images, "
            "noisy labels.",
            fix="Rate too high: divide it by ten, or decay it. Batch too small: more images or several batches a step.",
            messages={
                "rate": "The loss stays at {end} and steps undo one another: gradients in a row have a cosine of "
                "{cosine}.",
                "batch": "The loss stays at {end} and scatters by {percent} %: gradients of {batch} images have "
                "nothing in common (cosine {cosine}).",
            },
            fixes={
                "rate": "Divide the rate by ten, or let it decay.",
                "batch": "More images a step (--batch-size), or several batches a step (--accumulate); a lower rate "
                "calms the curve as well.",
            },
        ),
        "zh": Page(
            title="损失上下波动而没有进展",
            finds="损失不再下降且散布很大，并指出是两种常见原因中的哪一种：学习率过高，还是批次太小。",
            matters="两者的曲线很像，却需要相反的办法：降低学习率，或每步用更多图像。",
            measured="看训练的后半程，此时损失不下降且高于起点的五分之一。相邻梯度的余弦：明显低于 -0.1（超出 2 个标准"
            "误）时，每一步都在撤销上一步，学习率过高；接近 0 而单步损失散布达 20% 时，梯度只是噪声，批次太小；"
            "每步不超过 4 张图像时余弦低于 0.3 即可。损失完全没有下降时警告，否则提示。",
            false_alarms="已到达数据所允许的下限的训练：标签平滑、图像混合、标签噪声。",
            fix="学习率过高：除以十，或使其衰减。批次太小：每步用更多图像或多个批次。",
            messages={
                "rate": "损失停在 {end}，各步互相抵消：相邻梯度的余弦为 {cosine}。",
                "batch": "损失停在 {end}，散布 {percent}%：{batch} 张图像的梯度没有多少共同之处（余弦 {cosine}）。",
            },
            fixes={
                "rate": "把学习率除以十，或使其衰减。",
                "batch": "每步用更多图像（--batch-size），或累积多个批次（--accumulate）；降低学习率也能使曲线平稳。",
            },
        ),
    },
)
