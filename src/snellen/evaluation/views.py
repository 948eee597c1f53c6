"""A model that looks at every image several times: larger, smaller, mirrored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.nn import functional

from snellen.errors import InputError
from snellen.evaluation.pixel_scores import checked_scores, has_pixel_scores, pixel_probs, said_anew
from snellen.evaluation.wrapping import Wrapped
from snellen.structures import (
    ClassScores,
    ImageBatch,
    LabelSetScores,
    Model,
    Prediction,
    Target,
    ValueEstimates,
)

__all__ = ["AVERAGED", "Views"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What a model said of each view of the same images."""

    outputs: tuple[Any, ...]


class Views(Wrapped):
    """A model whose answers are means over views of each image.

    Of every pixel, and of whole images, probabilities are averaged: the mean has a log-loss that is never above the
    mean of theirs. Maps come back to the pixels of the image before.

    Args:
        model: Gives every pixel a class, or says something of a whole image.
        scales: Factors of the sides of the images.
        flip: Whether each is seen mirrored, too.

    Raises:
        InputError: If a scale is not above 0 or, in use, what the model says has no mean.

    Source:
        Chen et al. 2017, section 4.1, multi-scale inputs and flips, https://arxiv.org/abs/1706.05587; for classes
        Krizhevsky et al. 2012, section 4.1.
    """

    def __init__(self, model: Model, *, scales: Sequence[float] = (1.0,), flip: bool = False) -> None:
        super().__init__(model)
        if not scales or min(scales) <= 0:
            raise InputError(f"scales must be at least one number, all above 0; got {list(scales)}.")
        self.views = tuple(product(scales, (False, True) if flip else (False,)))

    def forward(self, images: ImageBatch, targets: Target | None = None) -> Any:
        """Return an output of the model with mean scores of pixels, or what it says of each view."""
        outputs: list[Any] = []
        sums: list[Tensor] = []
        for scale, mirrored in self.views:
            output = self.model(_view(images, scale, self.stride, mirrored=mirrored), targets)
            if not has_pixel_scores(output):
                outputs.append(output)
                continue
            outputs = [output]  # one is enough to say the mean anew
            sizes: list[tuple[int, int]] = [(rows, columns) for rows, columns in images.sizes.tolist()]
            probs = [
                _resized(one.flip(-1) if mirrored else one, size)
                for one, size in zip(pixel_probs(output), sizes, strict=True)
            ]
            sums = [one + before for one, before in zip(probs, sums, strict=True)] if sums else probs
        if not sums:
            return _Seen(outputs=tuple(outputs))
        canvas = (images.pixels.shape[-2], images.pixels.shape[-1])
        means = [one / len(self.views) for one in sums]
        return said_anew(checked_scores(outputs[-1], "a mean over views"), means, canvas)

    def decode(self, output: Any, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Prediction]:
        """Return the mean predictions."""
        if not isinstance(output, _Seen):
            return super().decode(output, sizes)
        found = [super(Views, self).decode(one, sizes) for one in output.outputs]
        return [_mean(views) for views in zip(*found, strict=True)]


def _view(images: ImageBatch, scale: float, stride: int, *, mirrored: bool) -> ImageBatch:
    if scale == 1 and not mirrored:
        return images
    sizes: list[tuple[int, int]] = [(rows, columns) for rows, columns in images.sizes.tolist()]
    contents = []
    for pixels, (rows, columns) in zip(images.pixels, sizes, strict=True):
        content = _scaled(pixels[:, :rows, :columns], scale)
        contents.append(content.flip(-1) if mirrored else content)
    height, width = (-(-max(one.shape[axis] for one in contents) // stride) * stride for axis in (1, 2))
    padded = [functional.pad(one, (0, width - one.shape[2], 0, height - one.shape[1])) for one in contents]
    return replace(
        images,
        pixels=torch.stack(padded).contiguous(),
        sizes=images.sizes.new_tensor([one.shape[1:] for one in contents]),
    )


def _scaled(image: UInt8[Tensor, "3 height width"], scale: float) -> UInt8[Tensor, "3 _ _"]:
    if scale == 1:
        return image
    size = [max(1, round(side * scale)) for side in image.shape[1:]]
    resized = functional.interpolate(image[None].float(), size=size, mode="bilinear", antialias=True)[0]
    return resized.round().clamp(0, 255).to(torch.uint8)


def _resized(probs: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(probs.shape[-2:]) == size:
        return probs
    return functional.interpolate(probs[None], size=size, mode="bilinear", align_corners=False)[0]


def _mean(predictions: Sequence[Prediction]) -> Prediction:
    average = AVERAGED.get(type(predictions[0]))
    if average is None:
        known = ", ".join(kind.__name__ for kind in AVERAGED)
        raise InputError(
            f"views are averaged for {known} and for models that score every pixel; got "
            f"{type(predictions[0]).__name__}. Leave scales and flip out."
        )
    return average(predictions)


AVERAGED: Mapping[type[Prediction], Callable[[Any], Prediction]] = {
    ClassScores: lambda seen: ClassScores(probs=torch.stack([one.probs for one in seen]).mean(dim=0)),
    LabelSetScores: lambda seen: LabelSetScores(probs=torch.stack([one.probs for one in seen]).mean(dim=0)),
    ValueEstimates: lambda seen: ValueEstimates(values=torch.stack([one.values for one in seen]).mean(dim=0)),
}
