"""split-drift (D20)."""

from collections.abc import Iterator

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.drift import SplitDrift, SplitShift
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

SHIFT = 0.25  # population stability index, from which a shift is called one; Siddiqi 2006
DISTANCE = 0.3  # of cumulative shares; smaller ones are found in any two folders of photographs
CERTAIN = 1e-3  # p of the distance or of the classes, all properties taken together
TOLD_APART = 0.75  # lower end of the area under the curve of a classifier of splits
_SOURCE = "Siddiqi 2006"
_C2ST = "Lopez-Paz and Oquab 2017, classifier two-sample test; calibrated on nine healthy data sets"


def judge(index: DatasetIndex, drift: SplitDrift) -> Iterator[Finding]:
    """Yield a finding for each split that is unlike the training images."""
    for split in drift.splits:
        moved = [part for part in split.properties if part.shift >= SHIFT and part.distance >= DISTANCE
                 and part.p < CERTAIN]  # fmt: skip
        places = tuple(Place(kind="image", name=index.paths[row]) for row in split.telling)
        if split.told_apart_low >= TOLD_APART:
            # Other places or days give such an answer on data that is well split: it takes a property that moved, too.
            level = Level.WARNING if moved else Level.INFO
            yield _finding(level, split, "looks", split.told_apart_low, Limit(value=TOLD_APART, source=_C2ST), places,
                           property=moved[0].name if moved else "-", area=round(split.told_apart, 2),
                           low=round(split.told_apart_low, 2))  # fmt: skip
        elif moved:
            worst = moved[0]
            yield _finding(Level.WARNING, split, "property", worst.shift, Limit(value=SHIFT, source=_SOURCE), places,
                           property=worst.name, before=round(worst.before, 3), after=round(worst.after, 3),
                           shift=round(worst.shift, 2))  # fmt: skip
        if split.class_shift >= SHIFT and split.class_p < CERTAIN:
            name, before, after = split.shifted_class
            yield _finding(Level.WARNING, split, "classes", split.class_shift, Limit(value=SHIFT, source=_SOURCE),
                           (Place(kind="class", name=name),), class_=name, before=round(100 * before, 1),
                           after=round(100 * after, 1), shift=round(split.class_shift, 2))  # fmt: skip


def _finding(
    level: Level,
    split: SplitShift,
    message: str,
    measured: float,
    limit: Limit,
    places: tuple[Place, ...],
    **numbers: float | str,
) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"split": split.split, **numbers},
        measured=measured,
        limit=limit,
        places=places,
        num_places=len(places),
    )


CHECK = Check(
    code="D20",
    name="split-drift",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-021", "DX-024", "DX-025"),
    source="Siddiqi 2006 (population stability index); Lopez-Paz and Oquab 2017, Revisiting classifier two-sample "
    "tests; Ng, Machine learning yearning, chapters 40 and 41 (train-dev)",
    pages={
        "en": Page(
            title="validation or test images unlike the training images",
            finds="A split whose brightness, contrast, sharpness, noise, colour, size or classes differ from the "
            "training images, or that a classifier can tell from them by its looks.",
            matters="A model is then judged on other images than it learned from: the gap between training and "
            "validation mixes overfitting with foreign data, and the wrong remedy is chosen.",
            measured="For each property the population stability index (less what chance makes of it) must reach "
            "0.25, the largest distance of the cumulative shares 0.3, and its p 0.001 after correction. For classes "
            "the index and the chi-squared test alike. A logistic regression on the images' vectors tells the splits "
            "apart out of fold, copies never on both sides: the lower end of its area under the curve must reach 0.75.",
            false_alarms="Splits that are meant to differ: later years, other places, other cameras.",
            fix="Cut a split train-dev from the training images that is not trained on "
            "(snellen.data.train_dev_splits): if its error is low and that of the validation is high, the data differ "
            "and more regularisation will not help. Then collect training images like those of the split, or degrade "
            "the training images alike.",
            messages={
                "looks": "A classifier tells the images of {split} from the training images (area under the curve "
                "{area}, at least {low}); the property that moved most: {property}.",
                "property": "In {split} the median {property} is {after}, in the training images {before} (population "
                "stability index {shift}).",
                "classes": "The shares of the classes differ between train and {split} (population stability index "
                "{shift}): {class_} is {before} % of the one and {after} % of the other.",
            },
            fixes={
                "classes": "Split anew with the classes spread alike (snellen.data.stratified does), or report recall "
                "per class, which does not depend on the shares.",
            },
        ),
        "zh": Page(
            title="验证或测试图像与训练图像不同",
            finds="找出亮度、对比度、清晰度、噪声、颜色、尺寸或类别比例与训练图像不同，或分类器能凭外观与训练图像区分"
            "开的子集。",
            matters="此时评估所用的图像与训练所用的不同：训练与验证的差距混杂了过拟合和数据不一致，容易选错对策。",
            measured="每个属性的群体稳定性指数（减去偶然部分）须达到 0.25，累积分布最大距离达到 0.3，校正后 p 小于 "
            "0.001；类别用同样的指数和卡方检验。对图像向量做逻辑回归，折外区分两个子集，重复图像不会跨折：曲线下面积的"
            "区间下限须达到 0.75。",
            false_alarms="有意不同的子集：更晚的年份、其他地点、其他相机。",
            fix="从训练图像中留出一个不参与训练的 train-dev 子集：如果它误差低而验证误差高，说明数据不同，加强正则化没"
            "有用。然后收集与该子集相似的训练图像，或对训练图像做相同的退化处理。",
            messages={
                "looks": "分类器能区分 {split} 与训练图像（曲线下面积 {area}，至少 {low}）；变化最大的属性："
                "{property}。",
                "property": "{split} 中 {property} 的中位数为 {after}，训练图像中为 {before}（群体稳定性指数 "
                "{shift}）。",
                "classes": "train 与 {split} 的类别比例不同（群体稳定性指数 {shift}）：{class_} 分别占 {before} % 和 "
                "{after} %。",
            },
            fixes={"classes": "按类别分层重新划分，或报告不依赖比例的每类召回率。"},
        ),
    },
)
