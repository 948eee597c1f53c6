"""One class for each pixel: what is minimised, whatever network says it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.losses import border_weights, dice_loss
from snellen.models.segmentation.objective import (
    PixelLoss,
    PixelObjective,
    PixelWeighting,
    pixel_class_weights,
    pixel_counts,
    pixel_loss,
)
from snellen.ops import border_band
from snellen.structures import IGNORE_LABEL, MaskTarget

__all__ = ["USUAL_PIXEL_BETA", "PixelAnswer"]

USUAL_PIXEL_BETA = 1 - 1e-6  # the effective number ends at a million pixels, those of about five images of 480 × 360


class PixelAnswer(nn.Module):
    """Which one of the classes, for each pixel: what is minimised.

    Args:
        num_classes: At least 1.
        loss: See ``PixelObjective``.
        gamma: See ``PixelObjective``.
        class_weights: See ``pixel_class_weights``; None for none.
        beta: See ``pixel_class_weights``.
        label_smoothing: See ``PixelObjective``.
        hard_below: See ``PixelObjective``.
        hard_share: See ``PixelObjective``.
        tversky_alpha: See ``PixelObjective``.
        tversky_beta: See ``PixelObjective``.
        dice_weight: See ``PixelObjective``.
        border_weight: See ``PixelObjective``.
        border_sigma: See ``PixelObjective``.
        ignored_band: See ``PixelObjective``.
        class_pixels: Training pixels of each class, for weights by a word.
        image_pixels: Pixels of the training images that show each class, for weights by a word.

    Raises:
        ConfigError: If a number is out of range, there is not one for each class, counts are needed and not given, or
            the loss is one of two classes and there are more.
    """

    target_type = MaskTarget
    # What decides which numbers are held beside the network, or must fit the classes.
    shaped_by: ClassVar[Mapping[str, str]] = MappingProxyType({"objective.loss": "loss"})
    class_weights: Tensor | None

    def __init__(  # noqa: PLR0913 - the options of a run
        self,
        num_classes: int,
        *,
        loss: PixelLoss = "cross_entropy",
        gamma: float = 2.0,
        class_weights: PixelWeighting | Sequence[float] | None = None,
        beta: float = USUAL_PIXEL_BETA,
        label_smoothing: float = 0.0,
        hard_below: float = 0.7,
        hard_share: float = 1 / 16,
        tversky_alpha: float = 0.3,
        tversky_beta: float = 0.7,
        dice_weight: float = 0.0,
        border_weight: float = 0.0,
        border_sigma: float = 5.0,
        ignored_band: int = 0,
        class_pixels: Sequence[int] | None = None,
        image_pixels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.objective = PixelObjective(
            loss=loss,
            gamma=gamma,
            label_smoothing=label_smoothing,
            hard_below=hard_below,
            hard_share=hard_share,
            tversky_alpha=tversky_alpha,
            tversky_beta=tversky_beta,
            dice_weight=dice_weight,
            border_weight=border_weight,
            border_sigma=border_sigma,
            ignored_band=ignored_band,
        )
        if loss == "lovasz_hinge" and num_classes != 2:
            raise ConfigError(f"lovasz_hinge is a loss of two classes; got {num_classes}. Choose lovasz.")
        weights = None
        if class_weights is not None:
            counts = pixel_counts("class_pixels", class_pixels, num_classes)
            shown = pixel_counts("image_pixels", image_pixels, num_classes)
            weights = pixel_class_weights(class_weights, counts, shown, num_classes=num_classes, beta=beta)
        self.register_buffer("class_weights", weights, persistent=False)  # of the loss, not of the model

    def losses(
        self, logits: Float[Tensor, "batch num_classes height width"], targets: MaskTarget
    ) -> Mapping[str, Float[Tensor, ""]]:
        """Return the loss by its name and, if weighted, ``dice``; 0 where no pixel counts."""
        objective = self.objective
        labels = targets.labels
        if objective.ignored_band > 0:
            band = border_band(labels, width_px=objective.ignored_band, ignore=IGNORE_LABEL, with_edges=False)
            labels = labels.masked_fill(band, IGNORE_LABEL)
        valid = labels != IGNORE_LABEL
        weights = None
        if objective.border_weight > 0:
            between = border_weights(targets.labels, weight=objective.border_weight, sigma=objective.border_sigma)
            weights = 1 + between
        found = pixel_loss(objective, logits, labels, valid, class_weights=self.class_weights, pixel_weights=weights)
        losses: dict[str, Tensor] = {objective.loss: found}
        if objective.dice_weight > 0:
            losses["dice_beside" if objective.loss == "dice" else "dice"] = (
                objective.dice_weight * dice_loss(logits, labels, valid).mean()
            )
        return losses

    def loss(self, logits: Float[Tensor, "batch num_classes height width"], targets: MaskTarget) -> Float[Tensor, ""]:
        """Return the sum of ``losses``."""
        return torch.stack([*self.losses(logits, targets).values()]).sum()
