"""weights-never-change (T20)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.finding import Finding, Level, Place
from snellen.doctor.watching.outcome import Learning, weight_columns
from snellen.doctor.watching.showing import weight_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.updates import need_samples

__all__ = ["CHECK"]

LEAST_MOVE = 1e-5  # of the size, in a step, that cannot leave the size the same for long
DEAD = 0.9  # of the units that a layer reads: then T8 says why nothing arrives
MOST_PLACES = 50


def judge(trace: Trace, learning: Learning) -> Iterator[Finding]:
    """Yield a finding if weights are in the optimizer and never change, or never get a gradient."""
    columns = np.array(weight_columns(trace), np.int64)
    is_told = np.isfinite(trace.update).any(1)
    need_samples(int(is_told.sum()))
    gradient, update, weight = (table[is_told][:, columns] for table in (trace.gradient, trace.update, trace.weight))
    has_gradient = np.asarray(np.isfinite(gradient).any(0), np.bool_)
    largest = np.where(has_gradient, np.nanmax(np.nan_to_num(gradient, nan=0.0), axis=0), 0.0)
    rates = np.nanmax(trace.rates, axis=0) if trace.rates.size else np.ones(1)
    rate = np.array([rates[trace.parameters[int(column)].group] for column in columns])
    is_still = np.nanmax(update, axis=0, initial=0) == 0
    is_zero = (weight == 0).all(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.nanmedian(update, axis=0) > LEAST_MOVE * weight[0]
    is_undone = moves & (np.ptp(weight, axis=0) == 0)
    is_cut_off = np.full(len(columns), bool((np.nan_to_num(trace.dead[-3:], nan=0.0) > DEAD).any()), np.bool_)
    rows: tuple[tuple[str, NDArray[np.bool_], Level], ...] = (
        ("zeros", is_zero & has_gradient & (rate > 0), learning.level),
        ("lost", is_still & (largest > 0) & (rate > 0), Level.WARNING),
        ("undone", is_undone, Level.WARNING),
        ("no_effect", has_gradient & (largest == 0) & ~(is_zero | is_cut_off), learning.level),
        ("rate_zero", is_still & (largest > 0) & (rate == 0), Level.INFO),
        ("no_gradient", ~has_gradient, Level.INFO),
    )
    for message, which, level in rows:
        found = columns[which]
        if len(found):
            yield Finding(
                level=level,
                message=message,
                numbers={
                    "count": len(found),
                    "all": len(columns),
                    "first": trace.parameters[int(found[0])].name,
                },
                measured=len(found) / len(columns),
                places=tuple(
                    Place(kind="parameter", name=trace.parameters[int(column)].name) for column in found[:MOST_PLACES]
                ),
                num_places=len(found),
            )
            return


CHECK = Check(
    code="T20",
    name="weights-never-change",
    stage=Stage.TRAINING,
    judge=judge,
    curves=weight_curves,
    covers=("DX-064", "DX-072"),
    caused_by=("T1", "T14"),
    source="torchtest2; TrainCheck, https://arxiv.org/abs/2506.14813; SageMaker Debugger, UnchangedTensor",
    pages={
        "en": Page(
            title="weights in the optimizer that never change",
            finds="Matrices and kernels that the optimizer holds and that do not change, or that never get a gradient "
            "other than zero.",
            matters="That part of the network stays as it was drawn, or at zero, though it is meant to learn.",
            measured="Exactly, in all sampled steps (three at least): weights that are all zero and stay so; weights "
            "with a gradient and a rate whose change is zero, or whose size is the same before each step, which is a "
            "warning; gradients that are zero throughout. Zero weights and gradients are a warning where the loss has "
            "not fallen, else told. Weights without a gradient, or with a rate of zero, may be frozen on purpose and "
            "are told.",
            false_alarms="Frozen parts that were left in the optimizer.",
            fix="Leave frozen parts out of the optimizer. Where they should learn: look for detach(), torch.no_grad(), "
            "requires_grad, and for branches that do not reach the loss.",
            messages={
                "zeros": "{count} of {all} weights are zero and stay zero ({first} and others).",
                "lost": "{count} of {all} weights have a gradient and a rate and do not change ({first} and others).",
                "undone": "The steps of {count} of {all} weights are undone each time ({first} and others).",
                "no_effect": "The gradient of {count} of {all} weights is zero in every step ({first} and others).",
                "rate_zero": "{count} of {all} weights have a rate of zero ({first} and others).",
                "no_gradient": "{count} of {all} weights in the optimizer never get a gradient ({first} and others).",
            },
            fixes={
                "zeros": "Draw the weights at random (Kaiming for ReLU, Xavier for tanh): from zeros all units of a "
                "layer get the same gradient, or none.",
                "undone": "Look for what writes the old weights back: loading a state dict, an average of weights, "
                "tied copies.",
                "lost": "In half precision small changes are lost in rounding: keep the weights in float32 and compute "
                "in half precision (autocast). Otherwise see whether something writes the old weights back.",
            },
        ),
        "zh": Page(
            title="优化器中从不改变的权重",
            finds="优化器所持有却不改变，或梯度始终为零的矩阵和卷积核。",
            matters="网络的这一部分停留在随机初值或零，尽管它本应学习。",
            measured="在所有抽样步（至少三步）中精确判断：全为零且保持为零的权重；有梯度、有学习率而改变为零，"
            "或每步之前大小完全相同的权重（警告）；始终为零的梯度。零权重和零梯度在损失没有下降时警告，否则提示。"
            "没有梯度或学习率为零的权重可能是有意冻结，因此提示。",
            false_alarms="留在优化器中的冻结部分。",
            fix="把冻结部分移出优化器。如果应当学习：查找 detach()、torch.no_grad()、requires_grad，"
            "以及到不了损失的分支。",
            messages={
                "zeros": "{all} 个权重中有 {count} 个为零且保持为零（{first} 等）。",
                "lost": "{all} 个权重中有 {count} 个有梯度、有学习率却不改变（{first} 等）。",
                "undone": "{all} 个权重中有 {count} 个的更新每次都被撤销（{first} 等）。",
                "no_effect": "{all} 个权重中有 {count} 个的梯度在每一步都为零（{first} 等）。",
                "rate_zero": "{all} 个权重中有 {count} 个的学习率为零（{first} 等）。",
                "no_gradient": "优化器的 {all} 个权重中有 {count} 个从未得到梯度（{first} 等）。",
            },
            fixes={
                "zeros": "随机初始化权重（ReLU 用 Kaiming，tanh 用 Xavier）：从零开始时同一层的单元梯度相同，"
                "或没有梯度。",
                "undone": "查找把旧权重写回的代码：加载状态、权重平均、共享的副本。",
                "lost": "半精度下小的改变会在舍入中丢失：权重保持 float32，用半精度计算（autocast）。"
                "否则查看是否有代码把旧权重写回。",
            },
        ),
    },
)
