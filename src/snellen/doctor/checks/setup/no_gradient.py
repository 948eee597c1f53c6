"""no-gradient (M6)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.evidence.probes.gradient_flow import GradientFlow
from snellen.doctor.examining import Subject
from snellen.doctor.finding import Finding, Level, Place

__all__ = ["CHECK"]

_MOST_PLACES = 50


def judge(subject: Subject, flow: GradientFlow, first: FirstStep) -> Iterator[Finding]:
    """Yield a finding for parameters that no gradient reaches, or that a step does not change."""
    if first.backward_error:
        yield Finding(level=Level.ERROR, message="no_graph", numbers={"error": first.backward_error})
        return
    if not flow.with_gradient:
        yield Finding(level=Level.ERROR, message="all_zero", numbers={"count": len(first.gradients)})
        return
    for message, names, level in (
        ("cut", flow.cut, Level.ERROR),
        ("zero", flow.zero, Level.INFO if subject.task == "detection" else Level.WARNING),
        ("unused", flow.unused, Level.INFO),
    ):
        if names:
            yield _finding(message, names, level)
    update = first.update
    if update is not None and len(update.unchanged) > update.moved:
        level, message = (Level.WARNING, "unchanged") if update.lr else (Level.INFO, "rate_is_zero")
        yield _finding(message, update.unchanged, level, lr=update.lr)


def _finding(message: str, names: tuple[str, ...], level: Level, **numbers: float) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"count": len(names), "first": names[0], **numbers},
        measured=float(len(names)),
        places=tuple(Place(kind="parameter", name=name) for name in names[:_MOST_PLACES]),
        num_places=len(names),
    )


CHECK = Check(
    code="M6",
    name="no-gradient",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M10", "M26", "M41", "M1", "M5", "M4"),
    source="torchtest2 (gradient flow, parameters change); torch-audit TA103, TA500; PyTorch, Autograd mechanics",
    pages={
        "en": Page(
            title="parameters that no gradient reaches",
            finds="A graph that is cut by detach, .data, no_grad, argmax or a way through numpy; parameters with a "
            "gradient of zero; parameters that a step does not change.",
            matters="Such layers keep their random start. The layers behind them learn to make the best of it, so the "
            "loss falls and nothing seems wrong.",
            measured="One backward pass. Where a parameter gets no gradient it is moved a little: if the loss changes "
            "all the same, the graph is cut (error); if not, the parameter has no part in the loss (told). Matrices "
            "whose gradient is all zero, in the first step and after two steps of Adam, are a warning: what only "
            "starts from zero has come alive by then. One step of your optimizer must change most of what had a "
            "gradient.",
            false_alarms="cut: a target network that follows without a gradient; set requires_grad_(False) on it. "
            "zero: "
            "a part that this batch does not use; for detectors, whose levels wait for objects of their size, it is "
            "only "
            "told.",
            fix="Remove what cuts the graph between these layers and the loss.",
            messages={
                "no_graph": "No gradient can be computed: {error}",
                "all_zero": "All gradients are zero.",
                "cut": "{count} parameters, the first of them {first}, get no gradient though the loss depends on "
                "them.",
                "zero": "The gradient of {count} weight matrices is zero in every step; the first is {first}.",
                "unused": "{count} trainable parameters have no part in the loss; the first is {first}.",
                "unchanged": "A step with the rate {lr} does not change {count} parameters; the first is {first}.",
                "rate_is_zero": "The first step has the rate {lr} and changes nothing.",
            },
            fixes={
                "no_graph": "Compute the loss with torch functions from the output itself: no detach, item, numpy or "
                "argmax on the way, and no inplace change of what backward needs.",
                "all_zero": "Look for a loss that does not depend on the output, or activations that are all zero.",
                "zero": "Look for units that are always zero in front of or behind them.",
                "unused": "Freeze or remove them; distributed training waits for their gradients.",
                "unchanged": "Raise the learning rate, or keep the weights in float32.",
                "rate_is_zero": "A warm-up that starts from zero is fine; otherwise set a learning rate.",
            },
        ),
        "zh": Page(
            title="得不到梯度的参数",
            finds="被 detach、.data、no_grad、argmax 或经由 numpy 切断的计算图；梯度为零的参数；"
            "执行一步后没有改变的参数。",
            matters="这些层会停留在随机初值。其后的层学会凑合，损失仍会下降，看不出任何问题。",
            measured="做一次反向计算。对没有梯度的参数稍作改动：若损失仍随之改变，则计算图被切断（错误）；"
            "否则该参数与损失无关（提示）。"
            "第一步以及 Adam 两步之后梯度始终全为零的矩阵给出警告：仅仅是从零开始的参数到那时已经活动起来。"
            "您的优化器执行一步，必须改变大多数有梯度的参数。",
            false_alarms="cut：不用梯度跟随的目标网络；请对其设置 requires_grad_(False)。zero：该批次没有用到的部分，"
            "检测器的各层要等到相应大小的目标，因此只作提示。",
            fix="去掉这些层与损失之间切断计算图的操作。",
            messages={
                "no_graph": "无法计算梯度：{error}",
                "all_zero": "所有梯度都为零。",
                "cut": "{count} 个参数（第一个是 {first}）没有梯度，而损失依赖于它们。",
                "zero": "{count} 个权重矩阵的梯度在每一步都为零；第一个是 {first}。",
                "unused": "{count} 个可训练参数与损失无关；第一个是 {first}。",
                "unchanged": "学习率为 {lr} 的一步没有改变 {count} 个参数；第一个是 {first}。",
                "rate_is_zero": "第一步的学习率为 {lr}，什么也没有改变。",
            },
            fixes={
                "no_graph": "用 torch 函数直接从输出计算损失：途中不要 detach、item、numpy 或 argmax，"
                "也不要就地修改反向计算所需的值。",
                "all_zero": "检查损失是否不依赖输出，或者激活是否全为零。",
                "zero": "检查其前后是否有始终为零的单元。",
                "unused": "冻结或删除它们；分布式训练会等待它们的梯度。",
                "unchanged": "提高学习率，或以 float32 保存权重。",
                "rate_is_zero": "从零开始的预热没有问题；否则请设置学习率。",
            },
        ),
    },
)
