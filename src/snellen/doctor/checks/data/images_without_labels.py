"""images-without-labels (D3)."""

from collections.abc import Iterator

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.checks.images import MAX_PLACES
from snellen.doctor.checks.objects import problem_places
from snellen.doctor.evidence.naming import NamedPairs
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

WARNING_SHARE = 0.99  # of images with labels, or of labels with images; set here
ERROR_SHARE = 0.50
EMPTY_SHARE = 0.50  # of images with a label file where one without a file counts as empty
_SOURCE = "set here: below 99 % a warning, below 50 % an error"


def judge(index: DatasetIndex, pairs: NamedPairs) -> Iterator[Finding]:
    """Yield a finding for images and labels that did not find one another by name."""
    missed = len(pairs.near_misses)
    if pairs.orphans:
        yield _finding(index, pairs, "orphans", _level(pairs.matched_labels, certain=True), pairs.matched_labels)
    if pairs.unlabelled:
        is_empty = pairs.takes_as_empty and not pairs.orphans
        share = pairs.matched_images
        level = _level(share, certain=not is_empty or share == 0)
        if is_empty and share >= EMPTY_SHARE:
            level = Level.INFO
        yield _finding(index, pairs, "empty" if is_empty else "unlabelled", level, share)
    if missed:
        yield Finding(
            level=Level.WARNING,
            message="near_miss",
            numbers={"count": missed, "first": pairs.near_misses[0][0], "second": pairs.near_misses[0][1]},
            measured=float(missed),
            places=tuple(Place(kind="file", name=one, twin=other) for one, other in pairs.near_misses[:MAX_PLACES]),
            num_places=missed,
        )


def _level(share: float, *, certain: bool) -> Level:
    if share < ERROR_SHARE and certain:
        return Level.ERROR
    return Level.WARNING if share < WARNING_SHARE else Level.INFO


def _finding(index: DatasetIndex, pairs: NamedPairs, message: str, level: Level, share: float) -> Finding:
    count, total = (pairs.orphans, pairs.labels) if message == "orphans" else (pairs.unlabelled, pairs.images)
    codes = ("image-missing",) if message == "orphans" else ("label-missing", "mask-missing")
    places = problem_places(index, [problem for problem in pairs.lonely if problem.code in codes])
    return Finding(
        level=level,
        message=message,
        numbers={"count": count, "total": total, "percent": round(100 * share, 1)},
        measured=share,
        limit=Limit(value=ERROR_SHARE if level == Level.ERROR else WARNING_SHARE, unit="share", source=_SOURCE),
        places=places,
        num_places=count,
    )


CHECK = Check(
    code="D3",
    name="images-without-labels",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-013",),
    source="Ultralytics' verify_image_label, which counts missing and empty label files",
    pages={
        "en": Page(
            title="images and labels that do not find one another",
            finds="Images without a label, labels without an image, and pairs whose names nearly agree: other case, a "
            "space, another ending, the mark of a copy.",
            matters="An image whose label is not found is left out, or is taught as one on which there is nothing: a "
            "detector then learns to be silent on objects. Nothing fails, the metric is only lower than it could be.",
            measured="Share of images that have a label and of labels that have an image: below 99 % is a warning, "
            "below 50 % an error. An empty label file says that nothing is to be seen, and is fine. Where a missing "
            "file means the same (YOLO) and no label is left over, it is only told as long as half of the images have "
            "one. Names are compared without case, spaces, endings and '(1)' or 'copy'.",
            false_alarms="Background images without label files in other formats than YOLO; image folders that hold "
            "more than what was annotated.",
            fix="Rename the files so that names agree letter by letter. Where an image shows nothing, say so with an "
            "empty label file.",
            messages={
                "orphans": "{count} of {total} labels have no image and are left out ({percent} % match).",
                "unlabelled": "{count} of {total} images have no label ({percent} % match).",
                "empty": "{count} of {total} images have no label file and are taken as images without objects.",
                "near_miss": "{count} names nearly agree and do not match, such as {first} and {second}.",
            },
            fixes={
                "empty": "If these images show nothing, all is well; an empty label file for each makes it certain.",
                "near_miss": "Rename one of each pair.",
            },
        ),
        "zh": Page(
            title="图像与标签没有对上",
            finds="没有标签的图像、没有图像的标签，以及名称几乎一致的对：大小写不同、多了空格、扩展名不同、带有副本标"
            "记。",
            matters="找不到标签的图像会被略过，或被当作什么都没有的图像来训练：检测器因此学会对目标保持沉默。什么都不"
            "会报错，只是指标比本可达到的低。",
            measured="有标签的图像所占比例，以及有图像的标签所占比例：低于 99 % 为警告，低于 50 % 为错误。空的标签文件"
            "表示图中什么也没有，没有问题。在缺少文件含义相同的格式（YOLO）中，且没有多余标签时，只要半数图像有标签就"
            "只作提示。比较名称时忽略大小写、空格、扩展名以及“(1)”“copy”。",
            false_alarms="YOLO 以外的格式中没有标签文件的背景图像；图像文件夹中有多于已标注的图像。",
            fix="重命名文件，使名称逐字一致。图中什么也没有时，用空的标签文件来说明。",
            messages={
                "orphans": "{total} 个标签中有 {count} 个没有图像，已略过（匹配率 {percent} %）。",
                "unlabelled": "{total} 张图像中有 {count} 张没有标签（匹配率 {percent} %）。",
                "empty": "{total} 张图像中有 {count} 张没有标签文件，按没有目标的图像处理。",
                "near_miss": "{count} 个名称几乎一致却对不上，例如 {first} 与 {second}。",
            },
            fixes={
                "empty": "如果这些图像确实什么也没有，就没有问题；给每张放一个空标签文件更为明确。",
                "near_miss": "重命名每一对中的一个。",
            },
        ),
    },
)
