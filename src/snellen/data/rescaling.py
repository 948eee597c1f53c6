"""Batches at changing sizes: multi-scale training."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from snellen.errors import InputError
from snellen.ops import scale_boxes
from snellen.structures import Batch, BoxTarget

__all__ = ["MultiScale", "rescaled"]

BATCHES_PER_SIZE = 10  # Redmon and Farhadi 2017, section 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiScale:
    """Every ten batches another size, drawn from a range.

    Attributes:
        factors: Smallest and greatest size, as a share of the usual one.

    Source:
        Redmon and Farhadi 2017 (YOLO9000), section 2, https://arxiv.org/abs/1612.08242: 320 to 608 px in steps of 32,
        about a usual 416.
    """

    factors: tuple[float, float]

    def __post_init__(self) -> None:
        """Raise InputError unless the factors are a rising pair above 0."""
        low, high = self.factors
        if not 0 < low <= high:
            raise InputError(f"MultiScale.factors must be a rising pair above 0; got {self.factors}.")

    def size(self, usual: int, stride: int, *, seed: int, epoch: int, batch: int) -> int:
        """Return the long side of the canvas for a batch: a function of the four numbers alone.

        Args:
            usual: Long side of the canvas without multi-scale training.
            stride: Sizes are multiples of this.
            seed: Of the run.
            epoch: From 0.
            batch: Within the epoch, from 0.
        """
        low, high = (max(1, round(usual * factor / stride)) for factor in self.factors)
        words = np.random.SeedSequence((seed, epoch, batch // BATCHES_PER_SIZE, 0x5CA1E)).generate_state(1, np.uint32)
        return stride * (low + int(words[0]) % (high - low + 1))


def rescaled(batch: Batch, long_side: int, stride: int) -> Batch:
    """Return a batch whose canvas has another long side, with its boxes, regions and sizes.

    Raises:
        InputError: If the targets are not boxes without masks.
    """
    targets = batch.targets
    if not isinstance(targets, BoxTarget) or targets.masks is not None:
        raise InputError(f"only boxes can be rescaled batch by batch; got {type(targets).__name__} or masks.")
    height, width = batch.images.pixels.shape[-2:]
    factor = long_side / max(height, width)
    if factor == 1:
        return batch
    canvas = torch.tensor([max(stride, round(side * factor / stride) * stride) for side in (height, width)])
    now = torch.tensor([height, width])
    pixels = functional.interpolate(
        batch.images.pixels.float(), tuple(canvas.tolist()), mode="bilinear", antialias=True, align_corners=False
    )
    regions = batch.images.regions
    if regions is not None:
        regions = replace(regions, boxes=scale_boxes(regions.boxes, now, canvas))
    sizes = (batch.images.sizes * canvas / now).round().long()
    images = replace(
        batch.images,
        pixels=pixels.round().clamp(0, 255).to(torch.uint8),
        sizes=torch.minimum(sizes.clamp(min=1), canvas),
        regions=regions,
    )
    return replace(batch, images=images, targets=replace(targets, boxes=scale_boxes(targets.boxes, now, canvas)))
