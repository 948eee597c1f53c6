"""What watching costs: training steps with and without it, in turns, beside hooks on every module and histograms.

    python benchmarks/doctor/watch_overhead.py
    python benchmarks/doctor/watch_overhead.py --models resnet18 --seconds 30
    python benchmarks/doctor/watch_overhead.py --device cuda --seconds 20

One model is trained, and its steps are plain, watched or logged in turns, so that all use the same memory; what counts
is the processor time of a step over that of the plain step beside it, on an accelerator the time by the clock of ten
steps until their work is done. *Hooks*: forward hooks on every module, and on
the gradients of what they give out, that note mean and spread and read them back, as loggers of activations do.
*Histograms*: of every gradient in every step, as ``wandb.watch`` makes them. ``snellen.watch`` runs with what it
chooses by itself: a step that is not looked at, the two steps of a sample, and how far samples lie apart are measured
by themselves and added up, so that few steps tell of a long run; to them the share is added that judging may take at
most. Before, two copies are trained for some steps, one of them watched, and compared bit for bit. Writes
``results/watch_overhead.md``, or ``watch_overhead_cuda.md``.
"""

import argparse
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
WARM_UP = 2  # turns, which are not counted
TOGETHER = 10  # steps of a turn on an accelerator
COMPARED = 8  # steps, after which two copies are compared
OTHERS_EVERY = 5  # turns, in which hooks and histograms have their turn too: they cost so much that few tell it
ERROR_OF_MEDIAN = 1.2533 * 1.4826  # standard error, in median absolute deviations over the root of the number


def on(device: torch.device, batch: Any) -> Any:
    """Return tensors, and whatever holds them, on a device."""
    if isinstance(batch, dict):
        return {name: on(device, value) for name, value in batch.items()}
    return batch.to(device) if isinstance(batch, torch.Tensor) else type(batch)(on(device, value) for value in batch)


class Loop:
    """A model, its batch and one step of its training."""

    def __init__(self, model: nn.Module, batch: Any, loss: Callable[[nn.Module, Any], torch.Tensor]) -> None:
        self.model, self.batch, self.loss = model.train(), batch, loss
        parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)

    def to(self, device: torch.device) -> "Loop":
        """Return the same loop on a device."""
        return Loop(self.model.to(device), on(device, self.batch), self.loss)

    def step(self) -> torch.Tensor:
        loss = self.loss(self.model, self.batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def classifier(build: Callable[..., nn.Module], size: int, images: int) -> Loop:
    batch = torch.randn(images, 3, size, size), torch.randint(0, 10, (images,))
    return Loop(build(num_classes=10), batch, lambda model, b: functional.cross_entropy(model(b[0]), b[1]))


def unet(size: int, images: int) -> Loop:
    import segmentation_models_pytorch as smp

    model = smp.Unet("resnet18", encoder_weights=None, classes=5)
    batch = torch.randn(images, 3, size, size), torch.randint(0, 5, (images, size, size))
    return Loop(model, batch, lambda m, b: functional.cross_entropy(m(b[0]), b[1]))


def faster_rcnn(size: int, images: int) -> Loop:
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=size, max_size=size,
        rpn_pre_nms_top_n_train=500, rpn_post_nms_top_n_train=200, box_batch_size_per_image=64,
    )  # fmt: skip
    corners = torch.rand(6, 2) * (size - 72)
    targets = [
        {"boxes": torch.cat([corners, corners + 50], 1), "labels": torch.randint(1, 4, (6,))} for _ in range(images)
    ]
    batch = [torch.rand(3, size, size) for _ in range(images)], targets
    return Loop(model, batch, lambda m, b: sum(m(*b).values()))


# Built for images of a side in pixels; then side and number of images on a processor and on an accelerator.
MODELS: dict[str, tuple[Callable[[int, int], Loop], tuple[int, int], tuple[int, int]]] = {
    "resnet18": (partial(classifier, torchvision.models.resnet18), (96, 16), (224, 64)),
    "resnet50": (partial(classifier, torchvision.models.resnet50), (96, 8), (224, 64)),
    "unet_resnet18": (unet, (96, 4), (256, 16)),
    "faster_rcnn_r50_fpn": (faster_rcnn, (192, 2), (480, 4)),
}


def loop_of(name: str, device: torch.device) -> Loop:
    """Return the training of a model, the same at each call."""
    build, here, there = MODELS[name]
    torch.manual_seed(0)
    return build(*(here if device.type == "cpu" else there)).to(device)


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


def clock(device: torch.device) -> float:
    """Return the processor time, or on an accelerator the time when its work is done."""
    if device.type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize()
    return time.perf_counter()


def seconds_of(turn: Callable[[], object], seed: int, device: torch.device) -> float:
    """Return the time of a turn."""
    torch.manual_seed(seed)  # samplers of detectors draw
    began = clock(device)
    turn()
    return clock(device) - began


class Measured:
    """The times of one model's turns: pairs of a variant and the plain turn beside it."""

    def __init__(self) -> None:
        self.plain: list[float] = []
        self.watched: list[float] = []  # what was added, as a share
        self.others: dict[str, list[float]] = {"hooks": [], "histograms": []}


