"""confused-classes (R16)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.predictions import judged_places, larger_images, need, share
from snellen.doctor.evidence.results.answers import Answers
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit
from snellen.metrics import confusion_counts

__all__ = ["CHECK"]

LEAST_IMAGES = 50
LEAST_OF_CLASS = 10
LEAST_ERRORS = 5  # of a pair
INFO_SHARE = 0.15  # of the images of a class, that are named as one other
SURE_SHARE = 0.05  # the interval's lower end stays above
OF_ALL = 0.1  # of all errors


def judge(run: EvaluatedRun, answers: Answers) -> Iterator[Finding]:
    """Yield a finding if one pair of classes makes up much of the errors."""
    seen, names = answers.looked_at, run.index.classes
    need(len(seen.labels), LEAST_IMAGES, "images", "张图像")
    confusion = confusion_counts(seen.labels, seen.named, num_classes=len(names))
    counts, errors = confusion.sum(1), confusion.copy()
    np.fill_diagonal(errors, 0)
    total = int(errors.sum())
    both = errors + errors.T
    pairs = sorted(((int(both[a, b]), a, b) for a in range(len(names)) for b in range(a)), reverse=True)
    clear = [pair for pair in pairs if _is_clear(errors, counts, total, pair)]
    if not clear:
        return
    number, first, second = clear[0]
    if errors[first, second] < errors[second, first]:
        first, second = second, first
    members = np.flatnonzero(
        ((seen.labels == first) & (seen.named == second)) | ((seen.labels == second) & (seen.named == first))
    )
    sure = seen.probs[members, seen.named[members]]
    notes = [f"{names[seen.labels[m]]} → {names[seen.named[m]]} {p:.2f}" for m, p in zip(members, sure, strict=True)]
    places, num_places = judged_places(run, seen.rows[members], scores=sure, notes=notes)
    yield Finding(
        level=Level.INFO,
        numbers={
            "first": names[first],
            "second": names[second],
            "count": int(errors[first, second]),
            "of": int(counts[first]),
            "back": int(errors[second, first]),
            "back_of": int(counts[second]),
            "percent": share(number / total),
            "total": total,
            "more": len(clear) - 1,
        },
        measured=number / total,
        limit=Limit(value=OF_ALL, unit="share", source="set here; Wilson 1927 for the interval"),
        places=places,
        num_places=num_places,
        treatment=larger_images(run),
    )


def _is_clear(errors: np.ndarray, counts: np.ndarray, total: int, pair: tuple[int, int, int]) -> bool:
    number, first, second = pair
    if number < LEAST_ERRORS or number < OF_ALL * total:
        return False
    for one, other in ((first, second), (second, first)):
        of = int(counts[one])
        hits = int(errors[one, other])
        if of >= LEAST_OF_CLASS and hits / of >= INFO_SHARE and wilson_interval(hits, of)[0] > SURE_SHARE:
            return True
    return False


CHECK = Check(
    code="R16",
    name="confused-classes",
    stage=Stage.RESULTS,
    judge=judge,
    source="Hoiem et al. 2012, section 3 (confusion with similar objects); Wilson 1927",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="two classes that are taken for one another",
            finds="Pairs of classes that make up much of the errors of a classifier.",
            matters="Errors that gather between two classes have one cause: they look alike at this size, their "
            "labels are mixed up, or one is a part of the other. A larger network does not help as much as mending "
            "that.",
            measured="At least 10 % of all errors, and 15 % of the images of one of the two are named as the other "
            "(the lower end of Wilson's interval above 5 %). 50 images, 10 of the class and 5 errors are the least.",
            false_alarms="Few errors: a tenth of ten is one.",
            fix="Look at the images: mend labels (R12), merge the classes if people cannot tell them apart, use "
            "larger images (--image-size) if the difference is small, or collect images of both in the same "
            "surroundings.",
            messages={
                "default": "{count} of {of} images of {first} are named {second}, and {back} of {back_of} the other "
                "way round: {percent} of all {total} errors. Further such pairs: {more}.",
            },
        ),
        "zh": Page(
            title="互相混淆的两个类别",
            finds="占分类器错误很大部分的类别对。",
            matters="集中在两个类别之间的错误有同一个原因：在这个尺寸下看起来相似、标签混乱，或一个是另一个的一部分。"
            "更大的网络不如解决这个原因有用。",
            measured="至少占全部错误的 10%，并且其中一类的图像有 15% 被命名为另一类（Wilson 区间下端高于 5%）。至少需"
            "要 50 张图像、该类 10 张和 5 个错误。",
            false_alarms="错误很少时：十个的十分之一是一个。",
            fix="查看这些图像：修正标签（R12）；人也分不清就合并类别；差别很小就用更大的图像（--image-size）；或在相同"
            "环境中收集两类图像。",
            messages={
                "default": "{of} 张 {first} 中有 {count} 张被命名为 {second}，反过来 {back_of} 张中有 {back} 张：占全"
                "部 {total} 个错误的 {percent}。另有 {more} 对。",
            },
        ),
    },
)
