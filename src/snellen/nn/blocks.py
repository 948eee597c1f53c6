"""Convolutions that several networks are built from."""

from collections.abc import Callable
from math import ceil
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.nn.norm import FrozenBatchNorm, Norm
from snellen.nn.winograd import WinogradConv2d

__all__ = ["ConvNormAct", "Padding", "SameConv2d", "conv_norm"]

# Cells of the output per weight of a channel from which one convolution is the faster way; benchmarks/results/
# dense_speed.md. With all layers as one, ResNet-50 took a tenth longer over 160 px.
CELLS_PER_WEIGHT = 2

Padding = Literal["torch", "same"]


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's ``SAME``: the surplus goes to the right and to the bottom.

    It differs from torch's symmetric padding only where the stride is above 1, where it shifts the sampling
    grid by up to half a stride; weights trained with one do not fit the other.

    Source:
        https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """

    def forward(self, input: Float[Tensor, "batch channels height width"]) -> Tensor:  # noqa: A002 - nn.Conv2d's name
        """Return the map of size ``ceil(size / stride)``."""
        return self.convolved(input, self.weight, self.bias)

    def convolved(self, x: Float[Tensor, "batch channels height width"], weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return what the layer would with another weight and bias."""
        padding, crops = [], []
        for axis in (0, 1):
            before, after = _same_padding(
                x.shape[axis - 2], self.kernel_size[axis], self.stride[axis], self.dilation[axis]
            )
            # One window too many at the start and cutting it off costs a third of padding the input (on
            # the depthwise convolutions of MobileNetV2): what is cut is a stride squared smaller.
            surplus = int(after > before)
            padding.append(before + surplus * self.stride[axis])
            crops.append(slice(surplus, surplus + ceil(x.shape[axis - 2] / self.stride[axis])))
        output = functional.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)
        return output[:, :, crops[0], crops[1]]


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    reach = (ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1
    total = max(reach - size, 0)
    return total // 2, total - total // 2


def conv_norm(conv: nn.Module, norm: nn.Module, x: Float[Tensor, "batch channels height width"]) -> Tensor:
    """Return ``norm(conv(x))``; as one convolution where the norm is frozen, which spares a pass over the map.

    The convolution then has the weight ``weight * scale`` and the bias ``bias * scale + shift``: the same but for
    rounding, and differentiable in the layer's own weight and bias. Where a map has few cells for so large a weight,
    scaling the weight would cost more than the pass, and the layers are called one by one; so are layers that somebody
    watches by a hook, which then sees what it always saw.

    Args:
        conv: A convolution; others than ``nn.Conv2d``, ``SameConv2d`` and ``WinogradConv2d`` are called.
        norm: What follows it; others than ``FrozenBatchNorm`` are called.
        x: What goes in.
    """
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, FrozenBatchNorm) or not _can_be_one(conv, norm, x):
        result: Tensor = norm(conv(x))
        return result
    scale, shift = norm.affine()
    weight = conv.weight * scale[:, None, None, None]
    bias = shift if conv.bias is None else conv.bias * scale + shift
    if isinstance(conv, SameConv2d | WinogradConv2d):
        return conv.convolved(x, weight, bias)
    return functional.conv2d(x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)


def _can_be_one(conv: nn.Conv2d, norm: FrozenBatchNorm, x: Tensor) -> bool:
    # Exact types, for it is not known here what a subclass does in between.
    if (
        type(norm) is not FrozenBatchNorm
        or type(conv) not in (nn.Conv2d, SameConv2d, WinogradConv2d)
        or conv.padding_mode != "zeros"
    ):
        return False
    cells = x.shape[0] * x.shape[2] * x.shape[3] / (conv.stride[0] * conv.stride[1])  # of the output, about
    if cells < CELLS_PER_WEIGHT * conv.weight[0].numel():
        return False
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")  # no public way to ask
    return not any(getattr(layer, kind) for layer in (conv, norm) for kind in hooks)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, norm, activation; the output has the size ``ceil(size / stride)``.

    The keys are ``0`` (convolution) and ``1`` (norm), as in ``torchvision.ops.Conv2dNormActivation``.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        kernel: Odd size of the kernel in pixels.
        stride: Step in pixels.
        groups: Groups of channels that do not see one another; as many as there are channels is a depthwise
            convolution.
        dilation: Distance in pixels between the places that neighbours in the kernel look at.
        norm: Makes the norm layer from the number of channels.
        activation: Makes the activation, or None for none.
        padding: ``"torch"`` pads both sides alike, ``"same"`` as TensorFlow does.
    """

    def __init__(  # noqa: PLR0913 - the properties of a convolution
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        norm: Norm = nn.BatchNorm2d,
        activation: Callable[[], nn.Module] | None = nn.ReLU,
        padding: Padding = "torch",
    ) -> None:
        # At stride 1 both paddings agree, and the plain convolution is the faster one.
        conv = SameConv2d if padding == "same" and stride > 1 else nn.Conv2d
        layers: list[nn.Module] = [
            conv(
                in_channels,
                out_channels,
                kernel,
                stride,
                dilation * (kernel // 2),
                dilation=dilation,
                groups=groups,
                bias=False,
            ),
            norm(out_channels),
        ]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)

    def forward(self, input: Float[Tensor, "batch channels height width"]) -> Tensor:  # noqa: A002 - nn.Sequential's name
        """Return the activated map of size ``ceil(size / stride)``."""
        conv, norm, *rest = self
        x = conv_norm(conv, norm, input)
        for layer in rest:
            x = layer(x)
        return x
