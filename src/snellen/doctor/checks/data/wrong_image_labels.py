"""wrong-image-labels (D16)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.agreement import Agreement
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WARNING_SHARE = 0.03  # lower end of the 95 % interval; CIFAR-10 without known errors shows 0.015 to 0.02
WARNING_SHARE_PLAIN = 0.08  # the same without given weights: on healthy thumbnails plain features show 0.034
CONTRADICTED = 0.06  # mean of both models' probability of the label; below it they contradict it
FEWEST_SURE = 30  # images that both models are sure of; with fewer there is no share to speak of
LEAST_SKILL = 0.4  # of the models, 0 is guessing; weaker ones are sure of what is wrong
MOST_PLACES = 50

_SOURCE = "calibrated on CIFAR-10 with and without human label noise"
_UNINFORMED = Text(
    en="images that look alike bear the same label no more often than chance would have it; give --weights and "
    "--model for better features",
    zh="外观相近的图像标签相同的比例不高于随机；请用 --weights 和 --model 提供更好的特征",
)


def judge(index: DatasetIndex, agreement: Agreement) -> Iterator[Finding]:
    """Yield a finding if labels contradict what their images look like."""
    if not agreement.is_informed:
        raise NotCheckable(_UNINFORMED)
    own, proposed = agreement.own_probs, agreement.proposed
    suspects = np.flatnonzero((own <= CONTRADICTED) & (proposed != agreement.labels))
    suspects = suspects[np.argsort(own[suspects], kind="stable")]
    if not len(suspects):
        return
    wrong, sure = agreement.disagreement()
    low, high = wilson_interval(wrong, sure)
    limit = WARNING_SHARE if agreement.origin else WARNING_SHARE_PLAIN
    is_many = sure >= FEWEST_SURE and agreement.skill >= LEAST_SKILL and low >= limit
    names = index.classes
    rows = agreement.rows
    yield Finding(
        level=Level.WARNING if is_many else Level.INFO,
        message="many" if is_many else "some",
        numbers={"suspects": len(suspects), "images": len(rows), "wrong": wrong, "sure": sure,
                 "low": round(100 * low, 1), "high": round(100 * high, 1),
                 "first": index.paths[int(rows[suspects[0]])], "label": names[agreement.labels[suspects[0]]],
                 "proposed": names[proposed[suspects[0]]]},
        measured=low,
        limit=Limit(value=limit, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="image", name=index.paths[int(rows[place])], score=float(1 - own[place]),
                  note=f"{names[agreement.labels[place]]} → {names[proposed[place]]}")
            for place in suspects[:MOST_PLACES].tolist()
        ),
        num_places=len(suspects),
        treatment=_treatment(index, agreement, suspects) if is_many else None,
    )  # fmt: skip


def _treatment(index: DatasetIndex, agreement: Agreement, suspects: NDArray[np.int64]) -> Treatment:
    """Return that the images are left out, or take the class that they look like."""
    images = [index.paths[int(row)] for row in agreement.rows[suspects]]
    looks = [index.classes[label] for label in agreement.proposed[suspects].tolist()]
    return Treatment(drop_images=tuple(images), data={"labels": dict(zip(images, looks, strict=True))})


CHECK = Check(
    code="D16",
    name="wrong-image-labels",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011", "DX-121"),
    caused_by=("D24", "D35"),
    source="Northcutt et al. 2021, Confident learning (self-confidence); cleanlab; thresholds from CIFAR-10 and the "
    "human labels of Wei et al. 2022 (CIFAR-10N)",
    pages={
        "en": Page(
            title="labels that images contradict",
            finds="Images whose label is contradicted by models that have not seen them, ranked, with the class that "
            "they look like.",
            matters="Wrong labels in the training images hold accuracy down and keep the loss high; wrong labels in "
            "the test images make good models look bad and rank models wrongly.",
            measured="Each image is described by the network whose weights were given, or without any by gradients, "
            "colours and a code of small patches. A regularised logistic regression and the ten nearest images name "
            "its class without having seen it; copies never help one another. An image is listed if both together "
            "give its label at most 0.06. Of the images that both are sure of, the share with another label estimates "
            "how many labels are wrong; if the lower end of its 95 % interval reaches 3 % (8 % without given "
            "weights), that is a warning (only where the models' recall is 0.4 of the way from guessing to perfect).",
            false_alarms="Rare looks of a class, images that show two classes, classes that differ only in detail. A "
            "single image is never proof: look at it. Without weights, or with weights of another domain, the list is "
            "less sharp.",
            fix="Look at the images from the top of the list, correct what is wrong, and stop where you agree with "
            "the labels. Begin with the test images.",
            messages={
                "many": "{suspects} of {images} labels are contradicted by what the images look like; of the {sure} "
                "images that are clear, {wrong} bear another label ({low} to {high} %). First: {first} is labelled "
                "{label} and looks like {proposed}.",
                "some": "{suspects} of {images} labels are worth a look. First: {first} is labelled {label} and looks "
                "like {proposed}. Of the {sure} images that are clear, {wrong} bear another label ({low} to {high} %).",
            },
        ),
        "zh": Page(
            title="与图像不符的标签",
            finds="找出标签与未见过它们的模型的判断相矛盾的图像，按可疑程度排序，并给出图像看起来所属的类别。",
            matters="训练集里的错误标签会压低准确率，使损失居高不下；测试集里的错误标签会让好模型显得差，并打乱模型的"
            "排名。",
            measured="用给定权重的网络描述每张图像；没有权重时用梯度、颜色和小图块编码。正则化逻辑回归和十个最近邻在未"
            "见过该图像的情况下判断类别，重复图像不会互相帮助。两者平均给标签的概率不超过 0.06 的图像会被列出。在两者"
            "都有把握的图像中，标签不同的比例用来估计错误标签的多少；其 95 % 区间下限达到 3 %（未给权重时 8 %）时警告"
            "（仅当模型召回率达到从猜测到完美的 0.4）。",
            false_alarms="某一类别的罕见外观、同时含两类目标的图像、只在细节上不同的类别。单张图像永远不能算作证明，请"
            "亲自查看。没有权重或权重来自其他领域时，名单不够准确。",
            fix="从名单顶部开始查看图像，改正错误，直到您同意标签为止。先查测试图像。",
            messages={
                "many": "{images} 个标签中有 {suspects} 个与图像外观矛盾；在 {sure} 张外观明确的图像中，{wrong} 张标签"
                "不同（{low} 至 {high} %）。首先：{first} 标为 {label}，看起来像 {proposed}。",
                "some": "{images} 个标签中有 {suspects} 个值得查看。首先：{first} 标为 {label}，看起来像 {proposed}。"
                "在 {sure} 张外观明确的图像中，{wrong} 张标签不同（{low} 至 {high} %）。",
            },
        ),
    },
)
