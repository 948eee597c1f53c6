"""dominating-gap (R11)."""

from collections.abc import Iterator, Mapping

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.checks.predictions import points
from snellen.doctor.evidence.results.evaluated import EvaluatedRun
from snellen.doctor.evidence.results.scores import SplitScores
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text
from snellen.metrics import Interval

__all__ = ["CHECK"]

LEAST_IMAGES = 30  # of each split
LEAST_GAP = 0.02
FAR_GAP = 0.05  # from validation to test, of the lower end of its interval, that is a warning
TRAIN, TRAIN_DEV, VAL, TEST = "train", "train-dev", "val", "test"
_NO_TRAIN = Text(
    en="how good the model is on its training images was not measured; `snellen eval RUN --split train` does it, and "
    "`snellen check RUN --deep`",
    zh="没有测量模型在训练图像上的表现；用 `snellen eval 运行 --split train` 或 `snellen check 运行 --deep` 测量",
)


def judge(run: EvaluatedRun, scores: SplitScores) -> Iterator[Finding]:
    """Yield the largest of Ng's gaps, if it is beyond its interval, and that of a used-up validation beside it."""
    known = {name for name, number in scores.num_images.items() if number >= LEAST_IMAGES}
    gaps = _gaps(run, scores, known)
    if not gaps:
        raise NotCheckable(_NO_TRAIN)
    clear = {name: gap for name, gap in gaps.items() if gap.is_above_zero and gap.mean >= LEAST_GAP}
    if TRAIN not in known and "dev" not in clear:
        raise NotCheckable(_NO_TRAIN)
    if not clear:
        return
    largest = max(clear, key=lambda name: clear[name].mean)
    yield _finding(run, scores, gaps, largest, known)
    if "dev" in clear and largest != "dev":  # of the choice, not of the model: it hides behind any other gap
        yield _finding(run, scores, gaps, "dev", known, message="dev_too")


def _finding(
    run: EvaluatedRun, scores: SplitScores, gaps: Mapping[str, Interval], name: str, known: set[str], message: str = ""
) -> Finding:
    gap = gaps[name]
    is_far = name == "dev" and gap.low >= FAR_GAP
    return Finding(
        level=Level.WARNING if is_far else Level.INFO,
        message=message or name,
        numbers={
            "name": scores.name,
            "gap": points(gap.mean),
            "low": points(gap.low),
            "high": points(gap.high),
            "scores": ", ".join(
                f"{name} {points(scores.values[name])}" for name in (TRAIN, TRAIN_DEV, VAL, TEST) if name in known
            ),
            "gaps": ", ".join(f"{name} {points(row.mean)}" for name, row in gaps.items()),
        },
        measured=gap.mean,
        limit=Limit(
            value=FAR_GAP if is_far else LEAST_GAP,
            unit=scores.name,
            source="Ng 2018, chapters 20 to 43; bootstrap for the interval",
        ),
        treatment=_treatment(run, name),
    )


def _gaps(run: EvaluatedRun, scores: SplitScores, known: set[str]) -> Mapping[str, Interval]:
    """Return the gaps that can be told from the splits that are known, by the message that tells each."""
    gaps: dict[str, Interval] = {}
    if TRAIN in known:
        on_train = scores.interval(TRAIN)
        gaps["bias"] = Interval(
            mean=1 - on_train.mean, low=1 - on_train.high, high=1 - on_train.low, count=on_train.count
        )
    dev = next((name for name in (VAL, TEST) if name in known), None)
    if TRAIN in known and TRAIN_DEV in known:
        gaps["variance"] = scores.gap(TRAIN, TRAIN_DEV)
        if dev is not None:
            gaps["mismatch"] = scores.gap(TRAIN_DEV, dev)
    elif TRAIN in known and dev is not None:
        gaps["variance" if dev in run.drawn else "mixed"] = scores.gap(TRAIN, dev)
    if {VAL, TEST} <= known:
        gaps["dev"] = scores.gap(VAL, TEST)
    return gaps


def _treatment(run: EvaluatedRun, gap: str) -> Treatment | None:
    settings = run.record.get("settings") or {}
    strength = run.record.get("augment")
    if gap == "bias" and isinstance(settings.get("epochs"), int):
        return Treatment(settings={"epochs": 2 * settings["epochs"]})
    if gap in ("variance", "mixed") and isinstance(strength, int | float):
        if strength < 1:
            return Treatment(settings={"augment": 1.0})
        decay = settings.get("weight_decay")
        return Treatment(settings={"weight_decay": 3 * decay}) if decay else None
    return None


