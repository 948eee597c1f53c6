"""Stronger changes of what images look like: random operations of one strength, erased rectangles, and noise."""

import math
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms import v2

from snellen.data.transforms.chance import checked_share, uniform
from snellen.data.transforms.transform import Entries, TorchvisionTransform, Transform
from snellen.errors import InputError
from snellen.structures import MaskTarget, Sample

__all__ = ["MAX_LEVEL", "MAX_MAGNITUDE", "GaussianNoise", "RandomErasing", "rand_augment"]

MAX_MAGNITUDE = 30  # the strongest of the 31 levels; Cubuk et al. 2020, section 4
MAX_LEVEL = 255  # the greatest value of a pixel
_GREY = 128.0  # of what comes in from outside; the authors' code
_TRIES = 100  # for a rectangle that fits, which one in a few does; into a very flat image none may


def rand_augment(num_operations: int = 2, magnitude: int = 9) -> Transform:
    """Return a transform that applies operations drawn from 14, all of one strength, one after the other.

    The operations: none, auto-contrast, equalise, rotate, solarise, colour, posterise, contrast, brightness, sharpness,
    shear and translate along either axis. They move what is seen, and so are for what is said of whole images.

    Args:
        num_operations: N of the paper.
        magnitude: M of the paper, from 0 to ``MAX_MAGNITUDE``.

    Raises:
        InputError: If a number is out of range, or, in use, if a sample has boxes or a label map.

    Source:
        Cubuk et al. 2020, "RandAugment", section 3 and figure 2, https://arxiv.org/abs/1909.13719; the operations are
        torchvision's.
    """
    if num_operations < 1 or not 0 <= magnitude <= MAX_MAGNITUDE:
        raise InputError(
            f"rand_augment needs 1 operation or more and a magnitude from 0 to {MAX_MAGNITUDE}; got {num_operations} "
            f"and {magnitude}."
        )
    change = v2.RandAugment(
        num_ops=num_operations, magnitude=magnitude, num_magnitude_bins=MAX_MAGNITUDE + 1, fill=_GREY
    )
    return TorchvisionTransform(partial(_on_whole_images, change))


def _on_whole_images(change: v2.Transform, entries: Entries) -> Entries:
    if len(entries) > 1:
        raise InputError(
            "rand_augment is for what is said of whole images: it moves them without their boxes or label maps. Leave "
            "it out."
        )
    changed: Entries = change(entries)
    return changed


class RandomErasing:
    """A rectangle of the image becomes noise, as if something stood before it.

    What is said of whole images and boxes stays as it is: an object that is hidden in part is still there. For label
    maps it would not.

    Args:
        probability: Share of the samples.
        area: Least and greatest share of the image that is erased.
        aspect: Least and greatest height over width of the rectangle.

    Raises:
        InputError: If a number is out of range, or, in use, if a sample has a label map.

    Source:
        Zhong et al. 2020, "Random erasing data augmentation", algorithm 1 and section 4.2 (numbers; random values),
        https://arxiv.org/abs/1708.04896.
    """

    def __init__(
        self,
        *,
        probability: float = 0.5,
        area: tuple[float, float] = (0.02, 0.4),
        aspect: tuple[float, float] = (0.3, 1 / 0.3),
    ) -> None:
        self.probability = checked_share(probability, "RandomErasing.probability")
        if not 0 < area[0] <= area[1] <= 1 or not 0 < aspect[0] <= aspect[1]:
            raise InputError(
                f"RandomErasing needs rising ranges, area in 0..1 and aspect above 0; got {area} and {aspect}."
            )
        self.area = area
        self.aspect = aspect

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the sample with a rectangle of noise, or the sample."""
        if isinstance(sample.target, MaskTarget):
            raise InputError("RandomErasing would leave labels on pixels that show nothing of them. Leave it out.")
        if uniform(generator) >= self.probability:
            return sample
        height, width = sample.image.shape[-2:]
        rectangle = self._drawn(height, width, generator)
        if rectangle is None:
            return sample
        rows, columns = rectangle
        image = sample.image.clone()
        image[:, rows, columns] = _noise(image[:, rows, columns], generator)
        return replace(sample, image=image)

    def _drawn(self, height: int, width: int, generator: torch.Generator) -> tuple[slice, slice] | None:
        """Return a rectangle that fits into the image; None if too many draws did not."""
        for _ in range(_TRIES):
            area = height * width * (self.area[0] + uniform(generator) * (self.area[1] - self.area[0]))
            aspect = self.aspect[0] + uniform(generator) * (self.aspect[1] - self.aspect[0])
            high, wide = max(round(math.sqrt(area * aspect)), 1), max(round(math.sqrt(area / aspect)), 1)
            top, left = (int(uniform(generator) * side) for side in (height, width))
            if top + high <= height and left + wide <= width:
                return slice(top, top + high), slice(left, left + wide)
        return None


def _noise(pixels: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(256, pixels.shape, generator=generator, dtype=torch.uint8)


class GaussianNoise:
    """Every value of every pixel gets a number of its own from one normal distribution, as in a sensor in the dark.

    How strong it is is drawn for each image, evenly from nothing to the strength, so that clear images stay among them.
    Nothing moves: every kind of target stays right.

    Args:
        strength: Greatest standard deviation, in levels of 0..255.

    Raises:
        InputError: If it is no number from 0 to 255.

    Source:
        Bishop 1995, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7; for images
        Rusak et al. 2020, "A simple way to make neural networks robust against diverse image corruptions",
        https://arxiv.org/abs/2001.06057. Differs: the strength of each image is drawn evenly.
    """

    def __init__(self, strength: float) -> None:
        if not 0 <= strength <= MAX_LEVEL:
            raise InputError(f"GaussianNoise.strength must lie in 0..{MAX_LEVEL}, levels of a pixel; got {strength}.")
        self.strength = strength

    def __call__(self, sample: Sample, generator: torch.Generator) -> Sample:
        """Return the sample with noise on its image."""
        if not self.strength:
            return sample
        spread = self.strength * uniform(generator)
        noise = torch.randn(sample.image.shape, generator=generator) * spread
        image = (sample.image + noise).round().clamp(0, MAX_LEVEL).to(torch.uint8)
        return replace(sample, image=image)
