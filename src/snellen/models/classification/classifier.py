"""One class for each image."""

from collections.abc import Mapping, Sequence

from jaxtyping import Int64
from torch import Tensor

from snellen.losses import soft_cross_entropy
from snellen.models.backbones import Backbone
from snellen.models.classification.heads import HeadBuilder, MeanHead
from snellen.models.classification.trunk import Auxiliary, HeadOutput, Trunk
from snellen.structures import ClassScores, ClassTarget

__all__ = ["ImageClassifier"]


class ImageClassifier(Trunk):
    """Sorts whole images into classes.

    Args:
        backbone: Its last feature is used.
        num_classes: At least 1.
        head: Makes the head; see ``Trunk``.
        auxiliary: Heads for training alone; see ``Trunk``.
        label_smoothing: Share of the target that is spread evenly over all classes, 0..1.
        mean: Of R, G, B where 1 is full scale; None for what the backbone's published weights expect.
        std: Spread of R, G, B where 1 is full scale; None for the same.

    Raises:
        ConfigError: As ``Trunk``.
    """

    target_type = ClassTarget

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        head: HeadBuilder = MeanHead,
        auxiliary: Sequence[Auxiliary] = (),
        label_smoothing: float = 0.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(backbone, num_classes, head=head, auxiliary=auxiliary, mean=mean, std=std)
        self.label_smoothing = label_smoothing

    def loss(self, output: HeadOutput, targets: ClassTarget) -> Mapping[str, Tensor]:
        """Return ``cross_entropy``, the mean over the images in nats, and in training those of auxiliary heads."""

        def cross_entropy(logits: Tensor) -> Tensor:
            return soft_cross_entropy(logits, targets.probs, label_smoothing=self.label_smoothing).mean()

        return self.losses("cross_entropy", output, cross_entropy)

    def decode(self, output: HeadOutput, sizes: Int64[Tensor, "batch 2"]) -> list[ClassScores]:
        """Return the probabilities of each image; ``sizes`` do not matter here."""
        del sizes
        return [ClassScores(probs=probs) for probs in output.logits.float().softmax(dim=-1).unbind()]
