"""loss-not-falling (T2)."""

from collections.abc import Iterator
from math import log

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Number
from snellen.doctor.watching.curves import trend
from snellen.doctor.watching.outcome import BAD_DROP, GOOD_DROP, Learning, Outcome
from snellen.doctor.watching.showing import held_out_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

ENOUGH_STEPS = 200  # long plateaus at the start are usual
ENOUGH_SHARE = 0.3  # of the planned steps, AutoTrainer
PLATEAU_STEPS = 200  # before, a loss that stands still may only be resting
NEAR_CHANCE = 0.05  # of ln K
_SOURCE = "AutoTrainer; SageMaker Debugger, loss not decreasing"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if the loss has not fallen, or stands still while it is still high."""
    done = int(trace.steps[-1])
    enough = min(ENOUGH_STEPS, ENOUGH_SHARE * trace.planned_steps) if trace.planned_steps else ENOUGH_STEPS
    if not trace.is_over and (done < enough or learning.outcome == Outcome.EARLY):
        raise NotCheckable(Text(en=f"{done} steps are too early to tell", zh=f"才 {done} 步，为时尚早"))
    numbers: dict[str, Number] = {
        "steps": done,
        "start": f"{learning.start:.3g}",
        "end": f"{learning.end:.3g}",
        "percent": f"{100 * learning.drop:.0f}",
        "chance": f"{log(learning.num_classes) if learning.num_classes > 1 else 0:.2f}",
        "classes": learning.num_classes,
    }
    if learning.outcome == Outcome.BAD:
        yield Finding(
            level=Level.WARNING,
            message="chance" if _is_guessing(learning) else "default",
            numbers=numbers,
            measured=learning.drop,
            limit=Limit(value=BAD_DROP, unit="share", source=_SOURCE),
        )
    elif learning.drop < GOOD_DROP and len(learning.values) >= PLATEAU_STEPS and _stands_still(learning):
        yield Finding(
            level=Level.INFO,
            message="plateau",
            numbers=numbers,
            measured=learning.drop,
            limit=Limit(value=GOOD_DROP, unit="share", source="healthy trainings of small nets"),
        )


def _is_guessing(learning: Learning) -> bool:
    chance = log(learning.num_classes) if learning.num_classes > 1 else 0.0
    return learning.is_cross_entropy and abs(learning.end - chance) < NEAR_CHANCE * chance


def _stands_still(learning: Learning) -> bool:
    half = len(learning.values) // 2
    line = trend(learning.steps[half:], learning.values[half:])
    if line is None or line.is_falling:
        return False
    return abs(line.slope) * half < BAD_DROP * abs(learning.start)


CHECK = Check(
    code="T2",
    name="loss-not-falling",
    stage=Stage.TRAINING,
    judge=judge,
    curves=held_out_curves,
    covers=("DX-009", "DX-015", "DX-041", "DX-044", "DX-048", "DX-049", "DX-070", "DX-076"),
    caused_by=(
        "T1",
        "T28",
        "T29",
        "T14",
        "T20",
        "T26",
        "T27",
        "T25",
        "T24",
        "T10",
        "T6",
        "T8",
        "T9",
        "T7",
        "T3",
        "T4",
        "T15",
    ),
    source="AutoTrainer, Zhang et al. 2021, https://arxiv.org/abs/2103.16215; SageMaker Debugger, LossNotDecreasing",
    pages={
        "en": Page(
            title="the loss does not fall",
            finds="A loss that is where it began after many steps, or one that stands still while it is still high.",
            matters="The network has learned nothing, or nothing more; further epochs will not change that. Few images "
            "are no cause: a network fits few images all the more easily.",
            measured="The median of the last tenth of the steps against the first steps: less than 5 % gone after 200 "
            "steps (or 30 % of the planned ones) is a warning, unless the accuracy on held-out data is above chance. A "
            "loss that has lost less than half and no longer falls in the second half is told. With K classes, a loss "
            "near ln K means that answers are guesses.",
            false_alarms="Losses that have no floor to fall to, such as those of adversarial pairs; weights that were "
            "good already.",
            fix="See whether a few images can be learned by heart (snellen check does, as M11). If they can, look at "
            "labels and at the rate; if not, at the loss, the initialisation and what is connected to what.",
            messages={
                "default": "After {steps} steps the loss is at {end}, where it began ({start}).",
                "chance": "After {steps} steps the loss is at {end}: guessing among {classes} classes gives {chance}.",
                "plateau": "The loss stands still at {end}, {percent} % below the {start} that it began with.",
            },
            fixes={
                "chance": "What the network sees does not tell it the labels, or it does not get through to them: look "
                "whether images and labels still belong together, then try a rate ten times as high and as low.",
                "plateau": "Divide the rate by ten when progress stops; if that does not help, a larger network, more "
                "momentum or another optimizer. Noisy labels also leave the loss high.",
            },
        ),
        "zh": Page(
            title="损失不下降",
            finds="许多步之后损失仍停在起点，或在还很高时就停住不动。",
            matters="网络什么也没学到，或不再学到新的东西；再多的周期也不会改变。图像少不是原因：图像越少越容易拟合。",
            measured="比较最后十分之一步的中位数与最初几步：200 步（或计划步数的 30%）之后下降不到 5% 时警告，"
            "除非留出数据上的准确率高于随机。下降不到一半且后半程不再下降时提示。有 K 个类别时，"
            "损失接近 ln K 意味着在猜测。",
            false_alarms="没有下限可降的损失，例如对抗训练的损失；本来就已很好的权重。",
            fix="看能否记住少量图像（snellen check 的 M11 会检查）。如果能，检查标签和学习率；如果不能，检查损失、"
            "初始化和连接。",
            messages={
                "default": "{steps} 步之后损失为 {end}，仍在起点（{start}）。",
                "chance": "{steps} 步之后损失为 {end}：在 {classes} 个类别中猜测就是 {chance}。",
                "plateau": "损失停在 {end}，只比起点 {start} 低 {percent}%。",
            },
            fixes={
                "chance": "网络看到的内容与标签无关，或信息传不到输出：检查图像与标签是否仍然对应，"
                "再试十倍和十分之一的学习率。",
                "plateau": "停止进步时把学习率除以十；若无效，用更大的网络、更大的动量或其他优化器。"
                "标签有噪声也会使损失居高不下。",
            },
        ),
    },
)
