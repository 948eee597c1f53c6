"""too-little-data-for-scratch (D29)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex, MaskTable
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.agreement import Agreement
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

VERY_FEW = 30  # training examples of a usual class; from so few a network from scratch learns by heart
FEW = 100  # examples of a usual class; below it transfer gains most, Kornblith et al. 2019, figure 8
FEW_IN_ALL = 1000  # examples of all classes: many classes help one another
SIMILAR = 0.5  # skill of a linear classifier on pretrained features, 0 guesses
_SOURCE = "Kornblith et al. 2019, Do better ImageNet models transfer better?, figure 8"


def judge(index: DatasetIndex, setup: Setup, agreement: Agreement | None) -> Iterator[Finding]:
    """Yield a finding if there is too little to learn from scratch, or a plan of fine-tuning that fits better."""
    if setup.pretrained is None:
        raise NotCheckable(Text(
            en="it is not known whether training starts from weights", zh="不知道训练是否从预训练权重开始"
        ))  # fmt: skip
    if isinstance(index.annotations, MaskTable):
        raise NotCheckable(Text(
            en="every pixel is an example, so that the number of images says little",
            zh="每个像素都是样本，图像数说明不了什么"
        ))  # fmt: skip
    train = index.split("train") if "train" in index.split_names else index
    counts = train.annotations.class_counts(len(index.classes)).sum(0)
    counts = counts[counts > 0]
    if not len(counts):
        raise NotCheckable(Text(en="nothing is annotated", zh="没有标注"))
    usual, total = int(np.median(counts)), int(counts.sum())
    if setup.pretrained:
        yield from _plan(usual, agreement)
    elif usual < FEW and total < FEW_IN_ALL:
        level = Level.WARNING if usual < VERY_FEW else Level.INFO
        yield _finding(level, "scratch", usual, VERY_FEW if level is Level.WARNING else FEW,
                       total=total, parameters=f"{(setup.num_parameters or 0) / 1e6:.1f}")  # fmt: skip


def _plan(usual: int, agreement: Agreement | None) -> Iterator[Finding]:
    """Tell of a plan for few examples; with many, fine-tuning everything is right, similar or not."""
    if usual >= FEW or agreement is None or not agreement.origin:
        return
    message = "few_similar" if agreement.skill >= SIMILAR else "few_different"
    yield _finding(Level.INFO, message, usual, FEW, skill=round(agreement.skill, 2), network=agreement.origin)


def _finding(level: Level, message: str, usual: int, limit: int, **numbers: float | str) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"usual": usual, **numbers},
        measured=usual,
        limit=Limit(value=limit, unit="examples of a class", source=_SOURCE),
        places=(Place(kind="setting", name="weights"),),
        num_places=1,
    )


CHECK = Check(
    code="D29",
    name="too-little-data-for-scratch",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-008", "DX-014", "DX-082", "DX-083", "DX-084", "DX-085"),
    source="Kornblith et al. 2019; Yosinski et al. 2014, How transferable are features in deep neural networks?",
    pages={
        "en": Page(
            title="too few examples to start from random weights",
            finds="Trainings from random weights on few examples, and, where weights are given, the plan of "
            "fine-tuning that fits the number of examples and their likeness to the pretraining.",
            matters="From few examples a large network learns each by heart: the training loss is near zero and new "
            "images are mistaken. Pretrained features take away most of what has to be learned.",
            measured="The median over classes of the training examples (objects or images). From random weights: "
            "below 30 a warning, below 100 told, if there are fewer than 1000 in all. With weights and fewer than "
            "100: the skill of a linear classifier on the pretrained features, out of fold (0 guesses, 1 is perfect), "
            "tells likeness, from 0.5.",
            false_alarms="Simple images such as drawn symbols, which little data suffice for.",
            fix="Start from weights (--weights FILE). Augment strongly, and compare with a linear classifier or SVM "
            "on pretrained features or on HOG, which is hard to beat with few examples.",
            messages={
                "scratch": "A usual class has {usual} training examples ({total} in all), and {parameters} million "
                "parameters start from random values.",
                "few_similar": "A usual class has {usual} training examples, and features of {network} tell the "
                "classes well (skill {skill}).",
                "few_different": "A usual class has {usual} training examples, and features of {network} hardly tell "
                "the classes (skill {skill}).",
            },
            fixes={
                "few_similar": "Few and similar: train the head alone on frozen features first, then everything "
                "briefly with a rate ten times lower.",
                "few_different": "Few and different: take features of an earlier stage, whose edges and textures fit "
                "any images, train what is above, and collect more. With many examples one would fine-tune everything.",
            },
        ),
        "zh": Page(
            title="样本太少，不宜从随机权重开始",
            finds="找出样本少却从随机权重开始的训练；给出权重时，指出与样本数量及其与预训练数据相似度相配的微调方案。",
            matters="样本少时大网络会逐个记住：训练损失接近零，新图像却判错。预训练特征省去了大部分要学的内容。",
            measured="训练样本数（目标或图像）按类别取中位数。从随机权重开始：低于 30 警告，低于 100 提示（总数少于 "
            "1000 时）。有权重且少于 100 时：用预训练特征上线性分类器的折外技能（0 为猜测，1 为完美）判断相似度，以 "
            "0.5 为界。",
            false_alarms="绘制的符号等简单图像，少量数据就够。",
            fix="从权重开始（--weights 文件）。加强增强，并与预训练特征或 HOG 上的线性分类器或 SVM 比较，样本少时它们"
            "很难超越。",
            messages={
                "scratch": "一般类别只有 {usual} 个训练样本（共 {total} 个），而 {parameters} 百万个参数从随机值开始。",
                "few_similar": "一般类别有 {usual} 个训练样本，{network} 的特征能很好地区分类别（技能 {skill}）。",
                "few_different": "一般类别有 {usual} 个训练样本，{network} 的特征几乎不能区分类别（技能 {skill}）。",
            },
            fixes={
                "few_similar": "少而相似：先在冻结的特征上只训练头部，再用低十倍的学习率短暂训练全部。",
                "few_different": "少而不同：取较浅层的特征（边缘和纹理适合任何图像），训练其上的部分，并收集更多数据。"
                "样本多时则应微调全部。",
            },
        ),
    },
)
