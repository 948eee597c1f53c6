"""softmax-for-many-labels (M25)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.loss_contract import LossContract, plain_targets
from snellen.doctor.examining import Subject
from snellen.doctor.finding import Finding, Level
from snellen.doctor.words import Text

__all__ = ["CHECK"]


def judge(subject: Subject, contract: LossContract) -> Iterator[Finding]:
    """Yield a finding if images with several labels share one probability, or the reverse."""
    if contract.targets in ("real", "other"):
        raise NotCheckable(Text(en="the targets are not classes with one output each", zh="目标不是各有一个输出的类别"))
    has_softmax = contract.has_softmax or contract.kind.endswith("cross_entropy")
    if contract.targets == "multi_hot" and has_softmax:
        labels = plain_targets(subject)
        per_sample = labels.float().sum(1) if labels is not None else None
        yield Finding(
            level=Level.ERROR,
            message="softmax_for_many",
            numbers={
                "several": 0 if per_sample is None else int((per_sample > 1).sum()),
                "none": 0 if per_sample is None else int((per_sample == 0).sum()),
            },
        )
    elif subject.task == "multilabel":
        return  # whose images may all show one class by chance
    elif contract.targets in ("indices", "one_hot") and contract.kind.startswith("bce") and contract.classes > 1:
        yield Finding(level=Level.INFO, message="sigmoid_for_one", numbers={"classes": contract.classes})


CHECK = Check(
    code="M25",
    name="softmax-for-many-labels",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-047",),
    source="PyTorch, documentation of CrossEntropyLoss (probabilities of classes) and BCEWithLogitsLoss (multi-label)",
    pages={
        "en": Page(
            title="softmax and sigmoid mixed up",
            finds="A softmax where a sample can have several labels or none; independent sigmoids where it has just "
            "one.",
            matters="The probabilities of a softmax sum to 1: two true labels can never both be above one half, and a "
            "sample without any label pulls at nothing. Independent sigmoids for one label lose that exactly one is "
            "true.",
            measured="Targets in rows of zeros and ones, of which some do not sum to 1, and a loss that is blind to a "
            "constant added to all logits of a row, as only a softmax is: exact. One label in every row and a binary "
            "cross-entropy is told as information.",
            false_alarms="None known for the error: targets that were divided by the number of labels sum to 1 and "
            "are left alone. One binary question for each class is a good recipe for images with one label, too.",
            fix="Use binary_cross_entropy_with_logits, and a threshold for each class.",
            messages={
                "softmax_for_many": "The loss has a softmax, but {several} samples of the batch have several labels "
                "and {none} have none.",
                "sigmoid_for_one": "Every sample has one label of {classes}, and the loss asks a question for each "
                "class by itself.",
            },
            fixes={"sigmoid_for_one": "Use cross_entropy unless independent questions are meant."},
        ),
        "zh": Page(
            title="softmax 与 sigmoid 混用",
            finds="样本可有多个标签或没有标签时使用 softmax；只有一个标签时使用独立的 sigmoid。",
            matters="softmax 的概率之和为 1：两个真实标签不可能同时超过二分之一，没有标签的样本则毫无作用。"
            "对单标签使用独立的 sigmoid 会丢掉“恰有一个为真”这一信息。",
            measured="目标是由 0 和 1 组成的行，且有些行的和不为 1，而损失对整行 logits 加常数没有反应（只有 softmax "
            "如此）：精确判断。"
            "每行恰有一个标签而使用二元交叉熵时，只作提示。",
            false_alarms="错误级别没有已知的误报：除以标签数的目标和为 1，不会报告。对单标签图像逐类使用二元问题也是可"
            "行的做法。",
            fix="使用 binary_cross_entropy_with_logits，并为每个类别设阈值。",
            messages={
                "softmax_for_many": "损失含有 softmax，但批次中有 {several} 个样本有多个标签，{none} 个样本没有标签。",
                "sigmoid_for_one": "每个样本只有 {classes} 类中的一个标签，而损失对每个类别单独提问。",
            },
            fixes={"sigmoid_for_one": "除非有意使用独立的问题，否则请用 cross_entropy。"},
        ),
    },
)
