"""shuffled-pairing (D24)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.pairing import Pairing, SplitPairing
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

LOST = 2.0  # standard deviations above permuted labels; below it labels say nothing of images
CLEAR = 6.0  # standard deviations above permuted labels; from it on they clearly do
CLEAR_LIFT = 1.5  # recall over that of permuted labels, for the same
FEWEST = 200  # images of a split in which finding nothing says something
_SOURCE = "permuted labels, 100 draws"


def judge(pairing: Pairing) -> Iterator[Finding]:
    """Yield a finding for each split whose labels say nothing of its images."""
    lost = [part for part in pairing.splits if part.surprise < LOST]
    clear = [part for part in pairing.splits if _is_clear(part.recall, part.chance, part.surprise)]
    unsure = 0
    for part in lost:
        witnesses = [other for other in clear if other.num_images <= part.num_images]
        if part.remedy and _is_clear(part.remedied, part.chance, part.remedied_surprise):
            yield _finding(part, Level.ERROR, part.remedy)
        elif witnesses:
            yield _finding(part, Level.ERROR, "split", witnesses[0])
        elif part.num_images >= FEWEST and (pairing.origin or clear):
            yield _finding(part, Level.WARNING, "nothing")
        else:
            unsure += 1
    if unsure and unsure == len(pairing.splits):
        raise NotCheckable(Text(
            en="labels go with looks no better than permuted ones do, but without pretrained weights that proves "
            "nothing; give --weights and --model",
            zh="标签与外观的关系不强于随机排列，但没有预训练权重时这不能证明什么；请给出 --weights 和 --model",
        ))  # fmt: skip


def _is_clear(recall: float, chance: float, surprise: float) -> bool:
    return surprise >= CLEAR and recall >= CLEAR_LIFT * chance


def _finding(part: SplitPairing, level: Level, message: str, witness: SplitPairing | None = None) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"split": part.split or "all", "images": part.num_images, "recall": round(100 * part.recall, 1),
                 "chance": round(100 * part.chance, 1), "shift": f"{part.shift:+d}",
                 "remedied": round(100 * part.remedied, 1), "other": witness.split if witness else "",
                 "other_recall": round(100 * witness.recall, 1) if witness else 0.0},
        measured=part.surprise,
        limit=Limit(value=LOST, unit="standard deviations", source=_SOURCE),
        places=(Place(kind="split", name=part.split or "all", score=-part.surprise),),
        num_places=1,
    )  # fmt: skip


CHECK = Check(
    code="D24",
    name="shuffled-pairing",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-013",),
    source="TheDeepChecker (corrupted labels); permutation tests, Ojala and Garriga 2010",
    pages={
        "en": Page(
            title="labels belong to other images",
            finds="A split in which labels say nothing of their images: a list that slipped by a line, files sorted "
            "1, 10, 2 beside labels sorted 1, 2, 10, or pairs that were shuffled apart.",
            matters="A network can then only learn by heart: the validation loss stays at that of guessing, and no "
            "setting will help.",
            measured="How often the ten nearest images bear an image's label (mean over classes; of sets of labels the "
            "mean recall of showing and not showing a class; of values the share of pairs told in the right order), "
            "against 100 permutations of the labels. Below 2 standard deviations above them the labels are lost. It is "
            "an error if labels moved by one or two files, or sorted by number instead of by letter, do clearly better "
            "(6 standard deviations and 1.5 times), or if in another split of no more images they clearly do. "
            "Otherwise, with pretrained weights and at least 200 images, it is a warning.",
            false_alarms="As a warning: labels of what pretrained features do not see, such as the age of a slide or "
            "the strength of a material.",
            fix="Join images and labels by name, never by position. Look at ten images with their labels.",
            messages={
                "shift": "In split {split} the labels say nothing of the images ({recall} % right, {chance} % by "
                "chance), but labels moved by {shift} files do ({remedied} %).",
                "order": "In split {split} the labels say nothing of the images ({recall} % right, {chance} % by "
                "chance), but do if files are sorted the other way, by number or by letter ({remedied} %).",
                "split": "In split {split} the labels of {images} images say nothing of them ({recall} % right, "
                "{chance} % by chance); in {other} they do ({other_recall} %).",
                "nothing": "In split {split} the labels of {images} images say nothing of what they look like "
                "({recall} % right, {chance} % by chance).",
            },
            fixes={
                "shift": "Move the labels of split {split} back by {shift} files, and join images and labels by name "
                "from then on.",
                "order": "Sort images and labels of split {split} by the same rule, or better, join them by name.",
            },
        ),
        "zh": Page(
            title="标签属于别的图像",
            finds="找出标签与图像毫无关系的子集：列表错了一行，文件按 1、10、2 排序而标签按 1、2、10 排序，或配对被打"
            "乱。",
            matters="此时网络只能死记硬背：验证损失停留在猜测水平，任何设置都无济于事。",
            measured="十个最近邻图像与该图像标签相同的比例（按类别平均；标签集合取有无某类的平均召回率；数值取大小次序判"
            "断正确的图像对比例），与标签的 100 次随机排列比较。高出不足 2 个标"
            "准差即为无关。如果标签移动一两个文件，或改为按数字而非字母排序后明显更好（6 个标准差且 1.5 倍），或在图像"
            "不更多的另一子集中明显有关，则为错误；否则在有预训练权重且至少 200 张图像时为警告。",
            false_alarms="警告级：预训练特征看不到的标签，例如切片的年代或材料的强度。",
            fix="按名称而不是按位置配对图像和标签。查看十张图像及其标签。",
            messages={
                "shift": "子集 {split} 的标签与图像无关（正确 {recall} %，随机 {chance} %），但标签移动 {shift} 个文件"
                "后有关（{remedied} %）。",
                "order": "子集 {split} 的标签与图像无关（正确 {recall} %，随机 {chance} %），但文件换一种排序（按数字"
                "或按字母）后有关（{remedied} %）。",
                "split": "子集 {split} 中 {images} 张图像的标签与图像无关（正确 {recall} %，随机 {chance} %）；子集 "
                "{other} 中则有关（{other_recall} %）。",
                "nothing": "子集 {split} 中 {images} 张图像的标签与外观无关（正确 {recall} %，随机 {chance} %）。",
            },
            fixes={
                "shift": "将子集 {split} 的标签移回 {shift} 个文件，此后按名称配对图像和标签。",
                "order": "对子集 {split} 的图像和标签用同一规则排序，最好按名称配对。",
            },
        ),
    },
)
