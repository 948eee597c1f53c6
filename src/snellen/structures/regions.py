"""Where to look in an image."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from snellen.structures.record import TensorRecord

__all__ = ["Regions"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regions(TensorRecord):
    """Regions of each image, the most promising first.

    Attributes:
        boxes: In pixels of the canvas.
        valid: False on padding rows.
    """

    boxes: Float[Tensor, "*batch num_regions 4"]
    valid: Bool[Tensor, "*batch num_regions"]

    @classmethod
    def stack(cls, boxes: list[Float[Tensor, "_ 4"]]) -> "Regions":
        """Return the regions of several images, padded to the most of them."""
        most = max(len(rows) for rows in boxes)
        return cls(
            boxes=torch.stack([functional.pad(rows, (0, 0, 0, most - len(rows))) for rows in boxes]),
            valid=torch.stack([torch.arange(most) < len(rows) for rows in boxes]),
        )
