"""weak-classes (R4)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.predictions import share
from snellen.doctor.evidence.results.answers import Answers
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.maps import MapErrors
from snellen.doctor.evidence.results.objects import WantedObjects
from snellen.doctor.evidence.results.slices import Outcomes
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text
from snellen.structures import BoxTarget, ClassTarget

__all__ = ["CHECK"]

WEAK = 0.3  # of a class's images or objects; deepchecks, performance of single classes
CLEARLY = 0.5  # the interval's upper end stays below
GOOD = 0.6  # mean of the classes, from which the model works and a weak class is an exception
LEAST = 10  # images or objects of a class
RARE = 0.5  # of the median class, in the training images
_SAMPLERS = {ClassTarget: "square_root", BoxTarget: "repeat_factor"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Recalls:
    """Share that is right, its upper end, and the number of cases, by class; nan where there are none."""

    values: Float64[np.ndarray, " k"]
    highs: Float64[np.ndarray, " k"]
    counts: Int64[np.ndarray, " k"]


def judge(
    run: EvaluatedRun,
    answers: Answers | None,
    wanted: WantedObjects | None,
    outcomes: Outcomes | None,
    maps: MapErrors | None,
) -> Iterator[Finding]:
    """Yield a finding if a class is hardly ever recognised while the others are."""
    recalls = _recalls(run, answers, wanted, outcomes, maps)
    known = np.flatnonzero(recalls.counts >= LEAST)
    if not len(known):
        raise NotCheckable(Text(en=f"no class has {LEAST} cases", zh=f"没有类别达到 {LEAST} 例"))
    weak = known[(recalls.values[known] < WEAK) & (recalls.highs[known] < CLEARLY)]
    if not len(weak):
        return
    weak = weak[np.argsort(recalls.values[weak], kind="stable")]
    names, mean = run.index.classes, float(recalls.values[known].mean())
    train = run.index.split("train").annotations.class_counts(len(names)).sum(0) if _has_train(run) else None
    rare = train is not None and bool(train[weak[0]] < RARE * np.median(train[train > 0]))
    yield Finding(
        level=Level.WARNING if mean >= GOOD else Level.INFO,
        message="rare" if rare else "default",
        numbers={
            "name": names[weak[0]],
            "recall": share(float(recalls.values[weak[0]])),
            "cases": int(recalls.counts[weak[0]]),
            "mean": share(mean),
            "count": len(weak),
            "train": 0 if train is None else int(train[weak[0]]),
            "median": 0 if train is None else int(np.median(train[train > 0])),
        },
        measured=float(recalls.values[weak[0]]),
        limit=Limit(value=WEAK, unit="share", source="deepchecks; Wilson 1927 for the interval"),
        places=tuple(
            Place(kind="class", name=names[label], note=share(float(recalls.values[label])), score=1 - float(value))
            for label, value in zip(weak.tolist(), recalls.values[weak], strict=True)
        ),
        num_places=len(weak),
        treatment=Treatment(settings={"sampler": _SAMPLERS.get(run.index.target_type, "repeat_factor")})
        if rare
        else None,
    )


def _has_train(run: EvaluatedRun) -> bool:
    return "train" in run.index.split_names and len(run.index.split_rows("train")) > 0


def _recalls(
    run: EvaluatedRun,
    answers: Answers | None,
    wanted: WantedObjects | None,
    outcomes: Outcomes | None,
    maps: MapErrors | None,
) -> _Recalls:
    num_classes = len(run.index.classes)
    if maps is not None:
        counts = (maps.wanted > 0).sum(0)
        return _Recalls(values=maps.iou, highs=np.where(np.isnan(maps.iou), 1.0, maps.iou), counts=counts)
    if answers is not None:
        labels, right = answers.looked_at.labels, answers.looked_at.right.astype(np.float64)
    elif wanted is not None and outcomes is not None:
        labels, right = wanted.labels, outcomes.values
    else:
        raise NotCheckable(Outcomes.ABSENT)
    counts = np.bincount(labels, minlength=num_classes)
    hits = np.bincount(labels, right, minlength=num_classes).round().astype(np.int64)
    highs = [wilson_interval(int(hit), int(count))[1] for hit, count in zip(hits, counts, strict=True)]
    values = np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)
    return _Recalls(values=values, highs=np.array(highs), counts=counts)


CHECK = Check(
    code="R4",
    name="weak-classes",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-001", "DX-005"),
    source="deepchecks; SageMaker Debugger, confusion; Wilson 1927",
    caused_by=("R22",),
    pages={
        "en": Page(
            title="classes that are hardly ever recognised",
            finds="Classes of which a model recognises, finds or covers less than 30 %.",
            matters="Accuracy and means over many classes hardly show it, and whoever needs that class has a model "
            "that does not work.",
            measured="Of classes with 10 cases and more, the share of images that are named rightly, of objects that "
            "are found (at the score of the class's best F1), or the overlap of a class of pixels. Told below 30 % if "
            "the upper end of Wilson's interval is below 50 %; a warning where the mean over the classes is 60 % and "
            "more.",
            false_alarms="Classes that the data themselves confuse: see the labels of the images that are named.",
            fix="See what is told with the finding.",
            messages={
                "default": "Of {cases} cases of {name} {recall} are recognised, of a class in the mean {mean}. Such "
                "classes: {count}. It is not rare in training ({train} cases; median {median}).",
                "rare": "Of {cases} cases of {name} {recall} are recognised, of a class in the mean {mean}. Such "
                "classes: {count}. It has {train} cases in training, the median class {median}.",
            },
            fixes={
                "default": "Look at what it is taken for (R16), at its labels (R12), and whether people can tell it "
                "apart at this image size.",
                "rare": "Show the class more often (--sampler square_root for one class per image, repeat_factor for "
                "objects and pixels), weight it in the loss (--class-weights effective_number), collect more.",
            },
        ),
        "zh": Page(
            title="几乎识别不出的类别",
            finds="模型识别、找到或覆盖不到 30% 的类别。",
            matters="准确率和多类别的平均值几乎不显示这一点，而需要该类别的人得到的是不能用的模型。",
            measured="对至少 10 例的类别，看正确命名的图像、（在该类最佳 F1 的分数下）找到的目标的比例，或像素类别的重"
            "叠。低于 30% 且 Wilson 区间上端低于 50% 时提示；各类平均达到 60% 时警告。",
            false_alarms="数据本身就混淆的类别：查看所列图像的标签。",
            fix="见随结果给出的说明。",
            messages={
                "default": "{cases} 例 {name} 中识别出 {recall}，各类平均 {mean}。此类类别共 {count} 个。它在训练中并"
                "不少（{train} 例，中位数 {median}）。",
                "rare": "{cases} 例 {name} 中识别出 {recall}，各类平均 {mean}。此类类别共 {count} 个。它在训练中有 "
                "{train} 例，中位数为 {median}。",
            },
            fixes={
                "default": "看它被当成了什么（R16）、它的标签（R12），以及在这个图像尺寸下人能否分辨。",
                "rare": "更多地展示该类别（每图一类用 --sampler square_root，目标和像素用 repeat_factor），在损失中加"
                "权（--class-weights effective_number），收集更多。",
            },
        ),
    },
)
