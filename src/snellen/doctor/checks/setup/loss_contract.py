"""loss-contract (M4)."""

from collections.abc import Iterator
from math import e, isfinite, log

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.evidence.probes.loss_contract import LossContract
from snellen.doctor.evidence.probes.loss_scale import LossScale
from snellen.doctor.examining import Subject
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["CHECK"]

SUM_RATIO = 1.8  # loss of a doubled batch over the loss of the batch; 2 is a sum, less leaves room for samplers


def judge(
    subject: Subject, first: FirstStep | None, contract: LossContract | None, scale: LossScale | None
) -> Iterator[Finding]:
    """Yield what breaks the agreement between output, targets and loss."""
    if subject.loss_error is not None:
        error = subject.loss_error
        told = (str(error).strip().splitlines() or [""])[0]
        yield Finding(level=Level.ERROR, message="loss_fails", numbers={"error": f"{type(error).__name__}: {told}"})
        return
    if first is None or first.loss is None:
        raise NotCheckable(first.no_loss if first and first.no_loss else Subject.ABSENT)
    if not isfinite(first.loss):
        yield Finding(level=Level.ERROR, message="not_finite", numbers={"loss": first.loss})
    if contract is not None:
        yield from _of_contract(contract, first)
    if scale is not None and scale.ratio > SUM_RATIO:
        yield Finding(
            level=Level.WARNING,
            message="sum",
            numbers={"ratio": round(scale.ratio, 2)},
            measured=scale.ratio,
            limit=Limit(value=SUM_RATIO, source="TheDeepChecker (loss of replicated batches)"),
        )


def _of_contract(contract: LossContract, first: FirstStep) -> Iterator[Finding]:
    for message in filter(None, (_into_softmax(contract, first), _into_sigmoid(contract, first), _into_nll(contract))):
        yield Finding(level=Level.ERROR, message=message, numbers={"floor": round(_floor(contract.classes), 2),
                      "classes": contract.classes})  # fmt: skip
    if first.activation in ("relu", "tanh") and (contract.has_softmax or contract.kind == "bce_with_logits"):
        yield Finding(level=Level.WARNING, message="bounded", numbers={"activation": first.activation})
    if contract.broadcast:
        yield Finding(level=Level.ERROR, message="broadcast", numbers={"shapes": contract.broadcast})
    elif contract.reads_targets is False:
        yield Finding(level=Level.ERROR, message="targets_unread")


def _floor(classes: int) -> float:
    """Return the least cross-entropy that a softmax of a softmax can reach."""
    return log(1 + (classes - 1) / e)


def _into_softmax(contract: LossContract, first: FirstStep) -> str:
    """Return what is wrong with what a softmax in the loss gets."""
    if contract.kind == "softmax_cross_entropy":
        return "softmax_twice"
    if contract.kind == "sigmoid_cross_entropy":
        return "sigmoid_then_softmax"
    if not (contract.kind == "cross_entropy" or contract.has_softmax) or contract.kind.startswith("softmax"):
        return ""
    if first.activation == "softmax" or contract.rows_are_probabilities:
        return "softmax_twice"
    return "sigmoid_then_softmax" if first.activation == "sigmoid" else ""


def _into_sigmoid(contract: LossContract, first: FirstStep) -> str:
    """Return what is wrong with what a sigmoid in the loss gets."""
    if contract.kind == "sigmoid_bce_with_logits":
        return "sigmoid_twice"
    if contract.kind != "bce_with_logits":
        return ""
    if first.activation == "softmax" or contract.rows_are_probabilities:
        return "softmax_then_sigmoid"
    return "sigmoid_twice" if first.activation == "sigmoid" else ""


def _into_nll(contract: LossContract) -> str:
    """Return what is wrong with what a negative log-likelihood gets."""
    if contract.kind != "nll" or contract.rows_are_log_probabilities:
        return ""
    return "probabilities_into_nll" if contract.rows_are_probabilities else "logits_into_nll"


