"""A detector that is trained in four stages: fine-tune, write features to disk, fit machines, fit box regression.

R-CNN and SPPNet differ in what describes a region, and in nothing here.

Shapes: B images, R regions for each image, N regions of all images, K classes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError, InputError, did_you_mean
from snellen.models.backbones import Backbone
from snellen.models.detection.feature_cache import FeatureCache, ImageFeatures, weights_key
from snellen.models.detection.fitted_head import (
    FittedHead,
    FittedVerdicts,
    RegionVectors,
    best_overlaps,
)
from snellen.models.detection.fitted_stages import fit_box_regression, fit_machines, write_features
from snellen.models.detection.outside import OutsideProposals
from snellen.models.detection.region_losses import RegionTargets, class_losses
from snellen.models.detection.selection import SelectionSettings, best_detections
from snellen.models.detection.two_stage import RegionSettings, TwoStage, trimmed
from snellen.nn import Normalize
from snellen.ops import clip_boxes, decode_boxes
from snellen.structures import (
    BoxTarget,
    Detections,
    Fact,
    FitData,
    ImageBatch,
    Regions,
    Stage,
    Target,
    TensorRecord,
)

__all__ = ["FittedOutput", "FittedTwoStage", "fitted_settings", "network_names"]

FINE_TUNE, FEATURES, SVM, BOX_REGRESSION = "fine-tune", "features", "svm", "box-regression"

# Greedy suppression of each class; the authors' code of R-CNN. The paper calls it a learned threshold.
NMS_IOU = 0.3
# Pairs of a region and a class of each image that go into it; the authors keep the 100 best of each class.
BEFORE_NMS = 2000

# For the estimate of what the paper's features take: a data set of the size of VOC07 trainval.
_PAPER_IMAGES = 5000
_PAPER_REGIONS = 2000
_PAPER_FACT = f"all features of {_PAPER_IMAGES} images with {_PAPER_REGIONS} regions each would take (bytes)"

Head = Literal["svm", "softmax"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedOutput(TensorRecord):
    """What the detector says, the same in training and in evaluation.

    Attributes:
        regions: What was looked at: a sample in training, all proposals in evaluation.
        region_targets: Known if targets were given.
        class_logits: Of the softmax; column 0 is the background.
        margins: Of the machines; None before they are fitted, and in training.
        box_offsets: From the regions, for each class; None before the regression is fitted, and in training.
        sizes: Height and width of each image on the canvas.
    """

    regions: Regions
    region_targets: RegionTargets | None
    class_logits: Float[Tensor, "batch num_regions num_classes_and_background"]
    margins: Float[Tensor, "batch num_regions num_classes"] | None
    box_offsets: Float[Tensor, "batch num_regions num_classes 4"] | None
    sizes: Int64[Tensor, "batch 2"]


def fitted_settings(*, slots: int, negative_from: float = 0.0) -> RegionSettings:
    """Return how regions are sampled in fine-tuning and chosen at the end.

    Args:
        slots: Regions of each image in the loss; a quarter shows objects, as 32 of 128 in the paper.
        negative_from: IoU from which a region is background.
    """
    return RegionSettings(
        slots=slots,
        positive_share=0.25,
        negative_from=negative_from,
        selection=SelectionSettings(nms_iou=NMS_IOU, before_nms=BEFORE_NMS),
    )


class FittedTwoStage(TwoStage):
    """Proposals from outside, features of each, and a head of which two parts are solved for.

    Before the machines are fitted ``decode`` goes by the softmax, so that fine-tuning can be validated. Scores of the
    machines are the sigmoid of their margins: in the right order, but no probabilities.

    Args:
        backbone: Image to features.
        region_features: Features and regions to one small map for each region.
        region_head: The three judges.
        normalize: Bytes to what the network was trained on.
        stride: Canvas sides must be multiples of this.
        settings: Sampling in fine-tuning, and selection.
        fixed_backbone: Whether ``backbone`` keeps its weights and statistics in all stages.
        chunk: Regions that are described at a time in evaluation; bounds the memory.

    Attributes:
        head: Who judges: ``"svm"`` (once fitted) or ``"softmax"``. May be changed at any time.
        use_box_regression: Whether boxes are refined (once the regression is fitted). May be changed at any time.

    Source:
        Girshick et al. 2014 (R-CNN), https://arxiv.org/abs/1311.2524; order of refinement and suppression: the
        authors' code (rcnn_test_bbox_regressor.m, then nms in imdb_eval_voc.m). Differs: the paper draws the regions of
        a step from all images, here they come from the images of the batch.
    """

    stages: tuple[Stage, ...] = (
        Stage(name=FINE_TUNE, kind="gradient"),
        Stage(name=FEATURES, kind="fit", prepares=True),
        Stage(name=SVM, kind="fit"),
        Stage(name=BOX_REGRESSION, kind="fit"),
    )

    region_head: FittedHead

    def __init__(
        self,
        backbone: nn.Module,
        region_features: nn.Module,
        region_head: FittedHead,
        *,
        normalize: Normalize,
        stride: int,
        settings: RegionSettings,
        fixed_backbone: bool = False,
        chunk: int = 128,
    ) -> None:
        super().__init__(
            backbone,
            None,
            OutsideProposals(),
            region_features,
            region_head,
            normalize=normalize,
            stride=stride,
            settings=settings,
        )
        self.fixed_backbone = fixed_backbone
        self.chunk = chunk
        self.head: Head = "svm"
        self.use_box_regression = True
        self.enter(FINE_TUNE)

    def train(self, mode: bool = True) -> "FittedTwoStage":  # noqa: FBT001, FBT002 - torch's signature
        """Set training mode; a fixed backbone stays as it is evaluated, its statistics too."""
        super().train(mode)
        if self.fixed_backbone:
            self.backbone.eval()
        return self

    def enter(self, stage: str) -> None:
        """Let learn what learns in ``stage``; what was fitted on other features is dropped.

        Raises:
            ConfigError: If there is no such stage.
        """
        names = [each.name for each in self.stages]
        if stage not in names:
            raise ConfigError(f"there is no stage {stage!r} in this training.{did_you_mean(stage, names)}")
        self.requires_grad_(requires_grad=stage == FINE_TUNE)
        if self.fixed_backbone:
            self.backbone.requires_grad_(requires_grad=False)
        if stage in (FINE_TUNE, FEATURES):
            self.region_head.forget()

    def forward(self, images: ImageBatch, targets: Target | None = None) -> FittedOutput:  # type: ignore[override]  # its own output
        """Return verdicts on the regions that came with the images.

        Args:
            images: Bytes on a canvas, with regions.
            targets: In training, regions are sampled by them. In evaluation they only add what ``loss`` needs.
        """
        features = self.features(images)
        _, regions = self.proposals(features, images)
        goal = None
        if isinstance(targets, BoxTarget):
            regions, goal = self.assign(regions, targets)
        else:
            regions = trimmed(regions)
        said = self._judged(features, regions)
        return FittedOutput(
            regions=regions,
            region_targets=goal,
            class_logits=said.classes,
            margins=said.margins,
            box_offsets=said.offsets,
            sizes=images.sizes,
        )

    def _judged(self, features: Mapping[str, Tensor], regions: Regions) -> FittedVerdicts:
        """Return verdicts with axes [batch, region]; in evaluation rows of padding cost nothing and get zeros."""
        shape = regions.valid.shape
        boxes = regions.boxes.flatten(0, 1)
        image = torch.arange(shape[0], device=boxes.device).repeat_interleave(shape[1])
        if self.training:
            said: FittedVerdicts = self.region_head(self.region_features(features, boxes, image))
            return said.map(lambda rows: rows.view(*shape, *rows.shape[1:]))
        place = regions.valid.flatten().nonzero()[:, 0]
        parts = [
            self.region_head(self.region_features(features, boxes[rows], image[rows]))
            for rows in torch.split(place, self.chunk)
        ]
        return _joined(parts).map(lambda rows: _spread(rows, place, shape))

    def loss(self, output: FittedOutput, targets: BoxTarget) -> dict[str, Tensor]:  # type: ignore[override]
        """Return ``class``, the cross-entropy of the sampled regions.

        Raises:
            InputError: If the output was made without targets.
        """
        del targets
        goal = output.region_targets
        if goal is None:
            raise InputError(
                "the loss expects an output that was made with targets; got one without. Call model(images, targets)."
            )
        loss = class_losses(output.class_logits, goal, kind="cross_entropy")
        return {"class": loss.sum() / (goal.labels >= 0).sum().clamp(min=1)}

    @torch.no_grad()
    def decode(self, output: FittedOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Detections]:  # type: ignore[override]
        """Return the detections of each image in the pixels of the original ``sizes`` (height, width).

        Raises:
            ConfigError: If ``head`` is neither ``"svm"`` nor ``"softmax"``.
        """
        if self.head not in ("svm", "softmax"):
            raise ConfigError(f"head expects 'svm' or 'softmax'; got {self.head!r}.")
        if self.head == "svm" and output.margins is not None:
            scores = output.margins.sigmoid()
        else:
            scores = output.class_logits.softmax(dim=-1)[..., 1:]
        scores = scores.masked_fill(~output.regions.valid[..., None], 0.0)
        boxes = output.regions.boxes[:, :, None]
        if self.use_box_regression and output.box_offsets is not None:
            boxes = decode_boxes(output.box_offsets, boxes)
        boxes = clip_boxes(boxes.flatten(1, 2), output.sizes).view_as(boxes)
        return best_detections(boxes, scores, output.sizes, sizes, self.settings.selection)

    def fit_stage(self, stage: str, data: FitData) -> dict[str, Fact]:
        """Run one of the fitting stages and return what is worth reporting.

        ``svm`` and ``box-regression`` read what ``features`` wrote; what is not there is written first.

        Raises:
            ConfigError: If it is no fitting stage.
            TrainingError: If features are not finite.
        """
        known = {SVM: fit_machines, BOX_REGRESSION: fit_box_regression}
        if stage not in (FEATURES, *known):
            raise ConfigError(f"there is no fitting stage {stage!r} in this training.{did_you_mean(stage, known)}")
        cache = self._cache(data)
        if stage == FEATURES or cache.images() is None:
            was_training = self.training
            self.eval()
            facts = write_features(cache.opened(), data, self._describe)
            self.train(was_training)
            if stage == FEATURES:
                return {**facts, _PAPER_FACT: self._paper_bytes()}
        return known[stage](self.region_head, cache, data)

    def _cache(self, data: FitData) -> FeatureCache:
        """Return the cache that belongs to the weights as they are."""
        parts = (self.normalize, self.backbone, self.region_features, self.region_head.deep)
        fitting = self.region_head.fitting
        settings = [str(self.region_features), str(self.normalize), str(self.region_head.reduce)]
        settings += [str(fitting.ridge.near_above), str(fitting.keep_all_pooled), str(fitting.dtype)]
        key = weights_key([part.state_dict() for part in parts], "; ".join(settings))
        return FeatureCache(data.folder, key=key, dtype=fitting.dtype)

    def _paper_bytes(self) -> int:
        numbers = self.region_head.svms.weight.shape[-1] + self.region_head.ridge.weight.shape[-1]
        return _PAPER_IMAGES * _PAPER_REGIONS * numbers * self.region_head.fitting.dtype.itemsize

    @torch.no_grad()
    def _describe(
        self, images: ImageBatch, targets: BoxTarget, places: Sequence[int]
    ) -> Iterator[tuple[int, ImageFeatures]]:
        """Yield place and features of the images of a batch that are wanted."""
        device = self.normalize.offset.device
        features = self.features(images.to(device))
        _, regions = self.proposals(features, images)
        for place in places:
            rows, target = regions[place], targets[place]
            objects, ignored = target.boxes[target.valid], target.ignored[target.valid]
            boxes = torch.cat([rows.boxes[rows.valid], objects[~ignored]])
            vectors = self._vectors(features, boxes.to(device), place)
            near = best_overlaps(boxes, objects[~ignored]) > self.region_head.fitting.ridge.near_above
            near = (near | self.region_head.fitting.keep_all_pooled).nonzero()[:, 0]
            yield (
                place,
                ImageFeatures(
                    boxes=boxes,
                    is_object=torch.arange(len(boxes)) >= int(rows.valid.sum()),
                    deep=vectors.deep,
                    near=near,
                    pooled=vectors.pooled[near],
                    object_boxes=objects,
                    object_labels=target.labels[target.valid],
                    object_ignored=ignored,
                ),
            )

    def _vectors(self, features: Mapping[str, Tensor], boxes: Float[Tensor, "num 4"], place: int) -> RegionVectors:
        """Return the vectors of regions of one image, on the CPU."""
        parts = [
            self.region_head.describe(self.region_features(features, rows, torch.full_like(rows[:, 0], place).long()))
            for rows in torch.split(boxes, self.chunk)
        ]
        return RegionVectors(
            deep=torch.cat([part.deep.cpu() for part in parts]), pooled=torch.cat([part.pooled.cpu() for part in parts])
        )


def network_names(network: Backbone, place: str) -> tuple[tuple[str, str], ...]:
    """Return the rules for ``foreign_names`` that bring the weights of a network to where it lies in a model.

    Args:
        network: With its own rules for the published weights.
        place: Where it lies, with the dot: ``"region_features.network."``.
    """
    published = [
        (pattern.replace("^", r"^(?:backbone\.)?", 1), place + replacement)
        for pattern, replacement in network.foreign_names
    ]
    parts = "|".join(re.escape(name) for name, _ in network.named_children())
    return (*published, (rf"^(?!{place})backbone\.", place), (rf"^(?=(?:{parts})\.)", place))


def _spread(rows: Tensor, place: Tensor, shape: torch.Size) -> Tensor:
    """Return the rows at their places among all regions of the batch, zeros elsewhere: [batch, region, …]."""
    every = rows.new_zeros(shape.numel(), *rows.shape[1:])
    return every.index_copy(0, place, rows).view(*shape, *rows.shape[1:])


def _joined(parts: Sequence[FittedVerdicts]) -> FittedVerdicts:
    def of(name: str) -> Tensor | None:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else torch.cat(values)

    return FittedVerdicts(
        classes=torch.cat([part.classes for part in parts]), margins=of("margins"), offsets=of("offsets")
    )
