"""object-sensitivity (R5)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.predictions import changed, judged_places, larger_images, share
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import DetectedObjects, WantedObjects
from snellen.doctor.evidence.results.slices import OBJECT_ATTRIBUTES, Slice, Slices
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

INFO_DROP = 0.1  # of recall
SURE = 0.01  # p-value, corrected for all slices
_MESSAGES = {
    ("object size", True): "small",
    ("object size", False): "large",
    ("aspect ratio", False): "odd",
    ("aspect ratio", True): "even",
    ("crowding", False): "crowded",
    ("crowding", True): "lone",
}


def judge(run: EvaluatedRun, detected: DetectedObjects, wanted: WantedObjects, slices: Slices) -> Iterator[Finding]:
    """Yield a finding for each kind of object of which much less is found than of others."""
    rows = [row for row in slices.rows if row.attribute in OBJECT_ATTRIBUTES]
    if not rows:
        raise NotCheckable(Text(en="there are too few objects to cut them into thirds", zh="目标太少，无法分成三份"))
    for row in rows:
        if row.difference.mean <= -INFO_DROP and row.difference.p_value < SURE:
            message = _MESSAGES[row.attribute, row.is_low]
            lost = row.members[slices.outcomes.values[row.members] == 0]
            places, num_places = judged_places(
                run, detected.rows[wanted.images[lost]], boxes=slices.outcomes.boxes[lost]
            )
            yield Finding(
                level=Level.INFO,
                message=message,
                numbers=_numbers(row),
                measured=row.difference.mean,
                limit=Limit(value=-INFO_DROP, unit="recall", source="Hoiem et al. 2012, section 4; Holm 1979"),
                places=places,
                num_places=num_places,
                treatment=_treatment(run, message),
            )


def _numbers(row: Slice) -> dict[str, str | int]:
    return {
        "border": f"{row.border:.3g}",
        "recall": share(row.mean),
        "rest": share(row.rest),
        "low": share(-row.difference.high),
        "high": share(-row.difference.low),
        "count": row.difference.count,
    }


def _treatment(run: EvaluatedRun, message: str) -> Treatment | None:
    if message == "small":
        return larger_images(run)
    if message == "large":
        return larger_images(run, 1 / 1.5)
    if message == "crowded":
        return changed(run, "suppression", "soft_gaussian")
    return None


CHECK = Check(
    code="R5",
    name="object-sensitivity",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-094", "DX-095", "DX-096"),
    caused_by=("R22",),
    message_caused_by={"crowded": ("R17",)},
    source="Hoiem, Chodpathumwan and Dai 2012, Diagnosing error in object detectors, section 4; Holm 1979",
    pages={
        "en": Page(
            title="sizes, shapes or crowds of which less is found",
            finds="Thirds of the objects by size, by aspect ratio and by overlap with neighbours of which a detector "
            "finds much less than of the others.",
            matters="A mean hides that a detector fails on what it is wanted for, and each of these weaknesses has a "
            "cure of its own.",
            measured="Recall at the score at which the F1 of each class is highest, in the lowest and the highest "
            "third by each attribute, beside all others. Told if it is lower by 10 points and more, with a p-value "
            "below 0.01 that is corrected for all thirds (Holm) and takes objects of one image together. Thirds of 20 "
            "objects on 10 images are the least.",
            false_alarms="Small objects are harder for everybody; this says how much harder.",
            fix="See what is told with the finding.",
            messages={
                "small": "Of objects below {border} px {recall} are found, of others {rest}: {low} to {high} less ("
                "{count} objects).",
                "large": "Of objects above {border} px {recall} are found, of others {rest}: {low} to {high} less ("
                "{count} objects).",
                "odd": "Of objects that are {border} times as long as wide, and more, {recall} are found, of others "
                "{rest}: {low} to {high} less ({count} objects).",
                "even": "Of objects that are nearly square (up to {border} : 1) {recall} are found, of others {rest}: "
                "{low} to {high} less ({count} objects).",
                "crowded": "Of objects that overlap a neighbour of their class by {border} and more {recall} are "
                "found, of others {rest}: {low} to {high} less ({count} objects).",
                "lone": "Of objects without a near neighbour of their class {recall} are found, of others {rest}: "
                "{low} to {high} less ({count} objects; overlap up to {border}).",
            },
            fixes={
                "small": "Larger images (--image-size), a model with finer maps (a pyramid, SSD's many maps), tiles "
                "at prediction.",
                "large": "Smaller images, a network that sees more of them (more stages, a pyramid with coarser maps).",
                "odd": "Anchors of such shapes (M14), or a model without anchors.",
                "even": "Anchors of such shapes (M14).",
                "crowded": "Soft suppression (--set settings.selection.suppression=soft_gaussian), a finer grid, "
                "larger images.",
                "lone": "See where they are: lone objects are often small, far away or at the edge.",
            },
        ),
        "zh": Page(
            title="找到得较少的尺寸、形状或密集目标",
            finds="按尺寸、长宽比和与邻居的重叠把目标分成三份，找出检测器找到得比其他少得多的部分。",
            matters="平均值掩盖了检测器恰恰在需要的地方失效，而每种弱点都有各自的对策。",
            measured="在各类 F1 最高的分数下的召回率，取每个属性最低和最高的三分之一，与其余目标比较。低 10 个百分点以"
            "上，且对所有三分之一校正（Holm）、把同一图像的目标视为相关后的 p 值低于 0.01 时提示。每份至少需要 10 张图"
            "像上的 20 个目标。",
            false_alarms="小目标对谁都更难；这里说明难多少。",
            fix="见随结果给出的说明。",
            messages={
                "small": "小于 {border} 像素的目标找到 {recall}，其他 {rest}：少 {low} 至 {high}（{count} 个目标）。",
                "large": "大于 {border} 像素的目标找到 {recall}，其他 {rest}：少 {low} 至 {high}（{count} 个目标）。",
                "odd": "长宽比达到 {border} 及以上的目标找到 {recall}，其他 {rest}：少 {low} 至 {high}（{count} 个目标"
                "）。",
                "even": "接近正方形（不超过 {border} : 1）的目标找到 {recall}，其他 {rest}：少 {low} 至 {high}（"
                "{count} 个目标）。",
                "crowded": "与同类邻居重叠 {border} 及以上的目标找到 {recall}，其他 {rest}：少 {low} 至 {high}（"
                "{count} 个目标）。",
                "lone": "附近没有同类邻居的目标找到 {recall}，其他 {rest}：少 {low} 至 {high}（{count} 个目标；重叠不"
                "超过 {border}）。",
            },
            fixes={
                "small": "更大的图像（--image-size）、具有更细特征图的模型（金字塔、SSD 的多层特征图）、预测时分块。",
                "large": "更小的图像，或感受野更大的网络（更多阶段、含更粗特征图的金字塔）。",
                "odd": "使用此类形状的锚框（M14），或不用锚框的模型。",
                "even": "使用此类形状的锚框（M14）。",
                "crowded": "软抑制（--set settings.selection.suppression=soft_gaussian）、更细的网格、更大的图像。",
                "lone": "查看它们在哪里：孤立的目标往往小、远或在边缘。",
            },
        ),
    },
)
