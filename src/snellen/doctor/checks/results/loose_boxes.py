"""loose-boxes (R6)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import changed, judged_places, need, points, share
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import DetectedObjects
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.metrics import image_draws, interval_ends, match_images, mended_precision, sort_errors

__all__ = ["CHECK"]

LEAST_TRUTHS = 50
LEAST_PRECISION = 0.2  # AP50 below which the place of boxes is not what is wrong
STRICT_IOU = 0.75
INFO_SHARE = 0.45  # of AP50 that is gone at 0.75; Faster R-CNN on COCO loses 31 to 37 %, YOLOv3 41 %
DRAWS = 200
SMALL_PX = 32  # side of a small object, COCO


def judge(run: EvaluatedRun, detected: DetectedObjects) -> Iterator[Finding]:
    """Yield a finding if boxes are near enough for 0.5 and not for 0.75."""
    loose = detected.errors
    need(int(loose.wanted.sum()), LEAST_TRUTHS, "objects", "个目标")
    images = [image.seen for image in detected.matched]
    matched = match_images(images, iou_at_least=STRICT_IOU)
    strict = sort_errors(matched, num_classes=detected.num_classes, iou_at_least=STRICT_IOU)
    at_half, at_strict = float(mended_precision(loose)[0]), float(mended_precision(strict)[0])
    if not at_half >= LEAST_PRECISION:
        return
    weights = image_draws(len(images), DRAWS)
    low, high = interval_ends(1 - mended_precision(strict, None, weights) / mended_precision(loose, None, weights))
    lost = 1 - at_strict / at_half
    if lost < INFO_SHARE or not low > INFO_SHARE * 0.8:
        return
    found, overlap, sides = _found(detected)
    order = np.argsort(overlap)
    places, num_places = judged_places(
        run,
        detected.rows[found[order, 0]],
        scores=1 - overlap[order],
        boxes=np.array([images[image].boxes[row] for image, row in found[order]]).reshape(-1, 4),
        notes=[f"IoU {value:.2f}" for value in overlap[order]],
    )
    small = sides < SMALL_PX
    yield Finding(
        level=Level.INFO,
        message="rounded" if _rounds(run) else "default",
        numbers={
            "ap50": points(at_half),
            "ap75": points(at_strict),
            "lost": share(lost),
            "low": share(low),
            "high": share(high),
            "iou": f"{float(np.median(overlap)):.2f}",
            "small": f"{float(np.median(overlap[small])):.2f}" if small.any() else "—",
        },
        measured=lost,
        limit=Limit(value=INFO_SHARE, unit="share", source="Faster R-CNN and YOLOv3 on COCO lose 31 to 41 %"),
        places=places,
        num_places=num_places,
        treatment=_treatment(run),
    )


def _found(detected: DetectedObjects) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image and row of the detections that found a truth, their overlap with it, and the side of the truth."""
    pairs, overlap, sides = [], [], []
    for place, image in enumerate(detected.matched):
        for row in np.flatnonzero(image.found >= 0).tolist():
            truth = image.found[row]
            pairs.append((place, row))
            overlap.append(float(image.overlaps[row, truth]))
            extent = image.seen.true_boxes[truth, 2:] - image.seen.true_boxes[truth, :2]
            sides.append(float(np.sqrt(max(extent.prod(), 0.0))))
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(overlap), np.array(sides)


def _rounds(run: EvaluatedRun) -> bool:
    pooling = run.option("pooling")
    return pooling is not None and pooling[1] == "roi_pool"


def _treatment(run: EvaluatedRun) -> Treatment | None:
    if _rounds(run):
        return changed(run, "pooling", "roi_align")
    loss = run.option("box_loss")
    if loss is not None and loss[1] in ("smooth_l1", "balanced_l1", "offsets"):
        return changed(run, "box_loss", "giou")
    return changed(run, "voting_iou", 0.5)


CHECK = Check(
    code="R6",
    name="loose-boxes",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-090", "DX-097"),
    source="Lin et al. 2014 (COCO's AP75); He et al. 2017, Mask R-CNN, section 3 (RoIAlign); Rezatofighi et al. 2019",
    caused_by=("R22", "R23"),
    pages={
        "en": Page(
            title="boxes that lie loosely on their objects",
            finds="Detectors whose boxes find objects at an overlap of 0.5 and lose them at 0.75.",
            matters="Whatever measures, cuts out or counts along an edge needs tight boxes; AP over 0.5 to 0.95 is "
            "mostly about them.",
            measured="AP50 and AP75 by COCO's rule. Told if more than 45 % of AP50 is gone at 0.75, with an interval "
            "(200 draws of images) above 36 %, and AP50 is 20 at least. 50 objects are the least.",
            false_alarms="Annotations that are loose themselves: no model can be nearer to a truth than people are to "
            "one another. Objects of few pixels, where one pixel is much.",
            fix="A loss of overlap in the place of one of offsets (--set settings.box_loss=giou), RoIAlign in the "
            "place of RoIPool, which rounds to cells twice (--set pooling=roi_align), box voting at the end (--set "
            "settings.selection.voting_iou=0.5, no training needed), larger images.",
            messages={
                "default": "AP50 is {ap50} and AP75 {ap75}: {lost} is lost ({low} to {high}). Boxes overlap what they "
                "find by {iou} in the median, small objects by {small}.",
                "rounded": "AP50 is {ap50} and AP75 {ap75}: {lost} is lost ({low} to {high}). Boxes overlap what they "
                "find by {iou} in the median, small objects by {small}; this model pools regions with RoIPool, which "
                "rounds their edges to cells of the map.",
            },
        ),
        "zh": Page(
            title="框与目标贴合不紧",
            finds="在 0.5 重叠下能找到目标、在 0.75 下却找不到的检测器。",
            matters="凡是沿边缘测量、裁剪或计数的用途都需要紧贴的框；0.5 到 0.95 的 AP 主要取决于此。",
            measured="按 COCO 规则计算 AP50 和 AP75。0.75 时损失超过 AP50 的 45%，且区间（200 次图像重采样）高于 36%，"
            "并且 AP50 至少为 20 时提示。至少需要 50 个目标。",
            false_alarms="标注本身就不紧：模型与真值的距离不可能小于标注者之间的差异。只有几个像素的目标，一个像素就很"
            "多。",
            fix="用重叠损失代替偏移损失（--set settings.box_loss=giou），用 RoIAlign 代替两次取整的 RoIPool（--set "
            "pooling=roi_align），最后用框投票（--set settings.selection.voting_iou=0.5，无需训练），更大的图像。",
            messages={
                "default": "AP50 为 {ap50}，AP75 为 {ap75}：损失 {lost}（{low} 至 {high}）。框与所找到目标的重叠中位数"
                "为 {iou}，小目标为 {small}。",
                "rounded": "AP50 为 {ap50}，AP75 为 {ap75}：损失 {lost}（{low} 至 {high}）。框与所找到目标的重叠中位数"
                "为 {iou}，小目标为 {small}；该模型用 RoIPool 池化区域，会把边缘取整到特征图的单元。",
            },
        ),
    },
)
