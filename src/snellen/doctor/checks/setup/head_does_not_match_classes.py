"""head-does-not-match-classes (M1)."""

from collections.abc import Iterator
from math import log

from torch import Tensor

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.evidence.probes.loss_contract import LossContract, plain_targets
from snellen.doctor.examining import Subject
from snellen.doctor.finding import Finding, Level
from snellen.doctor.words import Text

__all__ = ["CHECK"]

MOST_CHANCE = 1e-6  # that labels spread over all outputs would all be as low as those of the batch; own choice

# Modules of torchvision for which class 0 is the background: its documentation of detection models.
_BACKGROUND_FIRST = ("torchvision.models.detection.roi_heads", "torchvision.models.detection.ssd")


def judge(subject: Subject, first: FirstStep | None, contract: LossContract | None) -> Iterator[Finding]:
    """Yield what shows that outputs and classes do not fit."""
    if subject.forward_error is not None:
        yield Finding(level=Level.ERROR, message="forward_fails", numbers={"error": _told(subject.forward_error)})
        return
    if first is None:
        raise NotCheckable(Text(en="the model could not be run", zh="模型无法运行"))
    if not first.is_finite:
        yield Finding(level=Level.ERROR, message="not_finite")
    zeros = _background_labels(subject)
    if zeros:
        yield Finding(level=Level.ERROR, message="label_is_background", numbers={"count": zeros})
    if contract is not None and contract.out_of_range:
        yield _out_of_range(contract)
    elif first.logits is not None and subject.task in ("classification", "multilabel", "segmentation"):
        yield from _of_width(subject, first.logits.shape[1])


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"


def _background_labels(subject: Subject) -> int:
    """Return how many objects bear the label 0 in a detector for which it is the background."""
    if not any(type(module).__module__ in _BACKGROUND_FIRST for module in subject.model.modules()):
        return 0
    targets = subject.targets(subject.batch)
    if not isinstance(targets, list | tuple):
        return 0
    labels = [target["labels"] for target in targets if isinstance(target, dict) and "labels" in target]
    return sum(int((each == 0).sum()) for each in labels if isinstance(each, Tensor))


def _out_of_range(contract: LossContract) -> Finding:
    labels = contract.out_of_range
    message = "labels_from_one" if labels == (contract.classes,) else "label_out_of_range"
    return Finding(
        level=Level.ERROR,
        message=message,
        numbers={"labels": ", ".join(map(str, labels[:5])), "outputs": contract.classes, "last": contract.classes - 1},
    )


def _of_width(subject: Subject, outputs: int) -> Iterator[Finding]:
    """Yield what the number of outputs is at odds with."""
    classes = subject.num_classes
    if classes is not None:
        fits = outputs == classes or (classes <= 2 and outputs == 1)
        with_background = outputs == classes + 1
        if not fits:
            is_close = with_background and subject.task != "multilabel"
            if not (is_close and subject.task == "segmentation"):
                yield Finding(
                    level=Level.WARNING if is_close else Level.ERROR,
                    message="wrong_number",
                    numbers={"outputs": outputs, "classes": classes},
                    measured=float(outputs),
                )
        return
    labels = plain_targets(subject)
    if labels is None or labels.is_floating_point() or labels.ndim != 1:
        return
    most = int(labels.max()) + 1
    if 0 < most < outputs and len(labels) * log(most / outputs) < log(MOST_CHANCE):
        yield Finding(
            level=Level.WARNING,
            message="far_more_outputs",
            numbers={"outputs": outputs, "most": most - 1, "samples": len(labels)},
            measured=float(outputs),
        )


