"""norms-differ-in-evaluation (T11)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.watching.outcome import EARLY_STEPS, Learning, Outcome, held_out_losses
from snellen.doctor.watching.showing import gap_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import LEAST_SAMPLES, late
from snellen.doctor.words import Text

__all__ = ["CHECK"]

GAP = 0.4  # spreads; healthy nets stay below 0.15 with batches down to 2, and 0.45 cost 16 points of accuracy
WORSE = 1.5  # times the training loss, above which the held-out one is bad; TheDeepChecker: differs by 50 %
LAST = 3  # validations
MOST_PLACES = 20
_SOURCE = "norms of healthy and broken small nets; TheDeepChecker, loss of a batch in both modes differs by 50 %"


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if running statistics of batch norms are far from those of the batches."""
    if int(trace.steps[-1]) < EARLY_STEPS and not trace.is_over:
        raise NotCheckable(
            Text(
                en=f"running statistics need {EARLY_STEPS} steps to leave what they began with",
                zh=f"滑动统计量需要 {EARLY_STEPS} 步才能离开初值",
            )
        )
    norms = np.flatnonzero(np.isfinite(trace.gap).sum(0) >= LEAST_SAMPLES)
    if not len(norms):
        raise NotCheckable(
            Text(
                en="no batch norm was seen to use its batch in three samples",
                zh="没有在三次采样中看到使用批统计的批归一化层",
            )
        )
    gaps = late(trace.gap[np.isfinite(trace.gap[:, norms]).any(1)][:, norms].astype(np.float64))
    usual = np.nanmedian(gaps, 0)
    worst = [int(place) for place in np.argsort(-usual) if usual[place] > GAP]
    if not worst or learning.outcome == Outcome.BAD:
        return
    held_out = [float(np.median(row.values[-LAST:])) for row in held_out_losses(trace)[:1]]
    is_fine = bool(held_out) and held_out[0] <= WORSE * learning.end
    yield Finding(
        level=Level.INFO if is_fine else Level.WARNING,
        message="known" if held_out else "default",
        numbers={
            "count": len(worst),
            "norms": len(norms),
            "gap": f"{usual[worst[0]]:.2g}",
            "layer": trace.layers[norms[worst[0]]].name,
            "train": f"{learning.end:.3g}",
            "held_out": f"{held_out[0]:.3g}" if held_out else "-",
        },
        measured=float(usual[worst[0]]),
        limit=Limit(value=GAP, unit="spreads", source=_SOURCE),
        places=tuple(
            Place(kind="layer", name=trace.layers[norms[place]].name, note=f"{usual[place]:.2g}", score=usual[place])
            for place in worst[:MOST_PLACES]
        ),
        num_places=len(worst),
    )


CHECK = Check(
    code="T11",
    name="norms-differ-in-evaluation",
    stage=Stage.TRAINING,
    judge=judge,
    curves=gap_curves,
    covers=("DX-055",),
    caused_by=("T1", "T14", "T26", "T10", "T6", "T3"),
    source="TheDeepChecker, Ben Braiek and Khomh 2023, https://arxiv.org/abs/2204.00694; Ioffe and Szegedy 2015, "
    "https://arxiv.org/abs/1502.03167, section 3.1",
    pages={
        "en": Page(
            title="batch norms work with other statistics in evaluation than in training",
            finds="Batch norms whose running mean and variance, which evaluation uses, are far from those of the "
            "batches that the network learns with.",
            matters="The network that is evaluated is not the one that was trained: training looks fine, and on "
            "held-out images, even on the training images in evaluation mode, the answers are bad.",
            measured="For each channel, the distance between the output of the norm with the batch's statistics and "
            "with those that ran before the batch: sqrt((1 - s/S)^2 + ((m - M)/S)^2) in spreads, its mean over the "
            "channels, in the last third of the samples (three at least). Told if the median of a layer is above 0.4; "
            "a warning unless the held-out loss is within half of the training loss. Nothing is said where the "
            "training loss has not fallen, and before step 100 of a training that goes on.",
            false_alarms="Weights that were loaded a few steps ago, whose statistics are still those of other images.",
            fix="Leave momentum at 0.1: it is the share of the new batch (0.99 in TensorFlow is 0.01 here), and 0.001 "
            "needs thousands of steps. Or measure the statistics anew before evaluating "
            "(torch.optim.swa_utils.update_bn), prepare images for evaluation as for training, give each kind of "
            "image norms of its own, or use norms without running statistics (group norm).",
            messages={
                "default": "{count} of {norms} batch norms would give outputs up to {gap} spreads away in evaluation "
                "(most in {layer}).",
                "known": "{count} of {norms} batch norms give outputs up to {gap} spreads away in evaluation (most in "
                "{layer}): the training loss is {train}, on held-out data it is {held_out}.",
            },
        ),
        "zh": Page(
            title="批归一化在评估时使用的统计量与训练时不同",
            finds="评估所用的滑动均值和方差与网络训练时各批的统计量相差很远的批归一化层。",
            matters="被评估的网络不是被训练的网络：训练看起来正常，而在留出图像上，甚至在评估模式下的训练图像上，答案都很差。",
            measured="对每个通道，比较用本批统计量与用此前滑动统计量得到的输出之差：以标准差为单位的 "
            "sqrt((1 - s/S)^2 + ((m - M)/S)^2)，对通道取平均，取最后三分之一的采样（至少三次）。"
            "某层中位数超过 0.4 时提示；除非留出损失不超过训练损失的一倍半，否则为警告。"
            "训练损失没有下降时、以及进行中的训练在第 100 步之前不作判断。",
            false_alarms="几步之前才载入的权重，其统计量仍来自其他图像。",
            fix="momentum 保持 0.1：它是新批所占的份额（TensorFlow 的 0.99 相当于这里的 0.01），0.001 需要数千步。"
            "或在评估前重新测量统计量（torch.optim.swa_utils.update_bn），使评估图像的处理与训练一致，"
            "为每类图像使用各自的归一化层，或使用没有滑动统计量的归一化（组归一化）。",
            messages={
                "default": "{norms} 个批归一化层中有 {count} 个在评估时的输出相差可达 {gap} 个标准差"
                "（最大的是 {layer}）。",
                "known": "{norms} 个批归一化层中有 {count} 个在评估时的输出相差可达 {gap} 个标准差"
                "（最大的是 {layer}）：训练损失为 {train}，留出数据上为 {held_out}。",
            },
        ),
    },
)
