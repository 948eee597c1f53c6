"""waiting-for-data (T16)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.watching.outcome import LEAST_STEPS
from snellen.doctor.watching.showing import time_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

MUCH = 0.3  # of a step; SageMaker Debugger, trainproof
MOST = 0.5
LEAST_WAIT_S = 0.005  # shorter waits are the loop's own doing
FIRST_STEPS = 10  # in which workers start
_SOURCE = "SageMaker Debugger, IOBottleneck; trainproof"


def judge(trace: Trace) -> Iterator[Finding]:
    """Yield a finding if a usual step waits long for its images."""
    if len(trace.steps) < LEAST_STEPS:
        raise NotCheckable(Text(en="the times of 30 steps are needed", zh="需要至少 30 步的时间"))
    wait, whole = trace.wait_s[FIRST_STEPS:].astype(np.float64), trace.step_s[FIRST_STEPS:].astype(np.float64)
    usual, share = float(np.median(wait)), float(np.median(wait / np.maximum(whole, 1e-9)))
    if usual < LEAST_WAIT_S or share < MUCH:
        return
    is_on_gpu = trace.device == "cuda"
    yield Finding(
        level=Level.WARNING if share > MOST and not is_on_gpu else Level.INFO,
        message="gpu" if is_on_gpu else "default",
        numbers={
            "percent": f"{100 * share:.0f}",
            "wait": f"{1000 * usual:.0f}",
            "step": f"{1000 * np.median(whole):.0f}",
        },
        measured=share,
        limit=Limit(value=MUCH, unit="share", source=_SOURCE),
    )


CHECK = Check(
    code="T16",
    name="waiting-for-data",
    stage=Stage.TRAINING,
    judge=judge,
    curves=time_curves,
    covers=("DX-100",),
    source=_SOURCE,
    pages={
        "en": Page(
            title="steps wait for their images",
            finds="Trainings that spend a good part of their time waiting for the next batch.",
            matters="The network could be trained in a fraction of the time; a faster device would change nothing.",
            measured="Time from the end of a step to the next forward pass, over the time from step to step; medians "
            "over all steps but the first ten, so that validations do not count. Told from 30 % and 5 ms on, a warning "
            "from 50 % on.",
            false_alarms="On a GPU the time between steps is also that of whatever waits for the device, such as "
            "reading the loss; there it is told only.",
            fix="More worker processes, smaller images on disk, a cache of what is decoded, cheaper augmentation; "
            "snellen check measures the reading itself, as D23.",
            messages={
                "default": "A usual step takes {step} ms, of which {wait} ms ({percent} %) are spent waiting for "
                "images.",
                "gpu": "Between two steps the loop spends {wait} ms ({percent} %) on images, or waiting for the GPU.",
            },
        ),
        "zh": Page(
            title="训练步在等待图像",
            finds="相当一部分时间花在等待下一批次上的训练。",
            matters="网络本可以在几分之一的时间内训练完；换更快的设备也无济于事。",
            measured="从一步结束到下一次前向的时间，与步间总时间之比；取除前十步外所有步的中位数，因此验证不计入。"
            "达到 30% 且 5 毫秒时提示，50% 以上警告。",
            false_alarms="在 GPU 上，步间时间也包括等待设备的操作，例如读取损失；因此只提示。",
            fix="增加工作进程、缩小磁盘上的图像、缓存解码结果、使用更便宜的数据增强；snellen check 的 D23 测量读取本"
            "身。",
            messages={
                "default": "通常一步需要 {step} 毫秒，其中 {wait} 毫秒（{percent}%）在等待图像。",
                "gpu": "两步之间有 {wait} 毫秒（{percent}%）花在图像上，或在等待 GPU。",
            },
        ),
    },
)
