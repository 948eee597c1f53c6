"""Reference boxes on the grid of a feature map."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["base_anchors", "grid_anchors"]


def base_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Float[Tensor, "num_anchors 4"]:
    """Anchors of one cell, centred on the origin: for each ratio, each size.

    Args:
        sizes: Square roots of the areas in pixels.
        aspect_ratios: Height over width.

    Returns:
        Boxes rounded to whole pixels, ratio-major.

    Source:
        Ren et al. 2015 (Faster R-CNN), section 3.1.1, https://arxiv.org/abs/1506.01497.
    """
    scale = torch.tensor(sizes, dtype=torch.float32)
    tall = torch.tensor(aspect_ratios, dtype=torch.float32).sqrt()
    heights = (tall[:, None] * scale).flatten()
    widths = ((1 / tall)[:, None] * scale).flatten()
    return (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()


def grid_anchors(
    base: Float[Tensor, "num_anchors 4"], grid: tuple[int, int], stride: tuple[int, int]
) -> Float[Tensor, "num_cells_times_anchors 4"]:
    """Copies of the base anchors at every cell, rows first, anchors of one cell next to each other.

    Args:
        base: Anchors of one cell.
        grid: Rows and columns of the feature map.
        stride: Pixels from cell to cell, down and to the right.
    """
    rows = torch.arange(grid[0], device=base.device, dtype=base.dtype) * stride[0]
    columns = torch.arange(grid[1], device=base.device, dtype=base.dtype) * stride[1]
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    shifts = torch.stack([x, y, x, y], dim=-1)  # [rows, columns, 4]
    return (shifts[:, :, None, :] + base).reshape(-1, 4)
