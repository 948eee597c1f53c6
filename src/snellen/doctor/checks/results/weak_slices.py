"""weak-slices (R18)."""

from collections.abc import Iterator, Mapping

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places
from snellen.doctor.checks.predictions import larger_images, share
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.slices import OBJECT_ATTRIBUTES, Slices
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WARNING_DROP = 0.2
INFO_DROP = 0.05
SURE = 0.01  # p-value, corrected for all slices
# Operations on every image as soon as it is read, in training and in use.
_ENHANCED: Mapping[str, tuple[str, ...]] = {
    "dark": ("exposure",),
    "bright": ("exposure",),
    "flat": ("stretch",),
    "harsh": ("stretch",),
}
_KINDS: Mapping[tuple[str, bool], str] = {
    ("brightness", True): "dark",
    ("brightness", False): "bright",
    ("contrast", True): "flat",
    ("contrast", False): "harsh",
    ("sharpness", True): "blurred",
    ("sharpness", False): "sharp",
    ("noise", True): "calm",
    ("noise", False): "noisy",
    ("image size", True): "small",
    ("image size", False): "large",
    ("distance from the centre", True): "central",
    ("distance from the centre", False): "edge",
}


def judge(run: EvaluatedRun, slices: Slices) -> Iterator[Finding]:
    """Yield a finding for the kind of image, or place in it, on which a model is clearly worse, the worst alone."""
    rows = [row for row in slices.rows if row.attribute not in OBJECT_ATTRIBUTES]
    if not rows:
        raise NotCheckable(Text(en="there are too few images to cut them into thirds", zh="图像太少，无法分成三份"))
    clear = [row for row in rows if row.difference.p_value < SURE and row.difference.mean <= -INFO_DROP]
    for row in clear[:1]:
        seen = slices.outcomes
        worst = row.members[np.argsort(seen.values[row.members], kind="stable")]
        images = np.unique(seen.images[worst[seen.values[worst] < 1]])
        kind = _KINDS[row.attribute, row.is_low]
        yield Finding(
            level=Level.WARNING if row.difference.high <= -WARNING_DROP else Level.INFO,
            message=kind,
            numbers={
                "border": f"{row.border:.3g}",
                "mean": share(row.mean),
                "rest": share(row.rest),
                "low": share(-row.difference.high),
                "high": share(-row.difference.low),
                "count": row.difference.count,
                "more": len(clear) - 1,
            },
            measured=row.difference.mean,
            limit=Limit(value=-INFO_DROP, unit="share", source="Chung et al. 2019 (Slice Finder); Holm 1979"),
            places=image_places(run.index, images),
            num_places=len(images),
            treatment=_treatment(run, kind),
        )


def _treatment(run: EvaluatedRun, kind: str) -> Treatment | None:
    if kind == "small":
        return larger_images(run)
    if kind in _ENHANCED and not run.record.get("enhance"):
        return Treatment(settings={"enhance": _ENHANCED[kind]})
    strength = run.record.get("augment")
    if kind in ("dark", "bright", "flat", "harsh", "blurred", "noisy") and isinstance(strength, int | float):
        return Treatment(settings={"augment": 1.0}) if strength < 1 else None
    return None


