"""fixed-input-size (M42)."""

from collections.abc import Iterator

from snellen.doctor.check import Check, Page, Stage
from snellen.doctor.evidence.network.other_size import OtherSize
from snellen.doctor.finding import Finding, Level, Place

__all__ = ["CHECK"]


def judge(other: OtherSize) -> Iterator[Finding]:
    """Yield a note if the model takes images of one size only."""
    if not other.error:
        return
    yield Finding(
        level=Level.INFO,
        message="dense" if other.layer_type == "Linear" else "default",
        numbers={"height": other.size[0], "width": other.size[1], "tried_height": other.tried[0],
                 "tried_width": other.tried[1], "layer": other.layer or other.layer_type, "error": other.error},
        places=(Place(kind="layer", name=other.layer),),
        num_places=1,
    )  # fmt: skip


CHECK = Check(
    code="M42",
    name="fixed-input-size",
    stage=Stage.SETUP,
    judge=judge,
    caused_by=("M31",),
    covers=("DX-113",),
    source="He et al. 2014, https://arxiv.org/abs/1406.4729 (spatial pyramid pooling)",
    pages={
        "en": Page(
            title="the model takes images of one size only",
            finds="Models that fail on images of another size.",
            matters="Images of other sizes, training at several scales and testing at a higher resolution are shut "
            "out; every image must be squeezed or cropped to that size.",
            measured="One image of the batch is doubled in height and width and passed through the model in evaluation "
            "mode. Never more than a note.",
            false_alarms="Vision transformers with learned positions are built for one size.",
            fix="nn.AdaptiveAvgPool2d before the first linear layer; for transformers, positions that are resized.",
            messages={
                "default": "The model takes {height} × {width} and fails at {tried_height} × {tried_width}, in "
                "{layer}: {error}",
                "dense": "The model takes {height} × {width} and fails at {tried_height} × {tried_width}: the linear "
                "layer {layer} reads a flattened map of fixed size.",
            },
            fixes={
                "dense": "nn.AdaptiveAvgPool2d before the flattening, so that the linear layer reads the same number "
                "of values for every size.",
            },
        ),
        "zh": Page(
            title="模型只接受一种图像尺寸",
            finds="换一种图像尺寸就出错的模型。",
            matters="其他尺寸的图像、多尺度训练和更高分辨率的测试都不可能；每张图像都必须压缩或裁剪到该尺寸。",
            measured="把批次中一张图像的高和宽加倍，在评估模式下通过模型。最多只给提示。",
            false_alarms="使用可学习位置编码的视觉 Transformer 本来就只针对一种尺寸。",
            fix="在第一个线性层之前使用 nn.AdaptiveAvgPool2d；Transformer 则对位置编码做插值。",
            messages={
                "default": "模型接受 {height} × {width}，在 {tried_height} × {tried_width} 时于 {layer} 出错：{error}",
                "dense": "模型接受 {height} × {width}，在 {tried_height} × {tried_width} 时出错：线性层 {layer} "
                "读取固定大小的展平特征图。",
            },
            fixes={
                "dense": "展平之前使用 nn.AdaptiveAvgPool2d，使线性层对任何尺寸都读取相同个数的值。",
            },
        ),
    },
)
