"""optimizer-misfit (M39)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.probes.first_updates import FirstUpdates
from snellen.doctor.evidence.probes.optimizer_facts import OptimizerFacts
from snellen.doctor.finding import Finding, Level, Limit, Number, Treatment

__all__ = ["CHECK"]

STRONG_DECAY = 0.1  # of SGD and Adam, in the gradient; 1e-5 to 1e-3 are usual
STRONG_DECOUPLED = 1.0  # of AdamW; 0.01 to 0.3 are usual
DECAY_WINS = 1.0  # pull of the decay over the gradient of the data, in the first step; healthy set-ups up to 0.05
SLOW_ADADELTA = 0.05  # rate; the rule is made for 1, and 0.001 is what Keras once had
SLOW_PLAIN = 1e-4  # rate of SGD without momentum; 0.01 to 1 are usual
TIGHT_CLIP = 1e-3  # share of the gradient that the limit leaves

_WHOLE_DATA = (
    "rprop",
    "lbfgs",
)  # rules that compare one step's gradient with the last one's: made for all data at once
_USUAL = "usual settings of published recipes"


def judge(facts: OptimizerFacts, updates: FirstUpdates | None) -> Iterator[Finding]:
    """Yield findings about a rule of the steps whose settings work against learning."""
    yield from _decay(facts, updates)
    yield from _rule(facts)
    yield from _clipping(facts, updates)


def _decay(facts: OptimizerFacts, updates: FirstUpdates | None) -> Iterator[Finding]:
    strong = STRONG_DECOUPLED if facts.decoupled else STRONG_DECAY
    usual = 0.05 if facts.decoupled else 1e-4
    pull = 0.0 if updates is None else updates.decay
    numbers: dict[str, Number] = {"decay": f"{facts.weight_decay:g}", "usual": f"{usual:g}", "pull": f"{pull:.2g}"}
    treatment = Treatment(settings={"weight_decay": usual})
    if facts.weight_decay >= strong:
        yield Finding(level=Level.WARNING, message="decay", numbers=numbers, measured=facts.weight_decay,
                      limit=Limit(value=strong, source=_USUAL), treatment=treatment)  # fmt: skip
    elif pull > DECAY_WINS:
        yield Finding(level=Level.WARNING, message="decay_wins", numbers=numbers, measured=pull, treatment=treatment,
                      limit=Limit(value=DECAY_WINS, source="more of the step than the data has"))  # fmt: skip


def _rule(facts: OptimizerFacts) -> Iterator[Finding]:
    numbers: dict[str, Number] = {"kind": facts.kind, "rate": f"{facts.lr:.2g}"}
    treatment = Treatment(settings={"optimizer": "adamw", "lr": 1e-3})
    if facts.kind in _WHOLE_DATA:
        yield Finding(level=Level.WARNING, message="whole_data", numbers=numbers, treatment=treatment)
    elif facts.kind == "adadelta" and facts.lr < SLOW_ADADELTA:
        yield Finding(level=Level.WARNING, message="adadelta", numbers=numbers, measured=facts.lr, treatment=treatment,
                      limit=Limit(value=SLOW_ADADELTA, source="Zeiler 2012 has a rate of 1"))  # fmt: skip
    elif facts.kind == "sgd" and facts.momentum == 0:
        slow = facts.lr < SLOW_PLAIN
        yield Finding(level=Level.WARNING if slow else Level.INFO, message="plain_slow" if slow else "plain",
                      numbers=numbers, measured=facts.lr, limit=Limit(value=SLOW_PLAIN, source=_USUAL),
                      treatment=treatment)  # fmt: skip


def _clipping(facts: OptimizerFacts, updates: FirstUpdates | None) -> Iterator[Finding]:
    """Clipping takes length from SGD's step; Adam divides it out again."""
    if facts.clip_norm is None or updates is None or not facts.kind.startswith("sgd") or not updates.norms:
        return
    share = facts.clip_norm / max(updates.norms[0], 1e-12)
    if share < TIGHT_CLIP:
        yield Finding(
            level=Level.WARNING,
            message="clipping",
            numbers={"clip": f"{facts.clip_norm:g}", "norm": f"{updates.norms[0]:.2g}"},
            measured=share,
            limit=Limit(value=TIGHT_CLIP, unit="share", source="DeepCrime's operator change_gradient_clip"),
            treatment=Treatment(settings={"clip_norm": 10.0}),
        )


