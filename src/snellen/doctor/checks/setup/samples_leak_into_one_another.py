"""samples-leak-into-one-another (M8)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.dependence import Dependence
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

_MOST_PLACES = 50


def judge(dependence: Dependence) -> Iterator[Finding]:
    """Yield a finding if blanking some images changes the outputs of the others."""
    if dependence.leak is None:
        raise NotCheckable(Text(en="the batch has one sample; pass two or more", zh="批次只有一个样本；请传入至少两个"))
    if dependence.repeat > dependence.rounding:
        raise NotCheckable(
            Text(en="the output in evaluation mode is random, see M7", zh="评估模式下的输出是随机的，见 M7")
        )
    if dependence.leak <= dependence.rounding:
        return
    names = dependence.batch_norms
    yield Finding(
        level=Level.WARNING if names else Level.ERROR,
        message="batch_statistics" if names else "leak",
        numbers={"change": float(f"{dependence.leak:.2g}"), "count": len(names)},
        measured=dependence.leak,
        limit=Limit(value=dependence.rounding, unit="share", source="rounding of the output's format"),
        places=tuple(Place(kind="layer", name=name) for name in names[:_MOST_PLACES]),
        num_places=len(names),
    )


CHECK = Check(
    code="M8",
    name="samples-leak-into-one-another",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-026",),
    source="Karpathy 2019, A Recipe for Training Neural Networks (use backprop to chart dependencies); torchtest2 "
    "(batch independence); TheDeepChecker (instance-wise operation)",
    pages={
        "en": Page(
            title="samples that change one another's output",
            finds="An output that depends on the other images of the batch.",
            matters="view or reshape in place of transpose, a softmax over the batch axis, a norm over the wrong axes: "
            "the shapes fit, the model even learns, and its answers depend on the company an image is in.",
            measured="In evaluation mode half of the images are blanked; the outputs of the others must stay as they "
            "are, "
            "up to 1e-4 of the largest output in float32 (3e-2 in half precision): exact up to rounding.",
            false_alarms="Models that compare the images of a batch on purpose (few-shot episodes). Batch norms "
            "without "
            "running statistics are a warning.",
            fix="Look for view, reshape, flatten, softmax and mean that mix the first axis with others.",
            messages={
                "leak": "Blanking some images changes the outputs of the others by {change} of the largest output.",
                "batch_statistics": "In evaluation mode {count} batch norms use the statistics of the batch, so the "
                "output of an image changes with its company (by {change} of the largest output).",
            },
            fixes={"batch_statistics": "Build the norms with track_running_stats=True."},
        ),
        "zh": Page(
            title="样本之间互相影响",
            finds="输出依赖于批次中的其他图像。",
            matters="用 view 或 reshape 代替转置，在批次维上做 softmax，在错误的维上做归一化：形状吻合，"
            "模型甚至还能学习，"
            "但它的答案取决于图像与谁同批。",
            measured="评估模式下把一半图像置零；其余图像的输出必须不变，float32 下允许最大输出的 1e-4（半精度为 3e-2）"
            "：除舍入外精确。",
            false_alarms="有意比较批次内图像的模型（小样本学习的 episode）。没有滑动统计量的批归一化只作警告。",
            fix="检查 view、reshape、flatten、softmax 和 mean 是否把第一维与其他维混在一起。",
            messages={
                "leak": "把一些图像置零会使其他图像的输出改变，达最大输出的 {change}。",
                "batch_statistics": "评估模式下有 {count} 个批归一化层使用批次的统计量，图像的输出随同批图像改变"
                "（达最大输出的 {change}）。",
            },
            fixes={"batch_statistics": "创建归一化层时设置 track_running_stats=True。"},
        ),
    },
)
