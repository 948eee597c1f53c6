"""too-little-data-for-scratch (D29)."""

from collections.abc import Iterator

from snellen.data import DatasetIndex, MaskTable
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.evidence.transfer import FEW, VERY_FEW, Transfer, examples_of_classes
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FEW_IN_ALL = 1000  # examples of all classes: many classes help one another
_SOURCE = "Kornblith et al. 2019, Do better ImageNet models transfer better?, figure 8"


def judge(index: DatasetIndex, setup: Setup, transfer: Transfer | None) -> Iterator[Finding]:
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
    usual, total = examples_of_classes(index)
    if not total:
        raise NotCheckable(Text(en="nothing is annotated", zh="没有标注"))
    if setup.pretrained:
        yield from _plan(transfer)
    elif usual < FEW and total < FEW_IN_ALL:
        level = Level.WARNING if usual < VERY_FEW else Level.INFO
        yield _finding(level, "scratch", usual, VERY_FEW if level is Level.WARNING else FEW,
                       total=total, parameters=f"{(setup.num_parameters or 0) / 1e6:.1f}")  # fmt: skip


def _plan(transfer: Transfer | None) -> Iterator[Finding]:
    """Tell of a plan for few examples; with many, fine-tuning everything is right, similar or not."""
    if transfer is None or transfer.usual >= FEW:
        return
    numbers: dict[str, float | str] = {"skill": round(transfer.skill, 2), "network": transfer.origin}
    if transfer.quadrant == "few_different":
        numbers |= {"stage": transfer.best.name, "best": round(transfer.best.skill, 2)}
    yield _finding(Level.INFO, transfer.quadrant, transfer.usual, FEW, **numbers)


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
            "100: the skill of a linear classifier on the features of each stage, out of fold (0 guesses, 1 is "
            "perfect). Similar is from 0.5 on the last features, where no earlier stage is clearly better.",
            false_alarms="Simple images such as drawn symbols, which little data suffice for.",
            fix="Start from weights (--weights FILE). Augment strongly, and compare with a linear classifier or SVM "
            "on pretrained features or on HOG, which is hard to beat with few examples.",
            messages={
                "scratch": "A usual class has {usual} training examples ({total} in all), and {parameters} million "
                "parameters start from random values.",
                "few_similar": "A usual class has {usual} training examples, and features of {network} tell the "
                "classes well (skill {skill}).",
                "few_different": "A usual class has {usual} training examples, and the last features of {network} "
                "hardly tell the classes (skill {skill}; {best} at stage {stage}).",
            },
            fixes={
                "few_similar": "Few and similar: train the head alone on frozen features (--finetune head), or first "
                "the head and then stage by stage what is below (--finetune gradual). `snellen train` plans it by "
                "itself.",
                "few_different": "Few and different: keep the early stages, whose edges and textures fit any images "
                "(--freeze {stage}), train what is above, and collect more. With many examples one would fine-tune "
                "everything.",
            },
        ),
        "zh": Page(
            title="样本太少，不宜从随机权重开始",
            finds="找出样本少却从随机权重开始的训练；给出权重时，指出与样本数量及其与预训练数据相似度相配的微调方案。",
            matters="样本少时大网络会逐个记住：训练损失接近零，新图像却判错。预训练特征省去了大部分要学的内容。",
            measured="训练样本数（目标或图像）按类别取中位数。从随机权重开始：低于 30 警告，低于 100 提示（总数少于 "
            "1000 时）。有权重且少于 100 时：衡量各阶段特征上线性分类器的折外技能（0 为猜测，1 为完美）；"
            "最后特征的技能达到 0.5 且没有更早的阶段明显更好时为相似。",
            false_alarms="绘制的符号等简单图像，少量数据就够。",
            fix="从权重开始（--weights 文件）。加强增强，并与预训练特征或 HOG 上的线性分类器或 SVM 比较，样本少时它们"
            "很难超越。",
            messages={
                "scratch": "一般类别只有 {usual} 个训练样本（共 {total} 个），而 {parameters} 百万个参数从随机值开始。",
                "few_similar": "一般类别有 {usual} 个训练样本，{network} 的特征能很好地区分类别（技能 {skill}）。",
                "few_different": "一般类别有 {usual} 个训练样本，{network} 的最后特征几乎不能区分类别（技能 "
                "{skill}；阶段 {stage} 为 {best}）。",
            },
            fixes={
                "few_similar": "少而相似：在冻结的特征上只训练头部（--finetune head），或先训练头部，"
                "再逐阶段训练其下的部分（--finetune gradual）。`snellen train` 会自行这样安排。",
                "few_different": "少而不同：保留较浅的阶段，其边缘和纹理适合任何图像（--freeze {stage}），"
                "训练其上的部分，并收集更多数据。样本多时则应微调全部。",
            },
        ),
    },
)
