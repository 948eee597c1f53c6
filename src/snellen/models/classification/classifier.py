"""One class for each image."""

from collections.abc import Sequence

from snellen.models.backbones import Backbone
from snellen.models.classification.answers import ClassAnswer
from snellen.models.classification.heads import HeadBuilder, MeanHead
from snellen.models.classification.trunk import Auxiliary, Trunk

__all__ = ["ImageClassifier"]


class ImageClassifier(Trunk):
    """Sorts whole images into classes, unless it is told to ``learn`` something else.

    Args:
        backbone: Its last feature is used.
        num_classes: At least 1.
        head: Makes the head; see ``Trunk``.
        auxiliary: Heads for training alone; see ``Trunk``.
        label_smoothing: See ``ClassAnswer``.
        mean: Of R, G, B where 1 is full scale; None for what the backbone's published weights expect.
        std: Spread of R, G, B where 1 is full scale; None for the same.

    Raises:
        ConfigError: As ``Trunk``.
    """

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
        answer = ClassAnswer(num_classes, label_smoothing=label_smoothing)
        super().__init__(backbone, num_classes, answer=answer, head=head, auxiliary=auxiliary, mean=mean, std=std)
