"""Residual blocks that normalise and activate before they convolve."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.nn.dilation import Step
from snellen.nn.norm import Norm
from snellen.nn.residual import begin_at_zero

__all__ = ["PreActBasic", "PreActBottleneck"]


class _Projection(nn.Module):
    """A 1×1 convolution on the short cut, without a norm: what it reads is normalised and activated already."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(x)
        return result


class PreActBasic(nn.Module):
    """Two 3×3 convolutions, each behind a norm and a ReLU, and a short cut on which nothing stands.

    Only where size or depth change is the short cut a 1×1 convolution, which reads the first activation, as the
    residual does. The keys are those of timm's block of the same name.

    Args:
        in_channels: Depth of the input.
        width: Depth of the convolutions and of the output.
        step: How the first convolution samples.
        norm: Makes the norm layer from the number of channels.
        dropout: Share of values between the convolutions that training sets to zero (wide residual networks).

    Source:
        He et al. 2016, figure 1 b and section 3, https://arxiv.org/abs/1603.05027; dropout: Zagoruyko & Komodakis
        2016, section 2.4, https://arxiv.org/abs/1605.07146.
    """

    expansion: ClassVar[int] = 1

    def __init__(self, in_channels: int, width: int, *, step: Step, norm: Norm, dropout: float = 0.0) -> None:
        super().__init__()
        self.downsample = _short_cut(in_channels, width, step)
        self.norm1 = norm(in_channels)
        self.conv1 = _conv3(in_channels, width, step.stride, step.entering)
        self.norm2 = norm(width)
        self.conv2 = _conv3(width, width, 1, step.dilation)
        self.dropout = nn.Dropout(dropout)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the sum of short cut and residual, which is not activated."""
        activated = functional.relu(self.norm1(x))  # not in place: without a norm that would be the short cut
        residual = self.conv1(activated)
        residual = self.conv2(self.dropout(self.relu(self.norm2(residual))))
        residual += x if self.downsample is None else self.downsample(activated)
        return residual  # type: ignore[no-any-return]  # nn.Module's call is untyped

    def silence(self) -> None:
        """Make the residual zero."""
        begin_at_zero(self.conv2)


class PreActBottleneck(nn.Module):
    """1×1 down, 3×3 (which holds the stride), 1×1 up, each behind a norm and a ReLU, and a clean short cut.

    The keys are those of timm's block of the same name.

    Args:
        in_channels: Depth of the input.
        width: Depth of the 3×3 convolution; the output is four times as deep.
        step: How the 3×3 convolution samples.
        norm: Makes the norm layer from the number of channels.

    Source:
        He et al. 2016, figure 1 b and appendix, https://arxiv.org/abs/1603.05027. Differs as timm does: the stride is
        in the 3×3 convolution.
    """

    expansion: ClassVar[int] = 4

    def __init__(self, in_channels: int, width: int, *, step: Step, norm: Norm) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.downsample = _short_cut(in_channels, out_channels, step)
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = norm(width)
        self.conv2 = _conv3(width, width, step.stride, step.entering)
        self.norm3 = norm(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch _ _ _"]:
        """Return the sum of short cut and residual, which is not activated."""
        activated = functional.relu(self.norm1(x))  # not in place: without a norm that would be the short cut
        residual = self.conv1(activated)
        residual = self.conv2(self.relu(self.norm2(residual)))
        residual = self.conv3(self.relu(self.norm3(residual)))
        residual += x if self.downsample is None else self.downsample(activated)
        return residual  # type: ignore[no-any-return]  # nn.Module's call is untyped

    def silence(self) -> None:
        """Make the residual zero."""
        begin_at_zero(self.conv3)


def _conv3(in_channels: int, out_channels: int, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, dilation, dilation, bias=False)


def _short_cut(in_channels: int, out_channels: int, step: Step) -> _Projection | None:
    if step.stride == 1 and in_channels == out_channels:
        return None
    return _Projection(in_channels, out_channels, step.stride)
