"""pooled-sources (D34)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.origins import Origins
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LARGE_SHARE = 0.8  # of the judging split that one source has; Ng: 200,000 against 5,000 leave the target 2.4 %
FEWEST = 10  # images of the judging split
_SOURCE = "Ng, Machine learning yearning, chapters 5 and 36"


def judge(index: DatasetIndex, origins: Origins) -> Iterator[Finding]:
    """Yield a finding if sources were pooled, so that one of them decides the score."""
    judging = next((name for name in ("val", "dev", "test") if name in index.split_names), None)
    if judging is None or "train" not in index.split_names:
        raise NotCheckable(Text(en="there is no validation or test split", zh="没有验证或测试子集"))
    rows = {name: index.splits == index.split_names.index(name) for name in ("train", judging)}
    counts = {name: np.bincount(origins.sources[of][origins.sources[of] >= 0], minlength=len(origins.names))
              for name, of in rows.items()}  # fmt: skip
    total = int(counts[judging].sum())
    if total < FEWEST or len(origins.names) < 2:
        raise NotCheckable(Text(en=f"{judging} has too few images", zh=f"{judging} 的图像太少"))
    shares = counts[judging] / total
    largest = int(shares.argmax())
    small = [place for place in range(len(shares)) if place != largest and counts["train"][place] > 0]
    if shares[largest] < LARGE_SHARE or not small:
        return
    least = min(small, key=lambda place: shares[place])
    yield Finding(
        level=Level.INFO,
        numbers={"split": judging, "source": origins.names[largest], "share": round(100 * float(shares[largest]), 1),
                 "small": origins.names[least], "count": int(counts[judging][least]),
                 "signs": " + ".join(origins.signs)},
        measured=float(shares[largest]),
        limit=Limit(value=LARGE_SHARE, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="image", name=index.paths[row])
            for row in np.flatnonzero(rows[judging] & (origins.sources == least))[:50].tolist()
        ),
        num_places=int(counts[judging][least]),
    )  # fmt: skip


CHECK = Check(
    code="D34",
    name="pooled-sources",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-023",),
    source="Ng, Machine learning yearning, chapters 5 and 36: dev and test from the distribution that matters",
    pages={
        "en": Page(
            title="one source decides the score",
            finds="Images of several sources that were pooled and then split, so that the validation images are "
            "mostly of the largest source.",
            matters="The score says how well the large source is served. If users bring images of the small one, the "
            "score looks fine while they are unhappy.",
            measured="Sources are stated by the data set, or are groups that differ in two signs at once (folder, "
            "pattern of names, size, format) and are neither the classes nor the splits. It is told if one has at "
            "least 80 % of the validation images while another is trained on too.",
            false_alarms="The large source may be the one that matters.",
            fix="Decide which source users will bring. Take validation and test images from it alone, put the others "
            "into training, and report the score for each source.",
            messages={
                "default": "{share} % of {split} come from {source}, and only {count} images from {small} (told apart "
                "by {signs}).",
            },
        ),
        "zh": Page(
            title="一个来源决定得分",
            finds="找出混合后再划分的多来源图像，验证图像大多来自最大的来源。",
            matters="得分只说明模型对大来源的效果。如果用户带来的是小来源的图像，得分看似很好，用户却不满意。",
            measured="来源由数据集说明，或是同时在两个标志（文件夹、文件名模式、尺寸、格式）上不同、且不等于类别或子集"
            "的分组。某来源占验证图像至少 80 %，而另一来源也参与训练时提示。",
            false_alarms="大来源也许正是重要的那个。",
            fix="确定用户会带来哪个来源的图像。只从该来源取验证和测试图像，其余用于训练，并分别报告每个来源的得分。",
            messages={
                "default": "{split} 的 {share} % 来自 {source}，只有 {count} 张来自 {small}（依据 {signs} 区分）。",
            },
        ),
    },
)
