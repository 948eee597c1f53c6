"""What is minimised: pure functions, unreduced where the normaliser is a choice."""

from snellen.losses.cross_entropy import binary_cross_entropy, pixel_cross_entropy, soft_cross_entropy
from snellen.losses.dice import dice_loss
from snellen.losses.regression import smooth_l1

__all__ = ["binary_cross_entropy", "dice_loss", "pixel_cross_entropy", "smooth_l1", "soft_cross_entropy"]
