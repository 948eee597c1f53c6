"""Histograms of oriented gradients and linear SVMs, slid over the image: detection before learned features.

Shapes: B images, K classes, N kept windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError
from snellen.models.detection.hog_fitting import HogFit
from snellen.models.detection.hog_windows import HogSettings, WindowLayout, picked_boxes, window_levels
from snellen.models.detection.rpn import lies_in_ignored
from snellen.models.detection.selection import best_detections
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, Norm
from snellen.ops import box_iou, clip_boxes
from snellen.structures import BoxTarget, Detections, Fact, FitData, ImageBatch, Stage, Target, TensorRecord

__all__ = ["HogOutput", "HogSvm", "hog_svm"]

OBJECT_FROM = 0.5  # IoU from which a window is on an object, in the loss; Everingham et al. 2010, section 4.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HogOutput(TensorRecord):
    """The best windows of each class, best first.

    Attributes:
        boxes: On the canvas; each class has windows of its own.
        margins: Signed distances from the boundary of the SVM; −inf on padding rows.
        valid: False on padding rows.
        windows: How many windows of each class were looked at in each image.
        sizes: Height and width of each image on the canvas.
    """

    boxes: Float[Tensor, "B N K 4"]
    margins: Float[Tensor, "B N K"]
    valid: Bool[Tensor, "B N K"]
    windows: Int64[Tensor, "B K"]
    sizes: Int64[Tensor, "B 2"]


class HogSvm(nn.Module):
    """A rigid template of oriented gradients for each class, compared with every window of an image pyramid.

    Nothing in it is trained by gradients: one stage solves for the SVMs. Scores are the sigmoid of the margin. They
    order the windows and are no probabilities, for an SVM knows none: that takes a calibration on other images.

    Args:
        num_classes: K.
        settings: How it looks, learns and decides.

    Source:
        Dalal and Triggs 2005, https://doi.org/10.1109/CVPR.2005.177. For several classes, sizes of windows as in
        Felzenszwalb et al. 2010, section 5.2.
        Differs: liblinear instead of SVMlight; negatives come from the surroundings of the objects (IoU under 0.3), as
        ordinary training sets have no images without objects; two scans for hard negatives instead of one; the pyramid
        steps by 1.1; greedy suppression instead of mean shift.
    """

    target_type = BoxTarget
    stride = 1
    stages = (Stage(name="svm", kind="fit"),)
    shaped_by: ClassVar[Mapping[str, str]] = {
        "settings.hog.bins": "bins",
        "settings.hog.block_cells": "block_cells",
        "settings.hog.block_step": "block_step",
        "settings.margin_cells": "margin_cells",
    }

    weight: Float[Tensor, "K depth blocks blocks"]
    bias: Float[Tensor, " K"]
    object_cells: Int64[Tensor, "K 2"]
    largest_scale: Float[Tensor, ""]
    has_template: Bool[Tensor, " K"]

    def __init__(self, num_classes: int, *, settings: HogSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or HogSettings()
        side = self.settings.max_blocks
        self.register_buffer("weight", torch.zeros(num_classes, self.settings.hog.depth, side, side))
        self.register_buffer("bias", torch.zeros(num_classes))
        self.register_buffer("object_cells", torch.full((num_classes, 2), 6))
        self.register_buffer("largest_scale", torch.ones(()))
        self.register_buffer("has_template", torch.zeros(num_classes, dtype=torch.bool))

    def enter(self, stage: str) -> None:
        """Do nothing but refuse an unknown stage.

        Raises:
            ConfigError: If there is no such stage.
        """
        if stage not in {each.name for each in self.stages}:
            raise ConfigError(f"stage must be one of {[each.name for each in self.stages]}; got {stage!r}.")

    def layout(self) -> WindowLayout:
        """Return the windows as the host needs them. On an accelerator this waits once."""
        *cells, scale = torch.cat([self.object_cells.flatten().double(), self.largest_scale[None].double()]).tolist()
        pairs = zip(cells[::2], cells[1::2], strict=True)
        return WindowLayout(object_cells=tuple((int(h), int(w)) for h, w in pairs), largest_scale=scale)

    @torch.no_grad()
    def forward(self, images: ImageBatch, targets: Target | None = None) -> HogOutput:
        """Return the best windows of each class; ``targets`` change nothing. Before it is fitted there are none."""
        del targets
        most = self.settings.candidates
        margins, boxes = [], []
        windows = torch.zeros(len(images), len(self.bias), dtype=torch.long, device=self.bias.device)
        with torch.autocast(images.pixels.device.type, enabled=False):
            for level in window_levels(images, self.layout(), self.weight, self.bias, self.settings):
                inside = level.inside & self.has_template[:, None]
                windows += inside.sum(dim=2)
                best, index = level.margins.masked_fill(~inside, -torch.inf).topk(min(most, inside.shape[2]), dim=2)
                margins.append(best)
                boxes.append(picked_boxes(level.boxes, index))
        best, index = torch.cat(margins, dim=2).topk(min(most, sum(m.shape[2] for m in margins)), dim=2)
        box = torch.cat(boxes, dim=2).gather(2, index[..., None].expand(-1, -1, -1, 4))
        valid = best > -torch.inf
        return HogOutput(
            boxes=box.masked_fill(~valid[..., None], 0.0).transpose(1, 2),
            margins=best.transpose(1, 2),
            valid=valid.transpose(1, 2),
            windows=windows,
            sizes=images.sizes,
        )

    def loss(self, output: HogOutput, targets: BoxTarget) -> dict[str, Tensor]:
        """Return the mean hinge losses ``objects`` and ``background``, to compare fits by.

        An object counts with its best window of IoU 0.5 or more. Where none is among those kept, it counts with the
        worst kept window of its class, for its own are no better. Background are the kept windows of IoU under 0.3.
        """
        margins, valid = output.margins.transpose(1, 2), output.valid.transpose(1, 2)  # [B, K, N]
        iou = box_iou(output.boxes.transpose(1, 2), targets.boxes[:, None])  # [B, K, N, M]
        label = torch.arange(margins.shape[1], device=margins.device)[:, None]
        of_class = (targets.labels[:, None] == label) & targets.valid[:, None]  # [B, K, M]
        wanted = of_class & ~targets.ignored[:, None]
        worst = torch.where(valid, margins, torch.inf).amin(dim=2) if margins.shape[2] else margins.new_zeros(1)
        worst = torch.where(valid.any(dim=2), worst, -1.0)[..., None]
        on_object = (iou >= OBJECT_FROM) & valid[..., None]
        best = torch.where(on_object, margins[..., None], -torch.inf).amax(dim=2)  # [B, K, M]
        best = torch.where(on_object.any(dim=2), best, worst)
        nearest = iou.masked_fill(~of_class[:, :, None], 0.0)
        is_background = valid & (nearest < self.settings.negative_below).all(dim=3)
        is_background &= ~lies_in_ignored(output.boxes.flatten(1, 2), targets).view_as(output.margins).transpose(1, 2)
        return {
            "objects": torch.where(wanted, (1 - best).clamp(min=0), 0.0).sum() / wanted.sum().clamp(min=1),
            "background": torch.where(is_background, (1 + margins).clamp(min=0), 0.0).sum()
            / is_background.sum().clamp(min=1),
        }

    @torch.no_grad()
    def decode(self, output: HogOutput, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Detections]:
        """Return the detections of each image in the pixels of the original ``sizes`` (height, width).

        The scores are sigmoids of margins, not calibrated.
        """
        boxes = clip_boxes(output.boxes.flatten(1, 2), output.sizes).view_as(output.boxes)
        scores = output.margins.sigmoid().masked_fill(~output.valid, 0.0)
        return best_detections(boxes, scores, output.sizes, sizes, self.settings.selection)

    @torch.no_grad()
    def fit_stage(self, stage: str, data: FitData) -> dict[str, Fact]:
        """Choose the windows, learn objects against random windows, then against those that were taken for objects.

        Args:
            stage: ``"svm"``.
            data: The training images.

        Raises:
            ConfigError: If there is no such stage.
            TrainingError: If there is no object to learn from.
        """
        self.enter(stage)
        fit = HogFit(len(self.bias), self.settings, data)
        facts = fit.run()
        self.weight.copy_(fit.weight)
        self.bias.copy_(fit.bias)
        self.object_cells.copy_(torch.tensor(fit.layout.object_cells))
        self.largest_scale.fill_(fit.layout.largest_scale)
        self.has_template.copy_(fit.has_template)
        return facts


def hog_svm(  # noqa: PLR0913 - what shapes the templates, each by its name
    num_classes: int,
    *,
    norm: Norm = nn.BatchNorm2d,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    bins: int | None = None,
    block_cells: int | None = None,
    block_step: int | None = None,
    margin_cells: int | None = None,
    settings: HogSettings | None = None,
) -> HogSvm:
    """Return the HOG detector of Dalal and Triggs for ``num_classes`` classes.

    Args:
        num_classes: Without background.
        norm: Changes nothing: there are no layers to normalise.
        mean: Changes nothing: gradients do not depend on it.
        std: Changes nothing: blocks are normalised one by one.
        bins: Orientations of a histogram; None here and below for what ``settings`` say.
        block_cells: Side of a block in cells.
        block_step: Cells from one block to the next.
        margin_cells: Context on each side of the object.
        settings: How it looks, learns and decides.
    """
    del norm, mean, std
    usual = settings or HogSettings()
    counts = {"bins": bins, "block_cells": block_cells, "block_step": block_step}
    hog = replace(usual.hog, **{name: count for name, count in counts.items() if count is not None})  # type: ignore[arg-type]  # all three are counts
    margin = usual.margin_cells if margin_cells is None else margin_cells
    return HogSvm(num_classes, settings=replace(usual, hog=hog, margin_cells=margin))
