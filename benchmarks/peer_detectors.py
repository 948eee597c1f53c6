"""Train torchvision's RetinaNet, SSD and Mask R-CNN with Snellen's networks and budget; print the score on test images.

    python benchmarks/peer_detectors.py retinanet ssd --set bccd --seeds 0 1 2
    python benchmarks/peer_detectors.py mask_rcnn --set pennfudan

Backbone (MobileNetV2 with the same ImageNet weights, frozen batch norms), pyramid, anchors, heads, image size, batch,
epochs, optimizer, rate, schedule, weight decay and clipping are those of ``retinanet_mobilenet_v2_fpn``,
``ssd_mobilenet_v2`` and ``mask_rcnn_mobilenet_v2_fpn``; the detectors around them are torchvision's own. One JSON line
per seed. Snellen's side is ``snellen train`` with the same numbers, see ``results/detectors.md``.
"""

import argparse
import json
import sys
import time
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torchvision.models.detection import MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssd import SSD, SSDHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

from accuracy_settings import Budget
from peer_accuracy import mobilenet, order, train
from snellen.data import ImageDataset
from snellen.evaluation import METRICS
from snellen.models import find_model
from snellen.recipes import load, prepared
from snellen.structures import BoxTarget, Detections

HALF = [0.5] * 3


class SsdMaps(nn.Module):
    """MobileNetV2's maps of stride 8, 16 and 32 with Snellen's extra layers behind them, for torchvision's SSD."""

    def __init__(self, data: Path, size: int) -> None:
        super().__init__()
        ours = find_model("ssd_mobilenet_v2").build(1, image_size=size)
        self.body = mobilenet(data, FrozenBatchNorm2d).features
        self.extras = ours.neck.extras
        self.out_channels = [spec.channels for spec in ours.neck.features]

    def forward(self, x: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        maps = []
        for number, block in enumerate(self.body):
            x = block(x)
            if number in (6, 13, 18):  # the last blocks of stride 8 and 16, and the last convolution
                maps.append(x)
        for layer in self.extras:
            maps.append(layer(maps[-1]))
        return OrderedDict((str(place), x) for place, x in enumerate(maps))


def retinanet(data: Path, budget: Budget, num_classes: int) -> nn.Module:
    net = mobilenet(data, FrozenBatchNorm2d).features
    body = BackboneWithFPN(
        net, {"6": "0", "13": "1", "18": "2"}, [32, 96, 1280], 128, extra_blocks=LastLevelP6P7(128, 128)
    )
    sizes = tuple(tuple(int(3 * stride * 2 ** (part / 3)) for part in range(3)) for stride in (8, 16, 32, 64, 128))
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)
    # torchvision counts no background for RetinaNet, but its labels begin at 0 as ours do.
    return RetinaNet(body, num_classes, min_size=budget.size, max_size=int(budget.size * 5 / 3), image_mean=HALF,
                     image_std=HALF, anchor_generator=anchors, head=RetinaNetHead(128, 9, num_classes))  # fmt: skip


def ssd(data: Path, budget: Budget, num_classes: int) -> nn.Module:
    body = SsdMaps(data, budget.size)
    ours = find_model("ssd_mobilenet_v2").build(num_classes, image_size=budget.size).head
    scales = [row[0] for row in ours.boxes.scales] + [ours.boxes.scales[-1][1]]
    boxes = DefaultBoxGenerator([list(map(int, row)) for row in ours.boxes.aspect_ratios], scales=scales)
    head = SSDHead(body.out_channels, boxes.num_anchors_per_location(), num_classes + 1)
    return SSD(body, boxes, (budget.size, budget.size), num_classes + 1, image_mean=HALF, image_std=HALF, head=head)


