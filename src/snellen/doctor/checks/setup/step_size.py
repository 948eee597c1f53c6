"""step-size (M9)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.probes.first_updates import FirstUpdates
from snellen.doctor.finding import Finding, Level, Limit, Number, Treatment

__all__ = ["CHECK"]

LARGEST = 0.3  # change of a weight matrix over its size, in a step; TheDeepChecker has 0.1, healthy set-ups up to 0.1
SMALLEST = 1e-5  # TheDeepChecker has 1e-4; fine-tuning with plain momentum is at 1e-5, and its loss falls all the same
NO_GAIN = 0.05  # of the loss in five steps, as a share of the first
RISE = 3.0  # of the loss on the same samples in five steps, as a share of the first loss; healthy set-ups up to 0.8

_SOURCE = "TheDeepChecker (1e-4 to 1e-1), widened on healthy set-ups"
_DOWN, _UP = 10.0, 100.0  # by which the rate is changed as a first treatment


def judge(updates: FirstUpdates) -> Iterator[Finding]:
    """Yield a finding if the first steps of the optimizer are far too long or far too short."""
    largest, rise = max(updates.ratios), -updates.gain
    numbers: dict[str, Number] = {
        "rate": f"{updates.rate:.2g}",
        "ratio": f"{updates.ratio:.1g}",
        "largest": f"{largest:.2g}",
        "first": f"{updates.losses[0]:.3g}",
        "last": f"{updates.losses[-1]:.3g}",
    }
    if not updates.is_finite:
        yield _long(updates, "not_finite", numbers, None)
    elif rise > RISE:
        limit = Limit(value=RISE, unit="share", source="five steps on the same samples make a healthy loss fall")
        yield _long(updates, "rises", numbers, limit, measured=rise)
    elif largest > LARGEST:
        yield _long(updates, "long", numbers, Limit(value=LARGEST, source=_SOURCE), measured=largest)
    elif updates.ratio < SMALLEST and updates.gain < NO_GAIN:
        yield Finding(
            level=Level.WARNING,
            message="short",
            numbers=numbers,
            measured=updates.ratio,
            limit=Limit(value=SMALLEST, source=_SOURCE),
            treatment=Treatment(settings={"lr": float(f"{updates.rate * _UP:.2g}")}),
        )


def _long(
    updates: FirstUpdates, message: str, numbers: dict[str, Number], limit: Limit | None, measured: float | None = None
) -> Finding:
    return Finding(
        level=Level.WARNING,
        message=message,
        numbers=numbers,
        measured=measured,
        limit=limit,
        treatment=Treatment(settings={"lr": float(f"{updates.rate / _DOWN:.2g}")}),
    )


CHECK = Check(
    code="M9",
    name="step-size",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-039", "DX-040"),
    caused_by=("M20", "M4", "M3", "M26", "M10", "M39"),
    source="TheDeepChecker, Ben Braiek and Khomh 2023, https://arxiv.org/abs/2204.00694; Karpathy's update ratio of "
    "about 1e-3; Goyal et al. 2017, https://arxiv.org/abs/1706.02677 (linear scaling, warm-up)",
    pages={
        "en": Page(
            title="steps far too long or far too short",
            finds="A learning rate at which the optimizer throws weights about, or hardly moves them.",
            matters="With steps that are too long the loss jumps or becomes NaN, and units die for good; with steps "
            "that are too short it sits where it is for the whole training.",
            measured="Five steps of the optimizer as it was handed over, at the planned rate (the peak, if a "
            "scheduler begins lower), on up to 8 samples of the batch; then all is undone. A warning: the loss of the "
            "same samples becomes NaN or infinite, or four times as high; or in a step the weight matrices change by "
            "more than 0.3 of their size in the median; or, in the median step, by less than 0.00001, and the loss "
            "falls by less than 5 %.",
            false_alarms="Schedules whose warm-up no scheduler of torch does; layers that are meant to move slowly; "
            "weights that hardly need a change.",
            fix="Too long: divide the rate by ten, or warm up. Too short: multiply it. `snellen lr` finds the range "
            "that works. With a batch k times as large, SGD takes a rate k times as high, with a warm-up; Adam √k "
            "times.",
            messages={
                "not_finite": "Within five steps at a rate of {rate} the loss went from {first} to NaN or infinity.",
                "rises": "Five steps at a rate of {rate} took the loss of the same samples from {first} to {last}.",
                "long": "A step at a rate of {rate} changes weight matrices by {largest} of their size.",
                "short": "A step at a rate of {rate} changes weight matrices by {ratio} of their size: nothing is "
                "learned.",
            },
        ),
        "zh": Page(
            title="步长过大或过小",
            finds="使优化器剧烈改变权重，或几乎不改变权重的学习率。",
            matters="步长过大时损失跳动或变为 NaN，神经元永久失活；步长过小时损失在整个训练中原地不动。",
            measured="用给定的优化器按计划的学习率（若调度器从较低值开始，则取峰值）在批次的至多 8 个样本上走至多五"
            "步，之后全部撤销。警告条件：同一批样本的损失变为 NaN 或无穷大，或升到四倍；或某一步权重矩阵变化的中位数超"
            "过其大小的 0.3；或中位步的变化小于其大小的 0.00001，且损失下降不到 5 %。",
            false_alarms="预热不由 torch 调度器完成的训练；有意缓慢更新的层；几乎不需要改变的权重。",
            fix="过大：学习率除以十，或加预热。过小：提高学习率。`snellen lr` 能找到有效范围。批次增大 k 倍时，SGD 的"
            "学习率可提高 k 倍并加预热，Adam 提高 √k 倍。",
            messages={
                "not_finite": "学习率 {rate} 下五步之内，损失从 {first} 变为 NaN 或无穷大。",
                "rises": "学习率 {rate} 下走至多五步，同一批样本的损失从 {first} 变为 {last}。",
                "long": "学习率 {rate} 下一步使权重矩阵改变其大小的 {largest}。",
                "short": "学习率 {rate} 下一步只使权重矩阵改变其大小的 {ratio}：什么也学不到。",
            },
        ),
    },
)
