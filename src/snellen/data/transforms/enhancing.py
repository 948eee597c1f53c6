"""Operations on images as transforms: they change what images look like, and not where things are."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from snellen.data.transforms.chance import checked_share, uniform
from snellen.errors import ConfigError
from snellen.imaging import Enhancement
from snellen.structures import Sample

__all__ = ["Enhance"]


class Enhance:
    """Operations of `snellen.imaging` on the image of a sample.

    As an augmentation, on a share of the samples. What every image shall look like, in training and in use, is no
    augmentation: give it to `ImageDataset` (``enhancement``) or to ``snellen.train`` (``enhance``).

    Args:
        operations: Such as ``"clahe:clip_limit=3,grey_world"``.
        probability: Share of the samples.

    Raises:
        ConfigError: If an operation is unknown or moves pixels, or an option is out of range.
        InputError: If the probability is not within 0..1.
    """

    def __init__(self, operations: str | Sequence[str] | Enhancement, *, probability: float = 1.0) -> None:
        self.enhancement = Enhancement.read(operations)
        if self.enhancement.moving:
            raise ConfigError(
                f"Enhance leaves targets as they are; the operation {self.enhancement.moving[0]!r} moves pixels away "
                "from them. Take a transform that resizes both."
            )
        self.probability = checked_share(probability, "Enhance.probability")

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the sample with its image changed, or the sample."""
        if uniform(generator) >= self.probability:
            return sample
        return replace(sample, image=self.enhancement(sample.image))

    def __repr__(self) -> str:
        """Return the operations as they are typed."""
        return f"Enhance({str(self.enhancement)!r}, probability={self.probability:g})"
