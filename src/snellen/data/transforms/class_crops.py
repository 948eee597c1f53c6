"""Cuts of label maps that rare classes survive."""

from dataclasses import replace

import torch

from snellen.data.transforms.chance import checked_share, uniform
from snellen.errors import InputError
from snellen.structures import IGNORE_LABEL, MaskTarget, Sample

__all__ = ["ClassBalancedCrop"]


class ClassBalancedCrop:
    """Cut a part of an image; of some of them a part with a pixel of a class that is drawn evenly from those shown.

    A class that covers a hundredth of an image is in few cuts that are laid anywhere. Here it is in as many of the
    drawn ones as a class that covers half of it, and nothing need be known of the other images.

    Args:
        size: Height and width; less where the image has less.
        probability: Share of the samples that are cut so; the others are cut anywhere.

    Raises:
        InputError: If a number is out of range or, in use, a sample has no label map.

    Source:
        Isensee et al. 2021, nnU-Net, supplementary note 2: a third of the patches are sure to hold a foreground class
        drawn at random, https://doi.org/10.1038/s41592-020-01008-z.
    """

    def __init__(self, size: tuple[int, int], *, probability: float) -> None:
        if min(size) < 1:
            raise InputError(f"a cut must be 1 pixel or more high and wide; got {size[0]} × {size[1]}.")
        self.size = size
        self.probability = checked_share(probability, "ClassBalancedCrop.probability")

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the part."""
        if not isinstance(sample.target, MaskTarget):
            raise InputError(
                f"ClassBalancedCrop cuts label maps; got {type(sample.target).__name__}. Take random_crop instead."
            )
        labels = sample.target.labels
        lengths = tuple(min(side, length) for side, length in zip(self.size, labels.shape, strict=True))
        inside = _drawn_pixel(labels, generator) if uniform(generator) < self.probability else None
        rows, columns = (
            _window(length, whole, None if inside is None else inside[axis], generator)
            for axis, (length, whole) in enumerate(zip(lengths, labels.shape, strict=True))
        )
        return replace(
            sample,
            image=sample.image[:, rows, columns].contiguous(),
            target=MaskTarget(labels=labels[rows, columns].contiguous()),
        )

    def __repr__(self) -> str:
        """Return the settings."""
        return f"ClassBalancedCrop({self.size}, probability={self.probability})"


def _drawn_pixel(labels: torch.Tensor, generator: torch.Generator) -> tuple[int, int] | None:
    """Return a pixel of a class, each class as likely as another; None where no pixel counts."""
    shown = torch.bincount(labels.flatten(), minlength=IGNORE_LABEL + 1)[:IGNORE_LABEL].nonzero().flatten()
    if not len(shown):
        return None
    label = shown[int(uniform(generator) * len(shown))]
    pixels = (labels == label).flatten().nonzero().flatten()
    place = int(pixels[int(uniform(generator) * len(pixels))])
    return place // labels.shape[1], place % labels.shape[1]


def _window(length: int, whole: int, holds: int | None, generator: torch.Generator) -> slice:
    """Return where a cut lies along one axis, anywhere, or anywhere about a place."""
    first, last = 0, whole - length
    if holds is not None:
        first, last = max(first, holds - length + 1), min(last, holds)
    start = first + int(uniform(generator) * (last - first + 1))
    return slice(start, start + length)
