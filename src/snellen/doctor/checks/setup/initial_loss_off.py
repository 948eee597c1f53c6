"""initial-loss-off (M2)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.evidence.probes.loss_contract import LossContract
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

TOLD = 2.0  # initial loss over the loss of knowing nothing; TheDeepChecker (deviation of 100 %), torchtest2
HIGHEST = 10.0  # the same; untrained EfficientNets in training mode have 2.5 to 4.2, of 25 architectures the most
LOWEST = 0.5  # initial loss over the entropy of the labels, while no more of them are right than by chance; torchtest2

_OF_CLASSES = ("cross_entropy", "nll", "bce_with_logits", "bce")


def judge(first: FirstStep, contract: LossContract) -> Iterator[Finding]:
    """Yield a finding if the loss before the first step is not that of a model that knows nothing."""
    loss = first.require_loss()
    chance = contract.chance
    if chance is None or chance <= 0 or not (contract.kind in _OF_CLASSES or contract.has_softmax):
        raise NotCheckable(Text(en="what this loss should be at first is not known", zh="不知道该损失的初始值应为多少"))
    if loss > TOLD * chance:
        is_far = loss > HIGHEST * chance
        yield Finding(
            level=Level.WARNING if is_far else Level.INFO,
            message="high",
            numbers={"loss": round(loss, 3), "chance": round(chance, 3), "times": round(loss / chance, 1)},
            measured=loss / chance,
            limit=Limit(
                value=HIGHEST if is_far else TOLD,
                source="own measurement of 25 architectures" if is_far else "TheDeepChecker (100 %), torchtest2",
            ),
        )
    elif _is_too_low(loss, contract):
        yield Finding(
            level=Level.WARNING,
            message="low",
            numbers={"loss": round(loss, 3), "entropy": round(contract.label_entropy or 0.0, 3),
                     "accuracy": round(contract.accuracy or 0.0, 3)},
            measured=loss,
            limit=Limit(value=LOWEST * (contract.label_entropy or 0.0), unit="nats", source="torchtest2"),
        )  # fmt: skip


def _is_too_low(loss: float, contract: LossContract) -> bool:
    """Return whether a cross-entropy is below what guesses that are no better than chance can give."""
    if contract.label_entropy is None or contract.accuracy is None or contract.reduction == "sum":
        return False
    if contract.kind not in ("cross_entropy", "nll") and not contract.has_softmax:
        return False
    return 0 <= loss < LOWEST * contract.label_entropy and contract.accuracy <= 1.0 / contract.classes


CHECK = Check(
    code="M2",
    name="initial-loss-off",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M1", "M4", "M20", "M25", "M3"),
    source="Karpathy 2019, A Recipe for Training Neural Networks (verify loss at init); TheDeepChecker (deviation of "
    "100 %); torchtest2 (½ to 2 times)",
    pages={
        "en": Page(
            title="a loss that does not start where it should",
            finds="A loss before the first step that is not that of a model which knows nothing yet.",
            matters="With C classes cross-entropy starts at ln C. A loss far above says that the model is sure of "
            "wrong "
            "answers: the input is not normalised, or the last layer starts too large. A loss far below, without "
            "right answers, says that it is not computed as it seems.",
            measured="The loss of the first forward pass in training mode over the loss of logits that are all equal, "
            "which is computed with the same loss and targets: more than 2 is told, more than 10 is a warning. Below "
            "half the "
            "entropy of the labels is a warning if the answers are no better than chance.",
            false_alarms="A trained model whose head belongs to other classes. Detectors and regression are not "
            "checked.",
            fix="Normalise the input, start the last layer with small weights, and see that the loss gets raw logits.",
            messages={
                "high": "The loss starts at {loss}; a model that knows nothing would have {chance} ({times} times "
                "less).",
                "low": "The loss starts at {loss}, below the entropy of the labels ({entropy}), though only "
                "{accuracy:.0%} of the answers are right.",
            },
        ),
        "zh": Page(
            title="初始损失不正常",
            finds="第一步之前的损失不是一无所知的模型应有的损失。",
            matters="C 个类别的交叉熵应从 ln C 开始。远高于此说明模型对错误答案很有把握：输入没有归一化，"
            "或者最后一层的初值过大。"
            "远低于此而答案又不对，说明损失的计算方式与看上去的不同。",
            measured="训练模式下第一次前向计算的损失，除以所有 logits 相等时用同一损失和目标算出的值：大于 2 则提示，"
            "大于 10 则警告。"
            "低于标签熵的一半而答案不比随机好，也会警告。",
            false_alarms="分类头属于其他类别的已训练模型。检测和回归不检查。",
            fix="对输入归一化，以较小的权重初始化最后一层，并确认传给损失的是未经处理的 logits。",
            messages={
                "high": "初始损失为 {loss}；一无所知的模型应为 {chance}（相差 {times} 倍）。",
                "low": "初始损失为 {loss}，低于标签的熵（{entropy}），但只有 {accuracy:.0%} 的答案正确。",
            },
        ),
    },
)
