"""shortcut (D21)."""

from collections.abc import Iterator

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.shortcuts import Shortcut, Shortcuts
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

FILE_GAIN = 0.3  # of what guessing leaves open; deepchecks, property-label correlation (PPS < 0.3)
PICTURE_GAIN = 0.5  # brightness or colour may be what a class is: sky and grass
RANGE_GAIN = 0.3  # nearly all scenes hold something black and something white; healthy sets: 0 to 0.3
CERTAIN = 0.01  # p under permuted labels; the least that 100 permutations can show
_SOURCE = "deepchecks, PropertyLabelCorrelation"


def judge(index: DatasetIndex, shortcuts: Shortcuts) -> Iterator[Finding]:
    """Yield a finding for each property that tells the label without the object."""
    for part in shortcuts.properties:
        limit = _limit(part)
        if part.gain < limit or part.p > CERTAIN:
            continue
        yield Finding(
            level=Level.WARNING if part.is_from_the_file else Level.INFO,
            message=_message(part),
            numbers={"property": part.name, "gain": round(100 * part.gain), "class_": part.class_},
            measured=part.gain,
            limit=Limit(value=limit, unit="share", source=_SOURCE),
            places=tuple(Place(kind="image", name=index.paths[row], note=part.class_) for row in part.rows),
            num_places=len(part.rows),
        )


def _message(part: Shortcut) -> str:
    message = "file" if part.is_from_the_file else "picture"
    return f"{message}_value" if part.is_value else message


def _limit(part: Shortcut) -> float:
    if part.is_from_the_file:
        return FILE_GAIN
    return RANGE_GAIN if part.is_from_the_range else PICTURE_GAIN


CHECK = Check(
    code="D21",
    name="shortcut",
    stage=Stage.DATA,
    judge=judge,
    source="deepchecks, PropertyLabelCorrelation; Geirhos et al. 2020, Shortcut learning in deep neural networks",
    pages={
        "en": Page(
            title="the label can be told without looking at the object",
            finds="A property of the file (size, shape, format, folder) or of the picture as a whole (brightness, "
            "contrast, colour, border, where its levels begin and end) that predicts the class.",
            matters="A network takes the easiest way: it learns the camera, the scanner or the scale instead of the "
            "object, scores well on a split of the same data, and fails where the shortcut is gone.",
            measured="Each property is cut into 20 bins, and the class that is most frequent in a bin, in proportion, "
            "is predicted out of fold. The gain is the recall, mean over classes, between guessing (0) and perfect "
            "(1), with p from 100 permutations; of sets of labels that of the class that is told best, of values the "
            "share of the variance of ranks. Properties of the file: a warning from 0.3; of the picture: told from "
            "0.5, and from 0.3 for its darkest and brightest levels, which cameras and programs decide.",
            false_alarms="Properties that are the class: snow is bright. Sizes do not matter to a network if all "
            "images are cropped from larger ones in the same way.",
            fix="Bring all images to one format, size and tone before training (re-encode, crop or pad, equalise), "
            "vary the property by augmentation, and collect images of each class from each source. Test on images "
            "where the property is the other way round.",
            messages={
                "file": "The {property} of the file alone tells the class, {gain} % of the way from guessing to "
                "perfect; best of all {class_}.",
                "picture": "The {property} of the whole picture tells the class, {gain} % of the way from guessing to "
                "perfect; best of all {class_}.",
                "file_value": "The {property} of the file alone tells the value {class_}: {gain} % of the variance of "
                "its ranks.",
                "picture_value": "The {property} of the whole picture tells the value {class_}: {gain} % of the "
                "variance of its ranks.",
            },
        ),
        "zh": Page(
            title="不看目标也能猜出标签",
            finds="找出能预测类别的文件属性（尺寸、形状、格式、文件夹）或整幅画面的属性（亮度、对比度、颜色、边框、最暗"
            "与最亮的级别）。",
            matters="网络会走捷径：学到的是相机、扫描仪或比例，而不是目标；在同一数据的子集上得分很高，捷径消失后就失"
            "效。",
            measured="每个属性分成 20 段，折外预测各段中相对最多的类别。增益是按类别平均的召回率在猜测（0）与完美（1）"
            "之间的位置，p 来自 100 次随机排列。文件属性达到 0.3 时警告；画面属性达到 0.5 时提示，由相机和软"
            "件决定的最暗、最亮级别达到 0.3 时提示。",
            false_alarms="属性本身就是类别：雪是亮的。如果所有图像都以相同方式从更大的图像裁出，尺寸对网络没有影响。",
            fix="训练前把所有图像统一为同一格式、尺寸和色调（重新编码、裁剪或填充、均衡），用增强改变该属性，并从每个"
            "来源收集每个类别。在该属性相反的图像上测试。",
            messages={
                "file": "仅凭文件的 {property} 就能判断类别，达到从猜测到完美的 {gain} %；{class_} 最明显。",
                "picture": "仅凭整幅画面的 {property} 就能判断类别，达到从猜测到完美的 {gain} %；{class_} 最明显。",
                "file_value": "仅凭文件的 {property} 就能判断数值 {class_}：占其秩方差的 {gain} %。",
                "picture_value": "仅凭整幅画面的 {property} 就能判断数值 {class_}：占其秩方差的 {gain} %。",
            },
        ),
    },
)
