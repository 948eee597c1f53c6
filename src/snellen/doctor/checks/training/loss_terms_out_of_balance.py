"""loss-terms-out-of-balance (T18)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.curves import Floats, course
from snellen.doctor.watching.outcome import BAD_DROP, LEAST_STEPS, Learning, Outcome
from snellen.doctor.watching.showing import term_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

SMALL = 0.01  # of the sum of the terms, in each tenth of the run
TINY = 0.001
LARGE = 0.95
WHOLE = 0.05  # relative difference of the sum of the terms from the loss
_SOURCE = "healthy trainings of detectors"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if a term of the loss is next to nothing, or nearly all of it, from the start to the end."""
    names = [name for name in trace.losses if name != "loss"]
    if len(names) < 2:
        raise NotCheckable(Text(en="the loss has one term only", zh="损失只有一项"))
    terms = np.stack([trace.losses[name] for name in names]).astype(np.float64)
    terms = terms[:, np.isfinite(terms).all(0)]
    if terms.shape[1] < LEAST_STEPS or terms.min() < 0:
        raise NotCheckable(Text(en="terms below zero have no shares", zh="含有负值的项没有占比"))
    if "loss" in trace.losses and not _adds_up(trace, names):
        raise NotCheckable(Text(en="the terms do not add up to the loss", zh="各项之和不等于损失"))
    steps = np.arange(terms.shape[1])
    found = [course(steps, term / np.maximum(terms.sum(0), 1e-12)) for term in terms]
    levels = np.stack([one.level for one in found if one is not None])
    yield from _judged(names, levels, terms, learning)


def _judged(names: list[str], levels: Floats, terms: Floats, learning: Learning) -> Iterator[Finding]:
    largest, smallest = int(levels.min(1).argmax()), int(levels.max(1).argmin())
    if levels[largest].min() > LARGE:
        yield _finding(Level.INFO, "large", names[largest], float(levels[largest].min()), LARGE)
    elif levels[smallest].max() < SMALL:
        is_tiny = levels[smallest].max() < TINY and learning.outcome != Outcome.GOOD
        begun, now = np.median(terms[smallest][: LEAST_STEPS // 2]), np.median(terms[smallest][-LEAST_STEPS // 2 :])
        is_grave = is_tiny and begun > 0 and now > (1 - BAD_DROP) * begun
        level = Level.WARNING if is_grave else Level.INFO
        yield _finding(level, "small", names[smallest], float(levels[smallest].max()), SMALL)


def _adds_up(trace: Trace, names: list[str]) -> bool:
    total = np.stack([trace.losses[name] for name in names]).sum(0)
    loss = trace.losses["loss"]
    is_told = np.isfinite(total) & np.isfinite(loss) & (np.abs(loss) > 0)
    return bool(is_told.any()) and float(np.median(np.abs(total[is_told] / loss[is_told] - 1))) < WHOLE


def _finding(level: Level, message: str, name: str, share: float, limit: float) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"name": name, "percent": f"{100 * share:.2g}"},
        measured=share,
        limit=Limit(value=limit, unit="share", source=_SOURCE),
        places=(Place(kind="setting", name=name, note=f"{share:.1%}", score=share),),
        num_places=1,
    )


CHECK = Check(
    code="T18",
    name="loss-terms-out-of-balance",
    stage=Stage.TRAINING,
    judge=judge,
    curves=term_curves,
    covers=("DX-091",),
    caused_by=("T1",),
    source="Lin et al. 2017, https://arxiv.org/abs/1708.02002 (balance of easy and hard); Kendall et al. 2018, "
    "https://arxiv.org/abs/1705.07115 (weights of terms)",
    pages={
        "en": Page(
            title="terms of the loss out of balance",
            finds="A term of the loss that is below 1 % or above 95 % of the whole from the start to the end.",
            matters="What is next to nothing of the loss is next to nothing of the gradient: the network is trained "
            "for the rest only, such as for naming background and not for placing boxes.",
            measured="The share of each term in the sum, in each tenth of the run. Told; a warning if a term below 0.1 "
            "% has not fallen by 5 % either while the whole has fallen by less than half. Terms that do not add up to "
            "the loss are not judged.",
            false_alarms="A term that is easy is small because it is learned; a term that only regularises is meant to "
            "be small.",
            fix="Weigh the terms so that they begin within a factor of ten of one another; where background is nearly "
            "all of the loss, focal loss or sampling of examples.",
            messages={
                "small": "{name} is at most {percent} % of the loss throughout.",
                "large": "{name} is at least {percent} % of the loss throughout.",
            },
        ),
        "zh": Page(
            title="损失各项失衡",
            finds="自始至终低于总损失 1% 或高于 95% 的一项。",
            matters="在损失中几乎为零的项，在梯度中也几乎为零：网络只为其余项而训练，例如只学会识别背景而不学习定位。",
            measured="每十分之一训练中各项占总和的份额。提示；若低于 0.1% 的项也没有下降 5%，且总损失下降不到一半，"
            "则警告。各项之和不等于损失时不判断。",
            false_alarms="容易的项因学会而变小；只起正则作用的项本应很小。",
            fix="调整各项权重，使它们起始时相差不超过十倍；背景几乎占全部损失时，用 focal loss 或样本采样。",
            messages={
                "small": "{name} 自始至终最多占损失的 {percent}%。",
                "large": "{name} 自始至终至少占损失的 {percent}%。",
            },
        ),
    },
)
