"""displaced-answers (R23)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.rereading import GAIN, GAIN_ZH, RISE, RISE_ZH, reading_finding
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.readings import DISPLACED, NEAR, Reading
from snellen.doctor.finding import Finding, Level

__all__ = ["CHECK"]

WARNING_GAIN = 0.05  # of the figure, that a displacement takes


def judge(run: EvaluatedRun, reading: Reading) -> Iterator[Finding]:
    """Yield a finding if answers fit the truth better once all are moved, or enlarged, alike."""
    if reading.name not in DISPLACED:
        return
    level = Level.WARNING if reading.gain.mean >= WARNING_GAIN else Level.INFO
    yield reading_finding(run, reading, level=level, limit=NEAR)


CHECK = Check(
    code="R23",
    name="displaced-answers",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-097", "DX-106"),
    source="set here; bootstrap for the interval",
    pages={
        "en": Page(
            title="answers that are all displaced alike",
            finds="Boxes that are all moved, or all too large or too small, by the same amount, and maps that are all "
            "moved.",
            matters="At an overlap of a half it hardly shows, at 0.75 and for small objects it costs much; and it is "
            "mended without any training where it is an error of the reading.",
            measured="The medians over the boxes that found something (overlap 0.3 and more) say by how many pixels "
            "all are moved and by which share all are too large; undone, AP75 must rise by 2 points. The displacement "
            "of most maps is where their cross-correlation with the truth is largest (at most a tenth of a side); "
            "undone, the mean IoU must rise by 2 points. The bootstrap interval must be above 1. A warning from 5 "
            "points on.",
            false_alarms="Networks that learned from few images often draw boxes somewhat too large or too small: that "
            "is told as what it is, with its size.",
            fix="See what is told with the finding.",
            messages={
                "boxes_moved": GAIN + "all boxes, which lie {right} pixels too far right and {down} too far down, are "
                "moved back" + RISE + ".",
                "boxes_grown": GAIN + "all boxes, whose width is off by {width} and height by {height}, are resized "
                "about their centres" + RISE + ".",
                "moved": GAIN
                + "maps, which lie {right} pixels too far right and {down} too far down, are moved back"
                + RISE
                + ".",
            },
            fixes={
                "boxes_moved": "Look for a shift between image and labels, or between the two sizes of an image: "
                "coordinates that count from 1, a border that was taken off one side only, pixels that are taken for "
                "their corners (M32). If the data are as they should be, the model has learned it: train on.",
                "boxes_grown": "Look for widths that count the last pixel (x2 − x1 + 1), labels that leave room around "
                "objects, or deltas that are decoded with other weights than they were learned with.",
                "moved": "Look for a shift between image and mask: paddings, an odd size that was halved, cells that "
                "are enlarged with their corners aligned (M32).",
            },
        ),
        "zh": Page(
            title="全部同样偏移的答案",
            finds="所有框都同样平移、同样过大或过小，以及所有图都同样平移。",
            matters="重叠为一半时几乎看不出，在 0.75 和小目标上代价很大；若是读法的错误，无需训练即可改正。",
            measured="由找到目标的框（重叠 0.3 以上）的中位数得出整体平移多少像素、整体过大多少；还原后 AP75 须提高 2 "
            "个点。多数图的平移取其与真值互相关最大处（不超过边长的十分之一）；还原后平均 IoU 须提高 2 个"
            "点。自助法区间须高于 1。5 个点起警告。",
            false_alarms="从少量图像学习的网络常把框画得略大或略小：会如实说明其大小。",
            fix="见随结果给出的说明。",
            messages={
                "boxes_moved": GAIN_ZH + "把偏右 {right}、偏下 {down} 像素的所有框移回" + RISE_ZH + "。",
                "boxes_grown": GAIN_ZH + "把宽度偏差 {width}、高度偏差 {height} 的所有框绕中心缩放" + RISE_ZH + "。",
                "moved": GAIN_ZH + "把偏右 {right}、偏下 {down} 像素的图移回" + RISE_ZH + "。",
            },
            fixes={
                "boxes_moved": "检查图像与标注之间、或同一图像两种尺寸之间的偏移：坐标从 1 开始、"
                "只从一侧去掉的边、把像素当作其角点（M32）。若数据无误，则是模型学到的：继续训练。",
                "boxes_grown": "检查是否宽度计入最后一个像素（x2 − x1 + 1）、"
                "标注在目标周围留有空隙、或解码偏移量所用的权重与学"
                "习时不同。",
                "moved": "检查图像与掩码之间的偏移：填充、奇数尺寸减半、以角点对齐方式放大（M32）。",
            },
        ),
    },
)
