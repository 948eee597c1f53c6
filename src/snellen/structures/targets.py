"""What a model should have said: one type per task, for one image or, with a leading axis, for a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from snellen.structures.record import TensorRecord

__all__ = ["IGNORE_LABEL", "BoxTarget", "ClassTarget", "LabelSetTarget", "MaskTarget", "Target", "ValueTarget"]

IGNORE_LABEL = 255  # label of pixels that count for nothing; the palette of Pascal VOC uses it too


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxTarget(TensorRecord):
    """Objects: boxes, labels and, where known, masks.

    Attributes:
        boxes: xyxy in pixels of the (resized) image, continuous edges.
        labels: 0..K-1; no background class.
        valid: False for the padding rows that make the images of a batch equally long.
        ignored: True for crowds and difficult objects: neither wanted nor punished.
        masks: One binary mask per object on the image's canvas, or None.
        areas: Size of each object in original pixels as the annotation states it, or None where only the
            box is known. For metrics; transforms drop it.
    """

    boxes: Float[Tensor, "*batch num_boxes 4"]
    labels: Int64[Tensor, "*batch num_boxes"]
    valid: Bool[Tensor, "*batch num_boxes"]
    ignored: Bool[Tensor, "*batch num_boxes"]
    masks: UInt8[Tensor, "*batch num_boxes height width"] | None = None
    areas: Float[Tensor, "*batch num_boxes"] | None = None

    @classmethod
    def stack(cls, targets: Sequence[Self], canvas: tuple[int, int]) -> Self:
        """Return one batched target, padded to the most objects and to ``canvas`` (height, width)."""
        most = max(len(target.labels) for target in targets)
        has_masks = all(target.masks is not None for target in targets)
        rows = [target.padded(most, canvas if has_masks else None) for target in targets]
        return cls(
            boxes=torch.stack([row.boxes for row in rows]),
            labels=torch.stack([row.labels for row in rows]),
            valid=torch.stack([row.valid for row in rows]),
            ignored=torch.stack([row.ignored for row in rows]),
            masks=torch.stack([row.masks for row in rows if row.masks is not None]) if has_masks else None,
        )

    def padded(self, num_boxes: int, canvas: tuple[int, int] | None) -> Self:
        """Return this image's target with ``num_boxes`` rows and masks on ``canvas`` (None drops masks)."""
        extra = num_boxes - len(self.labels)
        masks = None
        if canvas is not None and self.masks is not None:
            height, width = self.masks.shape[-2:]
            masks = functional.pad(self.masks, (0, canvas[1] - width, 0, canvas[0] - height, 0, extra))
        return type(self)(
            boxes=functional.pad(self.boxes, (0, 0, 0, extra)),
            labels=functional.pad(self.labels, (0, extra)),
            valid=functional.pad(self.valid, (0, extra)),
            ignored=functional.pad(self.ignored, (0, extra)),
            masks=masks,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassTarget(TensorRecord):
    """The class of an image, as a distribution (one-hot unless images were mixed or labels are soft).

    Attributes:
        probs: Share of each class, sums to 1.
    """

    probs: Float[Tensor, "*batch num_classes"]

    @classmethod
    def stack(cls, targets: Sequence[Self], canvas: tuple[int, int]) -> Self:
        """Return one batched target; ``canvas`` does not matter here."""
        del canvas
        return cls(probs=torch.stack([target.probs for target in targets]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSetTarget(TensorRecord):
    """Which classes an image shows: several, one or none, each a question of its own.

    Attributes:
        shown: 1 for a class that the image shows, 0 for one that it does not; between them where images were mixed.
        known: False where nobody has looked whether the image shows the class; such entries count for nothing.
    """

    shown: Float[Tensor, "*batch num_classes"]
    known: Bool[Tensor, "*batch num_classes"]

    @classmethod
    def stack(cls, targets: Sequence[Self], canvas: tuple[int, int]) -> Self:
        """Return one batched target; ``canvas`` does not matter here."""
        del canvas
        return cls(
            shown=torch.stack([target.shown for target in targets]),
            known=torch.stack([target.known for target in targets]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueTarget(TensorRecord):
    """Numbers that belong to an image, such as an age or a weight.

    Attributes:
        values: In their own units; 0 where not known.
        known: False where the number is missing; such entries count for nothing.
    """

    values: Float[Tensor, "*batch num_values"]
    known: Bool[Tensor, "*batch num_values"]

    @classmethod
    def stack(cls, targets: Sequence[Self], canvas: tuple[int, int]) -> Self:
        """Return one batched target; ``canvas`` does not matter here."""
        del canvas
        return cls(
            values=torch.stack([target.values for target in targets]),
            known=torch.stack([target.known for target in targets]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskTarget(TensorRecord):
    """The class of every pixel.

    Attributes:
        labels: 0..K-1, or ``IGNORE_LABEL`` where the pixel counts for nothing.
    """

    labels: UInt8[Tensor, "*batch height width"]

    @classmethod
    def stack(cls, targets: Sequence[Self], canvas: tuple[int, int]) -> Self:
        """Return one batched target on ``canvas`` (height, width), padded with ``IGNORE_LABEL``."""
        height, width = canvas
        return cls(
            labels=torch.stack(
                [
                    functional.pad(
                        target.labels,
                        (0, width - target.labels.shape[-1], 0, height - target.labels.shape[-2]),
                        value=IGNORE_LABEL,
                    )
                    for target in targets
                ]
            )
        )


Target = BoxTarget | ClassTarget | LabelSetTarget | MaskTarget | ValueTarget
