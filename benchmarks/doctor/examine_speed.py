"""How long an examination takes, and which measurement takes how much of it.

    python benchmarks/doctor/examine_speed.py
    python benchmarks/doctor/examine_speed.py --models faster_rcnn --rounds 1

ResNet-18 with 16 images of 128 px, and torchvision's Faster R-CNN (ResNet-50, pyramid) with 2 images of 800 px and 8
objects each; models, losses and optimizers as a user hands them to ``snellen.examine``. Medians over rounds, by the
clock and by the processor. Writes ``results/doctor_examine.md``.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

import snellen
from snellen.doctor import Level
from snellen.doctor.evidence.gathering import Evidence

HERE = Path(__file__).resolve().parent
GOALS_S = {"resnet18": 30, "faster_rcnn": 120}  # on two cores
SHOWN = 6  # measurements in the table


def resnet18() -> tuple[Any, ...]:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10)
    batch = torch.randn(16, 3, 128, 128), torch.randint(0, 10, (16,))
    return model, batch, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def faster_rcnn() -> tuple[Any, ...]:
    torch.manual_seed(0)
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=4)
    images = [torch.rand(3, 800, 800) for _ in range(2)]
    targets = []
    for _ in images:
        corners = torch.rand(8, 2) * 500
        boxes = torch.cat([corners, corners + 60 + torch.rand(8, 2) * 200], dim=1)
        targets.append({"boxes": boxes, "labels": torch.randint(1, 4, (8,))})
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.005, momentum=0.9)
    return model, (images, targets), None, optimizer


MODELS: dict[str, Callable[[], tuple[Any, ...]]] = {"resnet18": resnet18, "faster_rcnn": faster_rcnn}


def timed_sources(seconds: dict[str, float]) -> Callable[[], None]:
    """Add the time that each source takes by itself to ``seconds``; return what ends it."""
    original, running = Evidence._measured, []

    @wraps(original)
    def measured(self: Evidence, kind: type[Any]) -> object:
        began = time.perf_counter()
        running.append(0.0)
        found = original(self, kind)
        whole, of_others = time.perf_counter() - began, running.pop()
        seconds[kind.__name__] = seconds.get(kind.__name__, 0.0) + whole - of_others
        if running:
            running[-1] += whole
        return found

    Evidence._measured = measured

    def end() -> None:
        Evidence._measured = original

    return end


def measure(name: str, rounds: int) -> str:
    walls, processors, sources = [], [], []
    said: list[str] = []
    for _ in range(rounds):
        model, batch, loss, optimizer = MODELS[name]()
        seconds: dict[str, float] = {}
        end = timed_sources(seconds)
        began, used = time.perf_counter(), time.process_time()
        diagnosis = snellen.examine(model, batch, loss, optimizer)
        walls.append(time.perf_counter() - began)
        processors.append(time.process_time() - used)
        end()
        sources.append(seconds)
        said = [f"{finding.code} {Level(finding.level).name.lower()}" for finding in diagnosis.findings]
    most = sorted(sources[-1], key=lambda kind: -sources[-1][kind])[:SHOWN]
    shares = ", ".join(f"{kind} {statistics.median(entry.get(kind, 0.0) for entry in sources):.1f}" for kind in most)
    return (f"| {name} | {statistics.median(walls):.1f} | {GOALS_S[name]} | {statistics.median(processors):.1f} "
            f"| {shares} | {', '.join(said) or 'nothing'} |\n")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    text = (
        "# How long an examination takes\n\n"
        f"`python benchmarks/doctor/examine_speed.py`; Python {platform.python_version()}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, other programs on the machine with a load of {load:.1f}. Seconds, medians "
        f"over {arguments.rounds} rounds; the measurements without what they wait for.\n\n"
        "| model | by the clock | goal | by the processor | most of it | said |\n|---|---|---|---|---|---|\n"
    )
    text += "".join(measure(name, arguments.rounds) for name in arguments.models)
    print(text)
    if set(arguments.models) == set(MODELS):
        (HERE.parent / "results" / "doctor_examine.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
