"""wrong-label-sets (D42)."""

from collections.abc import Iterator

import numpy as np

from snellen.data import DatasetIndex
from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.set_agreement import SetAgreement
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.doctor.finding import Finding, Level, Limit, Place, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

WARNING_SHARE = 0.05  # lower end of the 95 % interval of the share of wrong or missing labels, as for single labels
WARNING_SHARE_PLAIN = 0.10  # the same without given weights
CONTRADICTED = 0.1  # mean of both models' probability of what is annotated; below it they contradict it. Of single
# labels it is 0.06; here shares of neighbours are drawn towards the usual one, so that 0 of 10 is not 0.
FEWEST_SURE = 30  # things that both models are sure of; with fewer there is no share to speak of
MOST_PLACES = 50
_SOURCE = "as for single labels: Northcutt, Athalye and Mueller 2021; CIFAR-10 with and without human label noise"


def judge(index: DatasetIndex, agreement: SetAgreement) -> Iterator[Finding]:
    """Yield a finding if classes seem to be missing on images, or labelled where they are not."""
    if not agreement.is_judged.any():
        raise NotCheckable(Text(
            en="images that look alike show the same classes hardly more often than chance would have it; give "
            "--weights and --model for better features",
            zh="外观相近的图像出现相同类别的比例几乎不高于随机；请用 --weights 和 --model 提供更好的特征",
        ))  # fmt: skip
    answers, contradicted = agreement.sure_answers()
    wrong, sure = int(contradicted.sum()), int(answers.sum())
    low, high = wilson_interval(wrong, sure)
    limit = WARNING_SHARE if agreement.origin else WARNING_SHARE_PLAIN
    is_many = sure >= FEWEST_SURE and low >= limit
    own = agreement.own_probs
    # Where many labels are missing, models that learned from the rest doubt every one of them.
    places, columns = np.nonzero((own <= CONTRADICTED) | (contradicted & is_many))
    if not len(places):
        return
    order = np.argsort(own[places, columns], kind="stable")
    places, columns = places[order], columns[order]
    shown = agreement.shown[places, columns]
    names = [
        f"{'−' if is_shown else '+'} {index.classes[int(agreement.labels[column])]}"
        for is_shown, column in zip(shown.tolist(), columns.tolist(), strict=True)
    ]
    images = [index.paths[int(row)] for row in agreement.rows[places]]
    yield Finding(
        level=Level.WARNING if is_many else Level.INFO,
        message="many" if is_many else "some",
        numbers={"missing": int((~shown).sum()), "spurious": int(shown.sum()), "images": len(agreement.rows),
                 "classes": int(agreement.is_judged.sum()), "of": len(index.classes), "wrong": wrong, "sure": sure,
                 "low": round(100 * low, 1), "high": round(100 * high, 1), "first": images[0], "change": names[0]},
        measured=low,
        limit=Limit(value=limit, unit="share", source=_SOURCE),
        places=tuple(
            Place(kind="image", name=image, note=name, score=float(1 - score))
            for image, name, score in zip(
                images[:MOST_PLACES], names[:MOST_PLACES], own[places, columns][:MOST_PLACES].tolist(), strict=True
            )
        ),
        num_places=len(places),
        treatment=Treatment(drop_images=tuple(dict.fromkeys(images))) if is_many else None,
    )  # fmt: skip


CHECK = Check(
    code="D42",
    name="wrong-label-sets",
    stage=Stage.DATA,
    judge=judge,
    covers=("DX-011",),
    caused_by=("D24",),
    source="Thyagarajan et al. 2023, Identifying incorrect annotations in multi-label classification data; Northcutt "
    "et al. 2021, Confident learning",
    pages={
        "en": Page(
            title="classes that images show without a label, or bear without showing them",
            finds="In sets of labels: images that surely show a class that is not among their labels, and labels of "
            "classes that are surely not there, ranked.",
            matters="A missing label teaches a network that what it sees is not there, and in the test images a right "
            "answer counts as a mistake. Sets of labels are rarely complete: people name what they look for.",
            measured="For each class that at least 10 images show and 10 do not, a logistic regression on the other "
            "four fifths of the images and the ten nearest images say whether an image shows it. What is annotated is "
            "contradicted if both give it 0.1 or less in the mean, with the class as frequent as it is and as if half "
            "of the images showed it. Classes that the models tell less than 0.4 of the way from guessing are left "
            "out. A warning if, of the things that both are sure of, the lower end of the 95 % interval of those that "
            "contradict the labels reaches 5 %, without given weights 10 %; those are then listed too.",
            false_alarms="Classes that only occur together: a model takes one for the other. Small objects in large "
            "pictures, which features of whole images do not see. A single image is never proof.",
            fix="Look at the images from the top of the list and complete their labels; where it is not known whether "
            "a class is there, leave the cell of its column empty, which teaches nothing. Check the test images first.",
            messages={
                "many": "{missing} classes are missing and {spurious} labels contradicted on {images} images; of "
                "{sure} things that are clear, {wrong} are labelled otherwise ({low} to {high} %). First: {first}, "
                "{change}. Judged: {classes} of {of} classes.",
                "some": "{missing} classes may be missing on {images} images, and {spurious} labels are worth a look. "
                "First: {first}, {change}. Judged: {classes} of {of} classes; of {sure} things that are clear, {wrong} "
                "are labelled otherwise ({low} to {high} %).",
            },
        ),
        "zh": Page(
            title="图像上有却没有标注的类别，或标注了却没有的类别",
            finds="在标签集合中找出明显出现却不在标签里的类别，以及明显没有出现的标签，按可疑程度排序。",
            matters="漏标会教网络把看到的当作不存在；在测试图像中，正确的答案会被算作错误。标签集合很少是完整的：人们"
            "只标自己要找的东西。",
            measured="对至少有 10 张图像出现、10 张不出现的每个类别，由其余五分之四图像训练的逻辑回归和十个最近邻判断图"
            "像是否出现该类。若按实际频率以及按半数图像出现计算，两者给标注的平均概率都不超过 0.1，即为矛盾。模型判断"
            "该类从猜测到完美不足 0.4 时不予采用。在两者都有把握的事项中，与标签矛盾的比例的 95 % 区间下限达到 5 %（未"
            "给权重时 10 %）时警告，并将其列出。",
            false_alarms="总是一起出现的类别：模型会混淆两者。大图中的小目标，整图特征看不到。单张图像永远不能算作证"
            "明。",
            fix="从名单顶部开始查看图像并补全标签；不知道某类是否出现时，把该列的单元格留空，这样不会教错。先查"
            "测试图像。",
            messages={
                "many": "{images} 张图像上漏标 {missing} 个类别，{spurious} 个标签与外观矛盾；在 {sure} 个明确的事项"
                "中，{wrong} 个标注不同（{low} 至 {high} %）。首先：{first}，{change}。判断了 {of} 个类别中的 "
                "{classes} 个。",
                "some": "{images} 张图像上可能漏标 {missing} 个类别，{spurious} 个标签值得查看。首先：{first}，"
                "{change}。判断了 {of} 个类别中的 {classes} 个；在 {sure} 个明确的事项中，{wrong} 个标注不同（{low} 至 "
                "{high} %）。",
            },
        ),
    },
)
