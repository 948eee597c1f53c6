"""One example, and many put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from snellen.structures.images import ImageBatch
from snellen.structures.record import TensorRecord
from snellen.structures.regions import Regions
from snellen.structures.targets import Target

__all__ = ["Batch", "Sample"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One image with its target, as read or as transformed.

    Attributes:
        image: RGB, 0..255.
        target: Boxes and masks are in the pixels of ``image``.
        index: Row of the data set.
        source: Path of the image file, for messages.
        original_size: Height and width in the file (EXIF applied), before any transform.
        regions: Proposals from outside, in the pixels of ``image``, the most promising first.
    """

    image: UInt8[Tensor, "3 height width"]
    target: Target
    index: int
    source: str
    original_size: tuple[int, int]
    regions: Float[Tensor, "num_regions 4"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch(TensorRecord):
    """Samples on one canvas.

    Attributes:
        images: The padded images.
        targets: One target with a leading batch axis.
        indices: Row of the data set of each image.
    """

    images: ImageBatch
    targets: Target
    indices: Int64[Tensor, " batch"]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @classmethod
    def collate(cls, samples: Sequence[Sample], *, stride: int = 1) -> Self:
        """Pad samples at the right and at the bottom to one canvas, a multiple of ``stride``."""
        sizes = [(sample.image.shape[-2], sample.image.shape[-1]) for sample in samples]
        height = ceil(max(size[0] for size in sizes) / stride) * stride
        width = ceil(max(size[1] for size in sizes) / stride) * stride
        pixels = torch.stack(
            [
                functional.pad(sample.image, (0, width - w, 0, height - h))
                for sample, (h, w) in zip(samples, sizes, strict=True)
            ]
        )
        regions = [sample.regions for sample in samples if sample.regions is not None]
        return cls(
            images=ImageBatch(
                pixels=pixels,
                sizes=torch.tensor(sizes),
                original_sizes=torch.tensor([sample.original_size for sample in samples]),
                regions=Regions.stack(regions) if len(regions) == len(samples) else None,
            ),
            targets=_stack([sample.target for sample in samples], (height, width)),
            indices=torch.tensor([sample.index for sample in samples]),
        )


def _stack(targets: Sequence[Target], canvas: tuple[int, int]) -> Target:
    kind: type[Target] = type(targets[0])
    return kind.stack(targets, canvas)  # type: ignore[arg-type]  # all targets of a data set are of one type
