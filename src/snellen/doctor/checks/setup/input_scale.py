"""input-scale (M3)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.probes.batch_images import BatchImages, Normalisation
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.finding import Finding, Level, Limit

__all__ = ["CHECK"]

LARGEST = 50.0  # value that the first layer reads; torch-audit TA301
FARTHEST_MEAN = 3.0  # of all values; preflight-ml
UNIT_SLACK = 0.01  # below 0 or above 1, which resizing can give
MOST_UNIT = 2.0  # largest value that can still be meant as 0..1
SAME = 0.02  # difference of means or spreads that counts for nothing; 5 of 255 levels

_COLOURS = (1, 3, 4)


def judge(images: BatchImages, first: FirstStep | None) -> Iterator[Finding]:
    """Yield a finding if the images are not what the model's first layer or its weights want."""
    if not images.is_finite:
        yield Finding(level=Level.ERROR, message="not_finite")
        return
    if len(images.shape) == 4 and images.shape[-1] in _COLOURS and images.shape[1] not in (*_COLOURS, 2):
        yield Finding(level=Level.ERROR, message="channels_last", numbers={"shape": str(list(images.shape))})
        return
    found = _range_fault(images, first) or _normalisation_fault(images)
    if found is not None:
        yield found


def _range_fault(images: BatchImages, first: FirstStep | None) -> Finding | None:
    """Return what the smallest and the largest value show."""
    numbers = {"low": round(images.low, 2), "high": round(images.high, 2), "mean": round(images.mean, 2)}
    if images.expects_unit and images.low < -UNIT_SLACK:
        return Finding(level=Level.ERROR, message="normalised_twice", numbers=numbers, measured=images.low)
    if images.expects_unit and images.high > MOST_UNIT:
        return Finding(level=Level.ERROR, message="bytes_for_unit", numbers=numbers, measured=images.high)
    read = None if first is None else first.first_input
    if read is None or images.dtype == "uint8":
        return None
    if max(abs(read.low), abs(read.high)) > LARGEST and max(abs(images.low), abs(images.high)) > LARGEST:
        contradicts = images.declared is not None and bool(images.looks_trained)
        return Finding(
            level=Level.ERROR if contradicts else Level.WARNING,
            message="bytes",
            numbers={**numbers, "layer": read.layer},
            measured=max(abs(read.low), abs(read.high)),
            limit=Limit(value=LARGEST, source="torch-audit, TA301"),
        )
    return None


def _normalisation_fault(images: BatchImages) -> Finding | None:
    """Return what the normalisation shows: exact where the pixels can be had back as whole bytes."""
    used, declared = images.normalisation, images.declared
    if used is not None and used.name.endswith(", twice"):
        return Finding(level=Level.ERROR, message="twice", numbers={"used": used.name.removesuffix(", twice")})
    if used is not None and used.name.endswith(", BGR"):
        return Finding(level=Level.WARNING, message="turned", numbers={"used": used.name.removesuffix(", BGR")})
    if used is not None and declared is not None and images.looks_trained and not _are_alike(used, declared):
        return Finding(
            level=Level.ERROR,
            message="other_than_declared",
            numbers={"used": used.name, "mean": str(declared.mean), "std": str(declared.std)},
        )
    if used is None and images.low < 0 and abs(images.mean) > FARTHEST_MEAN:
        return Finding(
            level=Level.WARNING,
            message="far_from_zero",
            numbers={"mean": round(images.mean, 2), "low": round(images.low, 2), "high": round(images.high, 2)},
            measured=images.mean,
            limit=Limit(value=FARTHEST_MEAN, source="preflight-ml"),
        )
    return None


def _are_alike(a: Normalisation, b: Normalisation) -> bool:
    return all(abs(x - y) < SAME for x, y in zip((*a.mean, *a.std), (*b.mean, *b.std), strict=True))


