"""suspected-labels (R12)."""

from collections.abc import Iterator
from math import isnan

from scipy import stats

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import MAX_PLACES
from snellen.doctor.checks.predictions import points, share
from snellen.doctor.evidence.results.contradicted import Contradicted
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.scores import SplitScores
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text
from snellen.doctor.wrong_labels import Suspect

__all__ = ["CHECK"]

LEAST_FIGURE = 0.4  # of a model whose contradiction says anything
LEAST_IMAGES = 30
SURE = 0.01  # p-value of so many contradictions where all labels are right and confidence is honest


def judge(run: EvaluatedRun, scores: SplitScores, contradicted: Contradicted) -> Iterator[Finding]:
    """Yield a finding if a good model surely contradicts labels of held-out images."""
    value = scores.values[run.judged]
    if contradicted.num_images < LEAST_IMAGES or not value >= LEAST_FIGURE:
        least, now = points(LEAST_FIGURE), points(value)
        raise NotCheckable(
            Text(
                en=f"what a model contradicts says something if it is good ({least} at least, on {LEAST_IMAGES} "
                f"images); {scores.name} is {now}",
                zh=f"只有较好的模型（至少 {least}，{LEAST_IMAGES} 张图像）的反驳才有意义；{scores.name} 为 {now}",
            )
        )
    found = contradicted.suspects
    if not found or (
        not isnan(contradicted.expected) and stats.poisson.sf(len(found) - 1, contradicted.expected) > SURE
    ):
        return
    kinds = sorted({suspect.kind.value for suspect in found})
    images = len({suspect.row for suspect in found})
    doubted = contradicted.expected / contradicted.num_images
    yield Finding(
        level=Level.INFO,
        numbers={
            "count": len(found),
            "images": images,
            "percent": share(images / contradicted.num_images),
            "split": run.judged,
            "kinds": ", ".join(f"{kind} {sum(s.kind.value == kind for s in found)}" for kind in kinds),
        },
        measured=images / contradicted.num_images,
        limit=None if isnan(doubted) else Limit(value=doubted, unit="share", source="the model's own doubts"),
        places=tuple(_place(run, suspect) for suspect in found[:MAX_PLACES]),
        num_places=len(found),
    )


def _place(run: EvaluatedRun, suspect: Suspect) -> Place:
    names = run.index.classes
    said = names[suspect.label] if suspect.label >= 0 else "—"
    proposed = names[suspect.proposed] if suspect.proposed >= 0 else "—"
    boxes = () if suspect.box is None else (suspect.box,)
    return Place(
        kind="image",
        name=run.looked_at.part.paths[suspect.row],
        boxes=boxes,
        note=f"{suspect.kind.value}: {said} → {proposed}",
        score=suspect.score,
    )


CHECK = Check(
    code="R12",
    name="suspected-labels",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-011",),
    caused_by=("R22", "R2", "R7 sure_images", "R7 sure_boxes"),
    source="Northcutt et al. 2021; Tkachenko et al. 2023 (ObjectLab); Lad and Mueller 2023",
    pages={
        "en": Page(
            title="labels that the model surely contradicts",
            finds="Annotations of held-out images that a good model contradicts: another class, a box too many, one "
            "that is missing or shifted, a mask.",
            matters="Wrong labels in the test images cap every figure, and where held-out labels are wrong those of "
            "the training are, too.",
            measured="Of the predictions on disk: one less the probability of the label (images), ObjectLab's scores "
            "(boxes), the softmin of the probability of the labels (masks); listed from 0.9 on, the surest first. "
            "Boxes are called shifted only by models whose boxes overlap what they find by 0.85 in the median, and "
            "spurious only in classes of which 90 % are found. The model must be good (40 points at least, on 30 "
            "images), and of class labels more must be contradicted than its own doubts would make (Poisson, 0.01).",
            false_alarms="A model that is sure and wrong: look at the images before a label is changed. Never change "
            "labels of test images by the model that they measure.",
            fix="Look at the images that are named, the first ones first, and mend what is wrong in the annotations; "
            "snellen check DATA finds those of the training images.",
            messages={
                "default": "{count} labels on {images} images of {split} ({percent}) are contradicted for sure: "
                "{kinds}.",
            },
        ),
        "zh": Page(
            title="被模型明确反驳的标签",
            finds="好模型所反驳的留出图像标注：类别不同、多余的框、缺失或偏移的框、掩码。",
            matters="测试图像中的错误标签限制了所有指标，而留出标签有错时训练标签也有错。",
            measured="根据磁盘上的预测：1 减标签的概率（图像）、ObjectLab 分数（框）、标签概率的 softmin（掩码）；从 "
            "0.9 起列出，最确定的在前。只有所找到的框重叠中位数达到 0.85 的模型才判定框偏移，只有找到 90% 的类别才判定"
            "框多余。模型必须较好（至少 40 个点，30 张图像），且被反驳的类别标签须多于模型自身的不确定所能造成的（泊松"
            "检验，0.01）。",
            false_alarms="自信而错误的模型：改标签之前先看图像。绝不要用被测模型去改测试图像的标签。",
            fix="从前往后查看所列图像，修正错误的标注；snellen check DATA 可找到训练图像中的错误。",
            messages={
                "default": "{split} 中 {images} 张图像（{percent}）上的 {count} 个标签被明确反驳：{kinds}。",
            },
        ),
    },
)
