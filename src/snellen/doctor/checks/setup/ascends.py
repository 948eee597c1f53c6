"""ascends (M20)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.evidence.probes.loss_contract import LossContract
from snellen.doctor.evidence.probes.own_step import OwnStep
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

AWAY = 0.5  # cosine between the gradient at the logits and the way to the targets; a right loss has -1 to -0.2
UPHILL = 0.1  # cosine between the gradient and the change of the weights; a right step has it negative
NOTICED = 1e-6  # change of the loss along the step, as a share of the loss; ten roundings of float32


def judge(first: FirstStep, contract: LossContract | None, own: OwnStep | None) -> Iterator[Finding]:
    """Yield a finding if training makes the loss, or the answers, worse."""
    loss, update = first.require_loss(), first.update
    if update is None and own is None and contract is None:
        raise NotCheckable(
            Text(
                en="neither optimizer nor step is known, and the output is not a tensor of logits",
                zh="既不知道优化器也不知道训练步骤，且输出不是 logits 张量",
            )
        )
    if contract is not None and contract.sign < 0:
        yield Finding(level=Level.ERROR, message="negated", numbers={"kind": contract.kind, "loss": round(loss, 3)})
    elif contract is not None and contract.climb is not None and contract.climb > AWAY:
        yield Finding(
            level=Level.ERROR,
            message="away",
            numbers={"cosine": round(contract.climb, 2)},
            measured=contract.climb,
            limit=Limit(value=AWAY, source="own measurement: right losses have -1 to -0.2"),
        )
    if update is not None and update.is_fresh and update.climb > UPHILL:
        yield Finding(
            level=Level.ERROR,
            message="optimizer_ascends",
            numbers={"cosine": round(update.climb, 2)},
            measured=update.climb,
            limit=Limit(value=UPHILL, source="own measurement: right steps have it negative"),
        )
    elif own is not None and own.climb is not None and own.climb > NOTICED * max(abs(loss), NOTICED):
        yield Finding(level=Level.ERROR, message="step_ascends", numbers={"rise": float(f"{own.climb:.2g}")},
                      measured=own.climb)  # fmt: skip


CHECK = Check(
    code="M20",
    name="ascends",
    stage=Stage.SETUP,
    judge=judge,
    source="Karpathy 2019, A Recipe for Training Neural Networks; own measurement (0 of 54 healthy set-ups, 41 of 41 "
    "sabotaged ones with the contract checks)",
    pages={
        "en": Page(
            title="training goes uphill",
            finds="A loss with the wrong sign, an optimizer that maximises, a step that raises the loss.",
            matters="The loss may fall without end while the answers get worse: a negated loss looks like good "
            "progress.",
            measured="The loss is recognised as the negative of a known one (exact); or the gradient at the logits "
            "points towards the targets (cosine above 0.5), which descent then leaves; or the change of the weights "
            "by a fresh optimizer has a cosine above 0.1 with the gradient; or the loss a little ahead in the "
            "direction of your own step is higher than a little behind (5 % of the step, same random numbers).",
            false_alarms="Adversarial and reversed-gradient parts that ascend on purpose, if they are the whole loss.",
            fix="Turn the sign of the loss round; remove maximize=True and negative rates.",
            messages={
                "negated": "The loss is the negative of {kind} and starts at {loss}: minimising it makes the answers "
                "worse.",
                "away": "The gradient points towards the targets (cosine {cosine}), so descent leads away from them.",
                "optimizer_ascends": "The optimizer moves the weights along the gradient (cosine {cosine}) and not "
                "against it.",
                "step_ascends": "The loss rises in the direction of your step (by {rise} between 5 % behind and 5 % "
                "ahead).",
            },
        ),
        "zh": Page(
            title="训练在上坡",
            finds="符号相反的损失、做最大化的优化器、使损失上升的步骤。",
            matters="损失可能无止境地下降，而答案越来越差：取负的损失看上去像是进展良好。",
            measured="识别出损失是某个已知损失的相反数（精确）；或者 logits 处的梯度指向目标（余弦大于 0.5），"
            "下降就会远离目标；"
            "或者全新的优化器对权重的改变与梯度的余弦大于 0.1；或者沿您自己的步骤方向稍前处的损失高于稍后处（步长的 "
            "5%，相同的随机数）。",
            false_alarms="整个损失都是有意上升的对抗或梯度反转部分。",
            fix="把损失的符号反过来；去掉 maximize=True 和负的学习率。",
            messages={
                "negated": "损失是 {kind} 的相反数，初值为 {loss}：最小化它会使答案变差。",
                "away": "梯度指向目标（余弦 {cosine}），因此下降会远离目标。",
                "optimizer_ascends": "优化器沿着梯度（余弦 {cosine}）而不是逆着梯度移动权重。",
                "step_ascends": "损失沿您的步骤方向上升（从后 5% 到前 5% 上升 {rise}）。",
            },
        ),
    },
)
