"""Several trained models that answer as one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any, Literal, cast

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.ops import fused_boxes, kept_by_nms
from snellen.structures import (
    ClassScores,
    Detections,
    ImageBatch,
    LabelSetScores,
    Model,
    Prediction,
    SegmentationMap,
    Target,
    ValueEstimates,
)

__all__ = ["BoxMerge", "Ensemble", "EnsembleOutput", "MergeSettings", "merged"]

BoxMerge = Literal["fusion", "nms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """How detections of several models become those of one.

    Attributes:
        boxes: ``fusion`` (weighted boxes fusion) or ``nms``. Detections with masks are always merged by ``nms``, for
            masks have no mean that is a mask.
        iou: Overlap from which two boxes are one; that of the fusion's paper.
        most: Detections of an image.
    """

    boxes: BoxMerge = "fusion"
    iou: float = 0.55
    most: int = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnsembleOutput:
    """What each member says.

    Attributes:
        members: Their outputs, in their order.
    """

    members: tuple[Any, ...]


class Ensemble(nn.Module):
    """Trained models that see the same images; their answers are averaged.

    The mean of probabilities has a log-loss that is never above the mean of the members' log-losses, for the logarithm
    is concave (Jensen). It is averaged after the softmax: the mean of logits has no such promise.

    Args:
        members: At least one; of one type of target.
        weights: Of the members, 0 or more, of sum above 0; equal if None.
        settings: For detections.

    Raises:
        ConfigError: If members and weights do not fit together.

    Source:
        Hansen and Salamon 1990, Neural network ensembles; Lakshminarayanan et al. 2017, Deep ensembles, section 2.4,
        https://arxiv.org/abs/1612.01474.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        *,
        weights: Sequence[float] | None = None,
        settings: MergeSettings | None = None,
    ) -> None:
        super().__init__()
        if not members:
            raise ConfigError("an ensemble needs at least one member; got none. Name the runs to put together.")
        kinds = {cast(Model, member).target_type for member in members}
        if len(kinds) > 1:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise ConfigError(f"the members of an ensemble must learn from one type of target; got {names}.")
        shares = [1.0] * len(members) if weights is None else list(weights)
        if len(shares) != len(members) or min(shares) < 0 or sum(shares) <= 0:
            raise ConfigError(
                f"weights must be {len(members)} numbers, 0 or more and not all 0, one for each member; got {shares}."
            )
        self.members = nn.ModuleList(members)
        self.settings = settings or MergeSettings()
        self.shares: Tensor
        self.register_buffer("shares", torch.tensor(shares, dtype=torch.float64) / sum(shares))
        self.stride = lcm(*(cast(Model, member).stride for member in members))
        self.target_type: type[Target] = next(iter(kinds))

    def forward(self, images: ImageBatch, targets: Target | None = None) -> EnsembleOutput:
        """Return what each member says."""
        return EnsembleOutput(members=tuple(member(images, targets) for member in self.members))

    def loss(self, output: EnsembleOutput, targets: Any) -> Mapping[str, Tensor]:
        """Return each loss as the weighted mean of the members' losses; the ensemble itself is not trained."""
        means: dict[str, Tensor] = {}
        for member, said, share in zip(self.members, output.members, self.shares.tolist(), strict=True):
            for name, value in cast(Model, member).loss(said, targets).items():
                means[name] = means.get(name, value.new_zeros(())) + share * value
        return means

    def decode(self, output: EnsembleOutput, sizes: Int64[Tensor, "batch 2"]) -> list[Prediction]:
        """Return the merged prediction of each image."""
        answers = [
            cast(Model, member).decode(said, sizes) for member, said in zip(self.members, output.members, strict=True)
        ]
        return [merged(image, self.shares, self.settings) for image in zip(*answers, strict=True)]


def merged(predictions: Sequence[Prediction], shares: Tensor, settings: MergeSettings | None = None) -> Prediction:
    """Return what several models say of one image as one prediction.

    Args:
        predictions: One of each model, all of one type.
        shares: Of the models; of sum 1.
        settings: For detections.
    """
    return _MERGERS[type(predictions[0])](predictions, shares, settings or MergeSettings())


def _mean(values: Sequence[Tensor], shares: Tensor) -> Tensor:
    stacked = torch.stack([value.double() for value in values])
    return torch.einsum("m...,m->...", stacked, shares.to(stacked.device)).float()


def _class_scores(predictions: Sequence[ClassScores], shares: Tensor, _settings: MergeSettings) -> ClassScores:
    return ClassScores(probs=_mean([each.probs for each in predictions], shares))


def _label_sets(predictions: Sequence[LabelSetScores], shares: Tensor, _settings: MergeSettings) -> LabelSetScores:
    return LabelSetScores(probs=_mean([each.probs for each in predictions], shares))


def _values(predictions: Sequence[ValueEstimates], shares: Tensor, _settings: MergeSettings) -> ValueEstimates:
    return ValueEstimates(values=_mean([each.values for each in predictions], shares))


def _maps(predictions: Sequence[SegmentationMap], shares: Tensor, _settings: MergeSettings) -> SegmentationMap:
    """Let every model give its confidence to its label; the label with the most wins each pixel."""
    count = 1 + max(int(each.labels.max()) for each in predictions)
    first = predictions[0]
    votes = first.confidence.new_zeros((count, *first.labels.shape))
    for each, share in zip(predictions, shares.tolist(), strict=True):
        votes.scatter_add_(0, each.labels.long()[None], share * each.confidence[None])
    confidence, labels = votes.max(0)
    return SegmentationMap(labels=labels.to(first.labels.dtype), confidence=confidence)


def _detections(predictions: Sequence[Detections], shares: Tensor, settings: MergeSettings) -> Detections:
    boxes = torch.cat([each.boxes for each in predictions])
    labels = torch.cat([each.labels for each in predictions])
    scores = torch.cat([each.scores for each in predictions])
    models = torch.repeat_interleave(
        torch.arange(len(predictions), device=boxes.device),
        torch.tensor([len(each.boxes) for each in predictions], device=boxes.device),
    )
    masks = [each.masks for each in predictions if each.masks is not None]
    if settings.boxes == "fusion" and not masks:
        weights = shares.to(boxes.device, torch.float32)
        found = fused_boxes(boxes, scores, labels, models, weights=weights, iou_above=settings.iou)
        fused, final, names = (part[: settings.most] for part in found)
        return Detections(boxes=fused, scores=final, labels=names)
    rated = scores * (shares / shares.max()).to(scores.device, scores.dtype)[models]
    groups = int(labels.max()) + 1 if len(labels) else 1
    kept = kept_by_nms(boxes, rated, labels, iou_above=settings.iou, num_groups=groups).nonzero()[:, 0]
    best = kept[rated[kept].argsort(descending=True, stable=True)][: settings.most]
    chosen = torch.cat(masks)[best] if len(masks) == len(predictions) else None
    return Detections(boxes=boxes[best], scores=rated[best], labels=labels[best], masks=chosen)


_MERGERS: Mapping[type[Prediction], Callable[[Any, Tensor, MergeSettings], Prediction]] = {
    ClassScores: _class_scores,
    LabelSetScores: _label_sets,
    ValueEstimates: _values,
    SegmentationMap: _maps,
    Detections: _detections,
}
