"""What a segmenter says of every pixel, read and said anew, whatever network it is."""

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Any, Protocol, TypeGuard, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from snellen.errors import InputError

__all__ = ["PixelScores", "checked_scores", "has_pixel_scores", "pixel_probs", "said_anew"]

LEAST_PROB = 1e-12  # of which a logarithm is taken


@runtime_checkable
class PixelScores(Protocol):
    """An output with raw scores of every pixel of the canvas; a dataclass.

    Attributes:
        logits: ``[batch, classes, height, width]``.
        sizes: Height and width of the content of each image within the canvas.
    """

    logits: Tensor
    sizes: Tensor


def has_pixel_scores(output: object) -> TypeGuard[PixelScores]:
    """Return whether an output has scores of every pixel."""
    return is_dataclass(output) and isinstance(output, PixelScores) and output.logits.ndim == 4


def checked_scores(output: object, purpose: str) -> PixelScores:
    """Return an output as one with scores of every pixel.

    Raises:
        InputError: If it has none.
    """
    if has_pixel_scores(output):
        return output
    raise InputError(
        f"{purpose} needs a model that scores the classes of every pixel (logits [batch, classes, height, width] and "
        f"sizes); got {type(output).__name__}. Leave it out for this model."
    )


def pixel_probs(output: PixelScores) -> list[Float[Tensor, "num_classes height width"]]:
    """Return the probabilities of each image's own content."""
    sizes: list[tuple[int, int]] = [(rows, columns) for rows, columns in output.sizes.tolist()]
    return [
        logits[:, :rows, :columns].float().softmax(dim=0)
        for logits, (rows, columns) in zip(output.logits, sizes, strict=True)
    ]


def said_anew(
    output: PixelScores, probs: Sequence[Float[Tensor, "num_classes height width"]], canvas: tuple[int, int]
) -> Any:
    """Return an output whose scores are logarithms of other probabilities, so that decoding finds these.

    Args:
        output: Of the model; may be of another canvas.
        probs: Of each image's own content.
        canvas: Height and width that the contents are padded to.
    """
    sizes: Int64[Tensor, "batch 2"] = output.sizes.new_tensor([one.shape[-2:] for one in probs])
    logits = torch.stack(
        [
            functional.pad(
                one.clamp(min=LEAST_PROB).log(), (0, canvas[1] - one.shape[-1], 0, canvas[0] - one.shape[-2])
            )
            for one in probs
        ]
    )
    return replace(output, logits=logits, sizes=sizes)  # type: ignore[type-var]  # checked to be a dataclass
