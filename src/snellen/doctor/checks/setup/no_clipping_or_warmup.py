"""no-clipping-or-warmup (M38)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.probes.first_updates import FirstUpdates
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Number, Treatment

__all__ = ["CHECK"]

JUMP = 2.0  # highest loss of the first steps over the first loss; the same samples, so a healthy descent stays below
SPIKE = 10.0  # largest gradient over the smallest, in five steps
USUAL_CLIP = 10.0  # norm; what Snellen plans
USUAL_WARMUP = 100  # steps


def judge(updates: FirstUpdates, setup: Setup | None) -> Iterator[Finding]:
    """Tell if the first steps jump and nothing in the plan softens them."""
    warmed_up = updates.is_warmed_up or (setup is not None and bool(setup.warmup_steps))
    clipped = setup is not None and any(setup.options.get(name) for name in ("clip_norm", "clip_value"))
    if (warmed_up and (clipped or setup is None)) or not updates.is_finite:
        return
    jump = max(updates.losses) / max(abs(updates.losses[0]), 1e-12)
    spike = max(updates.norms) / max(updates.norms[0], 1e-12)
    numbers: dict[str, Number] = {"rate": f"{updates.rate:.2g}", "jump": f"{jump:.1f}", "spike": f"{spike:.1f}"}
    if not warmed_up and jump > JUMP:
        yield Finding(
            level=Level.INFO,
            message="warmup",
            numbers=numbers,
            measured=jump,
            limit=Limit(value=JUMP, source="five steps on the same samples"),
            treatment=Treatment(settings={"warmup_steps": USUAL_WARMUP}),
        )
    elif not clipped and spike > SPIKE:
        yield Finding(
            level=Level.INFO,
            message="clipping",
            numbers=numbers,
            measured=spike,
            limit=Limit(value=SPIKE, source="PyTorch Lightning and TheDeepChecker speak of explosion from there"),
            treatment=Treatment(settings={"clip_norm": USUAL_CLIP}),
        )


CHECK = Check(
    code="M38",
    name="no-clipping-or-warmup",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-060", "DX-061"),
    caused_by=("M9", "M36", "M40", "M39", "M20", "M26"),
    source="Pascanu et al. 2013, https://arxiv.org/abs/1211.5063 (clipping); Goyal et al. 2017, "
    "https://arxiv.org/abs/1706.02677 (warm-up)",
    pages={
        "en": Page(
            title="no clipping, no warm-up, and steps that jump",
            finds="A planned rate at which the first steps throw the loss up, without a warm-up or a limit on "
            "gradients.",
            matters="In the first steps the curvature is highest. One step over a steep wall throws the weights where "
            "learning takes long to come back from, or kills units for good.",
            measured="Five steps at the planned rate on the same samples, undone afterwards: the loss more than "
            "doubles on the way and there is no warm-up, or a later gradient is more than 10 times as large as the "
            "first and there is no clipping.",
            false_alarms="Networks with batch norm recover from such jumps by themselves, so this is only told.",
            fix="Let the rate rise over the first hundred steps or more (--warmup-steps); limit the gradient "
            "(--clip-norm 10); or lower the rate.",
            messages={
                "warmup": "At a rate of {rate} the loss rises to {jump} times its start within five steps, and no "
                "warm-up is planned.",
                "clipping": "At a rate of {rate} gradients grow to {spike} times the first within five steps, and no "
                "clipping is known of.",
            },
        ),
        "zh": Page(
            title="没有梯度裁剪或预热，而步子会跳",
            finds="计划的学习率使最初几步把损失抛高，却没有预热，也没有限制梯度。",
            matters="最初几步曲率最大。一步越过陡壁会把权重抛到很难恢复的地方，或使神经元永久失活。",
            measured="按计划的学习率在同一批样本上走至多五步，之后撤销：途中损失升到两倍以上且没有预热；或后来的梯度超"
            "过最初的 10 倍且没有裁剪。",
            false_alarms="带批归一化的网络能自行从这种跳动中恢复，因此只作提示。",
            fix="让学习率在最初一百步以上逐渐升高（--warmup-steps）；限制梯度（--clip-norm 10）；或降低学习率。",
            messages={
                "warmup": "学习率 {rate} 下五步之内损失升到最初的 {jump} 倍，而没有计划预热。",
                "clipping": "学习率 {rate} 下五步之内梯度增大到最初的 {spike} 倍，而没有裁剪。",
            },
        ),
    },
)
