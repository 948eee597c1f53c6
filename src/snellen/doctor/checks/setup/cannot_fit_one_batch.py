"""cannot-fit-one-batch (M11)."""

from collections.abc import Iterator
from math import isfinite

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.one_batch import OneBatch
from snellen.doctor.finding import Finding, Level, Limit, Number
from snellen.doctor.words import Text

__all__ = ["CHECK"]

_SOURCE = "torchtest2 and TheDeepChecker ask for 5 % in 1,000 steps; calibrated on healthy set-ups"


def judge(fit: OneBatch) -> Iterator[Finding]:
    """Yield a finding if a few samples cannot be learned by heart."""
    if fit.reached:
        return
    left = fit.left(fit.end)
    numbers: dict[str, Number] = {
        "samples": fit.samples,
        "steps": fit.steps,
        "start": f"{fit.start:.3g}",
        "end": f"{fit.end:.3g}",
        "fitted": f"{fit.fitted:.3g}",
        "percent": round(100 * fit.enough),
    }
    limit = Limit(value=fit.enough, unit="share", source=_SOURCE)
    if not isfinite(fit.fitted):
        yield Finding(level=Level.WARNING, message="not_finite", numbers=numbers, limit=limit)
    elif fit.ran_out:
        raise NotCheckable(
            Text(
                en=f"time ended after {fit.steps} steps; the loss of {fit.samples} samples was {fit.fitted:.3g}, from "
                f"{fit.start:.3g}",
                zh=f"{fit.steps} 步后时间用尽；{fit.samples} 个样本的损失从 {fit.start:.3g} 变为 {fit.fitted:.3g}",
            )
        )
    elif fit.left(fit.fitted) <= fit.enough:
        yield Finding(level=Level.WARNING, message="evaluation", numbers=numbers, measured=left, limit=limit)
    else:
        yield Finding(level=Level.WARNING, numbers=numbers, measured=left, limit=limit)


CHECK = Check(
    code="M11",
    name="cannot-fit-one-batch",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-009", "DX-015"),
    caused_by=("M20", "M4", "M1", "M5", "M6", "M7", "M8", "M10", "M15", "M17", "M24", "M26", "M41", "M45", "M3"),
    source="Karpathy 2019, A Recipe for Training Neural Networks; torchtest2; TheDeepChecker, Ben Braiek and Khomh "
    "2023",
    pages={
        "en": Page(
            title="a few samples cannot be learned by heart",
            finds="A network that does not fit a handful of samples, though it sees nothing else.",
            matters="What cannot fit sixteen samples will not fit a data set, and more data will not help: little data "
            "leads to overfitting, never to a loss that stays high. The cause is a wrong loss, a cut graph, labels "
            "that contradict one another, or a network that is too small.",
            measured="Up to 16 samples (4 for detection and segmentation) for as long as the loss falls, 200 to 1,000 "
            "steps of Adam at a rate of 0.001, with dropout switched off, then undone. Judged in evaluation mode: of "
            "what the loss could lose, at most 10 % may be left (30 % for detection and segmentation). The lowest "
            "loss that is possible, such as with smoothed labels, is found first. Where time ends before the steps, "
            "the check says so and does not judge.",
            false_alarms="Networks that need a special optimizer or rate; losses with terms that do not depend on the "
            "samples; batches in which the same image has two labels, which is a fault of the data.",
            fix="Look at the other findings first. Then at labels, learning rate and capacity: is the loss the one for "
            "the task, do image and label belong together, has the network enough channels?",
            messages={
                "default": "{samples} samples could not be learned by heart: the loss went from {start} to {end} in "
                "{steps} steps; at most {percent} % of the way should be left.",
                "evaluation": "{samples} samples are learned in training mode (loss {fitted}) but not in evaluation "
                "mode ({end}): the two modes do not compute the same.",
                "not_finite": "While learning {samples} samples by heart, the loss became NaN or infinite after "
                "{steps} steps of Adam at 0.001.",
            },
            fixes={
                "evaluation": "Look at norms: their momentum (0.1 is usual), their epsilon, running statistics that "
                "are shared or frozen; and at code that asks for self.training.",
            },
        ),
        "zh": Page(
            title="连几个样本都记不住",
            finds="只看少数几个样本也无法拟合的网络。",
            matters="连十六个样本都拟合不了，就拟合不了整个数据集，增加数据也没有用：数据少导致过拟合，绝不会导致损失"
            "居高不下。原因是损失函数错误、计算图断开、标签自相矛盾，或网络太小。",
            measured="最多 16 个样本（检测和分割为 4 个），用学习率 0.001 的 Adam 训练 200 到 1,000 步（只要损失还在下"
            "降），关闭 dropout，之后全部撤销。在评估模式下判断：损失可下降的部分最多剩 10 %（检测和分割为 30 %）。事"
            "先求出可能达到的最低损失（例如标签平滑时）。若时间先于步数用尽，则如实说明，不作判断。",
            false_alarms="需要特殊优化器或学习率的网络；含有与样本无关项的损失；同一图像有两个标签的批次，这属于数据的"
            "错误。",
            fix="先看其他发现。再检查标签、学习率和容量：损失函数是否适合任务，图像与标签是否对应，网络通道是否足够？",
            messages={
                "default": "{samples} 个样本无法记住：{steps} 步内损失从 {start} 变为 {end}；最多应剩余 {percent} %。",
                "evaluation": "{samples} 个样本在训练模式下已学会（损失 {fitted}），在评估模式下却没有（{end}）：两种"
                "模式的计算不一致。",
                "not_finite": "在记忆 {samples} 个样本时，用学习率 0.001 的 Adam 训练 {steps} 步后损失变为 NaN 或无穷"
                "大。",
            },
            fixes={
                "evaluation": "检查归一化层：动量（通常为 0.1）、epsilon、共享或冻结的运行统计量；以及根据 "
                "self.training 分支的代码。",
            },
        ),
    },
)
