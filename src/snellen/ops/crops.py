"""Regions of images, warped to one size."""

import torch
import torchvision
from jaxtyping import Float, Int64
from torch import Tensor

from snellen.errors import InputError

__all__ = ["warp_crops"]


def warp_crops(
    pixels: Float[Tensor, "batch channels height width"],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    *,
    size: int,
    context: int,
) -> Float[Tensor, "num_boxes channels size size"]:
    """Each box with some context around it, stretched to a square whatever its shape.

    The box fills the crop but for a border of ``context`` pixels, which shows what lies around it. A crop of
    227 × 227 in float32 takes 0.6 MB: pass as many boxes at a time as memory allows.

    Args:
        pixels: Normalised images, so that 0 is the mean colour; padding must be 0 too.
        boxes: In image pixels. One that is not finite or has no area gives a crop of 0.
        image_index: Image of each box.
        size: Side of the crop in pixels.
        context: Border of the crop in pixels, at the size of the crop.

    Raises:
        InputError: If the border leaves no room for the box.

    Source:
        Girshick et al. 2014 (R-CNN), appendix A (warp, p = 16 at 227), https://arxiv.org/abs/1311.2524. What
        lies outside of the image is 0, as there. Differs from the authors' code: coordinates are not rounded
        to pixels, which moves an edge by at most half a pixel of the image; a pixel of the crop averages
        bilinear samples at most one image pixel apart, where the authors' bilinear resize of large boxes reads
        only four pixels and aliases; the outermost half pixel of the image reaches half a pixel beyond its edge.
    """
    if size <= 2 * context or context < 0:
        raise InputError(
            f"warp_crops expects a border of 0 or more that leaves room for the box; got a border of {context} px on "
            f"each side of a crop of {size} px; make the crop larger or the border smaller"
        )
    usable = boxes.isfinite().all(dim=1, keepdim=True)
    box = torch.where(usable, boxes, 0.0).to(pixels.dtype)
    half = (box[:, 2:] - box[:, :2]).clamp(min=0) * (size / (size - 2 * context) / 2)
    center = (box[:, :2] + box[:, 2:]) / 2
    rois = torch.cat([image_index[:, None].to(box.dtype), center - half, center + half], dim=1)
    # As many samples in a pixel of the crop as it covers pixels of the image.
    crops: Tensor = torchvision.ops.roi_align(pixels, rois, size, sampling_ratio=0, aligned=True)
    return crops
