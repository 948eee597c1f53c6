"""wrong-loss-for-task (M24)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.loss_contract import LossContract
from snellen.doctor.examining import Subject
from snellen.doctor.finding import Finding, Level
from snellen.doctor.words import Text

__all__ = ["CHECK"]

_OF_CLASSES = ("indices", "one_hot", "multi_hot")


def judge(subject: Subject, contract: LossContract) -> Iterator[Finding]:
    """Yield a finding if classes are learned with a loss for numbers."""
    if contract.kind == "unknown":
        raise NotCheckable(Text(en="the loss is none of those that are known", zh="该损失不在已知的损失之列"))
    is_binary = contract.classes == 1 and subject.task in ("classification", "segmentation")
    if contract.targets not in _OF_CLASSES and not is_binary:
        return
    if contract.kind.endswith("mse"):
        yield Finding(level=Level.WARNING, message="squared", numbers={"classes": contract.classes})
    elif contract.kind.endswith("l1"):
        yield Finding(level=Level.WARNING, message="absolute", numbers={"classes": contract.classes})


CHECK = Check(
    code="M24",
    name="wrong-loss-for-task",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-044", "DX-045"),
    source="Bishop 2006, Pattern Recognition and Machine Learning, section 5.2 (matching losses); DeepCrime, "
    "change_loss_function",
    pages={
        "en": Page(
            title="a loss for numbers where classes are learned",
            finds="Squared or absolute error on classes.",
            matters="Behind a softmax or sigmoid the gradient of a squared error is multiplied by the slope of that "
            "function, which is near zero where the model is sure and wrong: just there it learns nothing. At a logit "
            "of -8 cross-entropy pulls 3,000 times as hard.",
            measured="The loss is recognised by what it returns for made-up logits, and the targets by their values: "
            "class indices, one-hot rows, or rows of zeros and ones.",
            false_alarms="Squared error on classes is used on purpose now and then (Brier score, Hui and Belkin 2021) "
            "and can be made to work; that is why this is a warning.",
            fix="Use cross_entropy for one class of several, binary_cross_entropy_with_logits for yes or no.",
            messages={
                "squared": "Classes are learned with a squared error, whose gradient fades where the model is sure and "
                "wrong ({classes} outputs).",
                "absolute": "Classes are learned with an absolute error, whose gradient does not say how wrong the "
                "model is ({classes} outputs).",
            },
        ),
        "zh": Page(
            title="用回归损失学习类别",
            finds="对类别使用平方误差或绝对误差。",
            matters="在 softmax 或 sigmoid 之后，平方误差的梯度要乘以该函数的斜率，而模型有把握却答错时斜率接近零："
            "恰恰在那里什么也"
            "学不到。当 logit 为 -8 时，交叉熵的梯度是它的 3000 倍。",
            measured="根据损失对虚构 logits 的返回值识别损失，根据数值识别目标：类别索引、one-hot 行，"
            "或由 0 和 1 组成的行。",
            false_alarms="偶尔有人有意对类别使用平方误差（Brier 分数，Hui 与 Belkin 2021），也可以奏效，因此只作警告。",
            fix="多选一用 cross_entropy，是非判断用 binary_cross_entropy_with_logits。",
            messages={
                "squared": "用平方误差学习类别，模型有把握却答错时其梯度会消失（{classes} 个输出）。",
                "absolute": "用绝对误差学习类别，其梯度不反映错误的大小（{classes} 个输出）。",
            },
        ),
    },
)
