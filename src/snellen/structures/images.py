"""Images of one batch, padded to a common canvas."""

from dataclasses import dataclass

from jaxtyping import Int64, UInt8
from torch import Tensor

from snellen.structures.record import TensorRecord
from snellen.structures.regions import Regions

__all__ = ["ImageBatch"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageBatch(TensorRecord):
    """Images padded at the right and at the bottom to one canvas.

    Attributes:
        pixels: RGB, 0..255. Models normalise; nothing before them does.
        sizes: Height and width of the content of each image within the canvas.
        original_sizes: Height and width of each image as it lies in its file (EXIF applied).
        regions: Proposals from outside, for models that do not make their own.
    """

    pixels: UInt8[Tensor, "batch 3 height width"]
    sizes: Int64[Tensor, "batch 2"]
    original_sizes: Int64[Tensor, "batch 2"]
    regions: Regions | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return self.pixels.shape[0]