CHECK = Check(
    code="M39",
    name="optimizer-misfit",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-049", "DX-041"),
    source="DeepCrime's operators RAW, RCW, OCH, OCG, Humbatova et al. 2021; Zeiler 2012, "
    "https://arxiv.org/abs/1212.5701; Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101",
    pages={
        "en": Page(
            title="an optimizer that works against learning",
            finds="A weight decay that pulls harder than the data, a rule that hardly moves at its rate or is made for "
            "the whole data at once, a gradient that is clipped to nothing.",
            matters="Such a training runs without an error and ends in a poor result, which is then blamed on data or "
            "network.",
            measured="Warnings: a decay of 0.1 or more in the gradient (SGD, Adam), or of 1 or more beside it (AdamW); "
            "in the first step, a pull of the decay larger than the gradient; Adadelta below a rate of 0.05; SGD "
            "without momentum below 0.0001; Rprop or L-BFGS, which need all data in a step; SGD whose gradient is "
            "clipped to less than a thousandth. SGD without momentum is told.",
            false_alarms="Weights that fit the batch already have hardly a gradient, so that any decay wins; decay of "
            "parameters that are meant to vanish. L-BFGS on a data set that fits in a batch is right.",
            fix="Decay: 0.0001 for SGD, 0.01 to 0.05 for AdamW. Rule: AdamW at 0.001 or SGD with momentum 0.9 at 0.01 "
            "to 0.1; for the last points, SGD after Adam. Clipping: a norm of 1 to 10.",
            messages={
                "decay": "A weight decay of {decay} is far beyond what is usual ({usual}).",
                "decay_wins": "In the first step the weight decay of {decay} pulls {pull} times as hard as the data.",
                "adadelta": "Adadelta at a rate of {rate} hardly moves; it is made for a rate of 1.",
                "plain_slow": "SGD without momentum at a rate of {rate} hardly moves.",
                "plain": "SGD has no momentum; with 0.9 it gets through flat places and takes about ten times the "
                "steps.",
                "whole_data": "{kind} needs the gradient of all data in every step; batches mislead it.",
                "clipping": "Gradients are clipped to {clip}, and they are {norm} long: the steps of SGD shrink to "
                "nothing.",
            },
        ),
        "zh": Page(
            title="优化器妨碍学习",
            finds="拉力超过数据梯度的权重衰减、在所设学习率下几乎不动或本为全量数据设计的规则、被裁剪到几乎为零的梯"
            "度。",
            matters="这样的训练不报错，结果却很差，然后被归咎于数据或网络。",
            measured="警告：写入梯度的衰减（SGD、Adam）不小于 0.1，或解耦的衰减（AdamW）不小于 1；第一步中衰减的拉力大"
            "于梯度；Adadelta 学习率低于 0.05；无动量 SGD 学习率低于 0.0001；每步需要全部数据的 Rprop 或 L-BFGS；SGD "
            "的梯度被裁剪到不足千分之一。无动量的 SGD 仅提示。",
            false_alarms="已经拟合该批次的权重几乎没有梯度，任何衰减都会占上风；有意趋零的参数。数据集能放入一个批次时"
            "使用 L-BFGS 是对的。",
            fix="衰减：SGD 用 0.0001，AdamW 用 0.01 到 0.05。规则：AdamW 学习率 0.001，或动量 0.9 的 SGD，学习率 0.01 "
            "到 0.1；最后阶段可在 Adam 之后换用 SGD。裁剪：范数 1 到 10。",
            messages={
                "decay": "权重衰减 {decay} 远超常用值（{usual}）。",
                "decay_wins": "第一步中，权重衰减 {decay} 的拉力是数据梯度的 {pull} 倍。",
                "adadelta": "Adadelta 在学习率 {rate} 下几乎不动；它是为学习率 1 设计的。",
                "plain_slow": "无动量的 SGD 在学习率 {rate} 下几乎不动。",
                "plain": "SGD 没有动量；动量 0.9 能越过平坦处，步长约为十倍。",
                "whole_data": "{kind} 每一步都需要全部数据的梯度；小批次会误导它。",
                "clipping": "梯度被裁剪到 {clip}，而其长度为 {norm}：SGD 的步子缩小到几乎为零。",
            },
        ),
    },
)
