"""nearly-all-dropped (M45)."""

from collections.abc import Iterator

from torch import nn

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.examining.subject import Subject
from snellen.doctor.finding import Finding, Level, Limit, Place

__all__ = ["CHECK"]

MOST = 0.8  # share of values; published networks drop up to 0.5 of hidden units (Srivastava et al. 2014, section 7)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def judge(subject: Subject) -> Iterator[Finding]:
    """Yield a finding if a dropout leaves less than a fifth of what it is given."""
    rates = sorted(
        ((layer.p, name) for name, layer in subject.model.named_modules() if isinstance(layer, _DROPOUTS)), reverse=True
    )
    over = [(rate, name) for rate, name in rates if rate > MOST]
    if not over:
        return
    rate, name = over[0]
    yield Finding(
        level=Level.WARNING,
        numbers={"rate": rate, "name": name or type(subject.model).__name__, "count": len(over)},
        measured=rate,
        limit=Limit(value=MOST, unit="share", source="Srivastava et al. 2014, section 7: 0.5 for hidden units"),
        places=tuple(Place(kind="layer", name=where, note=f"p = {value:g}", score=value) for value, where in over),
        num_places=len(over),
    )


CHECK = Check(
    code="M45",
    name="nearly-all-dropped",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-076",),
    source="Srivastava et al. 2014, Dropout, https://jmlr.org/papers/v15/srivastava14a.html; DeepCrime's operator RCD",
    pages={
        "en": Page(
            title="dropout that leaves almost nothing",
            finds="A dropout layer with a probability above 0.8.",
            matters="Less than a fifth of the values reach the next layer, scaled up five times and more: the gradient "
            "is mostly noise, and the model underfits its own training data.",
            measured="The probability of every dropout layer, held against 0.8. Published networks drop up to half of "
            "the hidden units and a fifth of the inputs.",
            false_alarms="A rate meant as the share to keep, in code ported from a framework that counts that way, is "
            "exactly the fault. Networks with thousands of redundant units can bear such a rate.",
            fix="Use 0.5 or less. In code that was ported, check whether the number was the share to keep.",
            messages={"default": "{name} drops {rate} of its input; {count} layers drop more than 0.8."},
        ),
        "zh": Page(
            title="dropout 几乎丢弃了一切",
            finds="概率高于 0.8 的 dropout 层。",
            matters="只有不到五分之一的值传到下一层，并被放大五倍以上：梯度大多是噪声，模型连训练数据也拟合不好。",
            measured="每个 dropout 层的概率，与 0.8 比较。已发表的网络最多丢弃一半的隐藏单元和五分之一的输入。",
            false_alarms="从其他框架移植的代码里若把它当作保留比例，这正是要找的错误。有成千上万冗余单元的网络能承受这样的比例。",
            fix="使用 0.5 或更小的值。对于移植的代码，请检查该数字原本是否指保留的比例。",
            messages={"default": "{name} 丢弃其输入的 {rate}；共有 {count} 层丢弃超过 0.8。"},
        ),
    },
)
