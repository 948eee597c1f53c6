"""Masks of objects: cut out for training, and put back into the image."""

import torch
import torchvision
from jaxtyping import Float, Int64, Num, UInt8
from torch import Tensor
from torch.nn import functional

__all__ = ["crop_masks", "paste_masks"]

# Numbers that are worked on at once: 256 MiB of float32, so that large images fit beside a network.
MOST_ELEMENTS = 2**26
THRESHOLD = 0.5  # probability above which a pixel belongs to the object; He et al. 2017, section 3.1


def crop_masks(
    masks: Num[Tensor, "batch num_objects height width"],
    boxes: Float[Tensor, "num_boxes 4"],
    image_index: Int64[Tensor, " num_boxes"],
    object_index: Int64[Tensor, " num_boxes"],
    sizes: Int64[Tensor, "batch 2"],
    *,
    output_size: int,
) -> Float[Tensor, "num_boxes output output"]:
    """The part of an object's mask that lies in a box, on a small grid: what a mask head should say there.

    Args:
        masks: Of all objects, on the canvas.
        boxes: In pixels.
        image_index: Image of each box.
        object_index: Object of each box, within its image.
        sizes: Height and width of each image within the canvas; beyond its edge a mask goes on as it was there.
        output_size: Rows and columns of the result.

    Returns:
        Covered share of each cell, 0..1.

    Source:
        He et al. 2017 (Mask R-CNN), section 3, https://arxiv.org/abs/1703.06870: the target is the intersection of
        the region and the mask. Sampled as torchvision's ``project_masks_on_boxes``: RoIAlign with one sample for each
        pixel. Kernel: torchvision.
    """
    batch, num_objects, height, width = masks.shape
    if num_objects == 0 or len(boxes) == 0:
        return boxes.new_zeros((len(boxes), output_size, output_size))
    row = image_index * num_objects + object_index
    flat = masks.flatten(0, 1)
    per_mask = height * width
    if flat.numel() <= MOST_ELEMENTS:
        of_image = torch.arange(batch, device=boxes.device).repeat_interleave(num_objects)
        whole = _extended(flat.to(boxes.dtype, copy=True), sizes[of_image])
        return _cropped(whole, row, boxes, output_size)
    # Many objects, of which few are needed: only those are converted, a few at a time.
    step = max(1, MOST_ELEMENTS // per_mask)
    parts = []
    for start in range(0, len(boxes), step):
        part = slice(start, start + step)
        own = _extended(flat[row[part]].to(boxes.dtype), sizes[image_index[part]])
        parts.append(_cropped(own, torch.arange(len(own), device=own.device), boxes[part], output_size))
    return torch.cat(parts)


def _extended(
    masks: Float[Tensor, "num height width"], sizes: Int64[Tensor, "num 2"]
) -> Float[Tensor, "num height width"]:
    """Repeat the last row and column of each image once, in place, where the canvas has room for it."""
    height, width = masks.shape[1:]
    rows = sizes[:, 0, None, None]
    last = masks.gather(1, (rows - 1).expand(-1, -1, width))
    masks.scatter_(1, rows.clamp(max=height - 1).expand(-1, -1, width), last)
    columns = sizes[:, 1, None, None]
    last = masks.gather(2, (columns - 1).expand(-1, height, -1))
    return masks.scatter_(2, columns.clamp(max=width - 1).expand(-1, height, -1), last)


def _cropped(masks: Tensor, row: Tensor, boxes: Tensor, output_size: int) -> Tensor:
    rois = torch.cat([row[:, None].to(boxes.dtype), boxes], dim=1)
    cropped: Tensor = torchvision.ops.roi_align(masks[:, None], rois, output_size, 1.0)
    return cropped[:, 0]


def paste_masks(
    masks: Float[Tensor, "num_boxes side side"],
    boxes: Float[Tensor, "num_boxes 4"],
    size: tuple[int, int],
) -> UInt8[Tensor, "num_boxes height width"]:
    """Enlarge small masks to their boxes and say which pixels of the image they cover.

    On the CPU each mask is computed within its box only; on an accelerator all are computed over the whole image, a
    few at a time, without a word from the host.

    Args:
        masks: Probabilities.
        boxes: Where they lie, in pixels of the image.
        size: Height and width of the image.

    Returns:
        1 where the probability is above one half.

    Source:
        He et al. 2017 (Mask R-CNN), section 3.1. Bilinear, with one cell of nothing around each mask and box edges cut
        to whole pixels, as Detectron and torchvision's ``paste_masks_in_image``.
    """
    height, width = size
    pasted = torch.zeros(len(masks), height, width, dtype=torch.uint8, device=masks.device)
    if len(masks) == 0:
        return pasted
    side = masks.shape[-1]
    padded = functional.pad(masks, (1, 1, 1, 1))
    edges = _expanded(boxes, (side + 2) / side)
    rows = _weights(edges[:, 1], edges[:, 3], height, side + 2, masks.dtype)
    columns = _weights(edges[:, 0], edges[:, 2], width, side + 2, masks.dtype).transpose(1, 2)
    if _is_on_the_host(masks):
        limit = torch.tensor([width, height, width, height])
        inside = torch.minimum((edges + torch.tensor([0, 0, 1, 1])).clamp(min=0), limit)
        for number, (left, top, right, bottom) in enumerate(inside.tolist()):
            part = rows[number, top:bottom] @ padded[number] @ columns[number, :, left:right]
            torch.gt(part, THRESHOLD, out=pasted[number, top:bottom, left:right].view(torch.bool))
        return pasted
    step = max(1, MOST_ELEMENTS // (height * width))
    for start in range(0, len(masks), step):
        chosen = slice(start, start + step)
        pasted[chosen] = rows[chosen] @ padded[chosen] @ columns[chosen] > THRESHOLD
    return pasted


def _is_on_the_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _expanded(boxes: Tensor, factor: float) -> Int64[Tensor, "num_boxes 4"]:
    """First and last pixel of boxes that are enlarged about their centres."""
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * factor
    center = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    return torch.cat([center - half, center + half], dim=1).long()


def _weights(low: Tensor, high: Tensor, size: int, cells: int, dtype: torch.dtype) -> Float[Tensor, "num size cells"]:
    """How much each cell of a mask counts in each pixel along one axis; 0 outside the box."""
    pixel = torch.arange(size, device=low.device)
    extent = (high - low + 1).clamp(min=1)[:, None]
    place = pixel - low[:, None]
    source = (place.to(dtype) + 0.5) * (cells / extent.to(dtype)) - 0.5
    source = source.clamp(min=0, max=cells - 1)
    weight = (1 - (source[..., None] - torch.arange(cells, device=low.device, dtype=dtype)).abs()).clamp(min=0)
    return weight.masked_fill(((place < 0) | (place >= extent))[..., None], 0.0)
