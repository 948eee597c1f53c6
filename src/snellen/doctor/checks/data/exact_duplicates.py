"""exact-duplicates (D10)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import image_places, pair_places
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.finding import Finding, Level, Limit, Treatment

__all__ = ["CHECK"]

WARNING_SHARE = 0.01  # of the images are exact copies of others in their split
NEAR_SHARE = 0.01  # of the images are near copies, from which on it is told
_SOURCE = "calibration: 0 to 0.4 % in 10 healthy data sets"


def judge(index: DatasetIndex, copies: ImageCopies) -> Iterator[Finding]:
    """Yield a finding for images that occur twice within a split, and tell of many that nearly do."""
    twins = [
        (int(part[0]), int(row))
        for group in copies.exact_groups
        for part in _by_split(index.splits, group)
        for row in part[1:]
    ]
    if twins:
        pairs = np.array(twins)[:, ::-1]
        share = len(pairs) / len(index)
        yield Finding(
            level=Level.WARNING if share > WARNING_SHARE else Level.INFO,
            numbers={"count": len(pairs), "images": len(index), "share": f"{share:.1%}"},
            measured=share,
            limit=Limit(value=WARNING_SHARE, level=Level.WARNING, unit="share", source=_SOURCE),
            places=pair_places(index, pairs),
            num_places=len(pairs),
            treatment=Treatment(drop_images=tuple(index.paths[row] for row in pairs[:, 0].tolist())),
        )
    inside = index.splits[copies.pairs[:, 0]] == index.splits[copies.pairs[:, 1]]
    rows = np.unique(copies.pairs[inside])
    if len(rows) > NEAR_SHARE * len(index):
        yield Finding(
            level=Level.INFO,
            message="near",
            numbers={"count": len(rows), "images": len(index)},
            measured=len(rows) / len(index),
            limit=Limit(value=NEAR_SHARE, unit="share", source="worth knowing from here on"),
            places=pair_places(index, copies.pairs[inside], copies.similarity[inside]),
            num_places=int(inside.sum()),
        )
    blank = np.flatnonzero(copies.is_blank)
    if len(blank) > WARNING_SHARE * len(index):
        yield Finding(
            level=Level.INFO,
            message="blank",
            numbers={"count": len(blank), "images": len(index)},
            places=image_places(index, blank),
            num_places=len(blank),
        )


def _by_split(splits: NDArray[np.int16], group: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [group[splits[group] == split] for split in np.unique(splits[group])]


CHECK = Check(
    code="D10",
    name="exact-duplicates",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    caused_by=("D33",),
    source="cleanvision, exact_duplicates and near_duplicates; FiftyOne; the share by calibration",
    pages={
        "en": Page(
            title="images that occur more than once",
            finds="Copies within a split: files of the same content, files of other content that decode to the same "
            "pixels, and (told only) pictures that were cut, scaled, compressed, mirrored or turned.",
            matters="A copied image counts twice in the loss and in the metric, so both say more about it than about "
            "the rest. A later split puts copies on both sides.",
            measured="SHA-256 of the files; equal reduced pixels, confirmed by decoding both in full. More than "
            f"{WARNING_SHARE:.0%} of the images is a warning. Near copies are found by low frequencies and verified by "
            "laying one over the other: at least 99 % found at cuts of up to 10 % of a side, no false pair among 1,181 "
            "photographs. Blank images are not counted, for they are all alike, nor near copies among pictures that "
            "three others and more nearly fit (digits of one stroke).",
            false_alarms="Tiles of maps or slides without content, and frames of a camera that stands still.",
            fix="Keep one of each; where labels of copies differ, keep the right one (labels-of-copies-differ).",
            messages={
                "default": "{count} of {images} images ({share}) are exact copies of others in the same split.",
                "near": "{count} of {images} images are near copies of others in the same split.",
                "blank": "{count} of {images} images are blank.",
            },
            fixes={
                "near": "If they are frames of one scene, thin them out, and split by scene and not by image.",
                "blank": "Leave them out, unless empty images are meant to be among the data.",
            },
        ),
        "zh": Page(
            title="重复出现的图像",
            finds="同一子集内的副本：内容相同的文件、内容不同但解码后像素相同的文件，以及（仅提示）经裁剪、缩放、压"
            "缩、镜像或旋转的同一画面。",
            matters="重复图像在损失和指标中计两次，使两者偏向它。以后划分时副本会落入两侧。",
            measured="比较文件的 SHA-256；缩小后像素相同的，再完整解码确认。超过图像数的 "
            f"{WARNING_SHARE:.0%} 会警告。近似副本用低频成分查找，并把两图对齐叠合验证：边长裁剪不超过 10% 时找到至少 "
            f"99%，"
            "在 1,181 张照片中没有误配。空白图像不计：它们全都相似；被三张以上"
            "其他图像近似吻合的图像（如一笔写成的数字）之间的近似副本也不计。",
            false_alarms="地图或切片中没有内容的图块，以及静止摄像机的各帧。",
            fix="每组只保留一张；若副本的标注不同，保留正确的那张（labels-of-copies-differ）。",
            messages={
                "default": "{images} 张图像中有 {count} 张（{share}）是同一子集中其他图像的完全副本。",
                "near": "{images} 张图像中有 {count} 张是同一子集中其他图像的近似副本。",
                "blank": "{images} 张图像中有 {count} 张是空白的。",
            },
            fixes={
                "near": "若是同一场景的多帧，请稀疏取样，并按场景而不是按图像划分。",
                "blank": "将其排除，除非数据中本应有空图像。",
            },
        ),
    },
)
