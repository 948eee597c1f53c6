"""YOLOv1: one look, one grid, two boxes and one class for each cell, no anchors.

Shapes: B images, N objects of each image, S cells along each side, P boxes of each cell, K classes.

Source:
    Redmon et al. 2016, https://arxiv.org/abs/1506.02640; what the paper leaves open as darknet's ``detection_layer.c``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from snellen.errors import ConfigError, ShapeError, did_you_mean
from snellen.models.backbones import Backbone, chosen_backbone, fast_yolo_net, normalize_for
from snellen.models.backbones.darknet import LEAKY_SLOPE, DarknetConv, darknet_conv_layers
from snellen.models.darknet_files import DarknetLayer
from snellen.models.detection.dense import Dense
from snellen.models.detection.rpn import at_least_float32
from snellen.models.detection.selection import SelectionSettings
from snellen.models.detection.yolo_parts import (
    at_slots,
    is_excused,
    winners,
)
from snellen.nn import Norm, Padding
from snellen.ops import box_centers_sizes, boxes_from_centers_sizes, paired_iou
from snellen.structures import BoxTarget, FeatureSpec, ImageBatch, TensorRecord

__all__ = [
    "LocalConv",
    "YoloV1Head",
    "YoloV1Output",
    "YoloV1Settings",
    "yolo_v1",
    "yolo_v1_mobilenet_v2",
    "yolo_v1_tiny",
]

GRID = 7  # section 2.2
DROPOUT = 0.5  # section 2.2
START_STD = 1e-4  # of the last layer's weights: a thousand inputs of about one add up to 0.003
START_ROOT = 0.4  # what boxes say at first: the root of their sides' share of the canvas's
LOCAL_CHANNELS = 256  # yolov1.cfg
# As darknet's validation for VOC: score 0.001, suppression at IoU 0.5. The limit before suppression is ours.
_SELECTION = SelectionSettings(score_above=0.001, nms_iou=0.5, before_nms=1000)
_NEVER = 2.0  # no overlap is larger


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloV1Settings:
    """Weights of the loss; defaults as in the paper, section 2.2.

    Attributes:
        coord: Of the boxes (λ_coord).
        no_object: Of the confidence of boxes that answer for nothing (λ_noobj).
    """

    coord: float = 5.0
    no_object: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class YoloV1Output(TensorRecord):
    """What the network said in every cell, rows first; all values are linear, as they leave the network.

    Attributes:
        classes: Pr(class | object), one distribution for each cell.
        confidence: Pr(object) · IoU.
        places: Centre (x, y) within the cell, in cells; square roots of width and height as shares of the canvas.
        sizes: Height and width of each image on the canvas.
    """

    classes: Float[Tensor, "batch cells num_classes"]
    confidence: Float[Tensor, "batch cells per_cell"]
    places: Float[Tensor, "batch cells per_cell 4"]
    sizes: Int64[Tensor, "batch 2"]


class LocalConv(nn.Module):
    """A 3×3 convolution with weights of its own at every place of the map.

    Args:
        in_channels: Depth of the input.
        out_channels: Depth of the output.
        side: Rows and columns of the map.

    Source:
        darknet, ``local_layer.c``, whose numbers it reads; the layer of Taigman et al. 2014 (DeepFace).
    """

    def __init__(self, in_channels: int, out_channels: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(side * side, out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels, side * side))
        bound = (2 / (in_channels * 9)) ** 0.5  # darknet: uniform, with the bound that He et al. use as deviation
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Float[Tensor, "batch channels side side"]) -> Float[Tensor, "batch _ side side"]:
        """Return the map of the same side."""
        windows = nn.functional.unfold(x, 3, padding=1)  # [B, C * 9, places]
        y = torch.einsum("lok,bkl->bol", self.weight.flatten(2), windows) + self.bias
        return y.view(len(x), -1, *x.shape[-2:])


class YoloV1Head(nn.Module):
    """Layers that see the whole map, and the verdicts of the grid.

    Args:
        feature: The map it stands on.
        num_classes: Without background.
        image_size: Side of the square canvas in pixels: layers that see the whole map fix it.
        per_cell: Boxes of each cell; 2 in the paper, 3 in ``yolov1.cfg``.
        grid: Cells along each side; 7 in the paper.
        reduced: Channels to which a 1×1 convolution without norm brings the map first; None for none, as in the paper.
        hidden: Widths of the fully connected layers before the last; (4096,) in the paper.
        local: Whether a ``LocalConv`` stands before them, as in ``yolov1.cfg``.
        settings: Of the loss.

    Source:
        Redmon et al. 2016, section 2. As in darknet, the network says the square roots of width and height, so that
        they cannot be negative.
    """

    def __init__(  # noqa: PLR0913 - what the variants differ in
        self,
        feature: FeatureSpec,
        num_classes: int,
        *,
        image_size: int,
        per_cell: int = 2,
        grid: int = GRID,
        reduced: int | None = None,
        hidden: Sequence[int] = (4096,),
        local: bool = False,
        settings: YoloV1Settings | None = None,
    ) -> None:
        super().__init__()
        self.name, self.image_size = feature.name, image_size
        self.num_classes, self.per_cell, self.grid = num_classes, per_cell, grid
        self.settings = settings or YoloV1Settings()
        side, channels = -(-image_size // feature.stride), feature.channels
        self.reduce: nn.Module = nn.Identity()
        if reduced is not None:
            self.reduce, channels = DarknetConv(channels, reduced, kernel=1, norm=None), reduced
        layers: list[nn.Module] = []
        if local:
            layers += [LocalConv(channels, LOCAL_CHANNELS, side), _leaky()]
            channels = LOCAL_CHANNELS
        layers.append(nn.Flatten())
        depths = [side * side * channels, *hidden]
        for before, behind in pairwise(depths):
            layers += [nn.Linear(before, behind), _leaky()]
        if local or hidden:
            layers.append(nn.Dropout(DROPOUT))
        layers.append(nn.Linear(depths[-1], grid * grid * (5 * per_cell + num_classes)))
        self.layers = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, a=LEAKY_SLOPE)
                nn.init.zeros_(layer.bias)
        self._begin_in_the_middle()

    def _begin_in_the_middle(self) -> None:
        """Let every cell say at first: nothing here, any class, a small box in my middle.

        Beginning with random verdicts, the layers silence the features beneath them before they learn anything else:
        the sum of squares over all cells is several times what it is here, and what lowers it first is less variance.
        """
        last = self.layers[-1]
        nn.init.normal_(last.weight, std=START_STD)  # type: ignore[arg-type]  # a linear layer
        with torch.no_grad():
            classes, confidence, places = last.bias.split(self._shares())  # type: ignore[operator]
            classes.fill_(1 / self.num_classes)
            confidence.zero_()
            places.view(-1, 4)[:, :2] = 0.5
            places.view(-1, 4)[:, 2:] = START_ROOT

    def forward(self, features: Mapping[str, Tensor], images: ImageBatch) -> YoloV1Output:
        """Return what every cell says.

        Raises:
            ShapeError: If the canvas is not the square it was built for.
        """
        canvas = tuple(images.pixels.shape[-2:])
        if canvas != (self.image_size, self.image_size):
            raise ShapeError(
                f"YOLOv1's fully connected layers expect a canvas of {self.image_size} x {self.image_size} pixels; got "
                f"{canvas[0]} x {canvas[1]}. Resize the images to that square, or build it with another image_size."
            )
        flat = at_least_float32(self.layers(self.reduce(features[self.name])))
        cells = self.grid**2
        classes, confidence, places = torch.split(flat, self._shares(), dim=1)
        return YoloV1Output(
            classes=classes.reshape(-1, cells, self.num_classes),
            confidence=confidence.reshape(-1, cells, self.per_cell),
            places=places.reshape(-1, cells, self.per_cell, 4),
            sizes=images.sizes,
        )

    def _shares(self) -> list[int]:
        """Return how many outputs are classes, confidences and places: in darknet's order, each for all cells."""
        cells = self.grid**2
        return [cells * self.num_classes, cells * self.per_cell, cells * self.per_cell * 4]

    def darknet_layers(self) -> list[DarknetLayer]:
        """Return the layers with weights in the order of the ``.cfg``."""
        found = list(darknet_conv_layers(self.reduce, "reduce."))
        linear = [name for name, layer in self.layers.named_children() if isinstance(layer, nn.Linear)]
        for name, layer in self.layers.named_children():
            if isinstance(layer, LocalConv):
                found.append(DarknetLayer(name=f"layers.{name}", kind="local", shape=tuple(layer.weight.shape)))
            elif isinstance(layer, nn.Linear):
                per_class = self.grid**2 if name == linear[-1] else 0
                shape = (layer.out_features, layer.in_features)
                found.append(
                    DarknetLayer(name=f"layers.{name}", kind="connected", shape=shape, outputs_per_class=per_class)
                )
        return found

    def boxes(self, output: YoloV1Output) -> Float[Tensor, "batch cells per_cell 4"]:
        """Return the boxes of all cells on the canvas."""
        number = torch.arange(self.grid**2, device=output.places.device)
        corner = torch.stack([number % self.grid, number // self.grid], dim=-1)  # x, y
        centers = (output.places[..., :2] + corner[:, None]) * (self.image_size / self.grid)
        return boxes_from_centers_sizes(centers, output.places[..., 2:].square() * self.image_size)

    def loss(self, output: YoloV1Output, targets: BoxTarget) -> dict[str, Tensor]:
        """Return ``box``, ``object``, ``no_object`` and ``class``: sums of squares over cells, mean over images.

        A cell knows one object. If the centres of several lie in it, the first has it and the others are not seen, as
        in darknet (which shuffles the objects before). Among the cell's boxes that with the highest IoU answers, or, if
        none touches the object, that with the nearest place and size. Its confidence shall be the IoU.

        Source:
            Redmon et al. 2016, eq. 3, with the confidence of section 2.2 and the tie of ``detection_layer.c``.
        """
        settings = self.settings
        boxes = self.boxes(output)
        with torch.no_grad():
            cell, goal, is_seen = self._assign(targets)
            overlap, best = self._best(self._of_cells(boxes, cell), targets)
            responsible = winners(cell * self.per_cell + best, is_seen, self.grid**2 * self.per_cell) >= 0
            idle = ~responsible & ~is_excused(boxes.flatten(1, 2), targets, iou_above=_NEVER)
        places = self._of_cells(output.places, cell)
        place = places.gather(2, best[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]
        confidence = at_slots(output.confidence, cell).gather(2, best[..., None])[..., 0]
        classes = at_slots(output.classes, cell)
        wanted = torch.zeros_like(classes).scatter(2, targets.labels[..., None], 1.0)
        batch = len(boxes)
        return {
            "box": settings.coord * ((place - goal).square().sum(dim=-1) * is_seen).sum() / batch,
            "object": ((confidence - overlap).square() * is_seen).sum() / batch,
            "no_object": settings.no_object * (output.confidence.flatten(1).square() * idle).sum() / batch,
            "class": ((classes - wanted).square().sum(dim=-1) * is_seen).sum() / batch,
        }

    def _of_cells(self, boxes: Float[Tensor, "batch cells per_cell 4"], cell: Tensor) -> Tensor:
        """Return all boxes of each object's cell, [B, N, P, 4]."""
        return at_slots(boxes.flatten(2), cell).view(*cell.shape, self.per_cell, 4)

    def _assign(self, targets: BoxTarget) -> tuple[Tensor, Tensor, Tensor]:
        """Return each object's cell, what a box of that cell should say, and whether the cell sees the object."""
        centers, sides = box_centers_sizes(targets.boxes)
        in_cells = centers * (self.grid / self.image_size)
        place = in_cells.floor().clamp(0, self.grid - 1)  # a centre on the right or bottom edge is in the last cell
        cell = (place[..., 1] * self.grid + place[..., 0]).long()
        wanted = targets.valid & ~targets.ignored
        holder = winners(cell, wanted, self.grid**2, first=True).gather(1, cell)
        is_seen = wanted & (holder == torch.arange(cell.shape[1], device=cell.device))
        goal = torch.cat([in_cells - place, (sides.clamp(min=0) / self.image_size).sqrt()], dim=-1)
        return cell, goal, is_seen

    def _best(
        self, boxes: Float[Tensor, "batch num_boxes per_cell 4"], targets: BoxTarget
    ) -> tuple[Float[Tensor, "batch num_boxes"], Int64[Tensor, "batch num_boxes"]]:
        """Return which of its cell's boxes answers for each object, and how far it overlaps it."""
        overlap = paired_iou(boxes, targets.boxes[:, :, None].expand_as(boxes))
        said = torch.cat(box_centers_sizes(boxes), dim=-1)
        distance = (said - torch.cat(box_centers_sizes(targets.boxes), dim=-1)[:, :, None]).square().sum(dim=-1)
        touches = overlap.amax(dim=-1) > 0
        best = torch.where(touches, overlap.argmax(dim=-1), distance.argmin(dim=-1))
        return overlap.gather(2, best[..., None])[..., 0], best

    def candidates(
        self, output: YoloV1Output
    ) -> tuple[Float[Tensor, "batch num_boxes 1 4"], Float[Tensor, "batch num_boxes num_classes"]]:
        """Return boxes on the canvas and Pr(class | object) · confidence (eq. 1).

        Both factors are cut to 0..1: they are linear, and two negative ones must not make a detection.
        """
        scores = output.confidence.clamp(0, 1)[..., None] * output.classes.clamp(0, 1)[:, :, None]
        return self.boxes(output).flatten(1, 2)[:, :, None], scores.flatten(1, 2)


def _leaky() -> nn.Module:
    return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)


def yolo_v1(  # noqa: PLR0913 - what a run can set
    num_classes: int,
    *,
    image_size: int = 448,
    head: Literal["connected", "local"] = "connected",
    per_cell: int = 2,
    backbone: str = "yolo_v1_net",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Dense:
    """Return YOLOv1.

    Args:
        num_classes: Without background.
        image_size: Side of the square canvas in pixels.
        head: ``"connected"`` for the paper's two fully connected layers; ``"local"`` for the local and the fully
            connected one of ``yolov1.cfg``, which with ``per_cell=3`` reads ``yolov1.weights``.
        per_cell: Boxes of each cell.
        backbone: Name of another network in the place of the paper's; its last map is read.
        norm: None for the network of the paper, which has no batch norm; that came with YOLOv2.
        padding: ``"same"`` for weights trained with TensorFlow.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
    """
    is_local = _checked(head, ("connected", "local")) == "local"
    body = chosen_backbone(backbone, usual="yolo_v1_net", norm=norm, padding=padding)
    part = YoloV1Head(
        body.features[-1],
        num_classes,
        image_size=image_size,
        per_cell=per_cell,
        hidden=() if is_local else (4096,),
        local=is_local,
    )
    return _yolo_v1(body, part, mean, std)


def yolo_v1_tiny(
    num_classes: int,
    *,
    image_size: int = 448,
    head: Literal["connected", "output"] = "connected",
    backbone: str = "fast_yolo_net",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Dense:
    """Return Fast YOLO.

    Args:
        num_classes: Without background.
        image_size: Side of the square canvas in pixels.
        head: ``"connected"`` for the nine convolutions of the paper and layers of 256 and 4096 behind them, as in
            darknet's file of its time; ``"output"`` for the eight and no hidden layer of today's ``yolov1-tiny.cfg``,
            which reads ``yolov1-tiny.weights``.
        backbone: Name of another network in the place of the paper's; its last map is read.
        norm: None for no batch norm, as in the paper.
        padding: ``"same"`` for weights trained with TensorFlow.
        mean: Of R, G, B where 1 is full scale.
        std: Spread of R, G, B where 1 is full scale.
    """
    as_paper = _checked(head, ("connected", "output")) == "connected"
    if backbone == "fast_yolo_net":
        body: Backbone = fast_yolo_net(norm=norm, as_paper=as_paper)
    else:
        body = chosen_backbone(backbone, usual="fast_yolo_net", norm=norm, padding=padding)
    hidden = (256, 4096) if as_paper else ()
    return _yolo_v1(body, YoloV1Head(body.features[-1], num_classes, image_size=image_size, hidden=hidden), mean, std)


def yolo_v1_mobilenet_v2(
    num_classes: int,
    *,
    image_size: int = 224,
    backbone: str = "mobilenet_v2",
    norm: Norm | None = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Dense:
    """Return YOLOv1 with MobileNetV2, 256 channels before the layers and 1024 within: it trains on two cores.

    The head has no norm, as in the paper. With one over batches of four, the maps became alike but for what the norm
    blew up, and the validation loss was 876 where the training loss was 14.
    """
    body = chosen_backbone(backbone, usual="mobilenet_v2", norm=norm, padding=padding)
    head = YoloV1Head(body.features[-1], num_classes, image_size=image_size, reduced=256, hidden=(1024,))
    return _yolo_v1(body, head, mean, std)


def _yolo_v1(backbone: Backbone, head: YoloV1Head, mean: Sequence[float] | None, std: Sequence[float] | None) -> Dense:
    # Canvas sides are multiples of the stride: that of the one size it takes makes it the only canvas.
    colours = normalize_for(backbone, mean, std)
    return Dense(backbone, None, head, normalize=colours, stride=head.image_size, settings=_SELECTION)


def _checked(head: str, known: Sequence[str]) -> str:
    if head not in known:
        raise ConfigError(
            f"head must be one of {', '.join(map(repr, known))}; got {head!r}.{did_you_mean(head, known)}"
        )
    return head
