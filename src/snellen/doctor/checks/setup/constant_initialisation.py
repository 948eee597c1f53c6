"""constant-initialisation (M10)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.identical_units import IdenticalUnits, SameUnits
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

SAME_CHANGE = 1e-3  # difference between units over the largest change; rounding makes about 1e-6

_LIMIT = Limit(value=SAME_CHANGE, source="rounding of float32 makes 1e-6, different units differ by 0.1 and more")


def judge(units: IdenticalUnits) -> Iterator[Finding]:
    """Yield a finding for layers whose units start the same and stay the same."""
    stuck = units.stuck
    if stuck:
        is_still = not any(each.changed for each in stuck)
        yield _finding("still" if is_still else "default", Level.ERROR, stuck, units.num_layers)
    elif units.copies:
        yield _finding("copies", Level.WARNING, units.copies, units.num_layers)


def _finding(message: str, level: Level, stuck: tuple[SameUnits, ...], num_layers: int) -> Finding:
    return Finding(
        level=level,
        message=message,
        numbers={"count": len(stuck), "layers": num_layers, "first": stuck[0].layer, "units": stuck[0].units,
                 "value": round(stuck[0].value, 6)},
        measured=max(each.difference for each in stuck),
        limit=_LIMIT,
        places=tuple(
            Place(kind="parameter", name=each.layer, note=f"{each.units} × {each.value:.3g}") for each in stuck[:50]
        ),
        num_places=len(stuck),
    )  # fmt: skip


CHECK = Check(
    code="M10",
    name="constant-initialisation",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-064",),
    source="Goodfellow, Bengio and Courville 2016, Deep Learning, section 8.4 (symmetry breaking); TheDeepChecker; "
    "NeuraLint",
    pages={
        "en": Page(
            title="units that start the same and stay the same",
            finds="Layers all of whose units (filters, neurons) begin with the same weights, and are still the same "
            "after some steps.",
            matters="Units that are equal and get equal gradients stay equal for ever. However wide the layer is, it "
            "does the work of one unit; with zeros it may pass no gradient at all.",
            measured="The rows of every trainable matrix and the filters of every convolution are compared: within "
            "1e-6 of the largest weight they are the same. If all are, three steps of the doctor's own Adam are taken "
            "on the batch, with dropout off, and the changes are compared. Units are stuck if their changes differ by "
            "less than 0.001 of the largest change, or if nothing changes: an error. Copies that are told apart are a "
            "warning, unless they are zero.",
            false_alarms="None known. Last layers, last layers of residual branches and adapters that start from zero "
            "on purpose are told apart by the steps: their units get different gradients.",
            fix="Draw the weights at random: torch.nn.init.kaiming_normal_ for ReLU and its like, xavier_uniform_ for "
            "tanh and sigmoid; or drop the line that sets them. Biases may be zero.",
            messages={
                "default": "All {units} units of {first} start as copies of one another (mean weight {value}) and are "
                "still copies after 3 steps; so it is in {count} of {layers} layers.",
                "copies": "All {units} units of {first} start as copies of one another (mean weight {value}), and only "
                "what follows tells them apart; so it is in {count} of {layers} layers.",
                "still": "All {units} units of {first} start as copies of one another (mean weight {value}) and no "
                "gradient moves them in 3 steps; so it is in {count} of {layers} layers.",
            },
        ),
        "zh": Page(
            title="各单元初始相同且一直相同",
            finds="某些层的所有单元（滤波器、神经元）以相同的权重开始，训练若干步后仍然相同。",
            matters="权重相同、梯度相同的单元永远相同。无论该层多宽，都只起一个单元的作用；若权重全为零，甚至可能完全"
            "不传梯度。",
            measured="比较每个可训练矩阵的各行和每个卷积的各滤波器：差别在最大权重的 1e-6 以内即视为相同。若全部相同，"
            "则在该批次上关闭 dropout，用诊断自带的 Adam 走三步，再比较变化量。变化量之差小于最大变化的 0.001，"
            "或完全没有变化，即判定为卡住：错误。能被区分的副本，除非为零，给出警告。",
            false_alarms="未发现。有意从零开始的输出层、残差分支末层和适配器可以通过这几步区分：它们各单元得到不同的梯"
            "度。",
            fix="随机初始化权重：ReLU 类用 torch.nn.init.kaiming_normal_，tanh 和 sigmoid 用 xavier_uniform_；"
            "或删去设置常数的那一行。偏置可以为零。",
            messages={
                "default": "{first} 的全部 {units} 个单元初始互为副本（平均权重 {value}），3 步之后仍是副本；"
                "{layers} 层中有 {count} 层如此。",
                "copies": "{first} 的全部 {units} 个单元初始互为副本（平均权重 {value}），只有后面的层使它们有所区别；"
                "{layers} 层中有 {count} 层如此。",
                "still": "{first} 的全部 {units} 个单元初始互为副本（平均权重 {value}），3 步之内没有梯度使其改变；"
                "{layers} 层中有 {count} 层如此。",
            },
        ),
    },
)