CHECK = Check(
    code="R11",
    name="dominating-gap",
    stage=Stage.RESULTS,
    judge=judge,
    covers=("DX-021", "DX-022", "DX-075", "DX-076", "DX-077", "DX-078"),
    caused_by=("R22", "R2"),
    source="Ng 2018, Machine learning yearning, chapters 20 to 43",
    pages={
        "en": Page(
            title="which part of the error is the largest",
            finds="Whether a model fails on what it has learned from (bias), on new images of the same source "
            "(variance), on images of another source (mismatch), or on images that nobody chose by (the validation is "
            "used up).",
            matters="Each part has cures that do nothing for the others: more images do not help a model that fails "
            "on its training images, and a larger one does not help a model that knows them by heart.",
            measured="One figure (accuracy or mean recall, AP50, mean IoU) on each split, from predictions without "
            "augmentation. Bias: what is lacking to 1 on the training images, of which some may be unavoidable. "
            "Variance: training less train-dev, or less a validation split that was drawn from the training images. "
            "Mismatch: train-dev less validation. Used-up validation: validation less test. The largest is told if it "
            "is 2 points and more and its 95 % bootstrap interval lies above 0, and a used-up validation beside it, "
            "which is a warning if the interval begins at 5 points. 30 images of a split are the least.",
            false_alarms="Labels that are wrong, and classes that nobody can tell apart, look like bias.",
            fix="See what is told with the finding.",
            messages={
                "bias": "{name}: {scores}. Most is lost on the training images themselves: {gap} points ({low} to "
                "{high}). All gaps: {gaps}.",
                "variance": "{name}: {scores}. Most is lost from training images to new ones of the same source: {gap}"
                " points ({low} to {high}). All gaps: {gaps}.",
                "mixed": "{name}: {scores}. Most is lost from training to validation: {gap} points ({low} to {high}); "
                "without a split train-dev nobody can tell whether that is variance or another source. All gaps: "
                "{gaps}.",
                "mismatch": "{name}: {scores}. Most is lost from the source of the training images to that of the "
                "validation: {gap} points ({low} to {high}). All gaps: {gaps}.",
                "dev": "{name}: {scores}. Most is lost from validation to test: {gap} points ({low} to {high}). All "
                "gaps: {gaps}.",
                "dev_too": "{name}: {scores}. From validation to test {gap} points ({low} to {high}) are lost besides. "
                "All gaps: {gaps}.",
            },
            fixes={
                "bias": "Train longer (--epochs), a larger network or larger images, less augmentation and weight "
                "decay, a better rate; and look at the labels of the training images that are wrong.",
                "variance": "More images or more augmentation (--augment), weight decay, dropout, weights to begin "
                "with, a smaller network.",
                "mixed": "Cut a split train-dev from the training images (snellen.data.train_dev_splits) and measure "
                "again: then it is known which of the two it is. Augmentation (--augment) helps against both.",
                "mismatch": "Make training images like those of the validation: collect some, imitate their blur and "
                "light, look at what the errors have in common (R18). Regularising does not help.",
                "dev": "The validation images were used so often that choices fit them by chance: take more of them, "
                "or new ones. If test comes from another source, that is it (D20 tells).",
                "dev_too": "The validation images were used so often that choices fit them by chance: take more of "
                "them, "
                "or new ones. If test comes from another source, that is it (D20 tells).",
            },
        ),
        "zh": Page(
            title="误差的哪一部分最大",
            finds="模型是在学过的图像上失败（偏差）、在同源新图像上失败（方差）、在异源图像上失败（分布不匹配），还是"
            "在没有用来做选择的图像上失败（验证集被用尽）。",
            matters="每部分的对策对其他部分无效：对在训练图像上失败的模型，更多图像没有帮助；对死记图像的模型，更大的"
            "网络没有帮助。",
            measured="各划分上的同一指标（准确率或平均召回率、AP50、平均 IoU），由不带增强的预测得到。偏差：训练图像上"
            "距 1 的差，其中一部分可能不可避免。方差：训练减 train-dev，或减从训练图像中抽取的验证划分。不匹配："
            "train-dev 减验证。验证集用尽：验证减测试。最大者达到 2 个点且 95% 自助法区间高于 0 "
            "时提示，验证集用尽另行提示，其区间下端达到 5 个点时警告。每个划分至少 30 张图像。",
            false_alarms="错误的标签和谁也分不清的类别看起来像偏差。",
            fix="见随结果给出的说明。",
            messages={
                "bias": "{name}：{scores}。在训练图像上损失最多：{gap} 个点（{low} 至 {high}）。各部分：{gaps}。",
                "variance": "{name}：{scores}。从训练图像到同源新图像损失最多：{gap} 个点（{low} 至 {high}）。各部分："
                "{gaps}。",
                "mixed": "{name}：{scores}。从训练到验证损失最多：{gap} 个点（{low} 至 {high}）；没有 train-dev 划分就"
                "无法区分是方差还是异源。各部分：{gaps}。",
                "mismatch": "{name}：{scores}。从训练图像的来源到验证图像的来源损失最多：{gap} 个点（{low} 至 {high}）"
                "。各部分：{gaps}。",
                "dev": "{name}：{scores}。从验证到测试损失最多：{gap} 个点（{low} 至 {high}）。各部分：{gaps}。",
                "dev_too": "{name}：{scores}。此外从验证到测试还损失 {gap} 个点（{low} 至 {high}）。所有差距：{gaps}。",
            },
            fixes={
                "bias": "训练更久（--epochs）、更大的网络或图像、减少增强和权重衰减、更合适的学习率；并查看出错的训练"
                "图像的标签。",
                "variance": "更多图像或更强的增强（--augment）、权重衰减、dropout、预训练权重、更小的网络。",
                "mixed": "从训练图像中划出 train-dev（snellen.data.train_dev_splits）再测量，就能知道是哪一种。增强（"
                "--augment）对两者都有帮助。",
                "mismatch": "使训练图像接近验证图像：收集一些，模拟其模糊和光照，查看错误的共同点（R18）。正则化没有帮"
                "助。",
                "dev": "验证图像用得太多，选择碰巧适合它们：增加或更换验证图像。若测试来自另一来源，原因就在此（见 D20"
                "）。",
                "dev_too": "验证图像用得太多，选择碰巧适合它们：增加或更换验证图像。若测试来自另一来源，原因就在此（见"
                " D20"
                "）。",
            },
        ),
    },
)
