"""What watching costs: training steps with and without it, in turns, beside hooks on every module and histograms.

    python benchmarks/doctor/watch_overhead.py
    python benchmarks/doctor/watch_overhead.py --models resnet18 --seconds 30

One model is trained, and its steps are plain, watched or logged in turns, so that all use the same memory; what counts
is the processor time of a step over that of the plain step beside it. *Hooks*: forward hooks on every module, and on
the gradients of what they give out, that note mean and spread and read them back, as loggers of activations do.
*Histograms*: of every gradient in every step, as ``wandb.watch`` makes them. ``snellen.watch`` runs with what it
chooses by itself: a step that is not looked at, the two steps of a sample, and how far samples lie apart are measured
by themselves and added up, so that few steps tell of a long run; to them the share is added that judging may take at
most. Before, two copies are trained for some steps, one of them watched, and compared bit for bit. Writes
``results/watch_overhead.md``.
"""

import argparse
import copy
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

import snellen
from snellen.doctor.watching.telling import JUDGING_SHARE
from snellen.doctor.watching.watch import Watch

HERE = Path(__file__).resolve().parent
WARM_UP = 2  # steps of each, which are not counted
COMPARED = 8  # steps, after which two copies are compared
OTHERS_EVERY = 5  # steps, in which hooks and histograms have their turn too: they cost so much that few tell it
ERROR_OF_MEDIAN = 1.2533 * 1.4826  # standard error, in median absolute deviations over the root of the number


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
    batch = torch.randn(4, 3, 96, 96), torch.randint(0, 5, (4, 96, 96))
    return Loop(model, batch, lambda m, b: functional.cross_entropy(m(b[0]), b[1]))


def faster_rcnn() -> Loop:
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=192, max_size=192,
        rpn_pre_nms_top_n_train=500, rpn_post_nms_top_n_train=200, box_batch_size_per_image=64,
    )  # fmt: skip
    corners = torch.rand(6, 2) * 120
    targets = [{"boxes": torch.cat([corners, corners + 50], 1), "labels": torch.randint(1, 4, (6,))} for _ in range(2)]
    return Loop(model, ([torch.rand(3, 192, 192) for _ in range(2)], targets), lambda m, b: sum(m(*b).values()))