CHECK = Check(
    code="M4",
    name="loss-contract",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-046", "DX-051"),
    caused_by=("M1",),
    source="PyTorch, documentation of CrossEntropyLoss, NLLLoss, BCELoss and BCEWithLogitsLoss; NeuraLint (last "
    "activation, wrong loss inputs); UMLAUT (missing softmax); TheDeepChecker (loss of replicated batches)",
    pages={
        "en": Page(
            title="output, targets and loss do not belong together",
            finds="Probabilities given to a loss that wants logits, logits given to one that wants log-probabilities, "
            "a softmax or sigmoid too many, targets of the wrong type or shape, a silent broadcast, a loss that does "
            "not read the targets, a loss that is summed over the batch.",
            matters="All of these train, badly: behind two softmaxes cross-entropy cannot fall below ln(1 + (C-1)/e), "
            "1.46 for ten classes; behind a broadcast every output is held against every target. A loss that is "
            "summed makes the step grow with the batch.",
            measured="By what the loss returns, never by its code. It is given made-up logits and compared with "
            "torch's "
            "losses, each alone and behind a softmax or sigmoid: equal within 1e-4. Rows of the output that are not "
            "negative and sum to 1 are probabilities; the graph of the output names its last function. A batch with "
            "every sample twice has a loss more than 1.8 times as large: a sum (warning).",
            false_alarms="sum: some papers sum on purpose and set their learning rates for it. bounded: a head that "
            "ends in ReLU or tanh can still rank classes.",
            fix="Give raw logits to cross_entropy and to binary_cross_entropy_with_logits.",
            messages={
                "loss_fails": "The loss cannot be computed on this batch: {error}",
                "not_finite": "The loss is {loss}.",
                "softmax_twice": "The loss applies a softmax to what is a softmax already; with {classes} classes it "
                "cannot fall below {floor}.",
                "sigmoid_then_softmax": "The loss applies a softmax to what went through a sigmoid: no class can get "
                "a probability near 1.",
                "sigmoid_twice": "The loss applies a sigmoid to what went through a sigmoid: no probability can be "
                "below 0.5.",
                "softmax_then_sigmoid": "The loss applies a sigmoid to what is a softmax already.",
                "logits_into_nll": "The negative log-likelihood wants log-probabilities and gets raw logits: it has no "
                "lower end.",
                "probabilities_into_nll": "The negative log-likelihood wants log-probabilities and gets probabilities.",
                "bounded": "The model ends in {activation}, which cuts off the logits that the loss wants.",
                "broadcast": "Output and targets have the shapes {shapes}: the loss compares every output with every "
                "target.",
                "targets_unread": "The loss is the same when the targets of other samples are used.",
                "sum": "A batch with every sample twice has {ratio} times the loss: it is summed, so the step grows "
                "with the batch.",
            },
            fixes={
                "loss_fails": "Check type and shape of the targets: class indices are int64 without a class axis, "
                "targets of binary losses are float in the shape of the output.",
                "softmax_twice": "Remove the softmax from the model or from before the loss.",
                "logits_into_nll": "Use cross_entropy, or apply log_softmax before.",
                "probabilities_into_nll": "Use log_softmax instead of softmax, or cross_entropy on raw logits.",
                "bounded": "Remove the last {activation}.",
                "broadcast": "Bring output and targets to one shape, with squeeze(1) or unsqueeze(1).",
                "targets_unread": "Pass the targets of the batch to the loss.",
                "sum": "Divide by the number of samples (reduction='mean'), or set the learning rate for this batch "
                "size only.",
            },
        ),
        "zh": Page(
            title="输出、目标与损失不匹配",
            finds="把概率传给需要 logits 的损失，把 logits 传给需要对数概率的损失，多了一次 softmax 或 sigmoid，"
            "目标的类型或形状不对，悄悄发生的广播，不读取目标的损失，对批次求和的损失。",
            matters="这些情况都能训练，但效果很差：经过两次 softmax 后，交叉熵不可能低于 ln(1 + (C-1)/e)，"
            "十个类别时为 1.46；"
            "发生广播时每个输出都与每个目标比较；求和的损失使步长随批次大小增长。",
            measured="只看损失的返回值，不看代码。给它虚构的 logits，与 torch 的各种损失（单独的，以及先经过 softmax "
            "或 sigmoid 的）"
            "比较：相差在 1e-4 以内即为相同。输出的每一行非负且和为 1 即为概率；输出的计算图给出最后一个函数。"
            "每个样本出现两次的批次，损失若超过 1.8 倍，则为求和（警告）。",
            false_alarms="sum：有些论文有意求和，并据此设置学习率。bounded：以 ReLU 或 tanh 结尾的分类头仍能给类别排"
            "序。",
            fix="把未经处理的 logits 传给 cross_entropy 和 binary_cross_entropy_with_logits。",
            messages={
                "loss_fails": "在该批次上无法计算损失：{error}",
                "not_finite": "损失为 {loss}。",
                "softmax_twice": "损失对已经过 softmax 的输出又做了一次 softmax；{classes} 个类别时它不可能低于 "
                "{floor}。",
                "sigmoid_then_softmax": "损失对经过 sigmoid 的输出做 softmax：任何类别的概率都无法接近 1。",
                "sigmoid_twice": "损失对经过 sigmoid 的输出又做了一次 sigmoid：概率不可能低于 0.5。",
                "softmax_then_sigmoid": "损失对已经过 softmax 的输出又做了 sigmoid。",
                "logits_into_nll": "负对数似然需要对数概率，得到的却是未经处理的 logits：它没有下界。",
                "probabilities_into_nll": "负对数似然需要对数概率，得到的却是概率。",
                "bounded": "模型以 {activation} 结尾，截断了损失所需的 logits。",
                "broadcast": "输出与目标的形状为 {shapes}：损失把每个输出与每个目标都作了比较。",
                "targets_unread": "换成其他样本的目标后损失不变。",
                "sum": "每个样本出现两次的批次，损失是原来的 {ratio} 倍：损失是求和的，步长会随批次大小增长。",
            },
            fixes={
                "loss_fails": "检查目标的类型和形状：类别索引应为不含类别维的 int64，二元损失的目标应为与输出同形的浮"
                "点数。",
                "softmax_twice": "去掉模型里或损失之前的 softmax。",
                "logits_into_nll": "改用 cross_entropy，或先做 log_softmax。",
                "probabilities_into_nll": "用 log_softmax 代替 softmax，或对未经处理的 logits 用 cross_entropy。",
                "bounded": "去掉最后的 {activation}。",
                "broadcast": "用 squeeze(1) 或 unsqueeze(1) 使输出与目标同形。",
                "targets_unread": "把批次的目标传给损失。",
                "sum": "除以样本数（reduction='mean'），或者只为这个批次大小设置学习率。",
            },
        ),
    },
)
