"""Ways to a finer map: interpolation, transposed convolutions, unpooling."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import ConfigError

__all__ = [
    "BilinearTransposed",
    "Enlargement",
    "Upsampling",
    "bilinear_kernel",
    "enlarged",
    "pooled_places",
    "unpooled",
]

Upsampling = Literal["bilinear", "nearest", "transposed"]


def enlarged(
    x: Float[Tensor, "batch channels rows columns"],
    size: tuple[int, int],
    *,
    stride: int,
    align_corners: bool = False,
) -> Float[Tensor, "batch channels height width"]:
    """Return a map of ``ceil(size / stride)`` cells enlarged bilinearly to ``size``.

    Without ``align_corners`` borders lie on borders: a cell stands for the ``stride`` pixels that it covers, whatever
    the size is, and what reaches over the canvas is cut off. That is right where a map was made by windows that divide
    the image (pools, patches), where sides are multiples of the stride, and wherever weights were trained with it.

    With ``align_corners`` the centres of the outermost cells lie on those of the outermost pixels. A network of odd
    kernels with symmetric padding has its cells at the pixels 0, stride, 2 · stride …; on sides of a multiple of the
    stride plus 1 (DeepLab's 513 and 321) this puts every cell back to where it was made. On other sides the scale
    depends on the size, and cells are moved by up to half a stride at the far border.

    Args:
        x: Coarse map.
        size: Height and width of the canvas in pixels.
        stride: Pixels from cell to cell.
        align_corners: See above.

    Source:
        ``torch.nn.functional.interpolate``; sides of 513: Chen et al. 2017, section 4, https://arxiv.org/abs/1706.05587.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    if align_corners:
        return functional.interpolate(x, size=list(size), mode="bilinear", align_corners=True)
    whole = [cells * stride for cells in x.shape[-2:]]
    return functional.interpolate(x, size=whole, mode="bilinear", align_corners=False)[:, :, : size[0], : size[1]]


def bilinear_kernel(factor: int) -> Float[Tensor, "side side"]:
    """Return the kernel with which a transposed convolution of stride ``factor`` interpolates bilinearly.

    Its side is ``2 · factor − factor mod 2``.

    Source:
        Long et al. 2015, section 3.3, https://arxiv.org/abs/1411.4038.
    """
    side = 2 * factor - factor % 2
    centre = (side - 1) / 2
    row = 1 - (torch.arange(side) - centre).abs() / factor
    return row[:, None] * row


class BilinearTransposed(nn.ConvTranspose2d):
    """A transposed convolution that begins as bilinear interpolation and learns from there.

    Before its first step it is ``interpolate(..., align_corners=False)``, at the border too, where cells are repeated.
    The kernel's side is a multiple of the stride for even strides, so that no checkerboard arises.

    Args:
        channels: Of input and output; at first no channel looks at another.
        factor: How many times finer the map becomes.

    Source:
        Long et al. 2015, sections 3.3 and 4.2, https://arxiv.org/abs/1411.4038. Differs: the border is repeated, where
        the paper pads the image by 100 pixels and crops.
    """

    def __init__(self, channels: int, factor: int = 2) -> None:
        side = 2 * factor - factor % 2
        super().__init__(channels, channels, side, factor, padding=(3 * factor - factor % 2) // 2, bias=False)
        with torch.no_grad():
            self.weight.zero_()
            self.weight[range(channels), range(channels)] = bilinear_kernel(factor)

    def forward(self, input: Float[Tensor, "batch channels rows columns"]) -> Tensor:  # type: ignore[override]  # noqa: A002 - nn.ConvTranspose2d's names
        """Return the map, ``factor`` times finer."""
        result: Tensor = super().forward(functional.pad(input, (1, 1, 1, 1), mode="replicate"))
        return result


class Enlargement(nn.Module):
    """One step to a map of twice the size.

    Args:
        channels: Of the input.
        kind: ``nearest`` repeats cells; ``bilinear`` blends neighbours, borders on borders; ``transposed`` learns a
            convolution that writes ``kernel`` × ``kernel`` cells for each.
        kernel: Of the transposed convolution. Where it is no multiple of 2, cells are written unequally often, and the
            map begins with a checkerboard.

    Raises:
        ConfigError: If there is no such kind, or the kernel is below 2.

    Source:
        Transposed with a kernel of 2: Ronneberger et al. 2015, section 2 ("up-convolution"),
        https://arxiv.org/abs/1505.04597. Checkerboards: Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard.
    """

    def __init__(self, channels: int, kind: Upsampling = "nearest", *, kernel: int = 2) -> None:
        super().__init__()
        if kind not in ("bilinear", "nearest", "transposed"):
            raise ConfigError(f"upsampling must be 'bilinear', 'nearest' or 'transposed'; got {kind!r}.")
        if kernel < 2:
            raise ConfigError(f"the kernel of a transposed convolution must be 2 or more; got {kernel}.")
        self.kind = kind
        self.up: nn.ConvTranspose2d | None = None
        if kind == "transposed":
            self.up = nn.ConvTranspose2d(channels, channels, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2)

    def forward(
        self, x: Float[Tensor, "batch channels _ _"], size: tuple[int, int]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Return the map in ``size``, which is twice as large or, in an axis, one less."""
        if self.up is not None:
            finer: Tensor = self.up(x)
            return finer[:, :, : size[0], : size[1]]
        if self.kind == "nearest":
            return functional.interpolate(x, size=list(size), mode="nearest")
        return enlarged(x, size, stride=2)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return self.kind


def pooled_places(
    x: Float[Tensor, "batch channels height width"],
) -> tuple[Float[Tensor, "batch channels rows columns"], Int64[Tensor, "batch channels rows columns"]]:
    """Return the maxima over windows of 2 × 2, and where in the flattened map each was.

    Windows may reach over the border: the result has ``ceil(size / 2)`` cells.
    """
    maxima, places = functional.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
    return maxima, places


def unpooled(
    x: Float[Tensor, "batch channels rows columns"],
    places: Int64[Tensor, "batch channels rows columns"],
    size: tuple[int, int],
) -> Float[Tensor, "batch channels height width"]:
    """Return a map of ``size`` that holds every value where the maximum was, and 0 elsewhere.

    Args:
        x: Coarse map.
        places: What ``pooled_places`` found on a map of ``size`` with as many channels.
        size: Rows and columns.

    Source:
        Badrinarayanan et al. 2015, section 3 (SegNet), https://arxiv.org/abs/1511.00561; Zeiler & Fergus 2013,
        section 2.1. ``torch.nn.MaxUnpool2d``, in any precision and deterministic.
    """
    flat = x.new_zeros(*x.shape[:2], size[0] * size[1])
    return flat.scatter(2, places.flatten(2), x.flatten(2)).view(*x.shape[:2], *size)
