"""From bytes to what a network reads."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.structures import ImageBatch

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Normalize"]

# Mean and spread of RGB values in 0..1 over ImageNet; nearly all published weights were trained with them.
# https://docs.pytorch.org/vision/stable/models.html
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_FULL_SCALE = 255.0  # largest value of a byte


class Normalize(nn.Module):
    """Bytes to floats with a given mean and spread; padding becomes 0, the mean colour.

    The buffers are not saved with the weights: they are settings of the model, and whoever saves a model
    saves its settings.

    Args:
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
    """

    offset: Tensor
    factor: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.mean = tuple(mean)
        self.std = tuple(std)
        offset = torch.tensor(self.mean).view(3, 1, 1) * _FULL_SCALE
        factor = 1.0 / (torch.tensor(self.std).view(3, 1, 1) * _FULL_SCALE)
        self.register_buffer("offset", offset, persistent=False)
        self.register_buffer("factor", factor, persistent=False)

    def forward(self, images: ImageBatch) -> Float[Tensor, "batch 3 height width"]:
        """Return normalised pixels in the memory format they came in, zero outside each image's size."""
        pixels = (images.pixels.to(self.offset.dtype) - self.offset).mul_(self.factor)
        height, width = pixels.shape[-2:]
        sizes = images.sizes.to(pixels.device, non_blocking=True)[:, :, None]  # batch 2 1
        rows = torch.arange(height, device=pixels.device) < sizes[:, 0]  # batch height
        columns = torch.arange(width, device=pixels.device) < sizes[:, 1]  # batch width
        content = rows[:, None, :, None] & columns[:, None, None, :]
        return pixels.mul_(content)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"mean={self.mean}, std={self.std}"
