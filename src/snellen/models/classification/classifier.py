"""A backbone, a mean over the image, a linear layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.losses import soft_cross_entropy
from snellen.models.backbones import Backbone
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, Normalize
from snellen.structures import ClassScores, ClassTarget, ImageBatch, Target, TensorRecord

__all__ = ["ClassifierOutput", "ImageClassifier"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassifierOutput(TensorRecord):
    """What an image classifier says.

    Attributes:
        logits: Raw scores.
    """

    logits: Float[Tensor, "batch num_classes"]


class ImageClassifier(nn.Module):
    """Sorts whole images into classes.

    The mean is taken over each image's own content, so padding does not dilute it.

    Args:
        backbone: Its last feature is used.
        num_classes: At least 1.
        dropout: Probability of dropping a channel before the linear layer, in training.
        label_smoothing: Share of the target that is spread evenly over all classes, 0..1.
        mean: Of R, G, B as the backbone's weights were trained, 0..1.
        std: Spread of R, G, B as the backbone's weights were trained, 0..1.

    Source:
        He et al. 2015, section 3.3, https://arxiv.org/abs/1512.03385.
    """

    stride = 1  # any canvas will do: only the mean of the last map is used
    target_type = ClassTarget
    # The classifiers of torchvision's ResNet and MobileNetV2.
    foreign_names: ClassVar[tuple[tuple[str, str], ...]] = (
        (r"^fc\.", "head."),
        (r"^classifier\.1\.", "head."),
    )

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.normalize = Normalize(mean, std)
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.features[-1].channels, num_classes)

    def forward(self, images: ImageBatch, targets: Target | None = None) -> ClassifierOutput:
        """Return the logits; ``targets`` are not looked at."""
        del targets
        last = self.backbone.features[-1]
        features = self.backbone(self.normalize(images))[last.name]
        pooled = _content_mean(features, images.sizes, last.stride)
        return ClassifierOutput(logits=self.head(self.dropout(pooled)))

    def loss(self, output: ClassifierOutput, targets: ClassTarget) -> Mapping[str, Tensor]:
        """Return ``cross_entropy``, the mean over the images in nats."""
        losses = soft_cross_entropy(output.logits, targets.probs, label_smoothing=self.label_smoothing)
        return {"cross_entropy": losses.mean()}

    def decode(self, output: ClassifierOutput, sizes: Int64[Tensor, "batch 2"]) -> list[ClassScores]:
        """Return the probabilities of each image; ``sizes`` do not matter here."""
        del sizes
        return [ClassScores(probs=probs) for probs in output.logits.float().softmax(dim=-1).unbind()]


def _content_mean(
    features: Float[Tensor, "batch channels rows columns"], sizes: Int64[Tensor, "batch 2"], stride: int
) -> Float[Tensor, "batch channels"]:
    rows, columns = features.shape[-2:]
    cells = (sizes.to(features.device, non_blocking=True) + stride - 1) // stride  # batch 2; a part counts whole
    row_mask = torch.arange(rows, device=features.device) < cells[:, :1]
    column_mask = torch.arange(columns, device=features.device) < cells[:, 1:]
    mask = (row_mask[:, :, None] & column_mask[:, None, :]).to(features.dtype)  # batch rows columns
    total = (features * mask[:, None]).sum(dim=(2, 3), dtype=torch.float32)
    return total / mask.sum(dim=(1, 2), dtype=torch.float32)[:, None]