CHECK = Check(
    code="M1",
    name="head-does-not-match-classes",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-012",),
    source="torchtest2 (output shape, finite); torchvision, documentation of detection models (class 0 is background)",
    pages={
        "en": Page(
            title="outputs that do not fit the classes",
            finds="A model that cannot be run on the batch, gives values that are not finite, or whose number of "
            "outputs is not the number of classes; labels for which there is no output.",
            matters="A label without an output ends the training with an index error, on a GPU with an assertion that "
            "names neither line nor label. Outputs without labels only waste capacity, but most often they show that "
            "the head of a pretrained model was not replaced.",
            measured="One forward pass over the batch. The labels of the batch are compared with the columns of the "
            "logits: exact. Without the number of classes, outputs are too many if so many labels would all be so low "
            "with a chance below 1e-6. In torchvision's detectors label 0 means background: exact.",
            false_alarms="far_more_outputs: a batch that is sorted by class. One output too many is a background class "
            "in segmentation and only a warning elsewhere.",
            fix="Give the head as many outputs as there are classes, and number the labels from 0.",
            messages={
                "forward_fails": "The model cannot be run on this batch: {error}",
                "not_finite": "The output has values that are not finite.",
                "label_is_background": "{count} objects of the batch have label 0, which this detector takes for the "
                "background: they are never learned.",
                "labels_from_one": "Label {labels} has no output: {outputs} outputs are for labels 0 to {last}. It "
                "looks as if labels were counted from 1.",
                "label_out_of_range": "Labels {labels} have no output: {outputs} outputs are for labels 0 to {last}.",
                "wrong_number": "The model has {outputs} outputs, the data has {classes} classes.",
                "far_more_outputs": "The model has {outputs} outputs, but none of {samples} labels is above {most}.",
            },
            fixes={
                "label_is_background": "Number the classes from 1, and build the model with one class more than the "
                "data has.",
                "labels_from_one": "Subtract 1 from the labels, or build the model with one output more if class 0 is "
                "the background.",
                "far_more_outputs": "Replace the head of the pretrained model by one with as many outputs as classes.",
                "forward_fails": "Compare the shape of the batch with what the model takes: channels, size, number of "
                "axes, type; for detectors also the labels.",
            },
        ),
        "zh": Page(
            title="输出与类别不匹配",
            finds="模型无法在该批次上运行、输出含非有限值、输出个数与类别数不同，或者有标签没有对应的输出。",
            matters="没有对应输出的标签会使训练因索引越界而中断，在 GPU 上只会出现既不说明行号也不说明标签的断言错误。"
            "多余的输出虽只是浪费容量，但多半说明预训练模型的分类头没有被替换。",
            measured="对该批次做一次前向计算，把批次的标签与 logits 的列数比较：精确判断。不知道类别数时，"
            "若这么多标签都如此小的"
            "概率低于 1e-6，则认为输出过多。torchvision 的检测器以标签 0 表示背景：精确判断。",
            false_alarms="far_more_outputs：按类别排序的批次。分割任务中多出的一个输出是背景类，其他任务中只作警告。",
            fix="让分类头的输出个数等于类别数，并从 0 开始给标签编号。",
            messages={
                "forward_fails": "模型无法在该批次上运行：{error}",
                "not_finite": "输出中有非有限值。",
                "label_is_background": "批次中有 {count} 个目标的标签为 0，而该检测器把 0 当作背景：它们永远学不到。",
                "labels_from_one": "标签 {labels} 没有对应的输出：{outputs} 个输出对应标签 0 到 {last}。"
                "看来标签是从 1 开始编号的。",
                "label_out_of_range": "标签 {labels} 没有对应的输出：{outputs} 个输出对应标签 0 到 {last}。",
                "wrong_number": "模型有 {outputs} 个输出，数据有 {classes} 个类别。",
                "far_more_outputs": "模型有 {outputs} 个输出，但 {samples} 个标签中没有一个大于 {most}。",
            },
            fixes={
                "label_is_background": "类别从 1 开始编号，并以比数据多一个的类别数构建模型。",
                "labels_from_one": "把标签减 1；若第 0 类是背景，则多给模型一个输出。",
                "far_more_outputs": "把预训练模型的分类头换成输出个数等于类别数的分类头。",
                "forward_fails": "对照批次的形状与模型的要求：通道、尺寸、维数、类型；检测器还要检查标签。",
            },
        ),
    },
)
