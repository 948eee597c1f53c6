"""A tiny training run: conv, batch norm, dropout; SGD, average, accumulation; shuffled augmented data.

As a program: ``tiny_training.py FOLDER`` trains, or resumes, in FOLDER and writes FOLDER/end.pt;
``tiny_training.py FOLDER --kills N --seed S`` does so in child processes of which N are killed on the way.
"""

import argparse
import math
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from snellen.structures import Batch, ClassTarget, ImageBatch, Results, Sample
from snellen.training import CheckpointStore, JsonlLog, StepDone, TrainSettings, fit

NUM_CLASSES = 3


def say(text: str) -> None:
    """Tell the test that started this program."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class TinyModel(nn.Module):
    """A classifier with everything that makes resuming hard."""

    stride = 1
    target_type = ClassTarget

    def __init__(self, *, dropout: float = 0.2, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(8, NUM_CLASSES)

    def forward(self, images: ImageBatch, targets=None) -> torch.Tensor:
        x = images.pixels.float() / 255 - 0.5
        x = functional.relu(self.norm(self.conv(x))).mean(dim=(2, 3))
        return self.head(self.dropout(x))

    def loss(self, output: torch.Tensor, targets: ClassTarget) -> dict[str, torch.Tensor]:
        return {"cross_entropy": functional.cross_entropy(output, targets.probs)}

    def decode(self, output, sizes):
        raise NotImplementedError


def make_model(seed: int = 0, **options) -> TinyModel:
    torch.manual_seed(seed)
    return TinyModel(**options)


class TinySource:
    """Coloured noise; order and augmentation are functions of (seed, epoch, row)."""

    def __init__(self, *, images: int = 22, batch_size: int = 4, seed: int = 0, shuffle: bool = True) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, NUM_CLASSES, (images,), generator=generator)
        noise = torch.rand(images, 3, 8, 8, generator=generator) * 120
        tint = functional.one_hot(self.labels, 3)[:, :, None, None] * 100
        self.images = (noise + tint).to(torch.uint8)
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.skipped: dict[str, str] = {}

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / self.batch_size)

    def epoch(self, epoch: int, *, first_batch: int = 0) -> Iterator[Batch]:
        order = torch.arange(len(self.labels))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1000 + epoch)
            order = torch.randperm(len(self.labels), generator=generator)
        for rows in order.split(self.batch_size)[first_batch:]:
            yield Batch.collate([self._sample(int(row), epoch) for row in rows])

    def _sample(self, row: int, epoch: int) -> Sample:
        image = self.images[row]
        if self.shuffle and random.Random(f"{self.seed}/{epoch}/{row}").random() < 0.5:
            image = image.flip(-1)
        probs = functional.one_hot(self.labels[row], NUM_CLASSES).float()
        return Sample(
            image=image, target=ClassTarget(probs=probs), index=row, source=f"{row}.png", original_size=(8, 8)
        )


def settings(**changes) -> TrainSettings:
    base = {
        "epochs": 4,
        "lr": 0.05,
        "warmup_steps": 3,
        "accumulate": 2,
        "ema_decay": 0.9,
        "clip_norm": 1.0,
        "seed": 7,
        "checkpoint_steps": 2,
    }
    return TrainSettings(**(base | changes))


def accuracy(source: TinySource):
    """A validation function."""

    def validate(model: nn.Module, epoch: int) -> Results:
        with torch.inference_mode():
            hits = sum(
                int((model(batch.images).argmax(1) == batch.targets.probs.argmax(1)).sum()) for batch in source.epoch(0)
            )
        return Results(headline="accuracy", scalars={"accuracy": hits / len(source.labels)})

    return validate


class Slow:
    """An observer that makes steps last, and tells which are done."""

    def __init__(self, seconds: float, *, talk: bool) -> None:
        self.seconds = seconds
        self.talk = talk

    def see(self, event) -> None:
        if isinstance(event, StepDone):
            if self.talk:
                say(f"step {event.step}")
            time.sleep(self.seconds)

    def close(self) -> None:
        pass


def run(folder: Path, *, step_s: float = 0.0, talk: bool = False, **changes):
    """Train or resume in ``folder``; return the result and the weights that matter."""
    model = make_model()
    held_out = TinySource(images=9, seed=5, shuffle=False)
    result = fit(
        model,
        TinySource(),
        settings(**changes),
        store=CheckpointStore(folder, notes={"model": "tiny"}),
        validate=accuracy(held_out),
        validation=held_out,
        observers=[JsonlLog(folder / "log.jsonl", every=1), Slow(step_s, talk=talk)],
        resume=True,
    )
    return result, {"model": model.state_dict(), "average": result.model.state_dict()}


def _finish(folder: Path, **options) -> None:
    result, weights = run(folder, **options)
    if result.stopped.reason == "finished":
        torch.save(weights, folder / "end.pt")
    say(result.stopped.reason)


def _kill_while_writing(call: int, where: str) -> None:
    """Make this process die in the ``call``-th write of a checkpoint: half-way through, or at a rename."""
    count = 0
    save, replace = torch.save, os.replace

    def dying_save(content, file):
        nonlocal count
        count += 1
        if count == call:
            file.write(b"PK half a checkpoint")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        save(content, file)

    def dying_replace(source, target):
        nonlocal count
        if str(target).endswith(".pt"):
            count += 1
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    if where == "save":
        torch.save = dying_save
    else:
        os.replace = dying_replace


def import_all() -> None:
    """Let torch import what it imports late (seconds), so that forked children need not; no autograd here."""
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.ones(1)
    torch.optim.SGD([weight], lr=0.1, fused=True).step()


def _child(folder: Path, options: dict, writing: tuple[int, str] | None) -> int:
    """Fork a training process: one import of torch serves all of them."""
    process = os.fork()
    if process == 0:
        try:
            if writing is not None:
                _kill_while_writing(*writing)
            _finish(folder, **options)
            os._exit(0)
        finally:
            os._exit(1)
    return process


def _kill_again_and_again(folder: Path, kills: int, seed: int, options: dict) -> int:
    """Kill ``kills`` times, by turns at a random moment and during a write; then let it finish."""
    import_all()
    draw = random.Random(seed)
    killed = 0
    for attempt in range(kills * 5):
        if killed == kills or (folder / "end.pt").exists():
            break
        writing = (draw.randint(1, 3), draw.choice(["save", "replace"])) if attempt % 3 == 2 else None
        process = _child(folder, options, writing)
        if writing is None:
            time.sleep(draw.uniform(0.02, 0.3))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) != 0:
            raise SystemExit("a child failed by itself")
    _finish(folder, **options)
    return killed


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--step-s", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--talk", action="store_true")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    given.folder.mkdir(parents=True, exist_ok=True)
    options = {"step_s": given.step_s, "epochs": given.epochs, "talk": given.talk}
    if given.kills:
        killed = _kill_again_and_again(given.folder, given.kills, given.seed, options)
        say(f"killed {killed}")
    else:
        _finish(given.folder, **options)


if __name__ == "__main__":
    main(sys.argv[1:])
