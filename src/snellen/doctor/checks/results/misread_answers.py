"""misread-answers (R22)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.rereading import GAIN, GAIN_ZH, RISE, RISE_ZH, reading_finding
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.readings import DISPLACED, FAR, Reading
from snellen.doctor.finding import Finding, Level

__all__ = ["CHECK"]


def judge(run: EvaluatedRun, reading: Reading) -> Iterator[Finding]:
    """Yield a finding if answers fit the truth far better once they are read otherwise."""
    if not reading.name or reading.name in DISPLACED:
        return
    yield reading_finding(run, reading, level=Level.ERROR, limit=FAR)


CHECK = Check(
    code="R22",
    name="misread-answers",
    stage=Stage.RESULTS,
    judge=judge,
    source="Kuhn 1955 (assignment), Ballard 1981 (votes for a scale), bootstrap for the intervals",
    pages={
        "en": Page(
            title="answers that are read wrongly",
            finds="Classes whose names stand in another order than in training, boxes in another format or frame, maps "
            "that are turned, answers that belong to other images.",
            matters="The model may be good and its figures worthless: nothing of the training needs to change, and "
            "everything that is read from these answers is wrong until the reading is mended.",
            measured="Answers are read otherwise, and the figure (accuracy or mean recall, AP50, mean IoU) is measured "
            "again: classes as they fit best, found on one half of the cases and tried on the other (30 % of the cases "
            "of those classes more, p below 0.001); answers of the images 1 to 3 places before and behind; boxes as "
            "corner and size, centre and size, with axes exchanged, mirrored, upside down, in the pixels of another "
            "size (by votes of all pairs of corners) or in a square with borders; maps mirrored, upside down or turned "
            "by half. Told from 10 points more on, if the bootstrap interval is above 5.",
            false_alarms="None is known. A model that takes two classes for one another more often than not is told "
            "here, too.",
            fix="See what is told with the finding.",
            messages={
                "classes": GAIN + "{count} classes are taken for what they fit" + RISE + ": {shown}. The numbers of "
                "the classes are off by {shift}.",
                "image": GAIN + "each image has the answer of the one at {step}" + RISE + ".",
                "corner_size": GAIN + "boxes are read as corner and size" + RISE + ".",
                "centre_size": GAIN + "boxes are read as centre and size" + RISE + ".",
                "size_as_corner": GAIN
                + "the second corner is taken without the first, which was added to it"
                + RISE
                + ".",
                "axes": GAIN + "x and y of the boxes are exchanged" + RISE + ".",
                "mirrored": GAIN + "left and right are exchanged" + RISE + ".",
                "upside_down": GAIN + "top and bottom are exchanged" + RISE + ".",
                "half_turn": GAIN + "maps are turned by half" + RISE + ".",
                "scale": GAIN + "boxes are multiplied by {across} across and {down} down" + RISE + ".",
                "square": GAIN
                + "boxes are multiplied by {across} of the image's width and {down} of its height"
                + RISE
                + ": they are in the frame of a square to which images were squeezed.",
                "longer": GAIN
                + "boxes are multiplied by {across} (down: {down}) of the image's longer side"
                + RISE
                + ": they are in the frame of images whose longer side was made equal.",
                "shorter": GAIN
                + "boxes are multiplied by {across} (down: {down}) of the image's shorter side"
                + RISE
                + ": they are in the frame of images whose shorter side was made equal.",
                "border": GAIN
                + "boxes are brought back from a square of {side} pixels with borders around the image"
                + RISE
                + ".",
            },
            fixes={
                "classes": "Compare the names of the classes with those of the training, in their order: folders "
                "sorted "
                "otherwise, ids that count from 1, a background class before them. Then read the answers anew; no "
                "training is needed.",
                "image": "Find out where an image was left out or given twice between loader and file (a batch cut "
                "off, a sort by another rule), and join answers and images by name.",
            },
        ),
        "zh": Page(
            title="被误读的答案",
            finds="类别名称的顺序与训练时不同，框的格式或坐标系不同，图被翻转，答案属于别的图像。",
            matters="模型可能很好而指标毫无价值：训练无需改变，而在读法改正之前，从这些答案读出的一切都是错的。",
            measured="换一种读法再测量同一指标（准确率或平均召回率、AP50、平均 "
            "IoU）：类别取最吻合的对应，在一半样本上求"
            "得、在另一半上检验（这些类别的样本多对 30%，p 低于 0.001）；取前后 1 到 3 "
            "张图像的答案；框按角点与尺寸、中心"
            "与尺寸、交换坐标轴、左右翻转、上下翻转、另一尺寸的像素（由所有角点对投票）或带边的正方形来读；图左右翻转"
            "、上"
            "下翻转或旋转半圈。提高 10 个点以上且自助法区间高于 5 时告知。",
            false_alarms="未知有误报。把两个类别互相认错多于认对的模型也会在此告知。",
            fix="见随结果给出的说明。",
            messages={
                "classes": GAIN_ZH
                + "把 {count} 个类别当作其吻合的类别"
                + RISE_ZH
                + "：{shown}。类别编号相差 {shift}。",
                "image": GAIN_ZH + "每张图像取相隔 {step} 的图像的答案" + RISE_ZH + "。",
                "corner_size": GAIN_ZH + "把框读作角点与尺寸" + RISE_ZH + "。",
                "centre_size": GAIN_ZH + "把框读作中心与尺寸" + RISE_ZH + "。",
                "size_as_corner": GAIN_ZH + "从第二个角点减去被加上的第一个角点" + RISE_ZH + "。",
                "axes": GAIN_ZH + "交换框的 x 与 y" + RISE_ZH + "。",
                "mirrored": GAIN_ZH + "交换左右" + RISE_ZH + "。",
                "upside_down": GAIN_ZH + "交换上下" + RISE_ZH + "。",
                "half_turn": GAIN_ZH + "把图旋转半圈" + RISE_ZH + "。",
                "scale": GAIN_ZH + "框横向乘以 {across}、纵向乘以 {down}" + RISE_ZH + "。",
                "square": GAIN_ZH + "框乘以图像宽度的 {across} 和高度的 {down}" + RISE_ZH + "：它们在图像被压成的正方形"
                "的坐标系中。",
                "longer": GAIN_ZH
                + "框乘以图像长边的 {across}（纵向 {down}）"
                + RISE_ZH
                + "：它们在长边被统一的图像的坐"
                "标系中。",
                "shorter": GAIN_ZH + "框乘以图像短边的 {across}（纵向 {down}）" + RISE_ZH + "：它们在短边被统一的图像的"
                "坐标系中。",
                "border": GAIN_ZH + "把框从四周带边的 {side} 像素正方形变换回来" + RISE_ZH + "。",
            },
            fixes={
                "classes": "对照训练时类别名称及其顺序：文件夹排序不同、编号从 1 "
                "开始、前面多了背景类。然后重新读取答案；"
                "无需训练。",
                "image": "查明加载与文件之间哪张图像被遗漏或给了两次（批次被截断、排序规则不同），并按名称对应答案与图"
                "像。",
            },
        ),
    },
)
