"""leak-across-splits (D11)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import pair_places
from snellen.doctor.evidence.copies import ImageCopies
from snellen.doctor.evidence.frames import FrameNeighbours
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

NEAR_SHARE = 0.005  # of the held-out images; below it near copies are only told
LEAST_NEAR = 2  # held-out images: one likeness may be chance (one false pair in some thousands)
FRAME_SHARE = 0.1  # of the held-out images are the neighbours of training frames


def judge(index: DatasetIndex, copies: ImageCopies, frames: FrameNeighbours) -> Iterator[Finding]:
    """Yield a finding for what is on both sides of a split: the same image, nearly the same, the same group."""
    held_out = int((index.splits >= 0).sum()) - int((index.splits == _training(index)).sum())
    if not held_out or held_out == (index.splits >= 0).sum():
        raise NotCheckable(
            Text(
                en="there is no training split with another one to compare it with",
                zh="没有可与训练子集比较的其他子集",
            )
        )
    for level, message, pairs, scores, limit in (
        (Level.ERROR, "default", _exact(index, copies), None, 0.0),
        (Level.WARNING, "near", copies.pairs, copies.similarity, NEAR_SHARE),
        (Level.ERROR, "group", _groups(index), None, 0.0),
        (Level.WARNING, "frames", frames.pairs, frames.similarity, FRAME_SHARE),
    ):
        apart = index.splits[pairs]
        crosses = (apart[:, 0] != apart[:, 1]) & (apart >= 0).all(1)
        found, alike = pairs[crosses], None if scores is None else scores[crosses]
        if not len(found):
            continue
        training = _training(index)
        train_first = np.where((index.splits[found[:, 1]] == training)[:, None], found[:, ::-1], found)
        known = np.unique(train_first[:, 1])
        share = len(known) / held_out
        if message == "frames" and share < FRAME_SHARE:
            continue
        drop = np.unique(train_first[:, 0][index.splits[train_first[:, 0]] == training])
        yield Finding(
            level=level if share >= limit and (message != "near" or len(known) >= LEAST_NEAR) else Level.INFO,
            message=message,
            numbers={"count": len(known), "held_out": held_out, "share": f"{share:.1%}"},
            measured=share,
            limit=Limit(value=limit, unit="share", source="calibration on healthy data sets") if limit else None,
            places=pair_places(index, train_first[:, ::-1], alike),
            num_places=len(found),
            treatment=Treatment(drop_images=tuple(index.paths[row] for row in drop.tolist())) if len(drop) else None,
        )


def _training(index: DatasetIndex) -> int:
    return index.split_names.index("train") if "train" in index.split_names else 0


def _exact(index: DatasetIndex, copies: ImageCopies) -> NDArray[np.int64]:
    return _links(index, copies.exact_groups)


def _groups(index: DatasetIndex) -> NDArray[np.int64]:
    if index.groups is None:
        return np.zeros((0, 2), np.int64)
    order = np.argsort(index.groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(index.groups[order])) + 1)
    return _links(index, [part for part in parts if len(part) > 1])


def _links(index: DatasetIndex, groups: "tuple[NDArray[np.int64], ...] | list[NDArray[np.int64]]") -> NDArray[np.int64]:
    """Return for each group its first image of the earliest split with all of the others."""
    links = []
    for group in groups:
        rows = group[np.argsort(index.splits[group] != _training(index), kind="stable")]
        links += [(rows[0], row) for row in rows[1:] if index.splits[row] != index.splits[rows[0]]]
    return np.array(links, np.int64).reshape(-1, 2)


CHECK = Check(
    code="D11",
    name="leak-across-splits",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-003",),
    caused_by=("D33",),
    source="FiftyOne, compute_leaky_splits; deepchecks, TrainTestSamplesMix; ciFAIR (Barz and Denzler 2020); the "
    "shares by calibration",
    pages={
        "en": Page(
            title="the same images in training and in validation",
            finds="Images that are on both sides of a split: exact copies, pictures that were cut, scaled, "
            "compressed, mirrored or turned, images of a group that must stay together, and neighbouring frames of "
            "one video.",
            matters="The model is judged by what it has learned by heart. The score is too good, and everything that "
            "is chosen by it (model, epoch, threshold) is chosen wrongly.",
            measured="Exact copies by the hash of the file or of all pixels, and groups by the numbers that the data "
            "set states: any is an error. Near copies by laying pictures over one another (99 % found at cuts of up to "
            f"10 % of a side): a warning from {NEAR_SHARE:.1%} of the held-out images, told below. Frames: names with "
            "the same stem and neighbouring numbers whose images are far more alike than others of that stem: a "
            f"warning from {FRAME_SHARE:.0%}. Blank images are not counted, nor pictures that three others and more "
            "nearly fit (digits of one stroke).",
            false_alarms="A fixed camera with nothing happening gives near copies that are different moments; they "
            "leak all the same.",
            fix="Take the copies out of the training split, and split again by scene, patient, video or source and "
            "not by image (a column named group in a CSV keeps images together).",
            messages={
                "default": "{count} of {held_out} held-out images ({share}) are exact copies of images in another "
                "split.",
                "near": "{count} of {held_out} held-out images ({share}) are near copies of images in another split.",
                "group": "{count} of {held_out} held-out images ({share}) belong to a group that is also in another "
                "split.",
                "frames": "{count} of {held_out} held-out images ({share}) are frames right next to frames in another "
                "split.",
            },
        ),
        "zh": Page(
            title="训练与验证中有相同的图像",
            finds="同时位于划分两侧的图像：完全副本，经裁剪、缩放、压缩、镜像或旋转的同一画面，必须放在一起的同组图"
            "像，以及同一视频的相邻帧。",
            matters="模型被它背下来的内容评判。得分虚高，据此选择的一切（模型、轮次、阈值）都会选错。",
            measured="完全副本按文件或全部像素的哈希判断，分组按数据集写明的编号判断：有一个即为错误。"
            "近似副本通过对齐叠合判断（边长裁剪不超过 10% 时找到 99%）：达到留出图像的 "
            f"{NEAR_SHARE:.1%} 警告，低于则提示。帧：文件名主干相同、编号相邻，且图像相似度远高于同主干的其他图像："
            f"达到 {FRAME_SHARE:.0%} 警告。空白图像不计，被三张以上其他图像近似吻合的"
            "图像（如一笔写成的数字）也不计。",
            false_alarms="固定摄像机在无事发生时给出的近似副本是不同时刻；但同样会泄漏。",
            fix="把副本移出训练子集，并按场景、病人、视频或来源而不是按图像重新划分（CSV 中名为 group 的列可使图像保持"
            "在一起）。",
            messages={
                "default": "{held_out} 张留出图像中有 {count} 张（{share}）是另一子集中图像的完全副本。",
                "near": "{held_out} 张留出图像中有 {count} 张（{share}）是另一子集中图像的近似副本。",
                "group": "{held_out} 张留出图像中有 {count} 张（{share}）所属的组也出现在另一子集。",
                "frames": "{held_out} 张留出图像中有 {count} 张（{share}）紧邻另一子集中的帧。",
            },
        ),
    },
)
