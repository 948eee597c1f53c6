"""too-good-to-be-true (R1)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import pair_places
from snellen.doctor.checks.predictions import points, share
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.scores import SplitScores
from snellen.doctor.evidence.results.slices import Outcomes, cut
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LEAST_COPIES = 5  # images
LEAST_SHARE = 0.01  # of the images
WARNING_SHARE = 0.05
PERFECT = 0.9995
LEAST_IMAGES = 100  # for a figure that is perfect
BLANK = 1.5  # levels of contrast; blank images are all alike (as in D11)
SURE = 0.05


def judge(
    run: EvaluatedRun, scores: SplitScores, facts: ImageFacts | None, outcomes: Outcomes | None
) -> Iterator[Finding]:
    """Yield a finding if images that are judged are copies of training images, or if everything is right."""
    value, number = scores.values[run.judged], scores.num_images[run.judged]
    if facts is not None and outcomes is not None and "train" in run.index.split_names:
        leaked = _copies(run, facts)
        if len(leaked) >= LEAST_COPIES and len(leaked) >= LEAST_SHARE * len(run.looked_at.part):
            yield _leak(run, scores, outcomes, leaked)
            return
    if number >= LEAST_IMAGES and value >= PERFECT:
        yield Finding(
            level=Level.INFO,
            message="perfect",
            numbers={"name": scores.name, "value": points(value), "count": number},
            measured=value,
            limit=Limit(value=PERFECT, unit=scores.name, source="set here: one error of 2000"),
        )
    elif facts is None:
        raise NotCheckable(Text(en="nobody has looked for copies among the images", zh="尚未在图像中查找副本"))


def _copies(run: EvaluatedRun, facts: ImageFacts) -> np.ndarray:
    """Return pairs of a judged image and a training image with the same file or the same pixels, ``[m, 2]``."""
    seen = facts.is_readable & (facts.contrast >= BLANK)
    train = [row for row in run.index.split_rows("train").tolist() if seen[row]]
    known = {facts.file_hash[row].tobytes(): row for row in train}
    known_pixels = {int(facts.pixel_hash[row]): row for row in train}
    pairs = []
    for row in run.index.split_rows(run.judged).tolist():
        twin = known.get(facts.file_hash[row].tobytes(), known_pixels.get(int(facts.pixel_hash[row])))
        if seen[row] and twin is not None:
            pairs.append((row, twin))
    return np.array(pairs, np.int64).reshape(-1, 2)


def _leak(run: EvaluatedRun, scores: SplitScores, outcomes: Outcomes, leaked: np.ndarray) -> Finding:
    inside = np.isin(outcomes.images, leaked[:, 0])
    members, others = np.flatnonzero(inside), np.flatnonzero(~inside)
    flatters = False
    if len(members) and len(others):
        beside = cut(outcomes, members, others, attribute="copies", is_low=False, border=0.0).difference
        flatters = beside.mean > 0 and beside.p_value < SURE
    part = len(leaked) / len(run.looked_at.part)
    return Finding(
        level=Level.WARNING if part >= WARNING_SHARE or flatters else Level.INFO,
        message="flatters" if flatters else "copies",
        numbers={
            "name": scores.name,
            "value": points(scores.values[run.judged]),
            "count": len(leaked),
            "percent": share(part),
            "split": run.judged,
            "inside": share(float(outcomes.values[members].mean())) if len(members) else "—",
            "outside": share(float(outcomes.values[others].mean())) if len(others) else "—",
        },
        measured=part,
        limit=Limit(value=LEAST_SHARE, unit="share", source="as for copies across splits (D11)"),
        places=pair_places(run.index, leaked),
        num_places=len(leaked),
        treatment=Treatment(drop_images=tuple(sorted({run.index.paths[row] for row in leaked[:, 1].tolist()}))),
    )


CHECK = Check(
    code="R1",
    name="too-good-to-be-true",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-078",),
    source="UMLAUT (implausible accuracy); Barz and Denzler 2020, Do we train on test data?",
    pages={
        "en": Page(
            title="figures that flatter",
            finds="Images that are measured and are copies of training images, and results without any error.",
            matters="What was seen in training is known by heart: the figure tells nothing of new images.",
            measured="Images of the measured split that have the same file or the same pixels as a training image, 5 "
            "and 1 % at least: told, a warning from 5 % on, or if they come out better than the others (p below "
            "0.05). A figure of 99.95 and more on 100 images is told too.",
            false_alarms="Blank images are left out. A perfect figure on an easy problem is what one hopes for.",
            fix="See what is told with the finding.",
            messages={
                "copies": "{count} images of {split} ({percent}) are copies of training images; {name} is {value}.",
                "flatters": "{count} images of {split} ({percent}) are copies of training images: of these {inside} "
                "comes out right, of the others {outside}. {name} is {value}, which flatters.",
                "perfect": "{name} is {value} on {count} images: hardly any error at all.",
            },
            fixes={
                "copies": "Leave the copies out of the training (repairs; D11 finds near copies too), and measure "
                "anew.",
                "flatters": "Leave the copies out of the training (repairs; D11 finds near copies too), and measure "
                "anew. Until then take the figure of the others.",
                "perfect": "Make sure that nothing tells the answer: copies across splits (D11), a border, a "
                "watermark or a size that goes with the class (D21), predictions that contain the truth (R10).",
            },
        ),
        "zh": Page(
            title="好得可疑的指标",
            finds="被测量的图像是训练图像的副本，以及没有任何错误的结果。",
            matters="训练中见过的会被记住：指标说明不了新图像。",
            measured="被测划分中与训练图像文件相同或像素相同的图像，至少 5 张且 1%：提示；5% 起，或结果好于其他图像（"
            "p 低于 0.05）时警告。100 张图像上指标达到 99.95 也会提示。",
            false_alarms="空白图像不计。简单问题上的完美指标正是所希望的。",
            fix="见随结果给出的说明。",
            messages={
                "copies": "{split} 中有 {count} 张图像（{percent}）是训练图像的副本；{name} 为 {value}。",
                "flatters": "{split} 中有 {count} 张图像（{percent}）是训练图像的副本：其中正确 {inside}，其他 "
                "{outside}。{name} 为 {value}，偏高。",
                "perfect": "{count} 张图像上 {name} 为 {value}：几乎没有错误。",
            },
            fixes={
                "copies": "从训练中去掉副本（修复；D11 还能找到近似副本），然后重新测量。",
                "flatters": "从训练中去掉副本（修复；D11 还能找到近似副本），然后重新测量。在此之前以其他图像的指标为"
                "准。",
                "perfect": "确认没有泄露答案的东西：跨划分的副本（D11），与类别相关的边框、水印或尺寸（D21），包含真值"
                "的预测（R10）。",
            },
        ),
    },
)
