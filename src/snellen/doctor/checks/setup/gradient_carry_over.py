"""gradient-carry-over (M16)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.own_step import OwnStep
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

MOST_CARRIED = 0.1  # change of the second step, as a share of it, when gradients are cleared before it; checks.md, M16


def judge(own: OwnStep) -> Iterator[Finding]:
    """Yield a finding if what one step leaves in the gradients goes into the next."""
    if not own.moved:
        raise NotCheckable(
            Text(
                en="one step changes no weight: it may collect gradients for several batches, or have a rate of zero",
                zh="一步没有改变任何权重：可能在为多个批次累积梯度，或者学习率为零",
            )
        )
    if own.carried > MOST_CARRIED:
        yield Finding(
            level=Level.ERROR,
            numbers={"share": round(own.carried, 2)},
            measured=own.carried,
            limit=Limit(value=MOST_CARRIED, unit="share", source="own choice; a loop that clears them has 0"),
        )


CHECK = Check(
    code="M16",
    name="gradient-carry-over",
    stage=Stage.SETUP,
    judge=judge,
    source="TrainCheck and PYSIASSIST (missing zero_grad); PyTorch, documentation of Optimizer.zero_grad",
    pages={
        "en": Page(
            title="gradients of one step go into the next",
            finds="A loop that does not clear the gradients.",
            matters="torch adds gradients up. Without zero_grad every step follows the sum of all batches so far: it "
            "acts "
            "like a momentum of 1, the steps grow, and training swings or breaks.",
            measured="Your own step is taken twice, once as it is and once with the gradients cleared in between, with "
            "the same random numbers. If the second steps differ by more than 10 % of their length, the first one's "
            "gradients were carried over.",
            false_alarms="A step that collects gradients over several batches on purpose and updates each time.",
            fix="Call optimizer.zero_grad() once in every step, before backward.",
            messages={
                "default": "The gradients of one step go into the next: it changes by {share} of its length when they "
                "are cleared.",
            },
        ),
        "zh": Page(
            title="上一步的梯度带入下一步",
            finds="没有清除梯度的循环。",
            matters="torch 会累加梯度。没有 zero_grad，每一步都沿着此前所有批次之和前进：相当于动量为 1，"
            "步长越来越大，训练摇摆或崩溃。",
            measured="执行两次您自己的步骤，一次照原样，一次在中间清除梯度，使用相同的随机数。"
            "若第二步相差超过其长度的 10%，"
            "则上一步的梯度被带入了下一步。",
            false_alarms="有意跨批次累积梯度并且每次都更新的步骤。",
            fix="每一步在 backward 之前调用一次 optimizer.zero_grad()。",
            messages={
                "default": "上一步的梯度带入了下一步：清除梯度后，这一步改变了其长度的 {share}。",
            },
        ),
    },
)
