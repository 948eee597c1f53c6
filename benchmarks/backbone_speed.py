"""Time a forward pass and a training step of every network against torchvision's or timm's with the same weights.

    python benchmarks/backbone_speed.py --models resnet18 densenet121 --repeats 7

All four variants take turns (round robin), so that a ratio shares the machine's mood: theirs and ours, each in torch's
usual memory format (nchw) and with the channels last (nhwc), ours then with `quick_layout`, which also sends large 3x3
convolutions Winograd's way. A speedup is the median over the rounds of their time over ours in that round. "default"
compares what users get: torchvision as its examples run it (nchw) with ours as `snellen train` runs it. "quickest"
compares both in the format in which each is quickest, which is the stricter question.

A training step is forward, cross-entropy, backward and one step of SGD with momentum, in float32. Writes a table to
benchmarks/results/backbone_speed.md; rows of earlier runs on the same machine and setting stay.
"""

import argparse
import gc
import json
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
import torchvision
from torch import Tensor, nn

from snellen.models import find_model, load_weights
from snellen.nn import quick_layout

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "backbone_speed.md"
FORMATS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}
MODES = ("forward", "step")
NUM_CLASSES = 1000
TORCHVISION = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2",
    "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "densenet121", "densenet161", "densenet169",
    "densenet201", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5", "shufflenet_v2_x2_0", *(f"efficientnet_b{variant}" for variant in range(8)), "alexnet",
    "vgg11", "vgg11_bn", "vgg13", "vgg16", "vgg19", "googlenet", "inception_v3",
)  # fmt: skip
# Ours by timm's name where torchvision has no such network.
TIMM = {
    "resnetv2_18": "resnetv2_18", "resnetv2_50": "resnetv2_50", "resnetv2_101": "resnetv2_101",
    "seresnet18": "seresnet18", "seresnet34": "seresnet34", "seresnet50": "seresnet50", "seresnet101": "seresnet101",
    "seresnext50_32x4d": "seresnext50_32x4d", "xception": "legacy_xception",
}  # fmt: skip
HEAD = """# Backbones: forward pass and training step against torchvision's

Written by `benchmarks/backbone_speed.py`. Medians of their time over ours, round by round: above 1 ours is the quicker.
"default": theirs in torch's usual memory format, ours with the channels last and large 3x3 convolutions by Winograd, as
each is run by default. "quickest": the quicker of the two formats for each. Milliseconds are medians of one pass in the
default format.

"""
COLUMNS = ("network", "peer", "mode", "batch", "px", "theirs ms", "ours ms", "default", "quickest", "setting")


