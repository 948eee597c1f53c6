"""slow-loading (D23)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.images import image_places
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.loading import LoadingTimes
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]

SLOW_FILE_MS = 10.0  # milliseconds to read a file; ultralytics' check of the disk
SLOW_DISK_MB = 50.0  # megabytes a second; the same
LARGE_DECODE_MS = 60.0  # processor time for one image; a GPU step of 16 images takes about as long on one core
TRAINING_PX = 1280  # longer side; no model here looks at more
LEAST_IMAGES = 8  # whose median is told


def judge(index: DatasetIndex, facts: ImageFacts, times: LoadingTimes) -> Iterator[Finding]:
    """Yield a finding if the disk is slow, or if images are decoded that are far larger than what is trained on."""
    rows = np.flatnonzero(facts.is_readable & (facts.read_seconds > 0))
    if len(rows) < LEAST_IMAGES or len(times.rows) < LEAST_IMAGES:
        raise NotCheckable(Text(en="too few images to time", zh="图像太少，无法计时"))
    seconds = facts.read_seconds[rows].astype(np.float64)
    milliseconds = 1e3 * float(np.median(seconds))
    speed = float(facts.file_bytes[rows].sum() / seconds.sum()) / 1e6
    if milliseconds > SLOW_FILE_MS and speed < SLOW_DISK_MB:
        yield Finding(
            level=Level.WARNING,
            numbers={"ms": round(milliseconds, 1), "speed": round(speed, 1)},
            measured=speed,
            limit=Limit(value=SLOW_DISK_MB, unit="MB/s", source="ultralytics, check_file_speeds"),
            places=image_places(index, rows, seconds, lambda row: f"{1e3 * facts.read_seconds[row]:.0f} ms"),
            num_places=len(rows),
        )
    decoding = 1e3 * float(np.median(times.decode_seconds))
    sides = np.maximum(facts.height, facts.width)
    if decoding > LARGE_DECODE_MS and np.median(sides[rows]) > TRAINING_PX:
        large = rows[sides[rows] > TRAINING_PX]
        yield Finding(
            level=Level.WARNING,
            message="large",
            numbers={"ms": round(decoding, 1), "side": int(np.median(sides[rows])), "training": TRAINING_PX},
            measured=decoding,
            limit=Limit(value=LARGE_DECODE_MS, unit="ms", source="time of a step of a small model on one GPU"),
            places=image_places(index, large, sides[large], lambda row: f"{facts.width[row]} x {facts.height[row]}"),
            num_places=len(large),
        )


CHECK = Check(
    code="D23",
    name="slow-loading",
    stage=Stage.DATA,
    judge=judge,
    source="ultralytics, check_file_speeds (10 ms, 50 MB/s); the limit of decoding is our own",
    pages={
        "en": Page(
            title="images that take long to load",
            finds="A disk or network that delivers images slowly, and images so large that decoding them takes longer "
            "than training on them.",
            matters="The device waits for the next batch; a training that could take an hour takes a day.",
            measured="The time for reading each file when it was first scanned: a warning if the median is above "
            f"{SLOW_FILE_MS:g} ms and the speed below {SLOW_DISK_MB:g} MB/s. The processor time for decoding a sample "
            f"in full: a warning if the median is above {LARGE_DECODE_MS:g} ms and the longer side above "
            f"{TRAINING_PX} px.",
            false_alarms="A disk that was busy while the data set was scanned. Large images that are cut into tiles "
            "and not scaled down.",
            fix="Copy the data set to a local disk.",
            messages={
                "default": "Reading an image takes {ms} ms (median), {speed} MB/s.",
                "large": "Decoding an image takes {ms} ms (median); the longer side is {side} px, training looks at "
                "{training} px at most.",
            },
            fixes={
                "large": "Scale the images down once, with their labels, to what is trained on (at most {training} "
                "px), as JPEG, which is decoded at a reduced scale.",
            },
        ),
        "zh": Page(
            title="读取缓慢的图像",
            finds="读取图像缓慢的磁盘或网络，以及大到解码比训练还慢的图像。",
            matters="设备在等待下一批数据；一小时能完成的训练要花一天。",
            measured=f"首次扫描时读取每个文件的时间：中位数高于 {SLOW_FILE_MS:g} 毫秒且速度低于 {SLOW_DISK_MB:g} MB/s "
            f"则警告。"
            f"完整解码一组样本的处理器时间：中位数高于 {LARGE_DECODE_MS:g} 毫秒且长边超过 {TRAINING_PX} 像素则警告。",
            false_alarms="扫描数据集时磁盘正忙。切成小块而不是缩小使用的大图。",
            fix="把数据集复制到本地磁盘。",
            messages={
                "default": "读取一张图像需要 {ms} 毫秒（中位数），{speed} MB/s。",
                "large": "解码一张图像需要 {ms} 毫秒（中位数）；长边 {side} 像素，而训练最多使用 {training} 像素。",
            },
            fixes={
                "large": "把图像连同标注一次性缩小到训练所用的大小（最多 {training} 像素），存为可按比例解码的 JPEG。",
            },
        ),
    },
)
