"""batch-too-small-or-large (M37)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.noise_scale import NoiseScale
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FEW_STEPS_PER_EPOCH = 10  # DeepCrime's operator disable_batching leaves one
MANY_IMAGES = 100  # with fewer, few steps an epoch are natural
FAR_BELOW = 10.0  # noise scale over batch; a tenth of the scale wastes little, McCandlish 2018, section 2.2
FAR_ABOVE = 10.0  # batch over noise scale, at the first step, where the scale is lowest
LARGE_BATCH = 256  # only above it is a batch "too large": the scale grows while the loss falls

_MCCANDLISH = "McCandlish et al. 2018, section 2.2"


def judge(setup: Setup | None, noise: NoiseScale | None) -> Iterator[Finding]:
    """Yield findings about the number of images in a step."""
    if (noise is None or noise.scale is None) and (setup is None or setup.steps is None or setup.epochs is None):
        raise NotCheckable(
            Text(
                en="the number of steps is not known, and one batch does not show the noise of the gradient",
                zh="不知道训练步数，一个批次也看不出梯度的噪声",
            )
        )
    if setup is not None:
        yield from _few_steps(setup)
    if noise is not None:
        yield from _noise(noise, 1 if setup is None else setup.accumulate)


def _few_steps(setup: Setup) -> Iterator[Finding]:
    if setup.steps is None or setup.epochs is None or setup.batch_size is None or setup.num_train_images is None:
        return
    per_epoch = max(1, round(setup.steps / setup.epochs))
    if per_epoch >= FEW_STEPS_PER_EPOCH or setup.num_train_images < MANY_IMAGES:
        return
    better = max(1, setup.num_train_images // (2 * FEW_STEPS_PER_EPOCH))
    yield Finding(
        level=Level.WARNING if per_epoch == 1 else Level.INFO,
        message="few_steps",
        numbers={"steps": per_epoch, "batch": setup.batch_size * setup.accumulate, "images": setup.num_train_images,
                 "better": better},
        measured=per_epoch,
        limit=Limit(value=FEW_STEPS_PER_EPOCH, unit="steps", source="DeepCrime, disable_batching"),
        treatment=Treatment(settings={"batch_size": better, "accumulate": 1}),
    )  # fmt: skip


def _noise(noise: NoiseScale, accumulate: int) -> Iterator[Finding]:
    if noise.scale is None:
        return
    batch = noise.batch_size * accumulate
    if noise.scale > FAR_BELOW * batch:
        yield Finding(
            level=Level.INFO,
            message="small",
            numbers={"batch": batch, "scale": f"{noise.scale:.0f}"},
            measured=noise.scale / batch,
            limit=Limit(value=FAR_BELOW, source=_MCCANDLISH),
            treatment=Treatment(settings={"accumulate": min(16, 4 * accumulate)}),
        )
    elif batch >= LARGE_BATCH and batch > FAR_ABOVE * max(noise.scale, 1.0):
        yield Finding(
            level=Level.INFO,
            message="large",
            numbers={"batch": batch, "scale": f"{noise.scale:.0f}"},
            measured=batch / max(noise.scale, 1.0),
            limit=Limit(value=FAR_ABOVE, source=_MCCANDLISH),
        )


CHECK = Check(
    code="M37",
    name="batch-too-small-or-large",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-042", "DX-043"),
    caused_by=("M20", "M4", "M15"),
    source="McCandlish et al. 2018, https://arxiv.org/abs/1812.06162; DeepCrime's operators change_batch_size (HBS) "
    "and disable_batching (HDB)",
    pages={
        "en": Page(
            title="batch too small or too large",
            finds="Steps in which the gradient is mostly noise, or so many images a step that an epoch has few steps.",
            matters="With a batch far below the noise scale the loss is jagged and the rate has to be low; far above "
            "it, images are spent without getting further, and with few steps an epoch the loss flattens early.",
            measured="Steps an epoch: below 10 with 100 images or more is told, one is a warning. Noise scale: "
            "gradients of four parts of the batch, compared with one another, where what they have in common is "
            "clear. A scale of more than 10 batches, or a batch of 256 or more that is 10 scales, is told.",
            false_alarms="The scale at the first step is a rough estimate from one batch, and it grows while the loss "
            "falls: a batch that looks too large now may be right later. It is never more than told.",
            fix="Too small: a larger batch, or several batches a step (--accumulate). Too large: a smaller batch; 16 "
            "to 64 images are usual. Change the rate with it: in proportion for SGD, by the square root for Adam.",
            messages={
                "few_steps": "A batch of {batch} leaves {steps} steps an epoch of {images} images; {better} images a "
                "step would leave twenty.",
                "small": "The gradient of {batch} images is mostly noise: it takes about {scale} for a clear one.",
                "large": "A batch of {batch} is far more than the {scale} images from which on more gain little.",
            },
        ),
        "zh": Page(
            title="批次过小或过大",
            finds="梯度以噪声为主的训练步，或每步图像太多、每个 epoch 步数太少的训练。",
            matters="批次远小于噪声尺度时损失剧烈抖动，学习率不得不降低；远大于噪声尺度时浪费图像而进展不大，"
            "每个 epoch 步数太少时损失过早变平。",
            measured="每个 epoch 的步数：图像不少于 100 张而步数少于 10 时提示，只有一步时警告。噪声尺度：比较批次四个"
            "部分的梯度，仅在其共同部分明确时判断。尺度超过 10 个批次，或不小于 256 的批次达到 10 倍尺度，则提示。",
            false_alarms="第一步的尺度只是由一个批次得到的粗略估计，并会随损失下降而增大：现在看来过大的批次以后可能正"
            "合适。因此只作提示。",
            fix="过小：增大批次，或每步累积多个批次（--accumulate）。过大：减小批次；常用 16 到 64 张。学习率随之调整："
            "SGD 按比例，Adam 按平方根。",
            messages={
                "few_steps": "批次为 {batch} 时，{images} 张图像的每个 epoch 只有 {steps} 步；每步 {better} 张可有二十"
                "步。",
                "small": "{batch} 张图像的梯度以噪声为主：大约需要 {scale} 张才能得到清晰的梯度。",
                "large": "批次 {batch} 远超过 {scale}，再多的图像收益很小。",
            },
        ),
    },
)