CHECK = Check(
    code="M3",
    name="input-scale",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-028",),
    caused_by=("M1",),
    source="torch-audit TA301 (50), TA303 (channels last); preflight-ml (3); torchvision, documentation of detection "
    "models (0..1); timm, pretrained_cfg",
    pages={
        "en": Page(
            title="images in another scale than the model wants",
            finds="Bytes 0 to 255 where small numbers are expected, images that are normalised twice or with the "
            "constants from blue to red, another normalisation than that of the weights, channels in the last place.",
            matters="Pretrained filters see other contrasts and colours than they were trained on. It costs some "
            "points "
            "of accuracy and gives no error. Inputs of 255 make the first steps hundreds of times too large.",
            measured="Where undoing a known normalisation gives whole bytes for 98 % of the values of every channel, "
            "it "
            "is the one that was used: exact, for images that were not resized after it. It is compared with what "
            "timm writes into its models and with what torchvision's detectors document. The first layer should read "
            "nothing above 50, and the mean should lie within 3 of zero.",
            false_alarms="A net of your own that was trained on 0 to 255 is a warning. Whether weights are trained is "
            "read from the norms; without norms nothing is said about the normalisation.",
            fix="Normalise exactly once, with the mean and spread of the pretrained weights, in RGB order.",
            messages={
                "not_finite": "The images of the batch have values that are not finite.",
                "channels_last": "The images have the shape {shape}: the channels are in the last place, torch wants "
                "them in the second.",
                "normalised_twice": "The images go down to {low}, but this model normalises by itself and wants 0 to "
                "1.",
                "bytes_for_unit": "The images go up to {high}, but this model normalises by itself and wants 0 to 1.",
                "bytes": "The first layer, {layer}, reads values from {low} to {high}: the images are not scaled.",
                "twice": "The images were normalised twice ({used}).",
                "turned": "The images were normalised with the constants of {used} from blue to red: the channels are "
                "in BGR order, or the constants are.",
                "other_than_declared": "The images are normalised as {used}; the weights were trained with mean {mean} "
                "and spread {std}.",
                "far_from_zero": "The images have a mean of {mean} (from {low} to {high}), far from zero.",
            },
            fixes={
                "channels_last": "Use images.permute(0, 3, 1, 2).",
                "normalised_twice": "Take the normalisation out of the transforms.",
                "bytes_for_unit": "Divide by 255, as to_tensor does.",
                "bytes": "Divide by 255, then normalise.",
                "twice": "Remove one of the two normalisations.",
                "turned": "Bring channels and constants to RGB order.",
            },
        ),
        "zh": Page(
            title="图像的数值范围与模型的要求不符",
            finds="应为小数却是 0 到 255 的字节值，归一化了两次或用了从蓝到红的常数，与权重不同的归一化，"
            "通道位于最后一维。",
            matters="预训练的滤波器看到的对比度和颜色与训练时不同，精度会损失几个百分点而没有任何报错。"
            "255 的输入使最初几步大出数百倍。",
            measured="若撤销某个已知的归一化后，每个通道 98% 的数值都是整数字节，则所用的就是它："
            "对归一化之后没有缩放的图像是精确的。"
            "把它与 timm 写入模型的值以及 torchvision 检测器文档的要求比较。第一层不应读到大于 50 的值，"
            "均值应在零的 3 以内。",
            false_alarms="自己以 0 到 255 训练的网络只作警告。权重是否训练过由归一化层判断；"
            "没有归一化层则不判断归一化方式。",
            fix="用预训练权重的均值和标准差、按 RGB 顺序，恰好归一化一次。",
            messages={
                "not_finite": "批次的图像含有非有限值。",
                "channels_last": "图像的形状为 {shape}：通道在最后一维，而 torch 要求在第二维。",
                "normalised_twice": "图像的最小值为 {low}，而该模型自己归一化，要求 0 到 1。",
                "bytes_for_unit": "图像的最大值为 {high}，而该模型自己归一化，要求 0 到 1。",
                "bytes": "第一层 {layer} 读到 {low} 到 {high} 的值：图像没有缩放。",
                "twice": "图像归一化了两次（{used}）。",
                "turned": "图像用 {used} 从蓝到红的常数归一化：通道或者常数是 BGR 顺序。",
                "other_than_declared": "图像按 {used} 归一化；而权重训练时的均值为 {mean}，标准差为 {std}。",
                "far_from_zero": "图像的均值为 {mean}（从 {low} 到 {high}），远离零。",
            },
            fixes={
                "channels_last": "使用 images.permute(0, 3, 1, 2)。",
                "normalised_twice": "从变换中去掉归一化。",
                "bytes_for_unit": "像 to_tensor 那样除以 255。",
                "bytes": "先除以 255，再归一化。",
                "twice": "去掉其中一次归一化。",
                "turned": "把通道和常数统一为 RGB 顺序。",
            },
        ),
    },
)
