"""excessive-memory (M43)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.memory import ActivationMemory
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Number, Place

__all__ = ["CHECK"]

DEVICE_SHARE = 0.9  # of the memory of the device; the rest is workspace
MUCH = 4 * 2**30  # bytes for one image; Faster R-CNN with ResNet-50 takes 1.5 GiB at 800 × 1333
COPIES = 4  # parameters, their gradients, and the two means of Adam

_GIB = 2**30


def judge(memory: ActivationMemory, setup: Setup | None) -> Iterator[Finding]:
    """Yield a note if a step will hardly fit into the device, or an image takes a great deal of memory."""
    images = setup.batch_size if setup is not None and setup.batch_size is not None else memory.num_images
    needed = memory.per_image * images + COPIES * memory.parameters
    too_much = memory.device_bytes is not None and needed > DEVICE_SHARE * memory.device_bytes
    if not too_much and memory.per_image < MUCH:
        return
    numbers: dict[str, Number] = {
        "needed": round(needed / _GIB, 1), "device": memory.device, "images": images,
        "there": round((memory.device_bytes or 0) / _GIB, 1), "per_image": round(memory.per_image / _GIB, 2),
        "concatenated": round(100 * memory.concatenated / max(1.0, memory.per_image)),
        "largest": memory.largest[0].layer if memory.largest else "",
    }  # fmt: skip
    yield Finding(
        level=Level.INFO,
        message="too_much" if too_much else "default",
        numbers=numbers,
        measured=needed if too_much else memory.per_image,
        limit=Limit(
            value=DEVICE_SHARE * (memory.device_bytes or 0) if too_much else MUCH,
            unit="bytes",
            source="memory of the device" if too_much else "Faster R-CNN with ResNet-50 takes 1.5 GiB at 800 × 1333",
        ),
        places=tuple(
            Place(kind="layer", name=each.layer, note=f"{each.per_image / 2**20:.0f} MiB", score=each.per_image)
            for each in memory.largest
        ),
        num_places=len(memory.largest),
    )


CHECK = Check(
    code="M43",
    name="excessive-memory",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-108", "DX-109", "DX-110", "DX-111"),
    source="Chen et al. 2016, https://arxiv.org/abs/1604.06174 (what a backward pass keeps); Pleiss et al. 2017, "
    "https://arxiv.org/abs/1707.06990 (concatenations)",
    pages={
        "en": Page(
            title="a step that takes too much memory",
            finds="Networks whose intermediate results for one batch do not fit into the device, or take more than 4 "
            "GiB for one image.",
            matters="Training stops with an out-of-memory error, or the batch has to be so small that norms suffer.",
            measured="The bytes of all results of the forward pass are added up; views and in-place operations take "
            "none. Parameters count four times (gradients and Adam's means). A note from 90 % of the device's memory.",
            false_alarms="Some results are not kept for the backward pass, and checkpointing keeps few: the sum is an "
            "upper bound. Half precision halves it.",
            fix="Smaller images or batches with gradient accumulation; mixed precision; torch.utils.checkpoint around "
            "blocks; stride earlier in the network; sums instead of concatenations.",
            messages={
                "default": "One image takes {per_image} GiB of intermediate results ({concatenated} % are copies for "
                "concatenations); most of it at {largest}.",
                "too_much": "A step with {images} images takes up to {needed} GiB, and the device ({device}) has "
                "{there} GiB; {concatenated} % are copies for concatenations, most is at {largest}.",
            },
        ),
        "zh": Page(
            title="一步训练所需内存过多",
            finds="一个批次的中间结果装不进设备内存，或单张图像超过 4 GiB 的网络。",
            matters="训练会因内存不足而中断，或批次不得不小到影响归一化。",
            measured="累加前向计算所有结果的字节数；视图和原地操作不占内存。参数按四倍计算（梯度和 Adam 的两个均值）。"
            "达到设备内存的 90% 时提示。",
            false_alarms="有些结果不必为反向传播保留，检查点技术只保留少数：该总和是上限。半精度可减半。",
            fix="减小图像或批次并使用梯度累积；混合精度；对模块使用 torch.utils.checkpoint；更早下采样；用求和代替拼"
            "接。",
            messages={
                "default": "每张图像的中间结果占 {per_image} GiB（{concatenated}% 是拼接产生的副本），最多的在 "
                "{largest}。",
                "too_much": "{images} 张图像的一步最多需要 {needed} GiB，而设备（{device}）只有 {there} GiB；"
                "{concatenated}% 是拼接产生的副本，最多的在 {largest}。",
            },
        ),
    },
)
