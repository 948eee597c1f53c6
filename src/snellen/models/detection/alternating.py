"""Faster R-CNN trained in four steps, in which proposals and detector take turns and end up with one backbone."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.detection.faster_rcnn import faster_rcnn_mobilenet_v2_c4
from snellen.models.detection.rpn import ProposalOutput
from snellen.models.detection.selection import best_detections
from snellen.models.detection.two_stage import TwoStage, TwoStageOutput, trimmed
from snellen.nn import Norm, Padding
from snellen.structures import BoxTarget, Detections, Fact, FitData, ImageBatch, Regions, Stage, Target

__all__ = ["AlternatingTwoStage", "faster_rcnn_mobilenet_v2_c4_alternating"]

RPN_1, DETECTOR_1, RPN_2, DETECTOR_2 = "rpn-1", "detector-1", "rpn-2", "detector-2"
# 80,000 steps for the proposals and 40,000 for the detector, twice; py-faster-rcnn's train_faster_rcnn_alt_opt.py.
_STAGES = (
    Stage(name=RPN_1, kind="gradient", share=1 / 3),
    Stage(name=DETECTOR_1, kind="gradient", share=1 / 6),
    Stage(name=RPN_2, kind="gradient", share=1 / 3),
    Stage(name=DETECTOR_2, kind="gradient", share=1 / 6),
)
_FIRST = "first_backbone."
_PLACES = re.compile(
    r"^(?:module\.|_orig_mod\.|model\.|network\.|net\.|backbone\.|body\.)+"
)  # before a backbone's own names


class AlternatingTwoStage(TwoStage):
    """A two-stage detector whose stages are trained in turn.

    1. ``rpn-1``: a backbone of its own and the proposals learn.
    2. ``detector-1``: the other backbone and the head learn on the proposals of step 1, which stay as they are.
    3. ``rpn-2``: the proposals go on learning on the backbone of step 2, which stays as it is: now it is shared.
    4. ``detector-2``: the head goes on learning on the new proposals.

    Afterwards the backbone of step 1 is not used any more; it stays in the state dict, so that a run can go on. In
    evaluation, each step uses the parts that it trains. In step 1 there is no detector yet: each proposal speaks for
    all classes alike, with its objectness, so that better proposals have a better average precision.

    Args:
        detector: Whose parts are used; its backbone is the one that is shared in the end.

    Attributes:
        stage: The step that the weights are in.

    Source:
        Ren et al. 2015, section 3.2 ("4-step alternating training"), https://arxiv.org/abs/1506.01497. Differs: step 3
        begins with the proposal layers of step 1 ("fine-tune"); the authors' code begins with new ones.
    """

    stages: tuple[Stage, ...] = _STAGES

    number: Tensor

    def __init__(self, detector: TwoStage) -> None:
        super().__init__(
            detector.backbone,
            detector.neck,
            detector.proposals,
            detector.region_features,
            detector.region_head,
            normalize=detector.normalize,
            stride=detector.stride,
            settings=detector.settings,
        )
        self.foreign_names = detector.foreign_names
        self.first_backbone = copy.deepcopy(detector.backbone)
        self.register_buffer("number", torch.zeros((), dtype=torch.int64))
        self.register_load_state_dict_post_hook(_read_stage)  # type: ignore[no-untyped-call]
        self.stage = RPN_1
        self.enter(RPN_1)

    def enter(self, stage: str) -> None:
        """Let learn what learns in ``stage``.

        Raises:
            ConfigError: If there is no such stage.
        """
        names = [each.name for each in self.stages]
        if stage not in names:
            raise ConfigError(f"there is no stage {stage!r} in this training.{did_you_mean(stage, names)}")
        self.stage = stage
        self.number.fill_(names.index(stage))
        self.requires_grad_(requires_grad=False)
        for part in self._learning():
            part.requires_grad_()
        self.train(self.training)

    def fit_stage(self, stage: str, data: FitData) -> dict[str, Fact]:
        """Raise ``ConfigError``: all stages are trained by descent."""
        del data
        raise ConfigError(f"stage {stage!r} is trained by gradient descent; there is nothing to fit. Train it.")

    def _learning(self) -> tuple[nn.Module, ...]:
        return {
            RPN_1: (self.first_backbone, self.proposals),
            DETECTOR_1: (self.backbone, self.region_head),
            RPN_2: (self.proposals,),
            DETECTOR_2: (self.region_head,),
        }[self.stage]

    def train(self, mode: bool = True) -> "AlternatingTwoStage":  # noqa: FBT001, FBT002 - torch's signature
        """Set training mode; what is fixed in this step keeps its statistics too."""
        super().train(mode)
        for fixed in (self.first_backbone, self.backbone):
            if not any(fixed is part for part in self._learning()):
                fixed.eval()
        return self

    def forward(self, images: ImageBatch, targets: Target | None = None) -> TwoStageOutput:
        """Return what the parts of this step say; a part that does not learn in training says nothing."""
        normalized = self.normalize(images)
        on_first = self.stage in (RPN_1, DETECTOR_1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.stage in (RPN_1, RPN_2)):
            features = (self.first_backbone if on_first else self.backbone)(normalized)
            proposals, regions = self.proposals(features, images)
        if self.stage == RPN_1 or (self.training and self.stage == RPN_2):
            return self._proposals_only(proposals, regions, images)
        if on_first:
            features = self.backbone(normalized)
        return self.judge(features, proposals, regions, images, targets)

    def _proposals_only(self, proposals: ProposalOutput, regions: Regions, images: ImageBatch) -> TwoStageOutput:
        """Return an output without a second stage: no regions in training, all with their objectness otherwise."""
        nothing = Regions(boxes=regions.boxes[:, :0], valid=regions.valid[:, :0])
        regions = nothing if self.training else trimmed(regions)
        batch, count = regions.valid.shape
        columns = len(self.region_head.get_parameter("predictor.classes.weight"))
        logits = regions.boxes.new_zeros((batch, count, columns))
        if count and proposals.scores is not None:
            logits[..., 1:] = proposals.scores[:, :count, None]
        return TwoStageOutput(
            proposals=proposals,
            regions=regions,
            region_targets=None,
            class_logits=logits,
            box_offsets=logits.new_zeros((batch, count, columns, 4)),
            sizes=images.sizes,
        )

    @torch.no_grad()
    def decode(self, output: TwoStageOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Detections]:
        """Return the detections of each image; in the first step each proposal once for every class."""
        if self.stage != RPN_1:
            return super().decode(output, sizes)
        boxes, scores = self.candidates(output)
        # The classes share the odds of a proposal, so that no score is above one part in their number.
        num_classes = scores.shape[-1]
        most = self.settings.selection.max_detections * num_classes
        selection = replace(self.settings.selection, score_above=0.0, max_detections=most)
        return best_detections(boxes, scores, output.sizes, sizes, selection)

    def loss(self, output: TwoStageOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``objectness`` and ``proposal_box`` in the steps of the proposals, else ``class`` and ``box``.

        Raises:
            InputError: If the output of a step of the detector was made without targets.
        """
        if self.stage in (RPN_1, RPN_2):
            losses: dict[str, Tensor] = self.proposals.loss(output.proposals, targets)  # type: ignore[operator]  # see Proposals
            return losses
        return self.verdict_loss(output)

    def adapted_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a file with a copy of the backbone's for the first one, if the file has only one."""
        own = self.backbone.state_dict()
        adapted = dict(tensors)
        if any(key.startswith(_FIRST) for key in tensors):
            return adapted
        for key, value in tensors.items():
            inner = key if key in own else _PLACES.sub("", key)
            for pattern, replacement in getattr(self.backbone, "foreign_names", ()):
                inner, count = re.subn(pattern, replacement, inner)
                if count:
                    break
            if inner in own:
                adapted[_FIRST + inner] = value
        return adapted


def _read_stage(module: nn.Module, _incompatible: object) -> None:
    """Go to the step that weights which were just loaded are in."""
    if isinstance(module, AlternatingTwoStage):
        module.enter(module.stages[int(module.number)].name)


def faster_rcnn_mobilenet_v2_c4_alternating(
    num_classes: int,
    *,
    backbone: str = "mobilenet_v2",
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> AlternatingTwoStage:
    """Return ``faster_rcnn_mobilenet_v2_c4``, trained in four steps instead of at once."""
    detector = faster_rcnn_mobilenet_v2_c4(
        num_classes, backbone=backbone, norm=norm, padding=padding, mean=mean, std=std
    )
    return AlternatingTwoStage(detector)
