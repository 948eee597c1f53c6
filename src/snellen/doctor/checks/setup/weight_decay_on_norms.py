"""weight-decay-on-norms (M29)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.decayed import DecayedParameters
from snellen.doctor.finding import Finding, Level, Place

__all__ = ["CHECK"]


def judge(decayed: DecayedParameters) -> Iterator[Finding]:
    """Yield a note if scales, shifts or biases are pulled towards zero."""
    names = decayed.scales + decayed.biases
    if not names:
        return
    yield Finding(
        level=Level.INFO,
        message="default" if decayed.scales else "biases",
        numbers={"scales": len(decayed.scales), "biases": len(decayed.biases), "decay": decayed.weight_decay,
                 "first": names[0]},
        measured=float(len(names)),
        places=tuple(Place(kind="parameter", name=name) for name in names[:50]),
        num_places=len(names),
    )  # fmt: skip


CHECK = Check(
    code="M29",
    name="weight-decay-on-norms",
    stage=Stage.SETUP,
    judge=judge,
    covers=("DX-057",),
    source="Goyal et al. 2017, section 5.3; He et al. 2019, Bag of Tricks, section 3.1 (no bias decay); torch-audit "
    "TA402",
    pages={
        "en": Page(
            title="weight decay on norms and biases",
            finds="An optimizer that pulls the scales and shifts of norms, and biases, towards zero.",
            matters="Weight decay keeps matrices small. A scale near zero switches a channel off, and a bias is one "
            "number for a whole channel: there is nothing to regularise. The effect is small, a few tenths of a point.",
            measured="Trainable parameters with one axis in a group of the optimizer whose weight_decay is above zero. "
            "Never more than a note.",
            false_alarms="Many good recipes decay everything, among them torchvision's.",
            fix="Two groups: parameters with ndim >= 2 with weight decay, all others with weight_decay=0.",
            messages={
                "default": "Weight decay {decay} acts on {scales} scales and shifts of norms and {biases} biases, such "
                "as {first}.",
                "biases": "Weight decay {decay} acts on {biases} biases, such as {first}.",
            },
        ),
        "zh": Page(
            title="对归一化和偏置做权重衰减",
            finds="优化器把归一化层的缩放、平移以及偏置拉向零。",
            matters="权重衰减用于限制矩阵的大小。缩放接近零会关掉一个通道，而偏置只是整个通道的一个数：没有什么可正则"
            "化的。影响很小，约零点几个百分点。",
            measured="处于 weight_decay 大于零的优化器参数组中、只有一个轴的可训练参数。最多只给提示。",
            false_alarms="许多好的配方对所有参数做衰减，包括 torchvision 的。",
            fix="分成两组：ndim >= 2 的参数使用权重衰减，其余设 weight_decay=0。",
            messages={
                "default": "权重衰减 {decay} 作用于 {scales} 个归一化的缩放和平移以及 {biases} 个偏置，例如 {first}。",
                "biases": "权重衰减 {decay} 作用于 {biases} 个偏置，例如 {first}。",
            },
        ),
    },
)
