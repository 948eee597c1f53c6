"""pixel-imbalance (D36)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.objects import class_places
from snellen.doctor.evidence.mask_pixels import MaskPixels
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

INFO_SHARE = 0.01  # of the labelled pixels; CamVid's smallest two classes lie below it
WARNING_RATIO = 500.0  # pixels of the largest over those of the smallest class that occurs; CamVid has 109


def judge(index: DatasetIndex, masks: MaskPixels) -> Iterator[Finding]:
    """Yield a finding if a class covers hardly any pixels of the training images."""
    rows = index.split_rows("train") if "train" in index.split_names else np.arange(len(index))
    rows = rows[masks.is_readable[rows]]
    weights = masks.sizes[rows].astype(np.float64).prod(1)
    pixels = (masks.shares[rows, :-1] * weights[:, None]).sum(0)
    present = np.flatnonzero(pixels > 0)
    if len(present) < 2:
        raise NotCheckable(Text(en="fewer than two classes occur", zh="出现的类别少于两个"))
    shares = pixels / pixels.sum()
    ratio = float(shares[present].max() / shares[present].min())
    small = present[shares[present] < INFO_SHARE]
    if not len(small):
        return
    label = int(present[shares[present].argmin()])
    is_warning = ratio >= WARNING_RATIO
    yield Finding(
        level=Level.WARNING if is_warning else Level.INFO,
        numbers={"class_": index.classes[label], "percent": f"{100 * shares[label]:.2g}", "ratio": round(ratio),
                 "largest": index.classes[int(shares.argmax())], "count": len(small), "classes": len(present)},
        measured=ratio if is_warning else float(shares[label]),
        limit=Limit(value=WARNING_RATIO if is_warning else INFO_SHARE, unit="" if is_warning else "share",
                    source="CamVid has 109 : 1, and its two smallest classes below 1 %"),
        places=class_places(index, [(int(place), round(100 * float(shares[place]), 3)) for place in small]),
        num_places=len(small),
        treatment=Treatment(settings={"sampler": "repeat_factor"}),
    )  # fmt: skip


CHECK = Check(
    code="D36",
    name="pixel-imbalance",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-005",),
    caused_by=("D8",),
    source="Badrinarayanan et al. 2017, SegNet, section 4 (median frequency balancing); Eigen and Fergus 2015",
    pages={
        "en": Page(
            title="classes of very few pixels",
            finds="Classes that cover less than a hundredth of the labelled pixels of the training images.",
            matters="The loss of a segmenter is a mean over pixels: a class of few pixels has little voice in it, and "
            "small classes vanish from the predictions although pixel accuracy looks good.",
            measured="Share of the labelled pixels of each class that occurs, over all training masks. Below 1 % is "
            "told; a ratio of 500 between the largest and the smallest class is a warning.",
            false_alarms="Small objects on a large background, which is what they are; mean IoU by class shows "
            "whether they are learned.",
            fix="Weight the loss by class or use a loss of regions (Dice), draw images with rare classes more often "
            "(--sampler repeat_factor), train on crops around them, and judge by the IoU of each class.",
            messages={
                "default": "{class_} covers {percent} % of the labelled pixels, {largest} {ratio} times as many; "
                "{count} of {classes} classes are below 1 %.",
            },
        ),
        "zh": Page(
            title="像素极少的类别",
            finds="在训练图像的有标签像素中占比不到百分之一的类别。",
            matters="分割的损失是像素的平均：像素少的类别几乎没有发言权，尽管像素准确率看起来不错，小类别却从预测中消"
            "失。",
            measured="所有训练掩膜中，每个出现的类别在有标签像素中的比例。低于 1 % 会提示；最大与最小类别之比达到 500 "
            "为警告。",
            false_alarms="大背景上的小目标本来如此；按类别的平均 IoU 能看出它们是否学会。",
            fix="按类别给损失加权或使用区域损失（Dice），更频繁地抽取含稀有类别的图像（--sampler repeat_factor），在其"
            "周围裁剪训练，并按每个类别的 IoU 评判。",
            messages={
                "default": "{class_} 占有标签像素的 {percent} %，{largest} 是它的 {ratio} 倍；{classes} 个类别中有 "
                "{count} 个低于 1 %。",
            },
        ),
    },
)
