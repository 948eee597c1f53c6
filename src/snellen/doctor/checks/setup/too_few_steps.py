"""too-few-steps (M35)."""

from collections.abc import Iterator
from math import ceil

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding, Level, Limit, Treatment
from snellen.doctor.words import Text

__all__ = ["CHECK"]

FEW_STEPS = 200  # from random weights; the project's notes: 100 to 200 steps are no training
FEW_STEPS_TUNED = 50  # from weights; a new head alone takes about so many, own measurement on MobileNetV2
FEW_EPOCHS = 4  # from random weights; the least that Snellen plans
ENOUGH_STEPS = 5000  # with so many, a network learns within an epoch

_SOURCE = "notes of practice: thousands of steps, tens of epochs"


def judge(setup: Setup) -> Iterator[Finding]:
    """Yield a finding if fewer steps or epochs are planned than a network usually needs."""
    if setup.steps is None or setup.epochs is None or setup.pretrained is None:
        raise NotCheckable(Text(en="the number of steps is not known", zh="不知道训练步数"))
    few = FEW_STEPS_TUNED if setup.pretrained else FEW_STEPS
    per_epoch = max(1, round(setup.steps / setup.epochs))
    if setup.steps < few:
        yield Finding(
            level=Level.WARNING,
            message="tuned" if setup.pretrained else "steps",
            numbers={"steps": setup.steps, "few": few, "epochs": ceil(few / per_epoch)},
            measured=setup.steps,
            limit=Limit(value=few, unit="steps", source=_SOURCE),
            treatment=Treatment(settings={"epochs": ceil(few / per_epoch)}),
        )
    elif not setup.pretrained and setup.epochs < FEW_EPOCHS and setup.steps < ENOUGH_STEPS:
        yield Finding(
            level=Level.WARNING if setup.epochs == 1 else Level.INFO,
            message="epochs",
            numbers={"epochs": setup.epochs, "few": FEW_EPOCHS, "steps": setup.steps},
            measured=setup.epochs,
            limit=Limit(value=FEW_EPOCHS, unit="epochs", source=_SOURCE),
            treatment=Treatment(settings={"epochs": FEW_EPOCHS}),
        )


CHECK = Check(
    code="M35",
    name="too-few-steps",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-038",),
    source="DX-038; DeepCrime's operator change_epochs (HNE), Humbatova et al. 2021, "
    "https://dl.acm.org/doi/10.1145/3460319",
    pages={
        "en": Page(
            title="too few steps planned",
            finds="A training that is over before a network can have learned.",
            matters="After a hundred steps the loss of most networks has hardly moved; the result then says nothing "
            "about data or model, and is easily taken for 'it does not converge'.",
            measured="Planned steps: below 200 from random weights, below 50 from weights. Or fewer than 4 epochs from "
            "random weights with fewer than 5,000 steps: one epoch is a warning, two and three are told.",
            false_alarms="Very easy data, or a first try that is meant to be short.",
            fix="Train longer (--epochs), or with smaller batches, which gives more steps in the same time; from "
            "weights (--weights) fewer steps are enough.",
            messages={
                "steps": "{steps} steps are planned from random weights; {few} is the least that shows anything.",
                "tuned": "{steps} steps are planned; even from weights {few} is the least that shows anything.",
                "epochs": "Every image is shown {epochs} times from random weights, {steps} steps in all; {few} epochs "
                "are the least that is usual.",
            },
            fixes={
                "steps": "Train for {epochs} epochs or more (--epochs {epochs}), or with smaller batches.",
                "tuned": "Train for {epochs} epochs or more (--epochs {epochs}), or with smaller batches.",
            },
        ),
        "zh": Page(
            title="计划的训练步数太少",
            finds="在网络来得及学到东西之前就结束的训练。",
            matters="一百步之后大多数网络的损失几乎没有变化；这样的结果说明不了数据或模型的好坏，却很容易被当成“不收敛"
            "”。",
            measured="计划的步数：从随机权重开始少于 200 步，从预训练权重开始少于 50 步。或者从随机权重开始、总步数少"
            "于 5,000 且少于 4 个 epoch：1 个 epoch 为警告，2 到 3 个仅提示。",
            false_alarms="非常容易的数据，或有意做的短时间试跑。",
            fix="延长训练（--epochs），或减小批次，同样的时间内步数更多；从预训练权重开始（--weights）需要的步数较少。",
            messages={
                "steps": "计划从随机权重训练 {steps} 步；至少要 {few} 步才能看出结果。",
                "tuned": "计划训练 {steps} 步；即使从预训练权重开始，至少也要 {few} 步才能看出结果。",
                "epochs": "从随机权重开始，每张图像只看 {epochs} 次，共 {steps} 步；通常至少 {few} 个 epoch。",
            },
            fixes={
                "steps": "训练 {epochs} 个 epoch 以上（--epochs {epochs}），或减小批次。",
                "tuned": "训练 {epochs} 个 epoch 以上（--epochs {epochs}），或减小批次。",
            },
        ),
    },
)
