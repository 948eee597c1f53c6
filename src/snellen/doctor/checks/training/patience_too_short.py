"""patience-too-short (T19)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.watching.curves import line_through
from snellen.doctor.watching.outcome import HeldOut, held_out_losses, held_out_scores
from snellen.doctor.watching.showing import held_out_curves
from snellen.doctor.watching.trace import Trace
from snellen.doctor.words import Text

__all__ = ["CHECK"]

STOPPED_BEFORE = 0.95  # of the planned steps
LEAST_VALIDATIONS = 4
SURE = 2.0  # standard errors of the slope
PATIENCE = 10  # as a treatment
_SOURCE = "Prechelt 1998, Early Stopping — but when?"


def judge(trace: Trace) -> Iterator[Finding]:
    """Yield a finding if the training was stopped early while held-out data still got better."""
    if trace.planned_steps is None:
        raise NotCheckable(Text(en="it is not known how many steps were planned", zh="不知道计划了多少步"))
    if not trace.is_over:
        raise NotCheckable(Text(en="the training has not come to its end", zh="训练尚未结束"))
    if trace.steps[-1] >= STOPPED_BEFORE * trace.planned_steps:
        return
    scores, losses = held_out_scores(trace), held_out_losses(trace)
    row = next((row for row in (*scores, *losses) if len(row.values) >= LEAST_VALIDATIONS), None)
    if row is None:
        raise NotCheckable(
            Text(en=f"fewer than {LEAST_VALIDATIONS} validations were told", zh=f"验证不足 {LEAST_VALIDATIONS} 次")
        )
    sure = _progress(row, 1 if row in scores else -1)
    if sure > SURE:
        yield Finding(
            level=Level.WARNING,
            numbers={
                "name": row.name,
                "done": int(trace.steps[-1]),
                "planned": trace.planned_steps,
                "sure": f"{min(sure, 99):.1f}",
            },
            measured=sure,
            limit=Limit(value=SURE, unit="standard errors", source=_SOURCE),
            treatment=Treatment(settings={"patience": PATIENCE}),
        )


def _progress(row: HeldOut, sign: int) -> float:
    """Return by how many standard errors the last half of the validations got better."""
    half = max(LEAST_VALIDATIONS, (len(row.values) + 1) // 2)
    line = line_through(row.steps[-half:], sign * row.values[-half:])
    return line.slope / max(line.error, 1e-3 * abs(line.slope), 1e-30)


CHECK = Check(
    code="T19",
    name="patience-too-short",
    stage=Stage.TRAINING,
    judge=judge,
    curves=held_out_curves,
    covers=("DX-038",),
    caused_by=("T1", "T3", "T11", "T12"),
    source="Prechelt 1998; DeepCrime's operator change_earlystopping_patience (RCP)",
    pages={
        "en": Page(
            title="stopped early while held-out data still got better",
            finds="Trainings that stopped before their planned end though the held-out score was still rising beyond "
            "its scatter.",
            matters="Scores of held-out data scatter; with a patience of one or two validations the first unlucky one "
            "ends the training.",
            measured="A training that ended before 95 % of its planned steps. The line through the last half of its "
            "validations (four at least): a slope towards better of more than two standard errors is a warning.",
            false_alarms="A training that was stopped on purpose, for instance because its time was over.",
            fix="A patience of ten validations (--patience), or of more images; smooth the score, or stop by the plan.",
            messages={
                "default": "Stopped at step {done} of {planned} while {name} was getting better, {sure} standard "
                "errors beyond its scatter.",
            },
        ),
        "zh": Page(
            title="留出数据仍在变好时就提前停止",
            finds="在计划结束之前停止、而留出分数的上升仍超出其散布的训练。",
            matters="留出数据的分数会波动；耐心只有一两次验证时，第一次不走运就结束了训练。",
            measured="在计划步数的 95% 之前结束的训练。对后一半验证（至少四次）拟合直线："
            "变好的斜率超过两个标准误时警告。",
            false_alarms="有意停止的训练，例如时间用完。",
            fix="把耐心设为十次验证（--patience），或用更多图像验证；平滑分数，或按计划结束。",
            messages={
                "default": "在 {planned} 步中的第 {done} 步停止，而 {name} 仍在变好，超出散布 {sure} 个标准误。",
            },
        ),
    },
)
