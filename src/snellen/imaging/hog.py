"""Histograms of oriented gradients, densely over whole images.

Shapes: a cell is a square of pixels with one histogram; a block is a square of cells that are normalised together.
Blocks overlap, so a cell enters several of them, each time with another normalisation.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from snellen.errors import ConfigError, ShapeError

__all__ = ["HogSpec", "hog", "hog_blocks", "hog_cells", "hog_votes"]

HYSTERESIS_LIMIT = 0.2  # of a component of a block of norm 1; Dalal and Triggs 2005, section 6.4 (after Lowe)
GAUSSIAN_SIGMA = 0.5  # of the window over a block, in widths of the block; the same, section 6.4


@dataclass(frozen=True, slots=True, kw_only=True)
class HogSpec:
    """How histograms of oriented gradients are computed; defaults as Dalal and Triggs 2005 recommend for R-HOG.

    Attributes:
        bins: Orientations of a histogram.
        signed: Whether a gradient and its opposite are different orientations (0-360 instead of 0-180 degrees).
        cell_px: Side of a cell.
        block_cells: Side of a block in cells.
        block_step: Cells from one block to the next; ``block_cells`` for blocks that do not overlap.
        sqrt_gamma: Whether the root of each channel is taken first.
        orientation_voting: Whether a gradient votes for the one bin it lies in or is shared by the two nearest.
        spatial_voting: ``"nearest"``: for its cell. ``"bilinear"``: shared by the four nearest cells. ``"block"``: as
            in the paper, shared by the cells of each block only, and weighted by a Gaussian over the block.
        norm: Of a block. ``"L2-Hys"`` is L2, cut at 0.2, and L2 again.
        epsilon: Added to the norm, in units of the pixels' mean gradient: what is much fainter stays faint.
    """

    bins: int = 9
    signed: bool = False
    cell_px: int = 8
    block_cells: int = 2
    block_step: int = 1
    sqrt_gamma: bool = True
    orientation_voting: Literal["nearest", "bilinear"] = "bilinear"
    spatial_voting: Literal["nearest", "bilinear", "block"] = "block"
    norm: Literal["L2-Hys", "L2", "L1", "L1-sqrt"] = "L2-Hys"
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse counts that make no histogram.

        Raises:
            ConfigError: If a count is not a positive whole number.
        """
        counts = (self.bins, self.cell_px, self.block_cells, self.block_step)
        if any(type(count) is not int or count < 1 for count in counts) or self.epsilon <= 0:
            raise ConfigError(
                "bins, cell_px, block_cells and block_step of HogSpec must be whole and epsilon positive; got "
                f"{counts} and {self.epsilon}. The usual ones are (9, 8, 2, 1) and 1e-5."
            )

    @property
    def depth(self) -> int:
        """Numbers of a block."""
        return self.block_cells**2 * self.bins

    def num_blocks(self, cells: int) -> int:
        """Return how many blocks stand along a side of ``cells`` cells."""
        return max(0, (cells - self.block_cells) // self.block_step + 1)


def hog(
    images: Float[Tensor, "batch channels height width"], spec: HogSpec | None = None
) -> Float[Tensor, "batch num_features"]:
    """Return one feature vector for each image: block after block, in it cell after cell, in it bin after bin.

    Args:
        images: Grey or colour; of the channels, each pixel takes the one with the strongest gradient.
        spec: How; None for the paper's.

    Raises:
        ShapeError: If an image holds no block.

    Source:
        Dalal and Triggs 2005, https://doi.org/10.1109/CVPR.2005.177. With ``HogSpec(orientation_voting="nearest",
        spatial_voting="nearest", sqrt_gamma=False)`` equal to ``skimage.feature.hog`` (scikit-image 0.26).
        Differs: gradients across the edge of an image are zero.
    """
    return hog_blocks(images, spec).permute(0, 2, 3, 1).flatten(1)


def hog_blocks(
    images: Float[Tensor, "batch channels height width"], spec: HogSpec | None = None
) -> Float[Tensor, "batch depth block_rows block_columns"]:
    """Return the normalised blocks as a map, of which a window's features are a rectangle.

    Args:
        images: See ``hog``.
        spec: See ``hog``.

    Raises:
        ShapeError: If an image holds no block.

    Source:
        See ``hog``.
    """
    spec = spec or HogSpec()
    rows, columns = (spec.num_blocks(side // spec.cell_px) for side in images.shape[-2:])
    if rows < 1 or columns < 1:
        raise ShapeError(
            f"images must be at least {spec.block_cells * spec.cell_px} px high and wide to hold a block; got "
            f"{tuple(images.shape)}. Enlarge them, or choose smaller cells."
        )
    if spec.spatial_voting == "block":
        blocks = _weighted_blocks(hog_votes(images, spec), spec)
    else:
        cells = hog_cells(images, spec)
        around = cells.unfold(2, spec.block_cells, spec.block_step).unfold(3, spec.block_cells, spec.block_step)
        blocks = around.permute(0, 2, 3, 4, 5, 1)
    return _normalized(blocks.flatten(3), spec).permute(0, 3, 1, 2)


def hog_cells(
    images: Float[Tensor, "batch channels height width"], spec: HogSpec | None = None
) -> Float[Tensor, "batch bins cell_rows cell_columns"]:
    """Return the histogram of each cell: votes per pixel of a cell, before any normalisation.

    Pixels right of and below the last whole cell are left out.

    Args:
        images: See ``hog``.
        spec: Its spatial voting must not be ``"block"``, for then a cell has a histogram per block.

    Raises:
        ConfigError: If the cells have no histograms of their own.
    """
    spec = spec or HogSpec(spatial_voting="bilinear")
    if spec.spatial_voting == "block":
        raise ConfigError(
            "hog_cells expects spatial_voting 'nearest' or 'bilinear'; got 'block', where a cell has another histogram "
            "in each block. Use hog_blocks, or choose another voting."
        )
    votes = hog_votes(images, spec)
    side = spec.cell_px
    if spec.spatial_voting == "nearest":
        return functional.avg_pool2d(votes, side)
    votes = votes[..., : votes.shape[-2] // side * side, : votes.shape[-1] // side * side]
    votes = functional.pad(votes, (side // 2,) * 4)
    taps = 2 * side - side % 2
    distance = torch.arange(taps, device=votes.device, dtype=votes.dtype) - (taps - 1) / 2
    kernel = (1 - distance.abs() / side)[:, None] / side
    pooled = (votes.unfold(2, taps, side) @ kernel)[..., 0]
    return (pooled.unfold(3, taps, side) @ kernel)[..., 0]


def hog_votes(
    images: Float[Tensor, "batch channels height width"], spec: HogSpec | None = None
) -> Float[Tensor, "batch bins height width"]:
    """Return how strongly each pixel votes for each orientation.

    Args:
        images: See ``hog``.
        spec: See ``hog``.

    Source:
        Dalal and Triggs 2005, sections 6.2 and 6.3: centred differences [-1, 0, 1], no smoothing.
    """
    spec = spec or HogSpec()
    down, right = _strongest_gradient(images.sqrt() if spec.sqrt_gamma else images)
    strength = torch.hypot(down, right)
    turn = 360.0 if spec.signed else 180.0
    place = torch.rad2deg(torch.atan2(down, right)).remainder(turn) / (turn / spec.bins)  # in bins
    votes = images.new_zeros((len(images), spec.bins, *images.shape[-2:]))
    if spec.orientation_voting == "nearest":
        return votes.scatter_(1, place.floor().long().remainder(spec.bins)[:, None], strength[:, None])
    place = place - 0.5  # a bin's centre is half a bin from its edge
    lower = place.floor()
    share = place - lower
    index = lower.long().remainder(spec.bins)[:, None]
    votes.scatter_(1, index, (strength * (1 - share))[:, None])
    return votes.scatter_add_(1, (index + 1).remainder(spec.bins), (strength * share)[:, None])


def _strongest_gradient(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the vertical and the horizontal gradient [B, H, W] of each pixel's channel of strongest gradient."""
    down, right = torch.zeros_like(images), torch.zeros_like(images)
    down[..., 1:-1, :] = images[..., 2:, :] - images[..., :-2, :]
    right[..., 1:-1] = images[..., 2:] - images[..., :-2]
    best_down, best_right = down[:, 0], right[:, 0]
    best = best_down.square() + best_right.square()
    for channel in range(1, images.shape[1]):  # argmax over so short an axis takes ten times as long
        strength = down[:, channel].square() + right[:, channel].square()
        is_stronger = strength > best
        best = torch.maximum(best, strength)
        best_down = torch.where(is_stronger, down[:, channel], best_down)
        best_right = torch.where(is_stronger, right[:, channel], best_right)
    return best_down, best_right


def _weighted_blocks(votes: Tensor, spec: HogSpec) -> Tensor:
    """Return [B, block rows, block columns, cell rows, cell columns, bins] as the paper weights them."""
    taps = spec.block_cells * spec.cell_px
    at = torch.arange(taps, device=votes.device, dtype=votes.dtype) + 0.5
    centers = (torch.arange(spec.block_cells, device=votes.device, dtype=votes.dtype) + 0.5) * spec.cell_px
    kernel = (1 - (at[:, None] - centers).abs() / spec.cell_px).clamp(min=0) / spec.cell_px
    kernel = kernel * torch.exp(-0.5 * ((at - taps / 2) / (GAUSSIAN_SIGMA * taps)).square())[:, None]
    step = spec.block_step * spec.cell_px
    rows = votes.unfold(2, taps, step) @ kernel  # [B, bins, block rows, W, cell rows]
    return (rows.unfold(3, taps, step) @ kernel).permute(0, 2, 3, 4, 5, 1)


def _normalized(blocks: Tensor, spec: HogSpec) -> Tensor:
    if spec.norm.startswith("L1"):
        scaled = blocks / (blocks.sum(dim=-1, keepdim=True) + spec.epsilon)  # votes are never negative
        return scaled.sqrt() if spec.norm == "L1-sqrt" else scaled
    scaled = blocks * (blocks.square().sum(dim=-1, keepdim=True) + spec.epsilon**2).rsqrt()
    if spec.norm == "L2":
        return scaled
    cut = scaled.clamp(max=HYSTERESIS_LIMIT)
    return cut * (cut.square().sum(dim=-1, keepdim=True) + spec.epsilon**2).rsqrt()
