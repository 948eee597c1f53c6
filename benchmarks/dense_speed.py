"""Time a training step and an inference of RetinaNet and SSD against torchvision's: same weights, inputs and settings.

    python benchmarks/dense_speed.py --models retinanet ssd --batches 2 8
    python benchmarks/dense_speed.py --batches 8 --device cuda

The variants take turns (round robin), so that their ratios share the machine's mood. A speedup is the median over the
rounds of torchvision's time over ours in that round. One JSON line for each row. "snellen fp32" computes in the peer's
precision; "snellen default" is what a user gets on this machine. "backbone, nchw" and "backbone, nhwc" are the backbone
alone, forward (and backward with every parameter's gradient), in torch's usual memory format and in ours: what no
detector on it can go below.
"""

import argparse
import contextlib
import json
import platform
import re
import statistics
import time
from dataclasses import replace

import torch
import torchvision
from torchvision.models.detection import retinanet_resnet50_fpn, ssd300_vgg16

from snellen.models.detection.retinanet import RetinaNet, retinanet_r50_fpn
from snellen.models.detection.ssd import Ssd, ssd300
from snellen.nn import quick_layout
from snellen.structures import BoxTarget, ImageBatch
from snellen.training.precision import best_precision

NUM_CLASSES = 90
CPU = torch.device("cpu")
SIZES = {"retinanet": 320, "ssd": 300}
PAIRS = 1000  # of a box and a class that go into suppression for each image, about as many as in a trained network


def peer(name: str):
    if name == "ssd":
        return ssd300_vgg16(weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1)
    # torchvision's RetinaNet asks one question for each class it is told of, the background included.
    size = SIZES[name]
    return retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=NUM_CLASSES, min_size=size, max_size=size
    )


def ours(name: str, state):
    model, family = {"ssd": (ssd300, Ssd), "retinanet": (retinanet_r50_fpn, RetinaNet)}[name]
    model = model(NUM_CLASSES)
    rules = [*family.foreign_names]
    rules += [(rule.replace("^", r"^backbone\."), f"backbone.{new}") for rule, new in model.backbone.foreign_names]
    renamed = {}
    for key, value in state.items():
        renamed[next((re.sub(rule, new, key) for rule, new in rules if re.search(rule, key)), key)] = value
    model.load_state_dict(renamed)
    return model


def calibrate(model, name: str, images) -> float:
    """Score above which about ``PAIRS`` pairs per image go into suppression."""
    got = {}
    hook = model.head.register_forward_hook(lambda *call: got.update(out=call[2]))
    with torch.inference_mode():
        model(images)
    hook.remove()
    logits = got["out"]["cls_logits"]
    scores = logits.softmax(-1)[..., 1:] if name == "ssd" else logits.sigmoid()
    return float(scores.flatten().topk(PAIRS * len(images)).values[-1])


def make_inputs(name: str, batch: int, boxes: int):
    size = SIZES[name]
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
    sizes = torch.full((batch, 2), size)
    images = ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)
    theirs = [image.float() / 255 for image in pixels]
    shift = 1 if name == "ssd" else 0
    labels = [{"boxes": target.boxes[i], "labels": target.labels[i] + shift} for i in range(batch)]
    return images, target, theirs, labels


def on(device: torch.device, images, target, theirs, labels):
    """Return inputs on a device."""
    moved = [{key: value.to(device) for key, value in one.items()} for one in labels]
    return images.to(device), target.to(device), [image.to(device) for image in theirs], moved


def autocast(device: torch.device, precision: str):
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return torch.autocast(device.type, half[precision]) if precision in half else contextlib.nullcontext()


def their_calls(theirs, images, targets):
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1e-6, momentum=0.9)

    def step():
        theirs.train()
        optimizer.zero_grad()
        sum(theirs(images, targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 10.0)
        optimizer.step()

    def inference():
        theirs.eval()
        with torch.inference_mode():
            theirs(images)

    return step, inference


def our_calls(model, images, target, precision: str):
    quick_layout(model)
    device = images.pixels.device
    images = images.map(lambda t: t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def step():
        model.train()
        optimizer.zero_grad()
        with autocast(device, precision):
            output = model(images, target)
        sum(model.loss(output, target).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()

    def inference():
        model.eval()
        with torch.inference_mode():
            with autocast(device, precision):
                output = model(images)
            model.decode(output, images.original_sizes)

    return step, inference


def floor_calls(model, images, memory_format):
    net = model.backbone.to(memory_format=memory_format)
    pixels = model.normalize(images).contiguous(memory_format=memory_format)

    def step():
        net.train()
        net.zero_grad()
        last = list(net(pixels).values())[-1]
        last.backward(torch.ones_like(last))

    def inference():
        net.eval()
        with torch.inference_mode():
            net(pixels)

    return step, inference


def variants(name: str, batch: int, boxes: int, device: torch.device, *, floor: bool):
    torch.manual_seed(0)
    theirs = peer(name).to(device)
    images, target, their_images, their_targets = on(device, *make_inputs(name, batch, boxes))
    theirs.train()
    with torch.no_grad():
        theirs(their_images, their_targets)  # one step of statistics
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    theirs.eval()
    theirs.score_thresh = calibrate(theirs, name, their_images)
    rows = {"torchvision": their_calls(theirs, their_images, their_targets)}
    for label, precision in {"snellen fp32": "fp32", "snellen default": best_precision(device)}.items():
        model = ours(name, state).to(device)
        model.settings = replace(model.settings, score_above=theirs.score_thresh)
        rows[label] = our_calls(model, images, target, precision)
    if floor:
        rows["backbone, nchw"] = floor_calls(ours(name, state).to(device), images, torch.contiguous_format)
        rows["backbone, nhwc"] = floor_calls(ours(name, state).to(device), images, torch.channels_last)
    return rows


def measure(calls, repeats: int, clock, device: torch.device = CPU):
    finish = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    for call in calls.values():
        call()
    times = {label: [] for label in calls}
    for _ in range(repeats):
        for label, call in calls.items():
            finish()
            start = clock()
            call()
            finish()
            times[label].append(clock() - start)
    return times


def machine(device: torch.device, clock) -> str:
    """Return what the figures were taken with, as a line of JSON."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return json.dumps({"python": platform.python_version(), "torch": torch.__version__,
                       "torchvision": torchvision.__version__, "device": name, "clock": clock.__name__})  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["retinanet", "ssd"], choices=["retinanet", "ssd"])
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--boxes", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--modes", nargs="+", default=["train", "infer"], choices=["train", "infer"])
    parser.add_argument("--device", type=torch.device, default=CPU)
    parser.add_argument("--floor", action="store_true", help="time the backbone alone too")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="processor time of all threads: steadier on a machine that others use; set OMP_WAIT_POLICY=passive, or "
        "threads that wait for one another count as busy",
    )
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    print(machine(arguments.device, clock))
    for name in arguments.models:
        for batch in arguments.batches:
            rows = variants(name, batch, arguments.boxes, arguments.device, floor=arguments.floor)
            for which, mode in enumerate(("train", "infer")):
                if mode not in arguments.modes:
                    continue
                calls = {label: pair[which] for label, pair in rows.items()}
                times = measure(calls, arguments.repeats, clock, arguments.device)
                for label, row in times.items():
                    ratios = [theirs / own for theirs, own in zip(times["torchvision"], row, strict=True)]
                    line = {"model": name, "batch": batch, "mode": mode, "variant": label}
                    line |= {"median_ms": round(statistics.median(row) * 1000, 1)}
                    line |= {"speedup": round(statistics.median(ratios), 2)}
                    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
