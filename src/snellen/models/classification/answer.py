"""What the numbers that a head says of an image mean."""

from collections.abc import Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from snellen.models.classification.heads import Head
from snellen.structures import Prediction, Target

__all__ = ["Answer"]


class Answer(nn.Module):
    """From the numbers of a head to a loss and to predictions.

    Attributes:
        target_type: What is learned from.
        loss_name: Of the loss.
    """

    target_type: ClassVar[type[Target]]
    loss_name: str

    def loss(self, logits: Float[Tensor, "batch num_outputs"], targets: Any) -> Float[Tensor, ""]:
        """Return the loss of the numbers of one head."""
        raise NotImplementedError

    def decode(self, logits: Float[Tensor, "batch num_outputs"]) -> Sequence[Prediction]:
        """Return one prediction per image."""
        raise NotImplementedError

    def prepare(self, head: Head) -> None:
        """Change a head with random weights so that it can say, and begins with, what is to be answered."""
