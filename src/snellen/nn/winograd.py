"""Convolution layers that take the quicker of two ways to the same result."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from snellen.ops.winograd import WINDOW, num_tiles, winograd_conv, winograd_kernels

__all__ = ["WinogradConv2d", "quick_layout", "use_winograd"]

# Harmonic sum of the channels in and out below which the transforms eat what the products spare: 64 and 64 (32) are no
# quicker, 64 and 128 (43) are. This and the tiles below: benchmarks/results/winograd.md.
LEAST_CHANNELS = 40
LEAST_TILES = 16  # in prediction, where kernels are kept
# Where kernels are transformed, and their gradient back, in each step; more of those so large that the C library asks
# the system for their memory anew each time.
LEAST_TILES_TO_LEARN, LEAST_TILES_TO_LEARN_LARGE = 72, 128
LARGE_KERNELS = 8 * 2**20  # floats: 32 MB
MOST_TILES_TO_KEEP = 512  # with more, transforming the kernels anew is a tenth of the time, and memory is spared


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kernels:
    """Kernels and the weight that they were made from."""

    weight: Tensor
    kernels: Tensor


class WinogradConv2d(nn.Conv2d):
    """A 3×3 convolution that multiplies a quarter as often where that is quicker: on a CPU, in float32, on larger maps.

    Parameters, keys and results are those of ``nn.Conv2d``, the results but for rounding (up to twice that of the
    direct sum: 1e-6 of the outputs' spread). It takes the usual way on other devices, in other types and under
    autocast, for maps that are not in channels-last format, and wherever a graph is recorded or compiled.

    Source:
        ``snellen.ops.winograd_conv``.
    """

    _kept: _Kernels | None = None

    def forward(self, input: Float[Tensor, "batch channels height width"]) -> Tensor:  # noqa: A002 - nn.Conv2d's name
        """Return the convolution."""
        return self.convolved(input, self.weight, self.bias)

    def convolved(self, x: Float[Tensor, "batch channels height width"], weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return what the layer would with another weight and bias."""
        padding = self.padding[0]
        if _can_be_quick(x, weight):
            height, width = (size + 2 * padding - 2 for size in x.shape[2:])  # type: ignore[operator]  # not a name, see suits
            kernels = self._kernels(weight, x.shape[0] * num_tiles(height, width))
            if kernels is not None:
                return winograd_conv(x, weight, bias, padding=padding, kernels=kernels)  # type: ignore[arg-type]
        return functional.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def _kernels(self, weight: Tensor, tiles: int) -> Tensor | None:
        """Return the transformed kernels; None where the direct sum is quicker.

        Shapes alone decide that, not what is kept: a training that goes on repeats one that was not broken off.
        """
        if tiles < _least_tiles(weight):
            return None
        # Values are compared, for a weight can be changed in ways that leave no trace; that takes a tenth of making.
        kept = self._kept
        if kept is not None and torch.equal(kept.weight, weight):
            return kept.kernels
        with torch.inference_mode(mode=False), torch.no_grad():  # tensors that training can use, whoever makes them
            kernels = winograd_kernels(weight)
            if tiles <= MOST_TILES_TO_KEEP:
                self._kept = _Kernels(weight=weight.detach().clone(), kernels=kernels)
        return kernels

    def __getstate__(self) -> dict[str, object]:
        """Return what is copied and pickled: not what can be computed."""
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


def use_winograd(model: nn.Module) -> int:
    """Let the 3×3 convolutions of a model take the quicker way where there is one; return how many can.

    Changes the class of layers, not their parameters or keys: a state dict fits before and after. For whoever trains or
    predicts in float32 on a CPU; move the model to channels-last format as well. On other devices nothing changes.

    Args:
        model: Any module; layers of subclasses of ``nn.Conv2d`` are left alone, for it is not known what they do.
    """
    count = 0
    for layer in model.modules():
        if type(layer) is nn.Conv2d and _suits(layer):
            layer.__class__ = WinogradConv2d
            count += 1
    return count


def quick_layout(model: nn.Module) -> None:
    """Lay a model out as it computes quickest: channels last, and ``use_winograd``. Neither changes its state dict.

    Where Winograd's way is taken, gradients cannot be differentiated again (gradient penalties).
    """
    model.to(memory_format=torch.channels_last)
    use_winograd(model)


def _suits(layer: nn.Conv2d) -> bool:
    plain = layer.stride == layer.dilation == (1, 1) and layer.groups == 1 and layer.padding_mode == "zeros"
    if not plain or layer.kernel_size != (3, 3) or layer.padding not in ((0, 0), (1, 1), (2, 2)):
        return False
    return 1 / (1 / layer.in_channels + 1 / layer.out_channels) >= LEAST_CHANNELS


def _least_tiles(weight: Tensor) -> int:
    if not (torch.is_grad_enabled() and weight.requires_grad):
        return LEAST_TILES
    is_large = weight.shape[0] * weight.shape[1] * WINDOW**2 > LARGE_KERNELS
    return LEAST_TILES_TO_LEARN_LARGE if is_large else LEAST_TILES_TO_LEARN


def _can_be_quick(x: Tensor, weight: Tensor) -> bool:
    return (
        type(x) is Tensor  # not one that records or stands for another
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.ndim == 4
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()  # noqa: SLF001 - no public name; its grads go another way
        and torch._C._get_tracing_state() is None  # noqa: SLF001 - torch.jit.is_tracing declares no types
        and not torch.compiler.is_compiling()
    )
