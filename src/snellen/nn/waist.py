"""ResNet's bottleneck and MobileNetV2's inverted residual as one block."""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from snellen.nn.blocks import ConvNormAct
from snellen.nn.dilation import Step
from snellen.nn.norm import Norm
from snellen.nn.residual import begin_at_zero

__all__ = ["WaistBlock", "bottleneck_block", "inverted_block"]


class WaistBlock(nn.Module):
    """1×1 to the depth of the waist, 3×3, 1×1 to the depth of the output, and a short cut.

    With a narrow waist, a full 3×3 convolution and a ReLU at the end it is ResNet's bottleneck; with a wide waist, a
    depthwise one and no activation at the end it is MobileNetV2's inverted residual. Everything between can be built,
    to see which of the three makes the difference.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        waist: Depth of the 3×3 convolution.
        depthwise: Whether its channels do not see one another. Then no 1×1 convolution stands before it where the waist
            is as deep as the input.
        linear: Whether nothing is activated behind the last norm, nor behind the sum.
        projection: Whether the short cut gets a 1×1 convolution where size or depth change; else it is left out there.
        step: How the 3×3 convolution samples.
        norm: Makes the norm layer from the number of channels.
        activation: Makes the activation.

    Source:
        He et al. 2015, figure 5 right, https://arxiv.org/abs/1512.03385; Sandler et al. 2018, figure 3,
        https://arxiv.org/abs/1801.04381.
    """

    def __init__(  # noqa: PLR0913 - what the two blocks differ in
        self,
        in_channels: int,
        out_channels: int,
        *,
        waist: int,
        depthwise: bool,
        linear: bool,
        projection: bool,
        step: Step | None = None,
        norm: Norm = nn.BatchNorm2d,
        activation: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        step = Step() if step is None else step
        make = partial(nn.ReLU, inplace=True) if activation is None else activation
        layers: list[nn.Module] = []
        if waist != in_channels or not depthwise:
            layers.append(ConvNormAct(in_channels, waist, kernel=1, norm=norm, activation=make))
        spatial = ConvNormAct(
            waist,
            waist,
            stride=step.stride,
            groups=waist if depthwise else 1,
            dilation=step.entering,
            norm=norm,
            activation=make,
        )
        layers += [spatial, ConvNormAct(waist, out_channels, kernel=1, norm=norm, activation=None)]
        self.residual = nn.Sequential(*layers)
        keeps_shape = step.stride == 1 and in_channels == out_channels
        self.has_short_cut = keeps_shape or projection
        self.downsample = (
            None
            if keeps_shape or not projection
            else ConvNormAct(in_channels, out_channels, kernel=1, stride=step.stride, norm=norm, activation=None)
        )
        self.activation = nn.Identity() if linear else make()

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the block's output of ``ceil(size / stride)`` cells."""
        y: Tensor = self.residual(x)
        if self.has_short_cut:
            y += x if self.downsample is None else self.downsample(x)
        return self.activation(y)  # type: ignore[no-any-return]  # nn.Module's call is untyped

    def silence(self) -> None:
        """Make the residual zero; a block without a short cut keeps it."""
        if self.has_short_cut:
            begin_at_zero(self.residual[-1][1])  # type: ignore[index]  # of a ConvNormAct


def bottleneck_block(
    in_channels: int, out_channels: int, *, ratio: float = 0.25, step: Step | None = None, norm: Norm = nn.BatchNorm2d
) -> WaistBlock:
    """Return ResNet's bottleneck; its waist has ``ratio`` times the depth of the output."""
    waist = max(1, round(out_channels * ratio))
    return WaistBlock(
        in_channels, out_channels, waist=waist, depthwise=False, linear=False, projection=True, step=step, norm=norm
    )


def inverted_block(
    in_channels: int, out_channels: int, *, ratio: float = 6.0, step: Step | None = None, norm: Norm = nn.BatchNorm2d
) -> WaistBlock:
    """Return MobileNetV2's inverted residual; its waist has ``ratio`` times the depth of the input."""
    waist = max(1, round(in_channels * ratio))
    return WaistBlock(
        in_channels,
        out_channels,
        waist=waist,
        depthwise=True,
        linear=True,
        projection=False,
        step=step,
        norm=norm,
        activation=partial(nn.ReLU6, inplace=True),
    )
