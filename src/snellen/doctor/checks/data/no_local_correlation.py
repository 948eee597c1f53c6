"""no-local-correlation (D28)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.locality import Locality
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

LEAST_CORRELATION = 0.15  # of neighbours, median over images; photographs 0.9, micrographs and line art above 0.5
_SOURCE = "permuted pixels give 0; the least of eleven healthy data sets is 0.68"


def judge(index: DatasetIndex, locality: Locality) -> Iterator[Finding]:
    """Yield a finding if neighbouring pixels have nothing to do with one another."""
    strength = np.abs(locality.correlation)
    median = float(np.median(strength))
    if median >= LEAST_CORRELATION:
        return
    order = np.argsort(strength, kind="stable")[:50]
    yield Finding(
        level=Level.WARNING,
        numbers={"correlation": round(float(np.median(locality.correlation)), 2), "images": len(strength),
                 "permuted": round(float(np.median(locality.permuted)), 2)},
        measured=median,
        limit=Limit(value=LEAST_CORRELATION, source=_SOURCE),
        places=tuple(
            Place(kind="image", name=index.paths[int(locality.rows[place])], score=float(1 - strength[place]))
            for place in order.tolist()
        ),
        num_places=int((strength < LEAST_CORRELATION).sum()),
    )  # fmt: skip


CHECK = Check(
    code="D28",
    name="no-local-correlation",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-010",),
    source="LeCun and Bengio 1995, Convolutional networks for images, speech and time series (local correlation); "
    "Zhang et al. 2017 (permuted pixels)",
    pages={
        "en": Page(
            title="neighbouring pixels have nothing to do with one another",
            finds="Images whose pixels are no more like their neighbours than like any other pixel: tables that were "
            "written as images, scrambled or encrypted pixels, noise.",
            matters="Convolutions, pooling and pretrained weights all rest on neighbours belonging together. Without "
            "that a convolutional network does no better than simpler models and needs far more data.",
            measured="Correlation of each pixel with the ones right of it and below it, in up to 100 images; the "
            "median of its size must reach 0.15. The same images with permuted pixels are given for comparison.",
            false_alarms="Pictures of pure texture or film grain at full resolution: scale them down and look again.",
            fix="If the numbers are a table, use models for tables: gradient-boosted trees, a random forest, or a "
            "linear model on standardised columns, and a multilayer perceptron if there are many rows. If pixels were "
            "scrambled by mistake (a wrong row length, a wrong order of axes), read the files rightly.",
            messages={
                "default": "Neighbouring pixels correlate by {correlation} in {images} images ({permuted} if pixels "
                "are permuted): a convolutional network has nothing to hold on to.",
            },
        ),
        "zh": Page(
            title="相邻像素之间没有关系",
            finds="找出像素与邻居并不比与其他像素更相似的图像：写成图像的表格、被打乱或加密的像素、噪声。",
            matters="卷积、池化和预训练权重都以相邻像素相关为前提。没有这一点，卷积网络不比更简单的模型好，却需要多得"
            "多的数据。",
            measured="在至多 100 张图像中计算每个像素与右侧和下方像素的相关系数；其绝对值的中位数须达到 0.15。同时给出"
            "打乱像素后的相关系数作对照。",
            false_alarms="全分辨率下的纯纹理或胶片颗粒：请缩小后再看。",
            fix="如果数据是表格，请用适合表格的模型：梯度提升树、随机森林、标准化后的线性模型，行数很多时可用多层感知"
            "机。如果像素被误打乱（行长或轴顺序读错），请正确读取文件。",
            messages={
                "default": "{images} 张图像中相邻像素的相关系数为 {correlation}（打乱像素后为 {permuted}）：卷积网络无"
                "从下手。",
            },
        ),
    },
)