def mask_rcnn(data: Path, budget: Budget, num_classes: int) -> nn.Module:
    net = mobilenet(data, FrozenBatchNorm2d).features
    body = BackboneWithFPN(net, {"6": "0", "13": "1", "18": "2"}, [32, 96, 1280], 256)
    return MaskRCNN(
        body,
        box_predictor=FastRCNNPredictor(1024, num_classes + 1),
        min_size=budget.size,
        max_size=int(budget.size * 5 / 3),
        image_mean=HALF,
        image_std=HALF,
        rpn_anchor_generator=AnchorGenerator(((32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 4),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], 7, 2),
        mask_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], 14, 2),
        mask_head=MaskRCNNHeads(256, (128,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(128, 128, num_classes + 1),
        box_batch_size_per_image=128,
        rpn_pre_nms_top_n_train=1000,
        rpn_post_nms_top_n_train=1000,
    )


SYSTEMS = {"retinanet": retinanet, "ssd": ssd, "mask_rcnn": mask_rcnn}
FIRST_LABEL = {"retinanet": 0, "ssd": 1, "mask_rcnn": 1}


def samples(dataset: ImageDataset) -> list[tuple[torch.Tensor, BoxTarget]]:
    return [(sample.image, sample.target) for sample in map(dataset.untransformed, range(len(dataset)))]


def mirrored(image: torch.Tensor, target: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
    masks = {"masks": target["masks"].flip(-1)} if "masks" in target else {}
    return image.flip(-1), {**target, "boxes": boxes, **masks}


def measure(system: str, name: str, data: Path, budget: Budget, seed: int) -> dict[str, float]:
    index = prepared(load(data / name), seed)
    with_masks = system == "mask_rcnn"
    train_set = samples(ImageDataset(index.split("train"), masks=with_masks))
    torch.manual_seed(seed)
    first = FIRST_LABEL[system]
    model = SYSTEMS[system](data, budget, len(index.classes))
    coin = torch.Generator().manual_seed(seed)

    def batches(epoch: int):
        rows_of = order(len(train_set), budget.batch, seed, epoch)
        for rows in rows_of:
            images, targets = [], []
            for row in rows:
                image, target = train_set[row]
                wanted = {"boxes": target.boxes, "labels": target.labels + first}
                if with_masks:
                    wanted["masks"] = target.masks
                if torch.rand((), generator=coin) < 0.5:
                    image, wanted = mirrored(image, wanted)
                images.append(image.float() / 255)
                targets.append(wanted)
            yield images, targets

    steps = len(order(len(train_set), budget.batch, 0, 0))
    train(model, lambda batch: sum(model(*batch).values()), batches, budget, seed, steps)
    model.eval()
    part = index.split("test")
    metric = METRICS[BoxTarget](index.classes, part.attributes)
    test_set = ImageDataset(part, masks=with_masks)
    with torch.inference_mode():
        for row in range(len(test_set)):
            sample = test_set.untransformed(row)
            out = model([sample.image.float() / 255])[0]
            masks = (out["masks"][:, 0] >= 0.5).to(torch.uint8) if with_masks else None
            found = Detections(boxes=out["boxes"], scores=out["scores"], labels=out["labels"] - first, masks=masks)
            metric.update([found], [test_set.truth(row)], [row])
    scalars = metric.result().scalars
    return {key: round(scalars[key], 4) for key in ("AP", "AP50", "mask_AP", "mask_AP50") if key in scalars}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="+", choices=sorted(SYSTEMS))
    parser.add_argument("--set", default="bccd")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--optimizer", choices=("sgd", "adamw"), default="sgd")
    arguments = parser.parse_args()
    budget = Budget(
        kind="detection",
        network="",
        size=arguments.size,
        batch=arguments.batch,
        epochs=arguments.epochs,
        lr=arguments.lr,
        warmup=50,
        weight_decay=0.05 if arguments.optimizer == "adamw" else 1e-4,
        clip=10.0,
        optimizer=arguments.optimizer,
    )
    for system in arguments.systems:
        for seed in arguments.seeds:
            start = time.perf_counter()
            scores = measure(system, arguments.set, arguments.data, budget, seed)
            seconds = round(time.perf_counter() - start)
            print(json.dumps({"system": system, "set": arguments.set, "who": "torchvision", "seed": seed, **scores,
                              "seconds": seconds}), flush=True)  # fmt: skip
            print(f"{system} seed {seed} done", file=sys.stderr)


if __name__ == "__main__":
    main()
