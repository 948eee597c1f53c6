"""What watching costs: training steps with and without it, in turns, beside hooks on every module and histograms.

    python benchmarks/doctor/watch_overhead.py
    python benchmarks/doctor/watch_overhead.py --models resnet18 --rounds 2 --steps 40

Each variant trains the same model on the same batches from the same weights; a round is a number of steps of each, in
turns, of which the median counts. *Hooks*: forward and backward hooks on every module that note mean and spread and
read them back, as loggers of activations do. *Histograms*: of every gradient, every ``--histogram-every`` steps, as
``wandb.watch`` makes them. ``snellen.watch`` runs with what it chooses by itself, after its first, closer look. After
the last round the weights of the plain and of the watched run are compared bit for bit. Writes
``results/watch_overhead.md``.
"""

import argparse
import copy
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

import snellen

HERE = Path(__file__).resolve().parent
VARIANTS = ("plain", "snellen.watch", "hooks", "histograms")
LOOKED_CLOSELY = 16  # steps at the start, which are not counted


class Loop:
    """A model, its batch and one step of its training."""

    def __init__(self, model: nn.Module, batch: Any, loss: Callable[[nn.Module, Any], torch.Tensor]) -> None:
        self.model, self.batch, self.loss = model.train(), batch, loss
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)

    def step(self) -> torch.Tensor:
        loss = self.loss(self.model, self.batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def classifier(build: Callable[..., nn.Module], size: int, images: int) -> Loop:
    batch = torch.randn(images, 3, size, size), torch.randint(0, 10, (images,))
    return Loop(build(num_classes=10), batch, lambda model, b: functional.cross_entropy(model(b[0]), b[1]))


def unet() -> Loop:
    import segmentation_models_pytorch as smp

    model = smp.Unet("resnet18", encoder_weights=None, classes=5)
    batch = torch.randn(4, 3, 128, 128), torch.randint(0, 5, (4, 128, 128))
    return Loop(model, batch, lambda m, b: functional.cross_entropy(m(b[0]), b[1]))


def faster_rcnn() -> Loop:
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=256, max_size=256
    )
    corners = torch.rand(6, 2) * 150
    targets = [{"boxes": torch.cat([corners, corners + 60], 1), "labels": torch.randint(1, 4, (6,))} for _ in range(2)]
    return Loop(model, ([torch.rand(3, 256, 256) for _ in range(2)], targets), lambda m, b: sum(m(*b).values()))


MODELS: dict[str, Callable[[], Loop]] = {
    "resnet18": lambda: classifier(torchvision.models.resnet18, 128, 16),
    "resnet50": lambda: classifier(torchvision.models.resnet50, 128, 8),
    "unet_resnet18": unet,
    "faster_rcnn_r50_fpn": faster_rcnn,
}


def with_hooks(loop: Loop) -> list[RemovableHandle]:
    """Note mean and spread of what every module gives out, and of its gradient.

    Gradients by hooks on tensors: backward hooks on modules refuse what the next module changes in place.
    """
    seen: dict[str, float] = {}

    def note(name: str, values: torch.Tensor) -> None:
        seen[name] = float(values.mean()) + float(values.std())

    def look(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.is_floating_point() and output.numel() > 1:
            note(name, output.detach())
            if output.requires_grad:
                output.register_hook(partial(note, f"{name} gradient"))

    leaves = [(name, module) for name, module in loop.model.named_modules() if not list(module.children())]
    return [module.register_forward_hook(partial(look, name)) for name, module in leaves]


def with_histograms(loop: Loop, numbers: Iterator[int], every: int) -> None:
    loop.step()
    if next(numbers) % every == 0:
        for parameter in loop.model.parameters():
            if parameter.grad is not None:
                torch.histc(parameter.grad.float(), bins=64).tolist()


def steps_of(loop: Loop, variant: str, every: int, stack: ExitStack) -> Callable[[], None]:
    """Return one step under a variant."""
    if variant == "snellen.watch":
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        doctor = stack.enter_context(
            snellen.watch(loop.model, loop.optimizer, folder=folder, on_finding=lambda *_: None)
        )

        def step() -> None:
            doctor.observe(loop.step())

        return step
    if variant == "hooks":
        for handle in with_hooks(loop):
            stack.callback(handle.remove)
    if variant == "histograms":
        return partial(with_histograms, loop, count(1), every)

    def plain() -> None:
        loop.step()

    return plain


def measure(name: str, rounds: int, steps: int, every: int) -> str:
    torch.manual_seed(0)
    first = MODELS[name]()
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    with ExitStack() as stack:
        loops = {variant: copy.deepcopy(first) for variant in VARIANTS}
        run = {variant: steps_of(loops[variant], variant, every, stack) for variant in VARIANTS}
        for variant in VARIANTS:
            torch.manual_seed(1)  # samplers of detectors draw
            for _ in range(LOOKED_CLOSELY):
                run[variant]()
        for number in range(rounds):
            order = VARIANTS[number % len(VARIANTS) :] + VARIANTS[: number % len(VARIANTS)]
            for variant in order:
                torch.manual_seed(2 + number)
                began = time.process_time()
                for _ in range(steps):
                    run[variant]()
                times[variant].append((time.process_time() - began) / steps)
    same = all(
        torch.equal(one, other)
        for one, other in zip(
            loops["plain"].model.state_dict().values(), loops["snellen.watch"].model.state_dict().values(), strict=True
        )
    )
    cells = [f"{1000 * statistics.median(times['plain']):.0f}"]
    for variant in VARIANTS[1:]:
        shares = [a / b - 1 for a, b in zip(times[variant], times["plain"], strict=True)]
        cells.append(f"{statistics.median(shares):+.1%} ({min(shares):+.1%} … {max(shares):+.1%})")
    return f"| {name} | {' | '.join(cells)} | {'yes' if same else 'NO'} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--histogram-every", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    text = (
        "# What watching costs\n\n"
        f"`python benchmarks/doctor/watch_overhead.py --rounds {arguments.rounds} --steps {arguments.steps}`; Python "
        f"{platform.python_version()}, torch {torch.__version__}, {arguments.threads} thread, other programs on the "
        f"machine with a load of {os.getloadavg()[0]:.1f}. Processor time of a training step; what each variant adds, "
        f"median over rounds in turns (least … most). Histograms: every {arguments.histogram_every} steps.\n\n"
        "| model | plain, ms | snellen.watch | hooks on every module | histograms of gradients | same bits |\n"
        "|---|---|---|---|---|---|\n"
    )
    for name in arguments.models:
        line = measure(name, arguments.rounds, arguments.steps, arguments.histogram_every)
        text += line
        print(line, end="", flush=True)
    if set(arguments.models) == set(MODELS):
        (HERE.parent / "results" / "watch_overhead.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