def median_of(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return float("nan"), float("nan")
    middle = statistics.median(values)
    spread = statistics.median(abs(value - middle) for value in values)
    return middle, ERROR_OF_MEDIAN * spread / len(values) ** 0.5


def watched(loop: Loop, folder: str, **options: Any) -> Watch:
    return snellen.watch(loop.model, loop.optimizer, folder=folder, on_finding=lambda *_: None, **options)


def same_bits(name: str, device: torch.device) -> str:
    """Say whether a watched copy has the same weights and statistics as another, bit for bit, after some steps."""
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    plain, again, other = (loop_of(name, device) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder, watched(other, folder, every=3) as doctor:
        for step in range(COMPARED):
            for loop in (plain, again):
                torch.manual_seed(step)
                loop.step()
            torch.manual_seed(step)
            doctor.observe(other.step())
    torch.use_deterministic_algorithms(mode=False)
    if not are_equal(plain, again):
        return "not even unwatched"
    return "yes" if are_equal(plain, other) else "NO"


def are_equal(one: Loop, other: Loop) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


class Turns:
    """The steps of one model, watched or logged in some turns.

    Args:
        loop: Whose steps they are.
        doctor: That watches.
        steps: Of a turn: an accelerator is given the next step while it works, and only its last is waited for.
    """

    def __init__(self, loop: Loop, doctor: Watch, steps: int) -> None:
        self.loop, self.doctor, self.steps = loop, doctor, steps
        doctor._teller._from_step = 10**9

    def plain(self) -> None:
        for _ in range(self.steps):
            self.loop.step()

    def watched(self) -> None:
        doctor = self.doctor
        doctor.__enter__()
        for _ in range(self.steps):
            doctor.observe(self.loop.step())
        for handle in (*doctor._handles, *doctor._step_handles):
            handle.remove()

    def hooks(self) -> None:
        handles = with_hooks(self.loop)
        self.plain()
        for handle in handles:
            handle.remove()

    def histograms(self) -> None:
        for _ in range(self.steps):
            with_histograms(self.loop)


def measure(name: str, seconds: float, device: torch.device) -> str:
    """Return the row of one model, after so many seconds."""
    same = same_bits(name, device)
    loop, found, steps = loop_of(name, device), Measured(), 1 if device.type == "cpu" else TOGETHER
    with tempfile.TemporaryDirectory() as folder:
        doctor = watched(loop, folder)
        turns = Turns(loop, doctor, steps)
        ends = clock(device) + seconds
        number = 0
        while clock(device) < ends or number < 2 * OTHERS_EVERY:
            number += 1
            order = ("plain", "watched") if number % 2 else ("watched", "plain")
            times = {variant: seconds_of(getattr(turns, variant), number, device) for variant in order}
            found.plain.append(times["plain"])
            found.watched.append(times["watched"] / times["plain"] - 1)
            if number % OTHERS_EVERY == 0:
                for variant in found.others:
                    spent = seconds_of(getattr(turns, variant), number, device)
                    found.others[variant].append(spent / times["plain"] - 1)
        interval = doctor._schedule.interval
        doctor.__exit__(None, None, None)
        looked_at = [int(step) for step in doctor.trace.sampled if step > WARM_UP]
    return row(name, found, looked_at, interval, steps, same=same)


def row(name: str, found: Measured, looked_at: Sequence[int], interval: int, steps: int, *, same: str) -> str:
    turns_of = {step: (step - 1) // steps for step in looked_at}
    quiet = [added for turn, added in enumerate(found.watched) if turn >= WARM_UP and turn not in turns_of.values()]
    usual, error = median_of(quiet)
    firsts = [step for step in looked_at if step + 1 in looked_at or step - 1 not in looked_at]
    # What a sample adds beyond usual watching, in plain steps: over the turns that its two steps lie in.
    pairs = [{turns_of[step], turns_of.get(step + 1, turns_of[step])} for step in firsts]
    sample = median_of([sum((found.watched[turn] - usual) * steps for turn in pair) for pair in pairs])[0]
    whole = usual + sample / interval + JUDGING_SHARE
    cells = [
        f"{1000 * statistics.median(found.plain) / steps:.1f}",
        f"{usual:+.2%} ± {error:.2%}",
        f"{sample:.2f}",
        f"{interval}",
        f"**{whole:+.2%} ± {error:.2%}**",
        *(f"{median_of(values)[0]:+.0%}" for values in found.others.values()),
        same,
    ]
    return f"| {name} | {' | '.join(cells)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=180, help="of processor time for each model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device, on_cpu = arguments.device, arguments.device.type == "cpu"
    place = f"load of the machine {os.getloadavg()[0]:.1f}" if on_cpu else torch.cuda.get_device_name(device)
    text = (
        "# What watching costs\n\n"
        f"`python benchmarks/doctor/watch_overhead.py --seconds {arguments.seconds:g}"
        f"{'' if on_cpu else ' --device cuda'}`; Python "
        f"{platform.python_version()}, torch {torch.__version__}, {arguments.threads} thread, "
        f"{place}. {'Processor time' if on_cpu else 'Time'} of a training step over that of the plain step beside it: "
        "median, with its standard error. *Whole*: the step that is not looked at, samples as often as they come, "
        f"and {JUDGING_SHARE:.1%} for judging, its limit. Histograms: of the gradients, in every step.\n\n"
        "| model | plain step, ms | not looked at | a sample, in plain steps | steps between samples | whole | "
        "hooks on every module | histograms | same bits |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    for name in arguments.models:
        line = measure(name, arguments.seconds, device)
        text += line
        print(line, end="", flush=True)
    if set(arguments.models) == set(MODELS):
        (HERE.parent / "results" / f"watch_overhead{'' if on_cpu else '_cuda'}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
