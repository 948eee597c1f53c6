"""Detectors of one stage: every cell of every map says what it sees."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.models.detection.selection import SelectionSettings, best_detections
from snellen.nn import Normalize
from snellen.ops import clip_boxes
from snellen.structures import BoxTarget, Detections, ImageBatch, Target

__all__ = ["Dense", "DenseHead", "DenseOutput"]


class DenseOutput(Protocol):
    """What every head's own output has."""

    @property
    def sizes(self) -> Int64[Tensor, "batch 2"]:
        """Height and width of each image on the canvas."""


class DenseHead(Protocol):
    """The part in which the systems differ: verdicts, assignment and losses, coding of boxes. Also a module."""

    def __call__(self, features: Mapping[str, Tensor], images: ImageBatch) -> Any:
        """Return the raw verdicts of all cells, a ``DenseOutput``."""

    def loss(self, output: Any, targets: BoxTarget) -> dict[str, Tensor]:
        """Return named scalars, already weighted."""

    def candidates(
        self, output: Any
    ) -> tuple[Float[Tensor, "batch num_boxes box_classes 4"], Float[Tensor, "batch num_boxes num_classes"]]:
        """Return boxes on the canvas (one for all classes, or one for each) and scores in 0..1."""


class Dense(nn.Module):
    """A detector put together from backbone, neck and head.

    Args:
        backbone: Image to features.
        neck: Features to features; None looks at the backbone's own.
        head: Features to verdicts; see ``DenseHead``.
        normalize: Bytes to what the backbone was trained on.
        stride: Canvas sides must be multiples of this.
        settings: From scored boxes to detections.
    """

    target_type = BoxTarget

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module | None,
        head: nn.Module,
        *,
        normalize: Normalize,
        stride: int = 32,
        settings: SelectionSettings | None = None,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.stride = stride
        self.settings = settings or SelectionSettings()

    def forward(self, images: ImageBatch, targets: Target | None = None) -> Any:
        """Return the head's verdicts; ``targets`` change nothing."""
        del targets
        features = self.backbone(self.normalize(images))
        if self.neck is not None:
            features = self.neck(features)
        return self.head(features, images)

    def loss(self, output: DenseOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return the head's losses, in float32 whatever the network computed in."""
        with torch.autocast(targets.boxes.device.type, enabled=False):
            losses: dict[str, Tensor] = self.head.loss(output, targets)  # type: ignore[operator]  # a DenseHead
        return losses

    @torch.no_grad()
    def decode(self, output: DenseOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Detections]:
        """Return the detections of each image in the pixels of the original ``sizes`` (height, width)."""
        boxes, scores = self.head.candidates(output)  # type: ignore[operator]  # a DenseHead
        boxes = clip_boxes(boxes.flatten(1, 2), output.sizes).view_as(boxes)
        return best_detections(boxes, scores, output.sizes, sizes, self.settings)
