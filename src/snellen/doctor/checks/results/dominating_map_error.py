"""dominating-map-error (R20)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import changed, judged_places, larger_images, need, points, share
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.maps import MapErrorKind, MapErrors
from snellen.doctor.finding import Finding, Level, Limit, Treatment

__all__ = ["CHECK"]

LEAST_IMAGES = 10
LEAST_COST = 0.02  # of the mean overlap
ALIKE = 0.5  # of the largest cost, from which another is told too


def judge(run: EvaluatedRun, maps: MapErrors) -> Iterator[Finding]:
    """Yield the kinds of wrong pixel that cost most, the first one first, if they cost anything beyond chance."""
    need(len(maps.rows), LEAST_IMAGES, "images", "张图像")
    most = max(row.cost for row in maps.kinds.values())
    for kind in sorted(maps.kinds, key=lambda name: -maps.kinds[name].cost):
        cost = maps.kinds[kind]
        if cost.cost >= max(LEAST_COST, ALIKE * most) and cost.low > 0:
            yield _finding(run, maps, kind)


def _finding(run: EvaluatedRun, maps: MapErrors, kind: MapErrorKind) -> Finding:
    cost = maps.kinds[kind]
    total = sum(row.count for row in maps.kinds.values())
    own = maps.pixels[:, list(MapErrorKind).index(kind)]
    hit = np.flatnonzero(own)
    places, num_places = judged_places(run, maps.rows[hit], scores=own[hit], notes=[f"{n:,} px" for n in own[hit]])
    others = sorted((name for name in MapErrorKind if name is not kind), key=lambda name: -maps.kinds[name].cost)
    return Finding(
        level=Level.INFO,
        message=kind.value,
        numbers={
            "iou": points(maps.precision.cost),
            "iou_low": points(maps.precision.low),
            "iou_high": points(maps.precision.high),
            "wrong": share(maps.wrong_share),
            "percent": share(cost.count / max(total, 1)),
            "cost": points(cost.cost),
            "low": points(cost.low),
            "high": points(cost.high),
            "near": share(maps.boundary_share),
            "inner": share(maps.inner_share),
            "band": f"{maps.band_px:.0f}",
            "others": ", ".join(f"{name.value} {points(maps.kinds[name].cost)}" for name in others),
        },
        measured=cost.cost,
        limit=Limit(value=LEAST_COST, unit="mIoU", source="set here: more than repeated trainings differ by"),
        places=places,
        num_places=num_places,
        treatment=_treatment(run, kind),
    )


def _treatment(run: EvaluatedRun, kind: MapErrorKind) -> Treatment | None:
    if kind is MapErrorKind.BOUNDARY:
        return larger_images(run)
    if kind is MapErrorKind.MISSED:
        return changed(run, "loss", "lovasz") or Treatment(settings={"sampler": "repeat_factor"})
    if kind is MapErrorKind.CLASS:
        return Treatment(settings={"sampler": "repeat_factor"})
    return None


CHECK = Check(
    code="R20",
    name="dominating-map-error",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-016", "DX-107"),
    source="Kohli, Ladicky and Torr 2009 (trimaps); Cheng et al. 2021, Boundary IoU; Bolya et al. 2020 for costs",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="the kinds of wrong pixel that cost a segmenter most",
            finds="Whether wrong pixels lie along borders, in things that were missed, under a wrong class, or where "
            "nothing is, and what each kind costs.",
            matters="Ragged borders want resolution, missed things want another loss or sampler, wrong classes want "
            "context or labels: every kind has a cure of its own.",
            measured="Every wrong pixel is of one kind: within 2 % of the image's diagonal from a border of the truth "
            "and named as what is on its other side; else of a thing and named background; of a thing and named "
            "another one; of the background and named a thing. A kind's cost is the mean IoU that mending it alone "
            "gives back, with an interval over draws of images. Told are the largest and those half as large or "
            "more, if they are 2 points and more and their intervals are above 0. 10 images are the least.",
            false_alarms="Annotations with coarse borders: people themselves differ by some pixels there. Things that "
            "are narrower than the band lie within it as a whole.",
            fix="See what is told with the finding.",
            messages={
                "boundary": "Mean IoU is {iou} ({iou_low} to {iou_high}); {wrong} of the pixels are wrong, {near} of "
                "those within {band} px of a border and {inner} of the others. Borders cost {cost} points ({low}"
                " to {high}), {percent} of the wrong pixels. The others: {others}.",
                "missed": "Mean IoU is {iou} ({iou_low} to {iou_high}); {wrong} of the pixels are wrong ({near} near "
                "borders, {inner} elsewhere; {band} px). Things that are named background cost {cost} points ("
                "{low} to {high}), {percent} of the wrong pixels. The others: {others}.",
                "class": "Mean IoU is {iou} ({iou_low} to {iou_high}); {wrong} of the pixels are wrong ({near} near "
                "borders, {inner} elsewhere; {band} px). Things that are named another class cost {cost} points "
                "({low} to {high}), {percent} of the wrong pixels. The others: {others}.",
                "invented": "Mean IoU is {iou} ({iou_low} to {iou_high}); {wrong} of the pixels are wrong ({near} "
                "near borders, {inner} elsewhere; {band} px). Background that is named a thing costs {cost} "
                "points ({low} to {high}), {percent} of the wrong pixels. The others: {others}.",
            },
            fixes={
                "boundary": "Larger images (--image-size), a network that keeps resolution (short cuts as in U-Net), "
                "a random field behind it; leave pixels at borders out of the training where annotators differ there.",
                "missed": "A loss of overlap, which weighs small things (--loss lovasz), more of them (--sampler "
                "repeat_factor), larger images for small ones, a larger receptive field for large ones (M22).",
                "class": "Rare classes more often (--sampler repeat_factor), a larger receptive field or a stronger "
                "backbone for context, mended labels (R12).",
                "invented": "More images without things in the training, and labels that are complete (R12): things "
                "without annotation are told here too.",
            },
        ),
        "zh": Page(
            title="分割中代价最大的错误像素类型",
            finds="错误像素是在边界上、在漏掉的物体中、类别错误，还是在什么也没有的地方，以及每种的代价。",
            matters="边界粗糙需要分辨率，漏掉物体需要另一种损失或采样器，类别错误需要上下文或标签：每种都有各自的对策"
            "。",
            measured="每个错误像素属于一种：距真值边界不超过图像对角线的 2% 且被命名为边界另一侧的类别；否则为物体却被"
            "命名为背景；为物体却被命名为另一物体；为背景却被命名为物体。某种的代价是只修正它所能恢复的平均 IoU，区间"
            "来自图像重采样。提示代价最大者及达到其一半者，须达到 2 个点且区间高于 0。至少需要 10 张图像。",
            false_alarms="边界标注粗糙：标注者之间在那里也相差几个像素。比边界带更窄的物体整个落在带内。",
            fix="见随结果给出的说明。",
            messages={
                "boundary": "平均 IoU 为 {iou}（{iou_low} 至 {iou_high}）；{wrong} 的像素错误，边界 {band} 像素以内错 "
                "{near}，其他错 {inner}。边界的代价为 {cost} 个点（{low} 至 {high}），占错误像素的 {percent}。其他："
                "{others}。",
                "missed": "平均 IoU 为 {iou}（{iou_low} 至 {iou_high}）；{wrong} 的像素错误（边界附近 {near}，其他 "
                "{inner}；{band} 像素）。被命名为背景的物体的代价为 {cost} 个点（{low} 至 {high}），占错误像素的 "
                "{percent}。其他：{others}。",
                "class": "平均 IoU 为 {iou}（{iou_low} 至 {iou_high}）；{wrong} 的像素错误（边界附近 {near}，其他 "
                "{inner}；{band} 像素）。被命名为另一类的物体的代价为 {cost} 个点（{low} 至 {high}），占错误像素的 "
                "{percent}。其他：{others}。",
                "invented": "平均 IoU 为 {iou}（{iou_low} 至 {iou_high}）；{wrong} 的像素错误（边界附近 {near}，其他 "
                "{inner}；{band} 像素）。被命名为物体的背景的代价为 {cost} 个点（{low} 至 {high}），占错误像素的 "
                "{percent}。其他：{others}。",
            },
            fixes={
                "boundary": "更大的图像（--image-size）、保留分辨率的网络（如 U-Net 的跳跃连接）、之后加条件随机场；标"
                "注者有分歧的边界像素不参与训练。",
                "missed": "重视小物体的重叠损失（--loss lovasz）、更多此类图像（--sampler repeat_factor）、小物体用更"
                "大的图像、大物体用更大的感受野（M22）。",
                "class": "更多地展示稀有类别（--sampler repeat_factor），用更大的感受野或更强的骨干网络提供上下文，修"
                "正标签（R12）。",
                "invented": "在训练中加入更多没有物体的图像，并保证标注完整（R12）：没有标注的物体也会在这里出现。",
            },
        ),
    },
)
