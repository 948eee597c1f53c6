"""measured-wrongly (R10)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import pair_places
from snellen.doctor.checks.predictions import changed, judged_places, share
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import DetectedObjects, WantedObjects
from snellen.doctor.evidence.results.scores import SplitScores
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["CHECK"]

SAME_FIGURE = 1e-3  # by which two evaluators may differ
LEAST_TRUTHS = 20
COPIED_SHARE = 0.5  # of the truths, that stand among the detections bit by bit
CUT_SHARE = 0.1  # of the images
SURE_SCORE = 0.3  # of the worst detection of an image that was kept
HIGH_FLOOR = 0.1  # score below which nothing is kept; COCO's figures want 0.001, most programs keep from 0.05


def judge(
    run: EvaluatedRun, scores: SplitScores, detected: DetectedObjects | None, wanted: WantedObjects | None
) -> Iterator[Finding]:
    """Yield what is wrong with the measurement itself."""
    yield from _same_files(run)
    yield from _figures(run, scores)
    if detected is not None and wanted is not None:
        yield from _copied(run, detected)
        yield from _cut(run, detected)
        yield from _floor(run)


def _same_files(run: EvaluatedRun) -> Iterator[Finding]:
    if "train" not in run.index.split_names:
        return
    known = {str(run.index.path(row).resolve()): row for row in run.index.split_rows("train").tolist()}
    pairs = [
        (row, known[place])
        for row in run.index.split_rows(run.judged).tolist()
        if (place := str(run.index.path(row).resolve())) in known
    ]
    if pairs:
        yield Finding(
            level=Level.ERROR,
            message="train_images",
            numbers={"count": len(pairs), "split": run.judged},
            measured=len(pairs),
            places=pair_places(run.index, np.array(pairs)),
            num_places=len(pairs),
        )


def _figures(run: EvaluatedRun, scores: SplitScores) -> Iterator[Finding]:
    """Yield a finding if the figure that was written is not that of the predictions that lie beside it."""
    results = run.looked_at.results
    if results is None or scores.name not in results.scalars:
        return
    written, here = results.scalars[scores.name], scores.values[run.judged]
    if abs(written - here) > SAME_FIGURE:
        yield Finding(
            level=Level.ERROR,
            message="figures",
            numbers={
                "name": scores.name,
                "split": run.judged,
                "written": f"{written:.4f}",
                "here": f"{here:.4f}",
            },
            measured=abs(written - here),
            limit=Limit(value=SAME_FIGURE, unit=scores.name, source="two evaluators of one definition"),
        )


def _copied(run: EvaluatedRun, detected: DetectedObjects) -> Iterator[Finding]:
    """Yield a finding if truths stand among the detections: no network gives the same 32 bits four times."""
    rows, total = [], 0
    for place, image in enumerate(detected.matched):
        own = np.flatnonzero(~image.seen.true_ignored)
        total += len(own)
        boxes = {tuple(row) for row in image.seen.boxes.tolist()}
        rows += [int(detected.rows[place])] * sum(
            tuple(image.seen.true_boxes[truth].tolist()) in boxes for truth in own
        )
    if total >= LEAST_TRUTHS and len(rows) >= COPIED_SHARE * total:
        places, num_places = judged_places(run, rows)
        yield Finding(
            level=Level.ERROR,
            message="truths",
            numbers={"count": len(rows), "total": total},
            measured=len(rows) / total,
            limit=Limit(value=COPIED_SHARE, unit="share", source="ultralytics#6976, save_hybrid"),
            places=places,
            num_places=num_places,
        )


def _cut(run: EvaluatedRun, detected: DetectedObjects) -> Iterator[Finding]:
    stated = run.option("max_detections")
    if stated is None or not isinstance(stated[1], int):
        return
    cut = [
        place
        for place, image in enumerate(detected.matched)
        if len(image.seen.scores) >= stated[1] and image.seen.scores[-1] >= SURE_SCORE
    ]
    if len(cut) > CUT_SHARE * len(detected.matched):
        places, num_places = judged_places(run, detected.rows[cut])
        yield Finding(
            level=Level.WARNING,
            message="cut",
            numbers={"percent": share(len(cut) / len(detected.matched)), "most": stated[1], "score": f"{SURE_SCORE:g}"},
            measured=len(cut) / len(detected.matched),
            limit=Limit(value=CUT_SHARE, unit="share", source="COCO takes 100 boxes of each image and class"),
            places=places,
            num_places=num_places,
            treatment=changed(run, "max_detections", 3 * stated[1]),
        )


def _floor(run: EvaluatedRun) -> Iterator[Finding]:
    stated = run.option("score_above")
    if stated is not None and isinstance(stated[1], float) and stated[1] >= HIGH_FLOOR:
        yield Finding(
            level=Level.INFO,
            message="floor",
            numbers={"floor": f"{stated[1]:g}"},
            measured=stated[1],
            limit=Limit(value=HIGH_FLOOR, source="COCO's figures are taken from 0.001 on, usually from 0.05"),
            treatment=changed(run, "score_above", 0.05),
        )


CHECK = Check(
    code="R10",
    name="measured-wrongly",
    stage=Stage.RESULTS,
    judge=judge,
    source="ultralytics#6976, yolov5#9325, mmdetection#6118 (evaluation settings); pycocotools, Params",
    pages={
        "en": Page(
            title="a measurement that cannot be believed",
            finds="Images that are measured and were trained on, figures that are not those of the predictions beside "
            "them, truths among the detections, and limits that cut detections off.",
            matters="Everything that is decided by such a figure is decided wrongly; nothing in the training shows it.",
            measured="The same file in both splits, by its path (error). The figure computed anew by a second "
            "evaluator from the predictions on disk differs by more than 0.001 (error). Half of the annotated boxes, "
            "20 at least, stand among the detections bit by bit (error). More than 10 % of the images have as many "
            "detections as are kept, the worst with a score of 0.3 and more (warning). Nothing below a score of 0.1 "
            "is kept (info).",
            false_alarms="A file that is listed twice under different names is not seen here but by D11.",
            fix="See what is told with the finding.",
            messages={
                "train_images": "{count} images of {split} are training images.",
                "figures": "{name} of {split} is written as {written}; the predictions beside it have {here}.",
                "truths": "{count} of {total} annotated boxes stand among the detections bit by bit: they were given "
                "to the model.",
                "cut": "On {percent} of the images there are as many boxes as are kept ({most}), the worst with a "
                "score of {score} and more: others were cut off.",
                "floor": "Boxes below a score of {floor} are not kept: average precision ends there, and is lower "
                "than it would be.",
            },
            fixes={
                "train_images": "Give every image one split (snellen check DATA has D11), and train anew.",
                "figures": "snellen eval RUN measures anew; predictions or results were changed, or the data were.",
                "truths": "Find out how annotations reach the model while it is measured; with ultralytics it is "
                "save_hybrid.",
                "cut": "Keep more boxes (--set settings.selection.max_detections=300); no training is needed.",
                "floor": "Keep more boxes for measuring (--set settings.selection.score_above=0.05).",
            },
        ),
        "zh": Page(
            title="不可信的测量",
            finds="参与过训练的被测图像、与旁边预测不符的指标、混入检测的真值，以及截断检测的限制。",
            matters="依据这样的指标做的决定都是错的；训练中看不出来。",
            measured="同一文件（按路径）出现在两个划分（错误）。由第二个评估程序根据磁盘上的预测重新计算的指标相差超过"
            " 0.001（错误）。一半以上（至少 20 个）标注框逐位出现在检测中（错误）。超过 10% 的图像的检测数达到上限，且"
            "最差的分数不低于 0.3（警告）。不保留分数低于 0.1 的检测（提示）。",
            false_alarms="以不同名称列出两次的文件在这里看不到，由 D11 发现。",
            fix="见随结果给出的说明。",
            messages={
                "train_images": "{split} 中有 {count} 张图像是训练图像。",
                "figures": "{split} 的 {name} 写为 {written}；旁边的预测为 {here}。",
                "truths": "{total} 个标注框中有 {count} 个逐位出现在检测中：它们被提供给了模型。",
                "cut": "{percent} 的图像检测数达到上限（{most}），最差的分数不低于 {score}：其余被截断。",
                "floor": "不保留分数低于 {floor} 的框：平均精度在此终止，低于应有的值。",
            },
            fixes={
                "train_images": "每张图像只属于一个划分（snellen check DATA 的 D11），然后重新训练。",
                "figures": "用 snellen eval RUN 重新测量；预测、结果或数据被改动过。",
                "truths": "查明标注如何在测量时到达模型；ultralytics 中是 save_hybrid。",
                "cut": "保留更多的框（--set settings.selection.max_detections=300）；无需训练。",
                "floor": "测量时保留更多的框（--set settings.selection.score_above=0.05）。",
            },
        ),
    },
)
