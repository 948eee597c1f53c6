"""steps-skipped (T21)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.watching.outcome import LEAST_STEPS
from snellen.doctor.watching.showing import image_curves
from snellen.doctor.watching.trace import Rows, Trace
from snellen.doctor.watching.updates import whole
from snellen.doctor.words import Text

__all__ = ["CHECK"]

SHARE = 0.05  # of the steps; a gradient scaler skips one in 2,000 once it has found its scale
FIRST_SHARE = 0.1  # of the run, in which a scaler looks for its scale
OFTEN = 0.2  # of the steps, that a usual number of images has; last batches of epochs are rarer
TWICE = 1.9  # times the usual images
OTHER_BATCH = 1.9  # times the planned images a step, or one over it
_SOURCE = "PyTorch, GradScaler; three halvings an epoch are many"


def judge(trace: Trace, setup: Setup | None) -> Iterator[Finding]:
    """Yield a finding if batches often pass without a step, or if steps change nothing."""
    if len(trace.steps) < LEAST_STEPS:
        raise NotCheckable(Text(en="30 steps are the least", zh="至少需要 30 步"))
    first = int(FIRST_SHARE * len(trace.steps))
    images = trace.images[first:]
    usual = _usual(images)
    doubled = int((images > TWICE * usual).sum()) if usual else 0
    nothing, looked_at = _without_effect(trace)
    if doubled > SHARE * len(images):
        yield Finding(
            level=Level.WARNING,
            message="skipped",
            numbers={"count": doubled, "steps": len(images), "usual": int(usual)},
            measured=doubled / len(images),
            limit=Limit(value=SHARE, unit="share", source=_SOURCE),
        )
    elif nothing > max(2, SHARE * looked_at):
        yield Finding(
            level=Level.WARNING,
            message="nothing",
            numbers={"count": nothing, "steps": looked_at},
            measured=nothing / looked_at,
            limit=Limit(value=SHARE, unit="share", source=_SOURCE),
        )
    elif setup is not None and setup.batch_size is not None and usual:
        yield from _against_the_plan(setup, usual)


def _usual(images: Rows) -> float:
    """Return the smallest number of images that many steps have; 0 where it is not known."""
    values, counts = np.unique(images[images > 0], return_counts=True)
    many = values[counts >= OFTEN * counts.sum()]
    return float(many[0]) if len(many) else float(np.median(images))


def _without_effect(trace: Trace) -> tuple[int, int]:
    """Return how many sampled steps changed nothing at all though there were gradients and a rate, and of how many."""
    update, gradient = whole(trace.update), whole(trace.gradient)
    rates = trace.rates[np.isin(trace.steps, trace.sampled)].max(1) if trace.rates.size else np.ones(len(update))
    is_usual = (gradient > 0) & (rates > 0) & np.isfinite(update)
    return int((update[is_usual] == 0).sum()), int(is_usual.sum())


def _against_the_plan(setup: Setup, usual: float) -> Iterator[Finding]:
    planned = (setup.batch_size or 0) * setup.accumulate
    times = usual / planned if planned else 1.0
    if not 1 / OTHER_BATCH < times < OTHER_BATCH:
        yield Finding(
            level=Level.WARNING,
            message="other_batch",
            numbers={"usual": int(usual), "planned": planned},
            measured=times,
            limit=Limit(value=OTHER_BATCH, source="the plan"),
        )


CHECK = Check(
    code="T21",
    name="steps-skipped",
    stage=Stage.TRAINING,
    judge=judge,
    curves=image_curves,
    caused_by=("T1", "T14", "T20"),
    source="Micikevicius et al. 2018, https://arxiv.org/abs/1710.03740 (loss scaling); trainproof",
    pages={
        "en": Page(
            title="batches that pass without a step",
            finds="Steps that are skipped, by a gradient scaler or by a condition in the loop, and steps that change "
            "nothing.",
            matters="The training is shorter than its number of batches says, and the schedule runs ahead of the "
            "weights.",
            measured="Images from one step of the optimizer to the next, after the first tenth of the run: twice the "
            "usual number in more than 5 % of the steps is a warning, and so are more than 5 % of the sampled steps "
            "(three at least) that change no weight though there are gradients and a rate. Half or twice the planned "
            "images a step are a warning.",
            false_alarms="Batches of very different sizes, made to hold the same number of pixels.",
            fix="With half precision: gradients overflow; clip them after unscaling, lower the rate, or use bfloat16. "
            "Otherwise see under which condition the loop steps.",
            messages={
                "skipped": "{count} of {steps} steps had two or more batches ({usual} images are usual): steps are "
                "skipped.",
                "nothing": "{count} of {steps} steps that were looked at changed no weight.",
                "other_batch": "A step has {usual} images; {planned} were planned.",
            },
            fixes={
                "other_batch": "See after how many batches the loop steps, and divide the loss by that number.",
            },
        ),
        "zh": Page(
            title="没有更新权重的批次",
            finds="被梯度缩放器或循环中的条件跳过的步，以及什么也没改变的步。",
            matters="训练比批次数所显示的短，学习率调度走在权重前面。",
            measured="前十分之一之后，优化器两步之间的图像数：5% 以上的步达到通常的两倍时警告；"
            "抽样步中 5% 以上（至少三步）有梯度、有学习率却没有改变任何权重时也警告。每步图像数为计划的一半或两倍时警"
            "告。",
            false_alarms="为使像素数相同而大小相差悬殊的批次。",
            fix="半精度时：梯度溢出；在反缩放之后裁剪、降低学习率或改用 bfloat16。否则查看循环在什么条件下更新。",
            messages={
                "skipped": "{steps} 步中有 {count} 步包含两个以上批次（通常为 {usual} 张图像）：有步被跳过。",
                "nothing": "细看的 {steps} 步中有 {count} 步没有改变任何权重。",
                "other_batch": "每步有 {usual} 张图像；计划为 {planned} 张。",
            },
            fixes={
                "other_batch": "查看循环在多少个批次之后更新，并把损失除以该数。",
            },
        ),
    },
)
