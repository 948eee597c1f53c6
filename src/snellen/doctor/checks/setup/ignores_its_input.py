"""ignores-its-input (M15)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.batch_images import BatchImages
from snellen.doctor.evidence.probes.dependence import UNMOVED, Dependence
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.words import Text

__all__ = ["CHECK"]


def judge(images: BatchImages, dependence: Dependence | None) -> Iterator[Finding]:
    """Yield a finding if blank images give the same output."""
    if images.all_equal:
        yield Finding(level=Level.WARNING, message="images_equal", numbers={"count": images.shape[0]})
    elif dependence is None:
        raise NotCheckable(Dependence.ABSENT)
    elif dependence.own is None:
        raise NotCheckable(
            Text(
                en="the output is constant, which a head that starts from zero may give; pass loss=",
                zh="输出为常数，从零开始的分类头也会如此；请传入 loss=",
            )
        )
    if dependence is not None and dependence.own is not None and dependence.own <= UNMOVED:
        yield Finding(
            level=Level.ERROR,
            numbers={"samples": dependence.samples},
            measured=dependence.own,
            limit=Limit(value=UNMOVED, unit="share", source="rounding of float32"),
        )


CHECK = Check(
    code="M15",
    name="ignores-its-input",
    stage=Stage.SETUP,
    judge=judge,
    source="TheDeepChecker (zeroed-input control); torchtest2 (input dependency); Karpathy 2019 (input-independent "
    "baseline)",
    pages={
        "en": Page(
            title="an output that does not depend on the images",
            finds="A model whose output stays the same when its images are blanked; a batch whose images are all "
            "equal.",
            matters="Such a model learns how often each class occurs and nothing else. Its loss falls at first, like "
            "that "
            "of any model, and then stays.",
            measured="Half of the images are set to zero, in evaluation mode; their outputs must change. Where they do "
            "not, two steps of Adam are taken first, because a head may start from zero: exact.",
            false_alarms="None known for the error. A batch of one image, repeated on purpose, is a warning.",
            fix="Follow the images through forward: a variable that is overwritten, a product with zero, a softmax "
            "over "
            "an axis of length one, activations that are all zero.",
            messages={
                "default": "Blanking the images does not change the output at all, not even after some steps of "
                "training "
                "({samples} samples).",
                "images_equal": "All {count} images of the batch are equal.",
            },
            fixes={"images_equal": "Look at what the data set returns for different rows."},
        ),
        "zh": Page(
            title="输出不依赖图像",
            finds="图像置零后输出不变的模型；图像全都相同的批次。",
            matters="这样的模型只能学到各类别出现的频率。它的损失起初像其他模型一样下降，然后停住。",
            measured="评估模式下把一半图像置零，其输出必须改变。若不变，则先执行两步 Adam，因为分类头可能从零开始："
            "精确判断。",
            false_alarms="错误级别没有已知的误报。有意重复同一图像的批次只作警告。",
            fix="沿着 forward 跟踪图像：被覆盖的变量、与零的乘积、在长度为一的维上的 softmax、全为零的激活。",
            messages={
                "default": "把图像置零完全不改变输出，训练几步之后也是如此（{samples} 个样本）。",
                "images_equal": "批次中的 {count} 张图像全都相同。",
            },
            fixes={"images_equal": "检查数据集对不同行返回什么。"},
        ),
    },
)
