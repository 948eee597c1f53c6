"""copies-made-by-resampling (D33)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import ClassTable, DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import MAX_PLACES, image_places
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

COPIED_SHARE = 0.1  # of a class are copies; 0 to 1 % in every class of the healthy data sets
OTHERS_SHARE = 0.02  # of the other classes at most: copies everywhere have another reason
LEAST_COPIES = 5
_SOURCE = "calibration: at most 1 % of copies in each class of healthy data sets"


def judge(index: DatasetIndex, copies: ImageCopies) -> Iterator[Finding]:
    """Yield a finding if some classes are full of copies and the others have none."""
    table = index.annotations
    if not isinstance(table, ClassTable):
        raise NotCheckable(Text(en="images have no single class", zh="图像没有单一类别"))
    counts = np.bincount(table.labels[table.labels >= 0], minlength=len(index.classes))
    spare = np.zeros_like(counts)
    of_class = [part for group in copies.near_groups for part in _by_label(table.labels, group) if len(part) > 1]
    for group in of_class:
        spare[table.labels[group[0]]] += len(group) - 1
    shares = spare / np.maximum(counts, 1)
    copied = (shares >= COPIED_SHARE) & (spare >= LEAST_COPIES)
    rest = spare[~copied].sum() / max(1, counts[~copied].sum())
    if not copied.any() or copied.sum() > len(copied) / 2 or rest > OTHERS_SHARE:
        return
    groups = [group for group in of_class if copied[table.labels[group[0]]]]
    split = [group for group in groups if len(np.unique(index.splits[group])) > 1]
    level, message = Level.INFO, "within"
    if split:
        level, message = Level.ERROR, "straddling"
    elif len(index.split_names) < 2:
        level, message = Level.WARNING, "default"
    shown = sorted(split or groups, key=lambda group: -len(group))
    extra = np.concatenate([group[1:] for group in groups])
    label = int(shares.argmax())
    yield Finding(
        level=level,
        message=message,
        numbers={"class": index.classes[label], "share": f"{shares[label]:.0%}", "count": int(spare[copied].sum()),
                 "straddling": sum(len(group) for group in split), "rest": f"{rest:.1%}"},
        measured=float(shares[label]),
        limit=Limit(value=COPIED_SHARE, unit="share", source=_SOURCE),
        places=image_places(index, np.concatenate(shown)[:MAX_PLACES]),
        num_places=sum(len(group) for group in shown),
        treatment=Treatment(
            settings={"sampler": "class_balanced"}, drop_images=tuple(index.paths[row] for row in extra.tolist())
        ),
    )  # fmt: skip


def _by_label(labels: NDArray[np.int32], group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [group[labels[group] == label] for label in np.unique(labels[group]) if label >= 0]


CHECK = Check(
    code="D33",
    name="copies-made-by-resampling",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-003",),
    source="own criterion; Blagus and Lusa 2015 on what over-sampling before the split does to validation",
    pages={
        "en": Page(
            title="a class that was copied to make it larger",
            finds="Classes full of copies of their own images while the other classes have none: what over-sampling "
            "on disk leaves behind.",
            matters="Copies made before the split fall on both sides of it. The model has then seen the very images "
            "that it is judged by, and the class that is hardest looks solved.",
            measured="Copies (exact, or cut, scaled, compressed, mirrored) within each class, over its images. The "
            f"finding needs {COPIED_SHARE:.0%} in a class, at least {LEAST_COPIES} copies, no more than half of the "
            f"classes so, and at most {OTHERS_SHARE:.0%} in the rest. It is an error if copies of one image lie in "
            "different splits, a warning if there are no splits yet, and only told within one split.",
            false_alarms="A class photographed in bursts, whose frames are nearly the same; that leaks in the same "
            "way.",
            fix="Take the copies out, split, and then draw the rare class more often while training (--sampler "
            "class_balanced).",
            messages={
                "default": "{share} of the images of {class} are copies of others of that class ({rest} elsewhere), "
                "and the data are not split yet: a split would put copies on both sides.",
                "straddling": "{share} of the images of {class} are copies of others of that class ({rest} "
                "elsewhere); {straddling} images have copies in another split.",
                "within": "{share} of the images of {class} are copies of others of that class ({rest} elsewhere).",
            },
        ),
        "zh": Page(
            title="为扩充某类而复制的图像",
            finds="某些类别充满自身图像的副本，而其他类别没有：这是在磁盘上过采样留下的痕迹。",
            matters="划分之前的副本会落入划分两侧。模型见过用来评判它的图像，于是最难的类别看起来像已解决。",
            measured="每类中副本（完全相同，或经裁剪、缩放、压缩、镜像）占该类图像的比例。需要某类达到 "
            f"{COPIED_SHARE:.0%} 且至少 {LEAST_COPIES} 个副本，这样的类别不超过一半，其余类别不超过 "
            f"{OTHERS_SHARE:.0%}。"
            "同一图像的副本位于不同子集则报错误，尚未划分则警告，在同一子集内只提示。",
            false_alarms="某一类用连拍拍摄，各帧几乎相同；这同样会造成泄漏。",
            fix="去掉副本，先划分，再在训练时更频繁地抽取稀有类别（--sampler class_balanced）。",
            messages={
                "default": "{class} 的图像中 {share} 是该类其他图像的副本（其他类 {rest}），且数据尚未划分：划分会使副"
                "本落入两侧。",
                "straddling": "{class} 的图像中 {share} 是该类其他图像的副本（其他类 {rest}）；{straddling} 张图像在另"
                "一子集中有副本。",
                "within": "{class} 的图像中 {share} 是该类其他图像的副本（其他类 {rest}）。",
            },
        ),
    },
)
