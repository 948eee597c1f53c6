"""images-in-order (T26)."""

from collections.abc import Iterator
from math import log

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.watching.curves import Floats
from snellen.doctor.watching.outcome import Learning
from snellen.doctor.watching.showing import answer_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import need_samples
from snellen.doctor.words import Text

__all__ = ["CHECK"]

IN_TURN = 0.8  # of the choices of a usual sample
LEAST_BATCH = 16  # images a sample; of one image all choices are one class
LEAST_CLASSES = 3  # that take turns
KNOWN = 0.5  # of the loss at the start: while a class goes on, its loss is below
KNOWN_SHARE = 0.2  # of the steps
LEAST_LAG = 8  # steps
RECURS = 0.5  # rank correlation of the loss with itself, some steps later, and above all lags in between
FIRST_STEPS = 10  # in which a network names one class, whatever it is
_SOURCE = "healthy trainings of small nets"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if each step has images of one class, and a later one those of another."""
    chosen = trace.named[(trace.named.sum(1) > 0) & (trace.sampled > FIRST_STEPS)]
    if not chosen.size:
        raise NotCheckable(Text(en="the model gives no scores of classes", zh="模型不输出类别分数"))
    need_samples(len(chosen))
    counts = chosen.sum(1)
    if np.median(counts) < LEAST_BATCH:
        raise NotCheckable(Text(en=f"fewer than {LEAST_BATCH} images a step", zh=f"每步不足 {LEAST_BATCH} 张图像"))
    share = float(np.median(chosen.max(1) / counts))
    classes = len(np.unique(chosen.argmax(1)))
    begun = min(learning.start, log(chosen.shape[1])) if learning.start > 0 else learning.start
    is_known = float(np.quantile(learning.values, KNOWN_SHARE)) < KNOWN * begun
    if share > IN_TURN and classes >= LEAST_CLASSES and (is_known or _recurs(learning.values)):
        yield Finding(
            level=Level.WARNING,
            numbers={"percent": f"{100 * share:.0f}", "classes": classes},
            measured=share,
            limit=Limit(value=IN_TURN, unit="share", source=_SOURCE),
        )


def _recurs(values: Floats) -> bool:
    """Return whether the loss repeats itself after some number of steps: the same images in the same order."""
    rest = values[len(values) // 3 :]
    ranks = np.argsort(np.argsort(rest)).astype(np.float64)
    centred = ranks - ranks.mean()
    whole = float((centred**2).mean())
    lags = np.arange(LEAST_LAG, len(rest) // 2)
    if whole == 0 or not len(lags):
        return False
    transformed = np.fft.rfft(centred, 2 * len(rest))
    found = np.fft.irfft(np.abs(transformed) ** 2)[lags] / (len(rest) - lags) / whole
    place = int(np.argmax(found))
    return bool(found[place] > RECURS and found[place] - found[: place + 1].min() > RECURS)


CHECK = Check(
    code="T26",
    name="images-in-order",
    stage=Stage.TRAINING,
    judge=judge,
    curves=answer_curves,
    covers=("DX-031",),
    caused_by=("T1", "T14", "T20"),
    source="DX-031; cleanlab, images that are not drawn independently",
    pages={
        "en": Page(
            title="images come in the order of their classes",
            finds="Steps whose images are all of one class, and later steps whose images are all of another.",
            matters="The network learns to name the class that comes just now and forgets the one before: the loss "
            "looks low, and goes up at each change.",
            measured="First choices in samples of 16 images or more, after the first ten steps. The favourite has more "
            "than 80 % of a usual sample, three classes or more are favourites in turn, and either a fifth of the "
            "steps has a loss below half of that at the start, or the loss repeats itself after some number of steps "
            "(rank correlation above 0.5): a warning.",
            false_alarms="Batches that are of one class on purpose.",
            fix="Shuffle the training images each epoch (DataLoader(shuffle=True)).",
            messages={
                "default": "{percent} % of the answers of a step are one class, and {classes} classes take turns: "
                "images come in the order of their classes.",
            },
        ),
        "zh": Page(
            title="图像按类别顺序出现",
            finds="图像全部属于同一类别的步，以及之后全部属于另一类别的步。",
            matters="网络学会说当前正在出现的类别，并忘记前一个：损失看起来很低，每次换类别时又上升。",
            measured="前十步之后、至少 16 张图像的样本的首选类别。最受偏爱的类别在通常样本中超过 80%，"
            "先后有三个以上类别，且五分之一的步的损失低于起点的一半，或损失隔若干步重复出现（秩相关高于 0.5）：警告。",
            false_alarms="有意使每批只含一个类别。",
            fix="每个周期打乱训练图像（DataLoader(shuffle=True)）。",
            messages={
                "default": "一步中 {percent}% 的答案是同一类别，先后有 {classes} 个类别：图像按类别顺序出现。",
            },
        ),
    },
)
