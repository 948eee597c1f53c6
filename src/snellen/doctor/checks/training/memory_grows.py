"""memory-grows (T22)."""

from collections.abc import Iterator

import numpy as np

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit
from snellen.doctor.watching.curves import course
from snellen.doctor.watching.showing import memory_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FIRST_SHARE = 0.3  # of the run, in which caches fill
LEAST_SAMPLES = 18
PARTS = 6
LEAST_GROWTH = 0.1  # of what was held; SageMaker Debugger has 10 %
LEAST_BYTES = 64 * 2**20
GOES_ON = 0.5  # growth of the second half of the time over that of the first
_SOURCE = "SageMaker Debugger, memory; steady in each sixth of the run"


def judge(trace: Trace) -> Iterator[Finding]:
    """Yield a finding if the memory grows steadily after the first part of the run."""
    is_told = (trace.memory > 0) & (trace.steps > FIRST_SHARE * trace.steps[-1:].sum())
    steps, held = trace.steps[is_told], trace.memory[is_told].astype(np.float64)
    found = course(steps, held, PARTS)
    if len(steps) < LEAST_SAMPLES or found is None:
        raise NotCheckable(
            Text(
                en=f"the memory was noted {len(steps)} times; {LEAST_SAMPLES} are the least",
                zh=f"只记录了 {len(steps)} 次内存；至少需要 {LEAST_SAMPLES} 次",
            )
        )
    growth = float(found.level[-1] - found.level[0])
    halves = (float(found.level[PARTS // 2] - found.level[0]), float(found.level[-1] - found.level[PARTS // 2 - 1]))
    is_steady = bool((np.diff(found.level) > 0).all()) and halves[1] > GOES_ON * halves[0]
    if not is_steady or growth < max(LEAST_BYTES, LEAST_GROWTH * found.level[0]):
        return
    per_step = growth / float(found.at[-1] - found.at[0])
    yield Finding(
        level=Level.WARNING,
        numbers={
            "growth": f"{growth / 2**20:.0f}",
            "steps": int(found.at[-1] - found.at[0]),
            "each": f"{1000 * per_step / 2**20:,.0f}",
        },
        measured=growth / float(found.level[0]),
        limit=Limit(value=LEAST_GROWTH, unit="share", source=_SOURCE),
    )


CHECK = Check(
    code="T22",
    name="memory-grows",
    stage=Stage.TRAINING,
    judge=judge,
    curves=memory_curves,
    source="SageMaker Debugger; PyTorch, My model reports out of memory",
    pages={
        "en": Page(
            title="memory grows with every step",
            finds="Memory that grows steadily while the training goes on.",
            matters="It will end in an error, hours later; until then the graph of every old step may be kept alive.",
            measured="Memory of the process, or of the tensors on the GPU, at the sampled steps after the first 30 % "
            "of the run, in six parts. A warning if it grows from part to part, by 10 % and 64 MiB in all, and in the "
            "second half by at least half as much as in the first.",
            false_alarms="Images that are kept in memory while a long first epoch reads them.",
            fix="Add up numbers and not tensors (total += loss.item(), or loss.detach()); look for lists of outputs, "
            "and for workers that hold Python objects by the million.",
            messages={
                "default": "Memory has grown by {growth} MiB in {steps} steps, and goes on: {each} MiB each thousand "
                "steps.",
            },
        ),
        "zh": Page(
            title="内存随每一步增长",
            finds="随训练持续增长的内存。",
            matters="几小时后会以错误结束；在此之前，每个旧步的计算图可能一直保留着。",
            measured="训练前 30% 之后，抽样步中进程的内存（或 GPU 上张量的内存），分为六段。若逐段增长，"
            "总共达到 10% 和 64 MiB，且后一半的增长不少于前一半的一半，则警告。",
            false_alarms="很长的第一个周期中把读到的图像保存在内存里。",
            fix="累加数值而不是张量（total += loss.item() 或 loss.detach()）；查找保存输出的列表，"
            "以及持有大量 Python 对象的工作进程。",
            messages={
                "default": "内存在 {steps} 步中增长了 {growth} MiB，并仍在增长：每千步 {each} MiB。",
            },
        ),
    },
)