class Ours(nn.Module):
    """Backbone and head on normalised images, as the peer takes them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        last = self.net.backbone.features[-1]
        maps = self.net.backbone(x)[last.name]
        cells = torch.tensor([maps.shape[-2:]]).expand(len(x), 2)
        return self.net.head(maps, cells)


def peer(name: str) -> nn.Module:
    if name in TIMM:
        return timm.create_model(TIMM[name], num_classes=NUM_CLASSES)
    options = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, name)(weights=None, num_classes=NUM_CLASSES, **options)


def pair(name: str, change: Callable[[nn.Module], None] | None = None) -> tuple[nn.Module, nn.Module]:
    """Their network, changed first, and ours with its weights."""
    torch.manual_seed(0)
    theirs = peer(name)
    if change is not None:
        change(theirs)
    net = find_model(name).build(NUM_CLASSES)
    if len(getattr(net, "auxiliary", ())):
        net.auxiliary = nn.ModuleDict()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pth"
        torch.save(theirs.state_dict(), file)
        report = load_weights(net, file)
    assert not report.missing, report.summary()
    return theirs, Ours(net)


def calls(net: nn.Module, x: Tensor, memory_format: torch.memory_format) -> dict[str, Callable[[], None]]:
    if isinstance(net, Ours) and memory_format == torch.channels_last:
        quick_layout(net)
    net = net.to(memory_format=memory_format)
    x = x.contiguous(memory_format=memory_format)
    labels = torch.arange(len(x)) % NUM_CLASSES
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9)

    def forward() -> None:
        net.eval()
        with torch.inference_mode():
            net(x)

    def step() -> None:
        net.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()

    return {"forward": forward, "step": step}


def variants(name: str, batch: int, size: int) -> dict[str, dict[str, Callable[[], None]]]:
    x = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(0))
    rows = {}
    for label, memory_format in FORMATS.items():
        theirs, ours = pair(name)
        with torch.inference_mode():
            found, wanted = ours.eval()(x), theirs.eval()(x)
        scale = wanted.abs().max()
        assert (found - wanted).abs().max() <= 1e-3 * scale, f"{name}: not the same network"
        rows[f"theirs {label}"] = calls(theirs, x, memory_format)
        rows[f"ours {label}"] = calls(ours, x, memory_format)
    return rows


def measured(
    rows: dict[str, dict[str, Callable[[], None]]], mode: str, repeats: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    for row in rows.values():
        row[mode]()  # the first pass plans
    times: dict[str, list[float]] = {label: [] for label in rows}
    for round_number in range(repeats):
        labels = list(rows)
        turned = labels[round_number % len(labels) :] + labels[: round_number % len(labels)]
        for label in turned:
            start = clock()
            rows[label][mode]()
            times[label].append(clock() - start)
    return times


def ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(left / right for left, right in zip(theirs, ours, strict=True))


def quickest(times: dict[str, list[float]], who: str) -> list[float]:
    return min((times[f"{who} {label}"] for label in FORMATS), key=statistics.median)


def line(
    name: str, mode: str, batch: int, size: int, times: dict[str, list[float]], clock: Callable[[], float]
) -> dict[str, str]:
    theirs, ours = times["theirs nchw"], times["ours nhwc"]
    return {
        "network": f"`{name}`",
        "peer": "timm" if name in TIMM else "torchvision",
        "mode": mode,
        "batch": str(batch),
        "px": str(size),
        "theirs ms": f"{1000 * statistics.median(theirs):.0f}",
        "ours ms": f"{1000 * statistics.median(ours):.0f}",
        "default": f"{ratio(theirs, ours):.2f}×",
        "quickest": f"{ratio(quickest(times, 'theirs'), quickest(times, 'ours')):.2f}×",
        "setting": setting(len(theirs), clock),
    }


def setting(repeats: int, clock: Callable[[], float]) -> str:
    threads = torch.get_num_threads()
    return (
        f"{platform.machine()}, {threads} thread{'s' if threads > 1 else ''}, torch {torch.__version__.split('+')[0]}, "
        f"{repeats} rounds, {clock.__name__}"
    )


def read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    rows = [re.split(r"\s*\|\s*", text.strip().strip("|").strip()) for text in path.read_text().splitlines()]
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows if len(row) == len(COLUMNS) and row[0].startswith("`")]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    body = [f"| {' | '.join(row[column] for column in COLUMNS)} |" for row in rows]
    path.write_text(HEAD + "\n".join([*head, *body]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[*TORCHVISION, *TIMM], choices=[*TORCHVISION, *TIMM])
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, help="side of the images in px; the network's own if left out")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="processor time of all threads: steadier on a machine that others use; set OMP_WAIT_POLICY=passive, or "
        "threads that wait for one another count as busy",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    rows = {(row["network"], row["mode"], row["batch"], row["px"]): row for row in read(arguments.out)}
    for name in arguments.models:
        size = arguments.size or find_model(name).default_size[0]
        calls_of = variants(name, arguments.batch, size)
        for mode in arguments.modes:
            row = line(name, mode, arguments.batch, size, measured(calls_of, mode, arguments.repeats, clock), clock)
            rows[row["network"], mode, row["batch"], row["px"]] = row
            print(json.dumps(row, ensure_ascii=False), flush=True)
            write(arguments.out, list(rows.values()))
        del calls_of
        gc.collect()


if __name__ == "__main__":
    main()
