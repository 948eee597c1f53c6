"""Models that answer through another model."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Int64
from torch import Tensor, nn

from snellen.structures import ImageBatch, Model, Prediction, Target

__all__ = ["Wrapped"]


class Wrapped(nn.Module):
    """A model inside another that changes what it is shown or what it says.

    Args:
        model: Answers.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model: Any = model

    @property
    def stride(self) -> int:
        """Of the model."""
        stride: int = self.model.stride
        return stride

    @property
    def target_type(self) -> type[Target]:
        """What the model learned from."""
        learned: type[Target] = self.model.target_type
        return learned

    def forward(self, images: ImageBatch, targets: Target | None = None) -> Any:
        """Return the output of the model."""
        return self.model(images, targets)

    def loss(self, output: Any, targets: Any) -> Mapping[str, Tensor]:
        """Return the losses of the model, which know nothing of what is changed around it."""
        losses: Mapping[str, Tensor] = self.model.loss(output, targets)
        return losses

    def decode(self, output: Any, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Prediction]:
        """Return the predictions of the model."""
        predictions: Sequence[Prediction] = self.model.decode(output, sizes)
        return predictions
