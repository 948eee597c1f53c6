"""Train the peers' networks by plain scripts on real data, with a stated budget, and print their held-out score.

    python benchmarks/peer_accuracy.py bccd --data ../shared/data --seeds 0 1 2

One JSON line per seed. ``benchmarks/accuracy.py`` trains the same networks with Snellen at the same budget.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.misc import FrozenBatchNorm2d
from torchvision.transforms import v2

from accuracy_settings import BUDGETS, Budget, read_arrays, read_boxes, read_masks


def schedule(optimizer, budget: Budget, steps_per_epoch: int):
    total = budget.epochs * steps_per_epoch

    def factor(step: int) -> float:
        if step < budget.warmup:
            return (step + 1) / budget.warmup
        return 0.5 * (1 + math.cos(math.pi * (step - budget.warmup) / max(1, total - budget.warmup)))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def parameter_groups(model: nn.Module, weight_decay: float):
    decay = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def mobilenet(data: Path, norm=None):
    from safetensors.torch import load_file

    net = torchvision.models.mobilenet_v2(weights=None, norm_layer=norm)
    state = {k: v.float() for k, v in load_file(data / "weights" / "mobilenet_v2_imagenet.safetensors").items()}
    print("weights:", net.load_state_dict(state, strict=False), file=sys.stderr)
    return net


def train(model, loss_of, batches, budget: Budget, seed: int, steps_per_epoch: int) -> None:
    groups = parameter_groups(model, budget.weight_decay)
    if budget.optimizer == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=budget.lr)
    else:
        optimizer = torch.optim.SGD(groups, lr=budget.lr, momentum=0.9)
    rate = schedule(optimizer, budget, steps_per_epoch)
    model.train()
    for epoch in range(budget.epochs):
        start, total = time.perf_counter(), 0.0
        for batch in batches(epoch):
            loss = loss_of(batch)
            optimizer.zero_grad()
            loss.backward()
            if budget.clip:
                nn.utils.clip_grad_norm_(model.parameters(), budget.clip)
            optimizer.step()
            rate.step()
            total += float(loss.detach())
        print(
            f"seed {seed} epoch {epoch} loss {total / steps_per_epoch:.4f} {time.perf_counter() - start:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def order(count: int, batch: int, seed: int, epoch: int) -> list[list[int]]:
    rows = np.random.default_rng([seed, epoch]).permutation(count).tolist()
    return [rows[i : i + batch] for i in range(0, count, batch)]


def faster_rcnn(data: Path, budget: Budget, num_classes: int, levels=("6", "13", "18"), channels=(32, 96, 1280)):
    net = mobilenet(data, FrozenBatchNorm2d).features
    body = BackboneWithFPN(net, {k: str(i) for i, k in enumerate(levels)}, list(channels), 256)
    return FasterRCNN(
        body,
        num_classes=num_classes + 1,
        min_size=budget.size,
        max_size=int(budget.size * 5 / 3),
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        rpn_anchor_generator=AnchorGenerator(((32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 4),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], 7, 2),
        box_batch_size_per_image=128,
        rpn_pre_nms_top_n_train=1000,
        rpn_post_nms_top_n_train=1000,
    )


def detection(data: Path, budget: Budget, seed: int) -> dict[str, float]:
    train_set, test_set, classes = read_boxes(data, budget)
    torch.manual_seed(seed)
    model = faster_rcnn(data, budget, len(classes))
    coin = torch.Generator().manual_seed(seed)

    def batches(epoch: int):
        for rows in order(len(train_set), budget.batch, seed, epoch):
            images, targets = [], []
            for row in rows:
                image, boxes, labels = train_set[row]
                if torch.rand((), generator=coin) < 0.5:
                    image, boxes = image.flip(-1), boxes.clone()
                    boxes[:, [0, 2]] = image.shape[-1] - boxes[:, [2, 0]]
                images.append(image.float() / 255)
                targets.append({"boxes": boxes, "labels": labels + 1})
            yield images, targets

    train(
        model,
        lambda batch: sum(model(*batch).values()),
        batches,
        budget,
        seed,
        len(order(len(train_set), budget.batch, 0, 0)),
    )
    model.eval()
    truth = {"images": [], "annotations": [], "categories": [{"id": i, "name": c} for i, c in enumerate(classes)]}
    found = []
    with torch.inference_mode():
        for row, (image, boxes, labels) in enumerate(test_set):
            truth["images"].append({"id": row, "height": image.shape[1], "width": image.shape[2]})
            for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
                x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
                truth["annotations"].append(
                    {
                        "id": len(truth["annotations"]) + 1,
                        "image_id": row,
                        "category_id": label,
                        "bbox": [x, y, w, h],
                        "area": w * h,
                        "iscrowd": 0,
                    }
                )
            out = model([image.float() / 255])[0]
            for box, label, score in zip(
                out["boxes"].tolist(), out["labels"].tolist(), out["scores"].tolist(), strict=True
            ):
                x, y, w, h = box[0], box[1], box[2] - box[0], box[3] - box[1]
                found.append({"image_id": row, "category_id": label - 1, "bbox": [x, y, w, h], "score": score})
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    judge = COCOeval(coco, coco.loadRes(found), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return {"AP": float(judge.stats[0]), "AP50": float(judge.stats[1])}


def classification(data: Path, budget: Budget, seed: int) -> dict[str, float]:
    (x, y), (x_test, y_test), num_classes = read_arrays(data, budget)
    torch.manual_seed(seed)
    if budget.network == "mobilenet_v2":
        model = mobilenet(data)
        model.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))
        mean = std = torch.full((3, 1, 1), 0.5)
    else:
        model = getattr(torchvision.models, budget.network)(weights=None, num_classes=num_classes)
        mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    change = v2.Compose(
        [v2.RandomResizedCrop(budget.size, scale=(0.35, 1.0), antialias=True)]
        + ([v2.RandomHorizontalFlip()] if budget.flip else [])
    )
    plain = v2.Compose([v2.Resize(round(budget.size / 0.875)), v2.CenterCrop(budget.size)])

    def batches(epoch: int):
        for rows in order(len(y), budget.batch, seed, epoch):
            yield torch.stack([change(x[row]) for row in rows]), y[rows]

    train(
        model,
        lambda batch: functional.cross_entropy(model((batch[0] / 255 - mean) / std), batch[1]),
        batches,
        budget,
        seed,
        len(order(len(y), budget.batch, 0, 0)),
    )
    model.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(y_test), 64):
            images = torch.stack([plain(image) for image in x_test[start : start + 64]])
            right += int((model((images / 255 - mean) / std).argmax(1) == y_test[start : start + 64]).sum())
    return {"accuracy": right / len(y_test)}


def padded(image: torch.Tensor, sides: list[int], value: int) -> torch.Tensor:
    return functional.pad(image, (0, sides[1] - image.shape[-1], 0, sides[0] - image.shape[-2]), value=value)


def segmentation(data: Path, budget: Budget, seed: int) -> dict[str, float]:
    import segmentation_models_pytorch as smp

    train_set, test_set, num_classes = read_masks(data, budget)
    torch.manual_seed(seed)
    model = smp.Unet("resnet18", encoder_weights=None, classes=num_classes)
    colours = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return segmented(model, train_set, test_set, num_classes, budget, seed, colours)


def segmented(
    model: nn.Module, train_set, test_set, num_classes: int, budget: Budget, seed: int, colours, *, device: str = "cpu"
):
    """Train a network of segmentation_models_pytorch and return its mIoU; sets are pairs of image and mask."""
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in colours)
    model = model.to(device)

    def shrink(image: torch.Tensor) -> torch.Tensor:
        scale = budget.size / min(image.shape[-2:])
        height, width = (max(32, round(s * scale / 32) * 32) for s in image.shape[-2:])
        return v2.functional.resize(image, [height, width], antialias=True)

    small = [(shrink(image), mask) for image, mask in train_set]
    small = [
        (image, v2.functional.resize(mask[None], list(image.shape[-2:]), v2.InterpolationMode.NEAREST)[0])
        for image, mask in small
    ]
    coin = torch.Generator().manual_seed(seed)

    def batches(epoch: int):
        for rows in order(len(small), budget.batch, seed, epoch):
            images, masks = [], []
            for row in rows:
                image, mask = small[row]
                if torch.rand((), generator=coin) < 0.5:
                    image, mask = image.flip(-1), mask.flip(-1)
                images.append(image)
                masks.append(mask.long())
            sides = [max(image.shape[axis] for image in images) for axis in (1, 2)]
            yield (
                torch.stack([padded(image, sides, 0) for image in images]).to(device),
                torch.stack([padded(mask, sides, 255) for mask in masks]).to(device),
            )

    train(
        model,
        lambda batch: functional.cross_entropy(model((batch[0] / 255 - mean) / std), batch[1], ignore_index=255),
        batches,
        budget,
        seed,
        len(order(len(small), budget.batch, 0, 0)),
    )
    model.eval()
    confusion = torch.zeros(num_classes, num_classes, dtype=torch.long)
    with torch.inference_mode():
        for image, mask in test_set:
            logits = model((shrink(image)[None].to(device) / 255 - mean) / std).cpu()
            probs = functional.interpolate(logits.softmax(1), mask.shape, mode="bilinear", align_corners=False)
            kept = mask != 255
            pairs = mask[kept].long() * num_classes + probs[0].argmax(0)[kept]
            confusion += torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)
    hit = confusion.diag().double()
    union = confusion.sum(0) + confusion.sum(1) - hit
    return {"mIoU": float((hit / union)[confusion.sum(1) > 0].mean())}


KINDS = {"detection": detection, "classification": classification, "segmentation": segmentation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(BUDGETS))
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    budget = BUDGETS[arguments.name]
    for seed in arguments.seeds:
        start = time.perf_counter()
        score = KINDS[budget.kind](arguments.data, budget, seed)
        print(
            json.dumps(
                {
                    "set": arguments.name,
                    "who": "peer",
                    "seed": seed,
                    **score,
                    "seconds": round(time.perf_counter() - start),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
