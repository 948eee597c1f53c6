"""Time a training step and an inference of Faster and Mask R-CNN against torchvision's: same weights, inputs, settings.

    python benchmarks/detector_speed.py --models r50 mobilenet mask_r50 --batches 2 8
    python benchmarks/detector_speed.py --batches 8 --device cuda

The variants take turns (round robin), so that their ratios share the machine's mood; medians are printed, one JSON line
for each row. "snellen fp32" computes in the peer's precision; "snellen default" is what a user gets on this machine.
"""

import argparse
import json
import re
import statistics
import time
from dataclasses import replace

import torch
import torchvision
from torchvision.models.detection import FasterRCNN, fasterrcnn_resnet50_fpn, maskrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.ops import MultiScaleRoIAlign

from dense_speed import CPU, autocast, machine, measure, on
from snellen.models.detection import RegionSettings, faster_rcnn_mobilenet_v2_fpn, faster_rcnn_r50_fpn
from snellen.models.detection.mask_rcnn import mask_rcnn_r50_fpn
from snellen.models.detection.rpn import ProposalSettings
from snellen.models.detection.selection import SelectionSettings
from snellen.nn import quick_layout
from snellen.structures import BoxTarget, ImageBatch
from snellen.training.precision import best_precision

NUM_CLASSES = 90
MODELS = ("mobilenet", "r50", "mask_r50")


def peer(name: str, size: int):
    if name in ("r50", "mask_r50"):
        build = {"r50": fasterrcnn_resnet50_fpn, "mask_r50": maskrcnn_resnet50_fpn}[name]
        return build(weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1, min_size=size, max_size=size)
    net = torchvision.models.mobilenet_v2(weights=None).features
    body = BackboneWithFPN(net, {"6": "0", "13": "1", "18": "2"}, [32, 96, 1280], 256)
    return FasterRCNN(
        body,
        num_classes=NUM_CLASSES + 1,
        min_size=size,
        max_size=size,
        rpn_anchor_generator=AnchorGenerator(((32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 4),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2"], 7, 2),
    )


def ours(name: str, state):
    build = {
        "r50": faster_rcnn_r50_fpn,
        "mobilenet": faster_rcnn_mobilenet_v2_fpn,
        "mask_r50": mask_rcnn_r50_fpn,
    }[name]
    model = build(NUM_CLASSES)
    model.settings = RegionSettings()  # the peer's defaults in both
    model.proposals.settings = ProposalSettings()
    renamed = {}
    for theirs, value in state.items():
        key = theirs
        for pattern, replacement in model.foreign_names:
            key = re.sub(pattern, replacement, key)
        renamed[re.sub(r"^backbone\.(\d+)\.", r"backbone.blocks.\1.", key)] = value
    model.load_state_dict(renamed)
    return model


def calibrate(model, images, count: int) -> float:
    """Score above which about ``count`` (box, class) pairs per image go into suppression, as in a trained net."""
    got = {}
    hook = model.roi_heads.box_predictor.register_forward_hook(lambda *call: got.update(out=call[2]))
    with torch.inference_mode():
        model(images)
    hook.remove()
    scores = got["out"][0].softmax(-1)[:, 1:].flatten()
    return float(scores.topk(min(count * len(images), len(scores))).values[-1])


def ellipses(boxes, size: int):
    """Masks that fill their boxes."""
    place = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy"), dim=-1) + 0.5
    center = (boxes[..., 2:] + boxes[..., :2])[..., None, None, :] / 2
    half = (boxes[..., 2:] - boxes[..., :2])[..., None, None, :] / 2
    return (((place - center) / half).square().sum(-1) <= 1).to(torch.uint8)


def make_inputs(batch: int, size: int, boxes: int, *, masks: bool = False):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)
    sides = torch.rand(batch, boxes, 2, generator=generator) * size * 0.4 + 16
    corner = torch.rand(batch, boxes, 2, generator=generator) * (size - sides - 1).clamp(min=0)
    target = BoxTarget(
        boxes=torch.cat([corner, corner + sides], dim=2),
        labels=torch.randint(0, NUM_CLASSES, (batch, boxes), generator=generator),
        valid=torch.ones(batch, boxes, dtype=torch.bool),
        ignored=torch.zeros(batch, boxes, dtype=torch.bool),
    )
    if masks:
        target = replace(target, masks=ellipses(target.boxes, size))
    sizes = torch.full((batch, 2), size)
    images = ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)
    theirs = [image.float() / 255 for image in pixels]
    labels = [{"boxes": target.boxes[i], "labels": target.labels[i] + 1} for i in range(batch)]
    if masks:
        labels = [{**one, "masks": target.masks[i]} for i, one in enumerate(labels)]
    return images, target, theirs, labels


def variants(name: str, batch: int, size: int, boxes: int, device: torch.device):
    torch.manual_seed(0)
    theirs = peer(name, size).to(device)
    inputs = make_inputs(batch, size, boxes, masks=name == "mask_r50")
    images, target, their_images, their_targets = on(device, *inputs)
    theirs.train()
    theirs(their_images, their_targets)  # one step of statistics
    state = {k: v.clone() for k, v in theirs.state_dict().items()}
    theirs.eval()
    theirs.roi_heads.score_thresh = calibrate(theirs, their_images, 1000)
    settings = RegionSettings(selection=SelectionSettings(score_above=theirs.roi_heads.score_thresh))
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1e-4, momentum=0.9)

    def their_step():
        theirs.train()
        optimizer.zero_grad()
        sum(theirs(their_images, their_targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 10.0)
        optimizer.step()

    def their_inference():
        theirs.eval()
        with torch.inference_mode():
            theirs(their_images)

    rows = {"torchvision": (their_step, their_inference)}
    best = best_precision(device)
    for label, precision in {"snellen fp32": "fp32", "snellen default": best}.items():
        model = ours(name, state).to(device)
        quick_layout(model)
        model.settings = settings
        own = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
        batch_images = images.map(lambda t: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t)

        def step(model=model, own=own, precision=precision, batch_images=batch_images):
            model.train()
            own.zero_grad()
            with autocast(device, precision):
                output = model(batch_images, target)
            sum(model.loss(output, target).values()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            own.step()

        def inference(model=model, precision=precision, batch_images=batch_images):
            model.eval()
            with torch.inference_mode():
                with autocast(device, precision):
                    output = model(batch_images)
                model.decode(output, images.original_sizes)

        rows[label] = (step, inference)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--boxes", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", type=torch.device, default=CPU)
    parser.add_argument("--modes", nargs="+", default=["train", "infer"], choices=["train", "infer"])
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="one thread and its processor time: steady on a machine that others use, blind to a second core",
    )
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    if arguments.cpu_time:
        torch.set_num_threads(1)
    print(machine(arguments.device, clock))
    for name in arguments.models:
        for batch in arguments.batches:
            rows = variants(name, batch, arguments.size, arguments.boxes, arguments.device)
            for which, mode in enumerate(("train", "infer")):
                if mode not in arguments.modes:
                    continue
                calls = {label: pair[which] for label, pair in rows.items()}
                times = measure(calls, arguments.repeats, clock, arguments.device)
                medians = {label: statistics.median(row) for label, row in times.items()}
                for label, seconds in medians.items():
                    print(
                        json.dumps(
                            {
                                "model": name,
                                "batch": batch,
                                "mode": mode,
                                "variant": label,
                                "median_ms": round(seconds * 1000, 1),
                                "speedup": round(medians["torchvision"] / seconds, 2),
                            }
                        ),
                        flush=True,
                    )


if __name__ == "__main__":
    main()
