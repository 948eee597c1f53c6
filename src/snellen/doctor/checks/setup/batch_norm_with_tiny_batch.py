"""batch-norm-with-tiny-batch (M28)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.network.batch_norms import BatchNorms, NormUse
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

TINY = 4  # images; ImageNet error 27.3 % instead of 23.6 %
DENSE = 2  # times fewer images do where each holds many objects
SMALL = 8  # images; 24.8 %
FEW_VALUES = 4  # of a channel; the output of a norm over two values is 1 and -1 whatever they are

_GROUP_NORM = "Wu and He 2018, table 2: ResNet-50 with 32, 8, 4 and 2 images has 23.6, 24.8, 27.3 and 34.7 % error"


def judge(norms: BatchNorms, setup: Setup | None) -> Iterator[Finding]:
    """Yield findings for statistics of few images or values, and for statistics that were never filled."""
    if norms.untouched:
        yield Finding(
            level=Level.ERROR if norms.untouched_in_use else Level.WARNING,
            message="untouched",
            numbers={"count": len(norms.untouched), "norms": norms.num_norms, "first": norms.untouched[0]},
            places=tuple(Place(kind="layer", name=name) for name in norms.untouched[:50]),
            num_places=len(norms.untouched),
        )
    if not norms.live:
        return
    planned = setup.batch_size if setup is not None and setup.batch_size is not None else norms.num_samples
    if planned < 1 or norms.num_samples < 1:
        raise NotCheckable(Text(en="the batch is empty", zh="批次为空"))
    few = [each for each in norms.live if each.values * planned <= FEW_VALUES * norms.num_samples]
    tiny, small = (TINY // DENSE, SMALL // DENSE) if norms.is_dense else (TINY, SMALL)
    if planned <= small:
        level, limit = (Level.WARNING, tiny) if planned <= tiny else (Level.INFO, small)
        yield _finding(norms, "default", level, planned, list(norms.live), Limit(value=limit, source=_GROUP_NORM))
    elif few:
        limit_of_values = Limit(value=FEW_VALUES, unit="values", source="over two values a norm gives 1 and -1")
        yield _finding(norms, "few_values", Level.WARNING, planned, few, limit_of_values)


def _finding(
    norms: BatchNorms, message: str, level: Level, planned: int, places: list[NormUse], limit: Limit
) -> Finding:
    ranked = sorted(places, key=lambda each: each.values)
    return Finding(
        level=level,
        message=message,
        numbers={"images": planned, "norms": len(norms.live), "count": len(places), "first": ranked[0].layer},
        measured=float(planned if message == "default" else ranked[0].values),
        limit=limit,
        places=tuple(
            Place(kind="layer", name=each.layer, note=str(each.values), score=1 / each.values) for each in ranked[:50]
        ),
        num_places=len(places),
    )


CHECK = Check(
    code="M28",
    name="batch-norm-with-tiny-batch",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M18",),
    covers=("DX-054", "DX-055"),
    source="Ioffe and Szegedy 2015; Wu and He 2018, https://arxiv.org/abs/1803.08494, table 2",
    pages={
        "en": Page(
            title="batch norm over very few images",
            finds="Batch norms that take mean and variance of a handful of images, or of a handful of numbers; and "
            "batch norms with trained weights whose running statistics were never filled.",
            matters="The statistics of a few images are noise: training is driven by it, and evaluation uses running "
            "means that fit no batch. Statistics that are missing make a pretrained network say nonsense.",
            measured="Images of the batch (of the plan, if there is one) that reach norms which use the statistics of "
            "the batch: up to 4 is a warning, up to 8 is told (2 and 4 for detection and segmentation, where each "
            "image has many answers). Otherwise numbers for each mean: up to 4 is a warning. "
            "Statistics count as missing if scales and shifts differ between channels while all means are exactly 0 "
            "and all variances exactly 1: an error where the norm is held in evaluation mode, so that they are used.",
            false_alarms="A batch made small for this examination: give one of the size that you train with. Gradient "
            "accumulation does not help batch norms, so it does not count.",
            fix="Use a larger batch; or hold the norms of a pretrained backbone in evaluation mode; or take group "
            "norm; or, in several processes, --norm sync_batch (snellen.nn.SyncBatchNorm). Load running_mean and "
            "running_var with the weights.",
            messages={
                "default": "{norms} batch norms take their statistics from {images} images.",
                "few_values": "{count} of {norms} batch norms take each mean of very few numbers, such as {first}.",
                "untouched": "{count} of {norms} batch norms, such as {first}, have trained weights, but means of 0 "
                "and variances of 1: their statistics were not loaded.",
            },
        ),
        "zh": Page(
            title="批归一化的图像太少",
            finds="只用很少几张图像或很少几个数计算均值和方差的批归一化；以及权重已训练、但运行统计量从未填充的批归一"
            "化。",
            matters="少数图像的统计量是噪声：它左右训练，而评估使用的运行均值与任何批次都不符。缺失的统计量会让预训练"
            "网络输出无意义的结果。",
            measured="到达使用批次统计量的归一化层的图像数（有训练计划时取计划的批次大小）：不超过 4 警告，不超过 8 提"
            "示。否则看每个均值所用的数的个数：不超过 4 警告。若缩放和平移在通道间不同、矩阵也不是随机数，而所有均值恰"
            "为 0、所有方差恰为 1，则视为统计量缺失：当该层处于评估模式、正在使用它们时为错误。",
            false_alarms="为这次检查特意减小的批次：请使用与训练相同大小的批次。梯度累积对批归一化没有帮助，因此不计"
            "入。",
            fix="使用更大的批次；或让预训练骨干的归一化层保持评估模式；或改用组归一化；多进程时用 --norm sync_batch。"
            "加载权重时一并加载 running_mean 和 running_var。",
            messages={
                "default": "{norms} 个批归一化用 {images} 张图像计算统计量。",
                "few_values": "{norms} 个批归一化中有 {count} 个用极少的数计算均值，例如 {first}。",
                "untouched": "{norms} 个批归一化中有 {count} 个（例如 {first}）权重已训练，但均值为 0、方差为 1：统计"
                "量没有加载。",
            },
        ),
    },
)