CHECK = Check(
    code="R18",
    name="weak-slices",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-024", "DX-035"),
    source="Chung et al. 2019, Slice Finder; Eyuboglu et al. 2022, Domino; Holm 1979; Liang and Zeger 1986",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="images or places on which a model is clearly worse",
            finds="Thirds of the images by light, contrast, sharpness, noise and size, and of objects by their place "
            "in the image, on which a model is worse than on the others.",
            matters="Where the images of use are like that third, the model is worse than its figure says. It tells "
            "which images to collect, and which augmentation imitates them.",
            measured="Share that is right (images), found (objects) or rightly labelled (pixels), in the lowest and "
            "the highest third by each attribute beside the others. Told if it is lower by 5 points and more with a "
            "p-value below 0.01, corrected for all thirds (Holm), objects of one image taken together; a warning if "
            "the whole interval is below 20 points. The worst is told, and how many others there are. Thirds of 20 on "
            "10 images are the least.",
            false_alarms="What is cut by one attribute may differ by another: dark images may also be those of a hard "
            "class.",
            fix="See what is told with the finding.",
            messages={
                "dark": "On dark images (median brightness up to {border} of 255) {mean} is right, elsewhere {rest}: "
                "{low} to {high} less ({count} cases; {more} further weak thirds).",
                "bright": "On bright images (median brightness from {border} of 255) {mean} is right, elsewhere {rest}"
                ": {low} to {high} less ({count} cases; {more} further weak thirds).",
                "flat": "On images of low contrast (up to {border}) {mean} is right, elsewhere {rest}: {low} to {high}"
                " less ({count} cases; {more} further weak thirds).",
                "harsh": "On images of high contrast (from {border}) {mean} is right, elsewhere {rest}: {low} to "
                "{high} less ({count} cases; {more} further weak thirds).",
                "blurred": "On blurred images (sharpness up to {border}) {mean} is right, elsewhere {rest}: {low} to "
                "{high} less ({count} cases; {more} further weak thirds).",
                "sharp": "On sharp images (sharpness from {border}) {mean} is right, elsewhere {rest}: {low} to {high}"
                " less ({count} cases; {more} further weak thirds).",
                "calm": "On images without noise (up to {border}) {mean} is right, elsewhere {rest}: {low} to {high} "
                "less ({count} cases; {more} further weak thirds).",
                "noisy": "On noisy images (from {border}) {mean} is right, elsewhere {rest}: {low} to {high} less ("
                "{count} cases; {more} further weak thirds).",
                "small": "On small images (up to {border} px) {mean} is right, elsewhere {rest}: {low} to {high} less "
                "({count} cases; {more} further weak thirds).",
                "large": "On large images (from {border} px) {mean} is right, elsewhere {rest}: {low} to {high} less ("
                "{count} cases; {more} further weak thirds).",
                "central": "In the middle of images (up to {border} of the way to the edge) {mean} is found, "
                "elsewhere {rest}: {low} to {high} less ({count} cases; {more} further weak thirds).",
                "edge": "Near the edge of images (from {border} of the way to it) {mean} is found, elsewhere {rest}: "
                "{low} to {high} less ({count} cases; {more} further weak thirds).",
            },
            fixes={
                "dark": "Brighten every image first (--enhance exposure), augmentation that darkens (--augment 1), "
                "more dark images.",
                "bright": "Even out the exposure of every image first (--enhance exposure), augmentation that "
                "brightens (--augment 1).",
                "flat": "Stretch the contrast of every image first (--enhance stretch), augmentation of contrast "
                "(--augment 1).",
                "harsh": "Even out the contrast of every image first (--enhance stretch), augmentation of contrast "
                "(--augment 1).",
                "blurred": "Augmentation that blurs (--augment 1), more such images, a better camera or shorter "
                "exposure.",
                "noisy": "Augmentation with noise (--augment 1), or denoising before everything.",
                "small": "Train and predict at a larger size (--image-size), if the small images are enlarged too.",
                "edge": "Augmentation that cuts and shifts; tiles that overlap at prediction.",
            },
        ),
        "zh": Page(
            title="模型明显较差的图像或位置",
            finds="按亮度、对比度、清晰度、噪声和尺寸把图像分成三份，按目标在图像中的位置把目标分成三份，找出模型比其"
            "他部分差的部分。",
            matters="如果实际使用的图像像这一部分，模型就比指标显示的差。它指出应收集哪些图像，以及哪种数据增强能模拟"
            "它们。",
            measured="每个属性最低和最高的三分之一中正确（图像）、找到（目标）或标注正确（像素）的比例，与其余部分比较"
            "。低 5 个百分点以上，且对所有三分之一校正（Holm）、把同一图像的目标视为相关后的 p 值低于 0.01 时提示；整"
            "个区间低 20 个百分点以上时警告。只报告最差的一个以及其余的个数。每份至少 10 张图像、20 个。",
            false_alarms="按一个属性划分的部分可能在另一个属性上也不同：暗图像可能恰好属于难的类别。",
            fix="见随结果给出的说明。",
            messages={
                "dark": "暗图像（亮度中位数不超过 255 中的 {border}）正确 {mean}，其他 {rest}：低 {low} 至 {high}（"
                "{count} 例；另有 {more} 个较差的部分）。",
                "bright": "亮图像（亮度中位数从 255 中的 {border} 起）正确 {mean}，其他 {rest}：低 {low} 至 {high}（"
                "{count} 例；另有 {more} 个较差的部分）。",
                "flat": "低对比度图像（不超过 {border}）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例；另有"
                " {more} 个较差的部分）。",
                "harsh": "高对比度图像（从 {border} 起）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例；另有"
                " {more} 个较差的部分）。",
                "blurred": "模糊图像（清晰度不超过 {border}）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例"
                "；另有 {more} 个较差的部分）。",
                "sharp": "清晰图像（清晰度从 {border} 起）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例；另"
                "有 {more} 个较差的部分）。",
                "calm": "无噪声图像（不超过 {border}）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例；另有 "
                "{more} 个较差的部分）。",
                "noisy": "噪声大的图像（从 {border} 起）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例；另有"
                " {more} 个较差的部分）。",
                "small": "小图像（不超过 {border} 像素）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例；另有"
                " {more} 个较差的部分）。",
                "large": "大图像（从 {border} 像素起）正确 {mean}，其他 {rest}：低 {low} 至 {high}（{count} 例；另有 "
                "{more} 个较差的部分）。",
                "central": "图像中部（到边缘距离的 {border} 以内）找到 {mean}，其他 {rest}：低 {low} 至 {high}（"
                "{count} 例；另有 {more} 个较差的部分）。",
                "edge": "图像边缘附近（到边缘距离的 {border} 以外）找到 {mean}，其他 {rest}：低 {low} 至 {high}（"
                "{count} 例；另有 {more} 个较差的部分）。",
            },
            fixes={
                "dark": "事先提亮每张图像（--enhance exposure）、使图像变暗的增强（--augment 1）、更多暗图像。",
                "bright": "事先均衡每张图像的曝光（--enhance exposure）、使图像变亮的增强（--augment 1）。",
                "flat": "事先拉伸每张图像的对比度（--enhance stretch）、对比度增强（--augment 1）。",
                "harsh": "事先统一每张图像的对比度（--enhance stretch）、对比度增强（--augment 1）。",
                "blurred": "模糊增强（--augment 1）、更多此类图像、更好的相机或更短的曝光。",
                "noisy": "噪声增强（--augment 1），或事先去噪。",
                "small": "以更大的尺寸训练和预测（--image-size），前提是小图像也被放大。",
                "edge": "裁剪和平移增强；预测时使用重叠的分块。",
            },
        ),
    },
)
