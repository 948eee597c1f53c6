"""threshold-not-best (R19)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.predictions import need, points, share
from snellen.doctor.evidence.results.answers import Answers
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.objects import DetectedObjects
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text
from snellen.metrics import IGNORED, image_draws, interval_ends, operating_point, point_of_best_f1, rank

__all__ = ["CHECK"]

SHOWN_FROM = 0.3  # score from which detections are drawn, if nothing else is asked for
LEAST_OF_CLASS = 20  # images that show the class that is sought, on the validation and on the measured split
LEAST_TRUTHS = 30
LEAST_GAIN = 0.05  # of F1
DRAWS = 500
_TWO = 2


def judge(run: EvaluatedRun, answers: Answers | None, detected: DetectedObjects | None) -> Iterator[Finding]:
    """Yield a finding if another threshold gives a clearly better F1."""
    if answers is not None:
        yield from _of_answers(run, answers)
    elif detected is not None:
        yield from _of_boxes(detected)
    else:
        raise NotCheckable(Text(en="there is no threshold to choose", zh="没有可选择的阈值"))


def _of_answers(run: EvaluatedRun, answers: Answers) -> Iterator[Finding]:
    names = run.index.classes
    if len(names) != _TWO or run.decision is not None:
        raise NotCheckable(
            Text(en="a threshold is for two classes, and none was chosen yet", zh="阈值只适用于两个类别且尚未选择时")
        )
    if answers.judged == "val" or "val" not in answers.splits:
        raise NotCheckable(
            Text(
                en="a threshold is chosen on validation images and measured on test images; one of the two has no "
                "predictions",
                zh="阈值在验证图像上选择、在测试图像上测量；其中之一没有预测",
            )
        )
    chosen_on, seen = answers.splits["val"], answers.looked_at
    sought = int(np.bincount(chosen_on.labels, minlength=_TWO).argmin())
    for split in (chosen_on, seen):
        need(int((split.labels == sought).sum()), LEAST_OF_CLASS, f"images of {names[sought]}", f"张 {names[sought]}")
    point = point_of_best_f1(chosen_on.probs[:, sought], chosen_on.labels == sought)
    if point is None:
        return
    wanted = seen.labels == sought
    as_is, moved = seen.named == sought, seen.probs[:, sought] >= point.threshold
    weights = image_draws(len(wanted), DRAWS)
    low, high = interval_ends(_f1(weights, moved, wanted) - _f1(weights, as_is, wanted))
    once = np.ones((1, len(wanted)))
    before, after = float(_f1(once, as_is, wanted)[0]), float(_f1(once, moved, wanted)[0])
    if after - before < LEAST_GAIN or not low > 0:
        return
    yield Finding(
        level=Level.WARNING,
        message="classes",
        numbers={
            "name": names[sought],
            "before": points(before),
            "after": points(after),
            "threshold": f"{point.threshold:.2g}",
            "low": points(low),
            "high": points(high),
            "recall": share(float(as_is[wanted].mean())),
            "moved": share(float(moved[wanted].mean())),
        },
        measured=after - before,
        limit=Limit(value=LEAST_GAIN, unit="F1", source="Lipton et al. 2014; bootstrap for the interval"),
    )


def _f1(weights: np.ndarray, named: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    hits, total = weights @ (named & wanted), weights @ named.astype(float) + weights @ wanted.astype(float)
    return np.asarray(2 * hits / np.maximum(total, 1e-12))


def _of_boxes(detected: DetectedObjects) -> Iterator[Finding]:
    ranking = rank(detected.matched, num_classes=detected.num_classes)
    need(int(ranking.num_wanted.sum()), LEAST_TRUTHS, "objects", "个目标")
    best = operating_point(ranking).overall
    table = np.array([_counts(detected, least) for least in (SHOWN_FROM, best)])  # 2, i, 3: hits, found, wanted
    weights = image_draws(len(detected.matched), DRAWS)
    sums = [weights @ part for part in table]
    drawn = [2 * part[:, 0] / np.maximum(part[:, 1] + part[:, 2], 1e-12) for part in sums]
    low, high = interval_ends(drawn[1] - drawn[0])
    shown, moved = table.sum(1)
    before, after = (2 * part[0] / max(part[1] + part[2], 1e-12) for part in (shown, moved))
    if after - before < LEAST_GAIN or not low > 0:
        return
    yield Finding(
        level=Level.INFO,
        message="strict" if best < SHOWN_FROM else "lax",
        numbers={
            "shown": f"{SHOWN_FROM:g}",
            "threshold": f"{best:.2f}",
            "before": points(before),
            "after": points(after),
            "low": points(low),
            "high": points(high),
            "recall": share(shown[0] / max(shown[2], 1)),
            "moved": share(moved[0] / max(moved[2], 1)),
        },
        measured=float(after - before),
        limit=Limit(value=LEAST_GAIN, unit="F1", source="Oksuz et al. 2018 (LRP) for thresholds; van Rijsbergen 1979"),
    )


def _counts(detected: DetectedObjects, least: float) -> list[tuple[int, int, int]]:
    rows = []
    for image in detected.matched:
        believed = (image.seen.scores >= least) & (image.found != IGNORED)
        hits = int((believed & (image.found >= 0)).sum())
        rows.append((hits, int(believed.sum()), int((~image.seen.true_ignored).sum())))
    return rows


CHECK = Check(
    code="R19",
    name="threshold-not-best",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-104", "DX-007"),
    source="Lipton, Elkan and Naryanaswamy 2014; Oksuz et al. 2018, Localization recall precision; van Rijsbergen 1979",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="a threshold that gives away what the model knows",
            finds="Thresholds at which F1 is clearly lower than at another one.",
            matters="The same model finds more, or invents less, for nothing. Where one class is rare, the most "
            "probable class is hardly ever it.",
            measured="Two classes: the threshold of the rarer one with the best F1 on the validation images, measured "
            "on the test images beside the most probable class: a warning if F1 rises by 5 points and more with an "
            "interval above 0 (500 draws). Boxes: F1 of all objects from a score of 0.3, from which boxes are drawn, "
            "beside that from the one score that is best over the classes: told by the same rule. 20 images of the "
            "class, or 30 objects, are the least.",
            false_alarms="F1 weighs recall and precision alike; whoever wants one of them more sets the threshold by "
            "it.",
            fix="See what is told with the finding.",
            messages={
                "classes": "F1 of {name} is {before} where the most probable class is named and {after} from a "
                "probability of {threshold} on ({low} to {high} more): recall {recall} and {moved}.",
                "strict": "From a score of {shown} on, F1 of the boxes is {before}, from {threshold} on {after} ({low}"
                " to {high} more): recall {recall} and {moved}. The usual threshold is too strict for this model.",
                "lax": "From a score of {shown} on, F1 of the boxes is {before}, from {threshold} on {after} ({low} "
                "to {high} more): recall {recall} and {moved}. The usual threshold is too low for this model.",
            },
            fixes={
                "classes": "snellen eval RUN --best-f1 chooses it on the validation images and keeps it; --at-recall "
                "and --at-precision aim at one of the two.",
                "strict": "snellen predict RUN IMAGES --min-score {threshold}.",
                "lax": "snellen predict RUN IMAGES --min-score {threshold}.",
            },
        ),
        "zh": Page(
            title="浪费模型能力的阈值",
            finds="F1 明显低于其他取值的阈值。",
            matters="同一个模型可以白白多找到或少误报。某类很少时，最可能的类别几乎从不是它。",
            measured="两个类别：在验证图像上取较少类别 F1 最佳的阈值，在测试图像上与取最可能类别比较：F1 提高 5 个点以"
            "上且区间（500 次重采样）高于 0 时警告。框：从绘制所用的分数 0.3 起全部目标的 F1，与各类平均最佳的分数比较"
            "，规则相同，为提示。该类至少 20 张图像，或 30 个目标。",
            false_alarms="F1 同等看待召回率和精确率；更看重其一的人应据此设定阈值。",
            fix="见随结果给出的说明。",
            messages={
                "classes": "{name} 的 F1 在取最可能类别时为 {before}，从概率 {threshold} 起为 {after}（高 {low} 至 "
                "{high}）：召回率 {recall} 和 {moved}。",
                "strict": "从分数 {shown} 起框的 F1 为 {before}，从 {threshold} 起为 {after}（高 {low} 至 {high}）：召"
                "回率 {recall} 和 {moved}。常用阈值对该模型过严。",
                "lax": "从分数 {shown} 起框的 F1 为 {before}，从 {threshold} 起为 {after}（高 {low} 至 {high}）：召回"
                "率 {recall} 和 {moved}。常用阈值对该模型过低。",
            },
            fixes={
                "classes": "snellen eval RUN --best-f1 会在验证图像上选择并保存；--at-recall 和 --at-precision 以其中"
                "之一为目标。",
                "strict": "snellen predict RUN IMAGES --min-score {threshold}。",
                "lax": "snellen predict RUN IMAGES --min-score {threshold}。",
            },
        ),
    },
)
