"""augmentation-moves-labels (M19)."""

from collections.abc import Iterator
from statistics import median

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.label_motion import LabelMotion
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

APART = 0.5  # IoU of label and object below which they do not belong together
OFF = 0.9  # IoU below which a label is off; right transforms of probes are above 0.93
LEAST_DRAWS = 4  # in which there is something to compare
FEW_APART = 2  # draws; a mirror image without its labels comes in half of them
MANY_OFF = 0.25  # share of the draws


def judge(motion: LabelMotion) -> Iterator[Finding]:
    """Yield a finding if labels do not move with the images."""
    ious = motion.ious
    if len(ious) < LEAST_DRAWS:
        raise NotCheckable(
            Text(
                en="too little of the probes is left after the transform to compare it",
                zh="变换后探测图像所剩太少，无法比较",
            )
        )
    apart, off = sum(iou < APART for iou in ious), sum(iou < OFF for iou in ious)
    if apart < FEW_APART and off < MANY_OFF * len(ious):
        return
    is_proven = apart >= FEW_APART
    worst = sorted(ious)[: max(apart, off)]
    yield Finding(
        level=Level.ERROR if is_proven else Level.WARNING,
        message=motion.kind if is_proven else "off",
        numbers={"apart": apart if is_proven else off, "draws": len(ious), "iou": f"{median(worst):.2f}"},
        measured=median(worst),
        limit=Limit(value=APART if is_proven else OFF, unit="IoU", source="right transforms of probes are above 0.93"),
    )


CHECK = Check(
    code="M19",
    name="augmentation-moves-labels",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M33",),
    source="TheDeepChecker's idea of consistent augmentation, Ben Braiek and Khomh 2023; own measurement by drawn "
    "probes",
    pages={
        "en": Page(
            title="augmentation that moves images without their labels",
            finds="A transform after which boxes or masks are no longer where the objects are.",
            matters="A network that is shown mirrored images with boxes that stay learns a blur of both; half of the "
            "labels are wrong, and the data on disk look fine.",
            measured="Images on which a bright rectangle is drawn go through the transform 24 times with its box or "
            "mask. Where the rectangle is seen afterwards is compared with where the label says it is. Two draws with "
            "an IoU below 0.5 are an error, a quarter of the draws below 0.9 a warning. Resizing is part of the "
            "transform.",
            false_alarms="Transforms that hide, paste or blend parts of images; elastic distortion, after which a box "
            "around the old corners is only nearly right.",
            fix="Give boxes and masks to the same call that changes the image (torchvision.transforms.v2 with "
            "tv_tensors, albumentations with bbox_params); draw random parameters once for both.",
            messages={
                "boxes": "In {apart} of {draws} draws the box is not where the object is (median IoU {iou}).",
                "mask": "In {apart} of {draws} draws the mask is not where the object is (median IoU {iou}).",
                "off": "In {apart} of {draws} draws the label is off (median IoU {iou}).",
            },
        ),
        "zh": Page(
            title="数据增强移动了图像却没有移动标注",
            finds="使框或掩码不再位于目标所在处的变换。",
            matters="看到镜像图像而框没有镜像的网络，学到的是两者的模糊混合；一半标注是错的，而磁盘上的数据看起来没有"
            "问题。",
            measured="把画有明亮矩形的图像连同其框或掩码送入变换 24 次，比较变换后看到的矩形位置与标注所说的位置。两次"
            "以上 IoU 低于 0.5 为错误，四分之一以上低于 0.9 为警告。缩放也算在变换之内。",
            false_alarms="遮挡、粘贴或混合图像局部的变换；弹性形变之后，围住旧角点的框只是近似正确。",
            fix="把框和掩码交给改变图像的同一次调用（torchvision.transforms.v2 的 tv_tensors，albumentations 的 "
            "bbox_params）；随机参数对两者只抽取一次。",
            messages={
                "boxes": "{draws} 次抽取中有 {apart} 次框不在目标所在处（IoU 中位数 {iou}）。",
                "mask": "{draws} 次抽取中有 {apart} 次掩码不在目标所在处（IoU 中位数 {iou}）。",
                "off": "{draws} 次抽取中有 {apart} 次标注有偏差（IoU 中位数 {iou}）。",
            },
        ),
    },
)
