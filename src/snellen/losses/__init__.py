"""What is minimised: pure functions, unreduced where the normaliser is a choice."""

from snellen.losses.balanced import (
    class_balanced_weights,
    evened_weights,
    inverse_frequency_weights,
    median_frequency_weights,
)
from snellen.losses.box_overlap import ciou_loss, diou_loss, giou_loss, iou_loss
from snellen.losses.cross_entropy import binary_cross_entropy, pixel_cross_entropy, soft_cross_entropy
from snellen.losses.dice import dice_loss, jaccard_loss, tversky_loss
from snellen.losses.focal import alpha_balanced_cross_entropy, focal_loss, soft_focal_loss, softmax_focal_loss
from snellen.losses.hard_examples import hard_negatives, hard_pixels, hardest
from snellen.losses.logit_adjustment import log_priors, logit_adjusted
from snellen.losses.lovasz import lovasz_hinge_loss, lovasz_softmax_loss
from snellen.losses.pixel_weights import border_weights
from snellen.losses.regression import balanced_l1, smooth_l1

__all__ = [
    "alpha_balanced_cross_entropy",
    "balanced_l1",
    "binary_cross_entropy",
    "border_weights",
    "ciou_loss",
    "class_balanced_weights",
    "dice_loss",
    "diou_loss",
    "evened_weights",
    "focal_loss",
    "giou_loss",
    "hard_negatives",
    "hard_pixels",
    "hardest",
    "inverse_frequency_weights",
    "iou_loss",
    "jaccard_loss",
    "log_priors",
    "logit_adjusted",
    "lovasz_hinge_loss",
    "lovasz_softmax_loss",
    "median_frequency_weights",
    "pixel_cross_entropy",
    "smooth_l1",
    "soft_cross_entropy",
    "soft_focal_loss",
    "softmax_focal_loss",
    "tversky_loss",
]
