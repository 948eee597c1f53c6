"""One image after another through a run's model, whole or in tiles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from snellen.data import ProposalStore, RegionSource, evaluation_transform
from snellen.evaluation import predict_tiled, predicted_batches
from snellen.imaging import Enhancement
from snellen.ops import scale_boxes
from snellen.recipes.loaders import recorded_enhancement
from snellen.recipes.proposing import region_source
from snellen.recipes.runs import Run
from snellen.structures import (
    Batch,
    BoxTarget,
    ClassTarget,
    Detections,
    LabelSetTarget,
    MaskTarget,
    Model,
    Prediction,
    Sample,
    SegmentationMap,
    Target,
    ValueTarget,
)
from snellen.training import autocast

__all__ = ["ImageJudge"]

_TILE_OVERLAP = 0.2  # of a tile's side; Akyon et al. 2022 (SAHI)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageJudge:
    """A loaded model with everything one image needs.

    Attributes:
        run: Of the model.
        model: On the device.
        device: Where to compute.
        tile: Side in pixels of the tiles into which larger images are cut; None for none.
        regions: Where proposals come from; None for models that make their own.
        enhancement: What is done to every image first.
    """

    run: Run
    model: Model
    device: torch.device
    tile: int | None
    regions: RegionSource | None
    enhancement: Enhancement | None

    @classmethod
    def of(cls, run: Run, model: Model, *, device: torch.device, tile: int | None) -> Self:
        """Return what judges single images as a run's record says."""
        return cls(
            run=run,
            model=model,
            device=device,
            tile=tile,
            regions=region_source(run.record, Path(run.record["data"])),
            enhancement=recorded_enhancement(run.record),
        )

    def predict(self, image: UInt8[Tensor, "3 height width"], index: int, source: str) -> Prediction:
        """Return the prediction for one image, in its pixels."""
        precision = self.run.record["settings"]["precision"]
        regions = self._regions(image, Path(source))
        if self.enhancement is not None:
            image = self.enhancement(image)
        if self.tile is not None and max(image.shape[-2:]) > self.tile:
            return self._tiled(image, precision)
        size = (image.shape[-2], image.shape[-1])
        target = _EMPTY_TARGETS[self.run.target_type](size, len(self.run.classes))
        sample = Sample(image=image, target=target, index=index, source=source, original_size=size, regions=regions)
        change = evaluation_transform(
            self.run.target_type, self.run.record["image_size"], resize=self.run.record["resize"]
        )
        batch = Batch.collate([change(sample, torch.Generator())], stride=self.model.stride)
        _, predictions = next(
            predicted_batches(
                self.model,
                [batch],
                device=self.device,
                precision_context=lambda: autocast(self.device, precision),
            )
        )
        return predictions[0]

    def _regions(self, image: UInt8[Tensor, "3 height width"], file: Path) -> Tensor | None:
        if isinstance(self.regions, ProposalStore) and not file.is_file():  # a frame of a video
            return self.regions.compute(image)
        return None if self.regions is None else self.regions(file, image)

    def _tiled(self, image: UInt8[Tensor, "3 height width"], precision: Any) -> Prediction:
        tile = self.tile or 0
        scale = self.run.record["image_size"] / tile
        size = (image.shape[-2], image.shape[-1])
        scaled = v2.functional.resize(image, [ceil(side * scale) for side in size], antialias=True)
        side = ceil(self.run.record["image_size"] / self.model.stride) * self.model.stride
        found = predict_tiled(
            self.model,
            scaled,
            tile_px=side,
            overlap_px=int(side * _TILE_OVERLAP),
            device=self.device,
            precision_context=lambda: autocast(self.device, precision),
        )
        return _RESCALED[type(found)](found, (scaled.shape[-2], scaled.shape[-1]), size)


def _no_boxes(size: tuple[int, int], num_classes: int) -> BoxTarget:
    del size, num_classes
    nothing = torch.zeros(0, dtype=torch.bool)
    return BoxTarget(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), valid=nothing, ignored=nothing)


# What a sample needs to pass through the transforms where nothing is known.
_EMPTY_TARGETS: Mapping[type[Target], Callable[[tuple[int, int], int], Target]] = {
    BoxTarget: _no_boxes,
    ClassTarget: lambda _size, num_classes: ClassTarget(probs=torch.zeros(num_classes)),
    LabelSetTarget: lambda _size, num_classes: LabelSetTarget(
        shown=torch.zeros(num_classes), known=torch.zeros(num_classes, dtype=torch.bool)
    ),
    MaskTarget: lambda size, _num_classes: MaskTarget(labels=torch.zeros(size, dtype=torch.uint8)),
    ValueTarget: lambda _size, num_values: ValueTarget(
        values=torch.zeros(num_values), known=torch.zeros(num_values, dtype=torch.bool)
    ),
}


def _rescaled_boxes(found: Detections, before: tuple[int, int], after: tuple[int, int]) -> Detections:
    boxes = scale_boxes(found.boxes, torch.tensor(before), torch.tensor(after))
    masks = found.masks
    if masks is not None:
        masks = functional.interpolate(masks[:, None].float(), after, mode="nearest-exact")[:, 0].to(torch.uint8)
    return Detections(boxes=boxes, scores=found.scores, labels=found.labels, masks=masks)


def _rescaled_map(found: SegmentationMap, before: tuple[int, int], after: tuple[int, int]) -> SegmentationMap:
    del before
    labels = functional.interpolate(found.labels[None, None].float(), after, mode="nearest-exact")[0, 0]
    confidence = functional.interpolate(found.confidence[None, None], after, mode="bilinear", align_corners=False)
    return SegmentationMap(labels=labels.to(torch.uint8), confidence=confidence[0, 0])


_RESCALED: Mapping[type[Prediction], Callable[[Any, tuple[int, int], tuple[int, int]], Prediction]] = {
    Detections: _rescaled_boxes,
    SegmentationMap: _rescaled_map,
}