MODELS: dict[str, Callable[[], Loop]] = {
    "resnet18": lambda: classifier(torchvision.models.resnet18, 96, 16),
    "resnet50": lambda: classifier(torchvision.models.resnet50, 96, 8),
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


def with_histograms(loop: Loop) -> None:
    loop.step()
    for parameter in loop.model.parameters():
        if parameter.grad is not None:
            torch.histc(parameter.grad.float(), bins=64).tolist()


def seconds_of(step: Callable[[], object], seed: int) -> float:
    """Return the processor time of one step."""
    torch.manual_seed(seed)  # samplers of detectors draw
    began = time.process_time()
    step()
    return time.process_time() - began


class Measured:
    """The times of one model's steps: pairs of a variant and the plain step beside it."""

    def __init__(self) -> None:
        self.plain: list[float] = []
        self.watched: dict[int, float] = {}
        self.others: dict[str, list[float]] = {"hooks": [], "histograms": []}

    def share(self, steps: Sequence[int]) -> tuple[float, float]:
        """Return what watched steps cost beyond the plain ones beside them, as a share, and its standard error."""
        return median_of([self.watched[step] / self.plain[step - 1] - 1 for step in steps])


def median_of(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    middle = statistics.median(values)
    spread = statistics.median(abs(value - middle) for value in values)
    return middle, ERROR_OF_MEDIAN * spread / len(values) ** 0.5


def watched(loop: Loop, folder: str, **options: Any) -> Watch:
    return snellen.watch(loop.model, loop.optimizer, folder=folder, on_finding=lambda *_: None, **options)


def is_the_same(name: str) -> bool:
    """Return whether a watched copy has the same weights and statistics as another, bit for bit, after some steps."""
    torch.manual_seed(0)
    plain = MODELS[name]()
    other = copy.deepcopy(plain)
    with tempfile.TemporaryDirectory() as folder, watched(other, folder, every=3) as doctor:
        for step in range(COMPARED):
            torch.manual_seed(step)
            plain.step()
            torch.manual_seed(step)
            doctor.observe(other.step())
    pairs = zip(plain.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


class Turns:
    """The steps of one model, watched or logged in some of them."""

    def __init__(self, loop: Loop, doctor: Watch) -> None:
        self.loop, self.doctor = loop, doctor
        doctor._teller._from_step = 10**9

    def plain(self) -> None:
        self.loop.step()

    def watched(self) -> None:
        doctor = self.doctor
        doctor.__enter__()
        doctor.observe(self.loop.step())
        for handle in (*doctor._handles, *doctor._step_handles):
            handle.remove()

    def hooks(self) -> None:
        handles = with_hooks(self.loop)
        self.loop.step()
        for handle in handles:
            handle.remove()

    def histograms(self) -> None:
        with_histograms(self.loop)


def measure(name: str, seconds: float) -> str:
    """Return the row of one model, after so many seconds of processor time."""
    same = is_the_same(name)
    torch.manual_seed(0)
    loop, found = MODELS[name](), Measured()
    with tempfile.TemporaryDirectory() as folder:
        doctor = watched(loop, folder)
        turns = Turns(loop, doctor)
        ends = time.process_time() + seconds
        step = 0
        while time.process_time() < ends or step < 2 * OTHERS_EVERY:
            step += 1
            order = ("plain", "watched") if step % 2 else ("watched", "plain")
            times = {variant: seconds_of(getattr(turns, variant), step) for variant in order}
            found.plain.append(times["plain"])
            found.watched[step] = times["watched"]
            if step % OTHERS_EVERY == 0:
                for variant in found.others:
                    found.others[variant].append(seconds_of(getattr(turns, variant), step) / times["plain"] - 1)
        interval = doctor._schedule.interval
        doctor.__exit__(None, None, None)
        looked_at = [int(number) for number in doctor.trace.sampled if number > WARM_UP]
    return row(name, found, looked_at, interval, is_same=same)


def row(name: str, found: Measured, looked_at: Sequence[int], interval: int, *, is_same: bool) -> str:
    firsts = [step for step in looked_at if step + 1 in looked_at or step - 1 not in looked_at]
    seconds = [step for step in looked_at if step not in firsts]
    quiet = [step for step in found.watched if step > WARM_UP and step not in looked_at]
    usual, error = found.share(quiet)
    first, second = found.share(firsts)[0], found.share(seconds)[0] if seconds else 0.0
    whole = usual + (first - usual + second - usual) / interval + JUDGING_SHARE
    cells = [
        f"{1000 * statistics.median(found.plain):.0f}",
        f"{usual:+.2%} ± {error:.2%}",
        f"{first:+.0%}, {second:+.0%}",
        f"{interval}",
        f"**{whole:+.2%} ± {error:.2%}**",
        *(f"{median_of(values)[0]:+.0%}" for values in found.others.values()),
        "yes" if is_same else "NO",
    ]
    return f"| {name} | {' | '.join(cells)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=180, help="of processor time for each model")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    text = (
        "# What watching costs\n\n"
        f"`python benchmarks/doctor/watch_overhead.py --seconds {arguments.seconds:g}`; Python "
        f"{platform.python_version()}, torch {torch.__version__}, {arguments.threads} thread, load of the machine "
        f"{os.getloadavg()[0]:.1f}. Processor time of a training step over that of the plain step beside it: median, "
        "with its standard error. *Whole*: the step that is not looked at, the two of a sample as often as they come, "
        f"and {JUDGING_SHARE:.1%} for judging, its limit. Histograms: of the gradients, in every step.\n\n"
        "| model | plain step, ms | not looked at | the two of a sample | steps between samples | whole | "
        "hooks on every module | histograms | same bits |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    for name in arguments.models:
        line = measure(name, arguments.seconds)
        text += line
        print(line, end="", flush=True)
    if set(arguments.models) == set(MODELS):
        (HERE.parent / "results" / "watch_overhead.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
