"""parameters-not-in-optimizer (M5)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.evidence.probes.learning_parameters import LearningParameters
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

MOST_FROZEN = 0.5  # share of all numbers that do not learn while the weights are untrained; own choice

_MOST_PLACES = 50


def judge(learning: LearningParameters, first: FirstStep | None) -> Iterator[Finding]:
    """Yield a finding for parameters that should learn and cannot."""
    found = [*_of_model(learning, first)]
    if learning.missing is not None and learning.trainable:
        found += _of_optimizer(learning, learning.missing)
    elif not found:
        raise NotCheckable(Text(en="no optimizer was given; pass optimizer=", zh="没有给出优化器；请传入 optimizer="))
    yield from found


def _of_model(learning: LearningParameters, first: FirstStep | None) -> Iterator[Finding]:
    if not learning.trainable:
        yield Finding(level=Level.ERROR, message="none_trainable")
        return
    if first is not None and first.hidden:
        yield _finding("unregistered", first.hidden, Level.ERROR)
    if learning.frozen_share > MOST_FROZEN and learning.looks_trained is False and not learning.has_stages:
        yield Finding(
            level=Level.ERROR,
            message="frozen_untrained",
            numbers={"share": round(learning.frozen_share, 3)},
            measured=learning.frozen_share,
            limit=Limit(value=MOST_FROZEN, unit="share", source="own choice; only where norms show untrained weights"),
            places=_places(learning.frozen),
            num_places=len(learning.frozen),
        )


def _of_optimizer(learning: LearningParameters, missing: tuple[str, ...]) -> Iterator[Finding]:
    if len(missing) == learning.trainable:
        yield _finding("all_missing", missing, Level.ERROR)
    elif learning.head_is_missing and missing:
        yield _finding("head_missing", missing, Level.ERROR)
    elif missing:
        on_purpose = learning.looks_trained is not False
        yield _finding("backbone_missing" if on_purpose else "missing", missing,
                       Level.WARNING if on_purpose else Level.ERROR)  # fmt: skip
    elif learning.foreign:
        yield Finding(level=Level.INFO, message="foreign", numbers={"count": learning.foreign})
    if learning.repeated:
        yield _finding("repeated", learning.repeated, Level.ERROR)


def _finding(message: str, names: tuple[str, ...], level: Level) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"count": len(names), "first": names[0]},
        measured=float(len(names)),
        places=_places(names),
        num_places=len(names),
    )


def _places(names: tuple[str, ...]) -> tuple[Place, ...]:
    return tuple(Place(kind="parameter", name=name) for name in names[:_MOST_PLACES])


CHECK = Check(
    code="M5",
    name="parameters-not-in-optimizer",
    stage=Stage.SETUP,
    judge=judge,
    source="torchtest2 (optimizer coverage, frozen parameters); TrainCheck; PyTorch, documentation of ModuleList",
    pages={
        "en": Page(
            title="parameters that should learn and cannot",
            finds="Trainable parameters that the optimizer does not hold, or holds twice; layers in plain lists, which "
            "torch does not see; a frozen part that was never trained.",
            matters="Nothing complains. The loss falls through the layers that do learn, and the result is mediocre. "
            "The "
            "usual cause is an optimizer that was built before the head was replaced.",
            measured="The parameters of the model that want a gradient are compared with those in the groups of the "
            "optimizer: exact. Layers in plain lists count if they got a gradient. Weights are untrained if all norms "
            "are as they are built; then more than half frozen is an error.",
            false_alarms="An optimizer for the head alone, without freezing the backbone, is a warning: freeze it with "
            "requires_grad_(False), which also saves time. It is an error where the norms show untrained weights.",
            fix="Build the optimizer after the model is complete, from model.parameters().",
            messages={
                "none_trainable": "No parameter of the model is to be trained.",
                "unregistered": "{count} parameters, the first of them {first}, lie in a plain list or dictionary: the "
                "model does not list them, so no optimizer gets them.",
                "frozen_untrained": "{share:.0%} of the model is frozen, and its weights were never trained.",
                "all_missing": "The optimizer holds none of the {count} trainable parameters of this model.",
                "head_missing": "{count} trainable parameters are not in the optimizer, the last layer among them; the "
                "first is {first}.",
                "missing": "{count} trainable parameters are not in the optimizer; the first is {first}.",
                "backbone_missing": "{count} trainable parameters are not in the optimizer; the first is {first}. If "
                "they are meant to stay as they are, freeze them.",
                "foreign": "The optimizer holds {count} tensors that do not belong to this model.",
                "repeated": "{count} parameters are in the optimizer more than once; the first is {first}.",
            },
            fixes={
                "none_trainable": "Set requires_grad_(True) on what is to learn.",
                "unregistered": "Put the layers into nn.ModuleList or nn.ModuleDict.",
                "frozen_untrained": "Load pretrained weights, or do not freeze.",
                "backbone_missing": "Call requires_grad_(False) on them, or give them to the optimizer.",
                "foreign": "See that the optimizer was built for this model.",
                "repeated": "Give every parameter to one group only.",
            },
        ),
        "zh": Page(
            title="应学习却无法学习的参数",
            finds="优化器没有包含或重复包含的可训练参数；放在普通列表里、torch 看不到的层；从未训练过却被冻结的部分。",
            matters="没有任何报错。损失会通过仍在学习的层下降，结果却平平。常见原因是在替换分类头之前就创建了优化器。",
            measured="把模型中需要梯度的参数与优化器各组中的参数比较：精确判断。普通列表里的层只有得到梯度才计入。"
            "若所有归一化层都保持初始状态，则权重未经训练；此时冻结一半以上即为错误。",
            false_alarms="只为分类头创建优化器而没有冻结骨干网络，仅作警告：请用 requires_grad_(False) 冻结，"
            "还能节省时间。"
            "若归一化层显示权重未经训练，则为错误。",
            fix="在模型完整之后，用 model.parameters() 创建优化器。",
            messages={
                "none_trainable": "模型没有任何要训练的参数。",
                "unregistered": "{count} 个参数（第一个是 {first}）放在普通列表或字典里：模型不会列出它们，"
                "优化器也就得不到它们。",
                "frozen_untrained": "模型的 {share:.0%} 被冻结，而其权重从未训练过。",
                "all_missing": "优化器不包含该模型 {count} 个可训练参数中的任何一个。",
                "head_missing": "{count} 个可训练参数不在优化器中，其中包括最后一层；第一个是 {first}。",
                "missing": "{count} 个可训练参数不在优化器中；第一个是 {first}。",
                "backbone_missing": "{count} 个可训练参数不在优化器中；第一个是 {first}。若有意保持不变，请冻结它们。",
                "foreign": "优化器包含 {count} 个不属于该模型的张量。",
                "repeated": "{count} 个参数在优化器中出现不止一次；第一个是 {first}。",
            },
            fixes={
                "none_trainable": "对要学习的部分设置 requires_grad_(True)。",
                "unregistered": "把这些层放进 nn.ModuleList 或 nn.ModuleDict。",
                "frozen_untrained": "加载预训练权重，或者不要冻结。",
                "backbone_missing": "对它们调用 requires_grad_(False)，或交给优化器。",
                "foreign": "确认优化器是为该模型创建的。",
                "repeated": "每个参数只放进一个组。",
            },
        ),
    },
)
