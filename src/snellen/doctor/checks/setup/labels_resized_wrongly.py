"""labels-resized-wrongly (M33)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.label_motion import LabelMotion
from snellen.doctor.finding import Finding, Level

__all__ = ["CHECK"]

LEAST_DRAWS = 3  # in which a box kept its numbers though the image has another size; one may do so by chance


def judge(motion: LabelMotion) -> Iterator[Finding]:
    """Yield a finding if masks are blended, or boxes stay while images are resized."""
    blended = [draw for draw in motion.draws if draw.new_values]
    if blended:
        values = sorted({value for draw in blended for value in draw.new_values})
        yield Finding(
            level=Level.ERROR,
            message="blended",
            numbers={"draws": len(blended), "of": len(motion.draws), "values": ", ".join(f"{v:g}" for v in values[:5])},
        )
    resized = [draw for draw in motion.draws if draw.is_resized]
    unmoved = [draw for draw in resized if draw.is_unmoved]
    if len(unmoved) >= LEAST_DRAWS and 2 * len(unmoved) > len(resized):
        yield Finding(level=Level.ERROR, message="not_scaled", numbers={"draws": len(unmoved), "of": len(motion.draws)})


CHECK = Check(
    code="M33",
    name="labels-resized-wrongly",
    stage=Stage.SETUP,
    judge=judge,
    source="users' reports: open-mmlab/mmsegmentation#2208, #1553 (mask values), pytorch/vision#8270 (boxes)",
    pages={
        "en": Page(
            title="labels resized in a way that changes them",
            finds="Masks that are resized with interpolation, so that between class 0 and class 7 a rim of classes 1 "
            "to 6 appears; boxes that keep their numbers while the image is resized.",
            matters="Invented classes are learned along every border, or raise an index error; boxes in the pixels of "
            "another size are all wrong.",
            measured="A probe with the classes 0 and 7, or with one box, goes through the transform 24 times. Any "
            "value in a mask that is neither, nor one that is ignored, is an error; so are boxes that keep their "
            "numbers while the image comes out in another size. Both are exact.",
            false_alarms="Masks that are meant to be soft, one channel of shares instead of class numbers.",
            fix="Resize masks with the nearest neighbour (InterpolationMode.NEAREST, cv2.INTER_NEAREST, "
            "Image.Resampling.NEAREST); multiply boxes by the factors of width and height, or use tv_tensors.",
            messages={
                "blended": "In {draws} of {of} draws the mask has values that are no class ({values}).",
                "not_scaled": "In {draws} of {of} draws the image came out in another size and the box did not change.",
            },
        ),
        "zh": Page(
            title="标注在缩放时被改变",
            finds="用插值缩放的掩码，使类别 0 与类别 7 之间出现一圈类别 1 到 6；图像缩放后数值不变的框。",
            matters="凭空产生的类别会沿每条边界被学习，或引发索引错误；以另一尺寸的像素表示的框全部错误。",
            measured="把含类别 0 和 7 的探测掩码或一个框送入变换 24 次。掩码中出现这两者和忽略值之外的任何值为错误；图"
            "像尺寸改变而框的数值不变也为错误。两者都是精确判断。",
            false_alarms="有意使用的软掩码，即单通道的比例而不是类别编号。",
            fix="用最近邻缩放掩码（InterpolationMode.NEAREST、cv2.INTER_NEAREST、Image.Resampling.NEAREST）；"
            "框乘以宽和高的缩放比例，或使用 tv_tensors。",
            messages={
                "blended": "{of} 次抽取中有 {draws} 次掩码含有不是类别的值（{values}）。",
                "not_scaled": "{of} 次抽取中有 {draws} 次图像尺寸改变而框没有变化。",
            },
        ),
    },
)
