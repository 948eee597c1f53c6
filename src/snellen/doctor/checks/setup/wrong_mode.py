"""wrong-mode (M7)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, NotCheckable, Page, Stage
from snellen.doctor.evidence.probes.dependence import Dependence
from snellen.doctor.evidence.probes.learning_parameters import LearningParameters
from snellen.doctor.evidence.probes.own_step import OwnStep, OwnValidation
from snellen.doctor.finding import Finding, Level, Limit, Place
from snellen.doctor.words import Text

__all__ = ["CHECK"]

_MOST_PLACES = 50


def judge(
    learning: LearningParameters, own: OwnStep | None, validation: OwnValidation | None, dependence: Dependence | None
) -> Iterator[Finding]:
    """Yield a finding if norms or dropouts run in the mode that is meant for the other half of the work."""
    if own is not None and own.asleep:
        level = Level.WARNING if learning.looks_trained else Level.ERROR
        yield _finding("evaluation_in_training", own.asleep, level)
    if validation is not None and validation.awake:
        yield _finding("training_in_validation", validation.awake, Level.ERROR)
    if dependence is not None and dependence.repeat > dependence.rounding:
        yield Finding(
            level=Level.WARNING,
            message="random_in_evaluation",
            numbers={"change": round(dependence.repeat, 4)},
            measured=dependence.repeat,
            limit=Limit(value=dependence.rounding, unit="share", source="rounding of the output's format"),
        )
    elif own is None and validation is None:
        raise NotCheckable(
            Text(
                en="the loop is not known; pass step= and validate=, functions of a batch",
                zh="不知道训练循环；请传入 step= 和 validate=，即对一个批次操作的函数",
            )
        )


def _finding(message: str, names: tuple[str, ...], level: Level) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"count": len(names), "first": names[0]},
        places=tuple(Place(kind="layer", name=name) for name in names[:_MOST_PLACES]),
        num_places=len(names),
    )


CHECK = Check(
    code="M7",
    name="wrong-mode",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-055",),
    source="PyTorch, documentation of Module.eval; TrainCheck; torchtest2 (determinism in evaluation)",
    pages={
        "en": Page(
            title="training and evaluation mode mixed up",
            finds="A training step with the model in evaluation mode, a validation with norms or dropouts in training "
            "mode, an output in evaluation mode that is random.",
            matters="In evaluation mode batch norms do not follow the data and dropout does nothing: training looks "
            "fine and generalises badly. In training mode a validation depends on the batch and moves the running "
            "statistics, so that the score is noise and the test data leaks into the model.",
            measured="Your own step and validation are run once, and norms and dropouts say in which mode they were: "
            "exact. Layers that are held in evaluation mode while the model itself is in training mode are left alone. "
            "Two equal passes in evaluation mode with other random numbers must give equal outputs.",
            false_alarms="A pretrained model that is fine-tuned in evaluation mode on purpose is a warning. Monte "
            "Carlo "
            "dropout is random on purpose.",
            fix="Call model.train() before every training epoch and model.eval() before every validation.",
            messages={
                "evaluation_in_training": "The training step runs the model in evaluation mode: {count} norms and "
                "dropouts do not work, the first of them {first}.",
                "training_in_validation": "The validation runs {count} norms and dropouts in training mode, the first "
                "of them {first}.",
                "random_in_evaluation": "In evaluation mode the output changes from pass to pass, by {change} of its "
                "largest value.",
            },
            fixes={
                "random_in_evaluation": "Pass training=self.training to functional.dropout, or use nn.Dropout; look "
                "for layers in plain lists, which eval() does not reach.",
            },
        ),
        "zh": Page(
            title="训练模式与评估模式混淆",
            finds="训练步骤中模型处于评估模式，验证时归一化层或 dropout 处于训练模式，评估模式下输出是随机的。",
            matters="评估模式下批归一化不跟随数据，dropout 不起作用：训练看似正常，泛化却很差。"
            "训练模式下的验证依赖批次，"
            "还会改动滑动统计量，分数于是成为噪声，测试数据也泄漏进模型。",
            measured="执行一次您自己的训练步骤和验证，由归一化层和 dropout 报告所处的模式：精确判断。"
            "模型本身处于训练模式而"
            "有意保持在评估模式的层不会报告。评估模式下用不同随机数做两次相同的计算，输出必须相同。",
            false_alarms="有意在评估模式下微调预训练模型只作警告。蒙特卡洛 dropout 有意保持随机。",
            fix="每个训练周期之前调用 model.train()，每次验证之前调用 model.eval()。",
            messages={
                "evaluation_in_training": "训练步骤在评估模式下运行模型：{count} 个归一化层和 dropout 不起作用，"
                "第一个是 {first}。",
                "training_in_validation": "验证时有 {count} 个归一化层和 dropout 处于训练模式，第一个是 {first}。",
                "random_in_evaluation": "评估模式下每次计算的输出都不同，变化达最大值的 {change}。",
            },
            fixes={
                "random_in_evaluation": "给 functional.dropout 传入 training=self.training，或改用 nn.Dropout；"
                "检查是否有放在普通列表里、eval() 无法触及的层。",
            },
        ),
    },
)
