"""unlikely-values (D43)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.evidence.value_agreement import ValueAgreement
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FAR = 6.0  # robust spreads of what a model leaves; 2 in a billion normal ones are farther, 0.2 % of Laplace's
WARNING_SHARE = 0.01  # lower end of the 95 % interval of the share of such values
LEAST_SKILL = 0.3  # of the models, 0 is naming the median; weaker ones leave nearly everything
MOST_PLACES = 50
_SOURCE = "Zhou et al. 2023; robust residuals, Rousseeuw and Hubert 2011"


def judge(index: DatasetIndex, agreement: ValueAgreement) -> Iterator[Finding]:
    """Yield a finding if values are far from what their images look like."""
    judged = agreement.skills >= LEAST_SKILL
    if not judged.any():
        raise NotCheckable(Text(
            en="values of images that look alike are hardly nearer than chance would have it; give --weights and "
            "--model for better features",
            zh="外观相近的图像的数值几乎不比随机更接近；请用 --weights 和 --model 提供更好的特征",
        ))  # fmt: skip
    distances = np.where(judged, agreement.distances, 0.0)
    places, columns = np.nonzero(distances >= FAR)
    if not len(places):
        return
    order = np.argsort(-distances[places, columns], kind="stable")
    places, columns = places[order], columns[order]
    told = int(np.isfinite(agreement.values[:, judged]).sum())
    low = wilson_interval(len(places), told)[0]
    notes = [
        f"{index.classes[column]}: {agreement.values[place, column]:.4g}; looks like "
        f"{(agreement.fitted[place, column] + agreement.beside[place, column]) / 2:.4g}"
        for place, column in zip(places.tolist(), columns.tolist(), strict=True)
    ]
    images = [index.paths[int(row)] for row in agreement.rows[places]]
    yield Finding(
        level=Level.WARNING if low >= WARNING_SHARE else Level.INFO,
        numbers={"count": len(places), "values": told, "names": int(judged.sum()), "of": len(index.classes),
                 "first": images[0], "value": round(float(agreement.values[places[0], columns[0]]), 4),
                 "name": index.classes[int(columns[0])],
                 "fitted": float(f"{agreement.fitted[places[0], columns[0]]:.4g}")},
        measured=low,
        limit=Limit(value=WARNING_SHARE, level=Level.WARNING, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="image", name=image, note=note, score=float(distances[place, column]))
            for image, note, place, column in list(
                zip(images, notes, places.tolist(), columns.tolist(), strict=True)
            )[:MOST_PLACES]
        ),
        num_places=len(places),
    )  # fmt: skip


CHECK = Check(
    code="D43",
    name="unlikely-values",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    caused_by=("D24",),
    source="Zhou et al. 2023, Detecting errors in a numerical response via any regression model",
    pages={
        "en": Page(
            title="values that images contradict",
            finds="Values far from those of images that look alike: slipped decimal points, other units, swapped "
            "columns, wrong images.",
            matters="The squared error of one value that is off by a factor of ten outweighs a thousand good ones: it "
            "pulls the network, and in the test images it decides the figure.",
            measured="A ridge regression on the other four fifths of the images, in which values count as 5 robust "
            "spreads from the median at most, and the median of the ten nearest images foretell each value. A value is "
            "unlikely if it lies 6 robust spreads of what each of them leaves on one side of both. Values of which the "
            "regression explains less than 0.3 of the spread are left out. A warning if the lower end of the 95 % "
            "interval of their share reaches 1 %.",
            false_alarms="Values with heavy tails, such as prices and sizes: learn their logarithm. Rare looks.",
            fix="Look at the images from the top of the list: unit, decimal point, column, file. Correct the table, or "
            "leave the cell empty. Keep the loss smooth_l1, which bounds what a single value weighs, until then.",
            messages={
                "default": "{count} of {values} values are far from what images look like. First: {name} of {first} is "
                "{value}, and looks like {fitted}. Judged: {names} of {of} values of an image.",
            },
        ),
        "zh": Page(
            title="与图像不符的数值",
            finds="找出与外观相近的图像相差很远的数值：小数点错位、单位不同、列互换、图像错误。",
            matters="一个差十倍的数值，其平方误差超过一千个正确的数值：它会带偏网络，在测试图像中还会决定指标。",
            measured="由其余五分之四图像训练的岭回归（数值最多按离中位数 5 个稳健离差计）和十个最近邻的中位数预测每个数"
            "值。若数值在两者的同一侧，且离两者都达到其残差的 6 个稳健离差，即为可疑。回归解释的离差不足 0.3 的数值不予"
            "采用。其比例的 95 % 区间下限达到 1 % 时警告。",
            false_alarms="长尾的数值，例如价格和尺寸：请学习其对数。罕见的外观。",
            fix="从名单顶部开始查看图像：单位、小数点、列、文件。改正表格，或把单元格留空。在此之前请保持损失 "
            "smooth_l1，它限制单个数值的影响。",
            messages={
                "default": "{values} 个数值中有 {count} 个与图像外观相差很远。首先：{first} 的 {name} 为 {value}，看起"
                "来像 {fitted}。判断了每张图像 {of} 个数值中的 {names} 个。",
            },
        ),
    },
)
