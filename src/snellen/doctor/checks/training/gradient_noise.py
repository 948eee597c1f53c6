"""gradient-noise (T17)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Number, Treatment
from snellen.doctor.watching.outcome import Learning, Outcome
from snellen.doctor.watching.showing import agreement_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK", "noise_scale"]

FAR_BELOW = 10.0  # noise scale over batch, McCandlish 2018, section 2.2
FAR_ABOVE = 10.0  # batch over noise scale
SMALL_BATCH = 8  # images; with so few it is told even where the loss falls well
LARGE_BATCH = 256  # images; below it nobody calls a batch too large
LEAST_SAMPLES = 5
SURE = 2.0  # standard errors
AGAINST = -0.05  # cosine below which steps overshoot, and noise cannot be told from it
_SOURCE = "McCandlish et al. 2018, section 2.2"


def noise_scale(batch: float, cosine: float) -> float:
    """Return the images whose gradient is half signal, from the cosine of the gradients of two batches.

    Two independent gradients of ``B`` images at one place have the expected cosine ``1 / (1 + S / B)``.
    """
    return batch * (1 / cosine - 1) if cosine > 0 else float("inf")


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if the batch is far from the noise scale of the second half of the run."""
    second_half = trace.sampled > trace.steps[len(trace.steps) // 2]
    is_told = second_half & np.isfinite(trace.agreement)
    cosines = trace.agreement[is_told].astype(np.float64)
    batch = float(np.median(trace.images[np.isin(trace.steps, trace.sampled[is_told])])) if is_told.any() else 0.0
    if len(cosines) < LEAST_SAMPLES or batch < 1:
        raise NotCheckable(
            Text(
                en=f"gradients in a row were compared {len(cosines)} times; {LEAST_SAMPLES} are the least",
                zh=f"只比较过 {len(cosines)} 次相邻梯度；至少需要 {LEAST_SAMPLES} 次",
            )
        )
    mean, error = float(cosines.mean()), float(cosines.std(ddof=1) / np.sqrt(len(cosines)))
    if mean < AGAINST:
        return
    least, most = noise_scale(batch, mean + SURE * error), noise_scale(batch, mean - SURE * error)
    numbers: dict[str, Number] = {"batch": int(batch), "cosine": f"{mean:.2f}"}
    is_worth_it = learning.outcome != Outcome.GOOD or batch <= SMALL_BATCH
    if least > FAR_BELOW * batch and is_worth_it:
        yield Finding(
            level=Level.INFO,
            message="small",
            numbers={**numbers, "scale": f"{least:.0f}"},
            measured=least / batch,
            limit=Limit(value=FAR_BELOW, source=_SOURCE),
            treatment=Treatment(settings={"accumulate": 4}),
        )
    elif batch >= LARGE_BATCH and batch > FAR_ABOVE * most:
        yield Finding(
            level=Level.INFO,
            message="large",
            numbers={**numbers, "scale": f"{most:.0f}"},
            measured=batch / max(most, 1.0),
            limit=Limit(value=FAR_ABOVE, source=_SOURCE),
            treatment=Treatment(settings={"batch_size": max(32, int(most))}),
        )


CHECK = Check(
    code="T17",
    name="gradient-noise",
    stage=Stage.TRAINING,
    judge=judge,
    curves=agreement_curves,
    covers=("DX-042", "DX-043"),
    caused_by=("T1", "T28", "T29", "T14", "T20", "T27", "T25", "T24", "T10", "T8", "T7", "T3", "T4", "T2"),
    source="McCandlish et al. 2018, https://arxiv.org/abs/1812.06162",
    pages={
        "en": Page(
            title="batch far from the noise of the gradient",
            finds="Batches whose gradients have next to nothing in common, or nearly everything.",
            matters="Far below the noise scale, more images a step give a better step for each image more; far above "
            "it, they give the same step at a higher price, and smaller batches would make more steps of them.",
            measured="The cosine c of gradients in a row over the second half of the run; the noise scale is B (1/c - "
            "1) for a batch of B. Told if it is, beyond two standard errors, above ten batches (with a loss that has "
            "not fallen by half, or batches of up to 8), or if a batch of 256 or more is above ten scales.",
            false_alarms="The weights move between the two gradients, which lowers c at high rates: the scale is an "
            "upper estimate. It is never more than told.",
            fix="Too small: more images a step (--batch-size), or several batches a step (--accumulate). Too large: a "
            "smaller batch. Change the rate with it: in proportion for SGD, by the square root for Adam.",
            messages={
                "small": "Gradients of {batch} images have a cosine of {cosine}: it takes more than {scale} images for "
                "a clear one.",
                "large": "Gradients of {batch} images have a cosine of {cosine}: {scale} images would say nearly the "
                "same.",
            },
        ),
        "zh": Page(
            title="批次与梯度噪声相差很远",
            finds="梯度之间几乎没有共同之处，或几乎完全相同的批次。",
            matters="远小于噪声尺度时，每多一张图像都使步子更好；远大于噪声尺度时，只是以更高的代价走同样的步子，"
            "较小的批次可以走更多步。",
            measured="训练后半程相邻梯度的余弦 c；批次为 B 时噪声尺度为 B (1/c - 1)。若在两个标准误之外高于十个批次（损"
            "失下降不到一半，或批次不超过 8），或不小于 256 的批次高于十个尺度，则提示。",
            false_alarms="两个梯度之间权重有移动，学习率高时 c 偏低：该尺度是偏高的估计。因此只作提示。",
            fix="太小：每步用更多图像（--batch-size）或多个批次（--accumulate）。太大：减小批次。学习率随之调整："
            "SGD 按比例，Adam 按平方根。",
            messages={
                "small": "{batch} 张图像的梯度余弦为 {cosine}：需要 {scale} 张以上才清晰。",
                "large": "{batch} 张图像的梯度余弦为 {cosine}：{scale} 张图像的结果几乎相同。",
            },
        ),
    },
)
