"""Count the places of one training step (forward and loss) where the host must wait for an accelerator.

    python benchmarks/count_syncs.py

Needs no accelerator: every operation that the step dispatches is looked at, and those whose result the host
has to know (a shape or a number that depends on data), and copies from the host's pageable memory, are counted
by where they stand. Suppression takes the branch that an accelerator takes. The backward pass is not looked at.
A constant that stays on the host is counted too, so that the figure for torchvision is an upper bound.
"""

# it looks into the dispatcher and swaps branches that are private on purpose

import contextlib
import sys
from collections import Counter
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from snellen.models.detection import TwoStage, faster_rcnn_mobilenet_v2_fpn
from snellen.ops import nms
from snellen.structures import BoxTarget, ImageBatch

# Operations whose result the host has to know before it can go on.
WAITING = {
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::bincount",
    "aten::equal",
    "aten::is_nonzero",
    "aten::item",
    "aten::masked_select",
    "aten::nonzero",
    "aten::repeat_interleave.Tensor",
    "aten::repeat_interleave.self_Tensor",
    "aten::unique_consecutive",
    "aten::unique_dim",
    "torchvision::nms",
}
COPYING = "aten::lift_fresh"  # torch.tensor(values, device=...): from pageable memory, hence waiting
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
QUEUED = Path("ops") / "constants.py"  # copies from page-locked memory, which do not wait


def place() -> str:
    """File and line that called the operation now being dispatched, ours if it is in the stack at all."""
    places = {}
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        for package in ("snellen", "torchvision"):
            if package in path.parts[:-1] and package not in places:
                inner = path.parts[len(path.parts) - path.parts[::-1].index(package) :]
                places[package] = f"{Path(*inner)}:{frame.f_lineno}"
        frame = frame.f_back
    return places.get("snellen") or places.get("torchvision") or "elsewhere:0"


class WaitCounter(TorchDispatchMode):
    """Counts, by operation and place, what would make the host wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        waits = name in WAITING or f"{name}.{func._overloadname}" in WAITING or name == COPYING
        if name in INDEXING:
            waits = any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
        where = place() if waits else ""
        if waits and not where.startswith(f"{QUEUED}:"):
            self.found[f"{name} at {where}"] += 1
        return func(*args, **(kwargs or {}))


class ListCounter(TorchFunctionMode):
    """Counts ``tolist``, ``cpu`` and ``numpy``, which never reach the dispatcher on the CPU."""

    def __init__(self, found) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.numpy):
            self.found[f"{func.__name__} at {place()}"] += 1
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def as_on_an_accelerator():
    """Make suppression take the accelerator's branch."""
    original = nms._kept_group_by_group
    nms._kept_group_by_group = nms._kept_in_rounds
    try:
        yield
    finally:
        nms._kept_group_by_group = original


def waits_of(step) -> Counter:
    """Return what would make the host wait within ``step()``, by operation and place."""
    counter = WaitCounter()
    with as_on_an_accelerator(), ListCounter(counter.found), counter:
        step()
    return counter.found


def inputs(batch: int, *, size: int = 96, objects: int = 3) -> tuple[ImageBatch, BoxTarget]:
    """Return random images, each with a few objects."""
    generator = torch.Generator().manual_seed(batch)
    low = torch.rand(batch, objects, 2, generator=generator) * size * 0.5
    side = torch.rand(batch, objects, 2, generator=generator) * size * 0.4 + 8
    target = BoxTarget(
        boxes=torch.cat([low, low + side], dim=-1).clamp(max=size),
        labels=torch.randint(0, 3, (batch, objects), generator=generator),
        valid=torch.ones(batch, objects, dtype=torch.bool),
        ignored=torch.zeros(batch, objects, dtype=torch.bool),
    )
    sizes = torch.full((batch, 2), size)
    pixels = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)
    return ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes), target


def training_waits(model: TwoStage, batch: int) -> Counter:
    """Return the waits of one training step of ours."""
    images, target = inputs(batch)
    model.train()
    return waits_of(lambda: model.loss(model(images, target), target))


def inference_waits(model: TwoStage, batch: int) -> Counter:
    """Return the waits of one inference of ours."""
    images, _ = inputs(batch)
    model.eval()
    with torch.inference_mode():
        return waits_of(lambda: model.decode(model(images), images.original_sizes))


def torchvision_waits(batch: int) -> Counter:
    """Return the waits of one training step of torchvision's detector with the same backbone."""
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_fpn
    from torchvision.ops import boxes

    images, target = inputs(batch)
    pictures = list(images.pixels.float() / 255)
    targets = [{"boxes": box, "labels": label + 1} for box, label in zip(target.boxes, target.labels, strict=True)]
    model = fasterrcnn_mobilenet_v3_large_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=96, max_size=96
    ).train()
    original = boxes._batched_nms_vanilla
    boxes._batched_nms_vanilla = boxes._batched_nms_coordinate_trick  # the branch of an accelerator
    try:
        return waits_of(lambda: model(pictures, targets))
    finally:
        boxes._batched_nms_vanilla = original


def main() -> None:
    torch.manual_seed(0)
    model = faster_rcnn_mobilenet_v2_fpn(3)
    rows = {
        "snellen, training step": lambda batch: training_waits(model, batch),
        "snellen, inference": lambda batch: inference_waits(model, batch),
        "torchvision, training step": torchvision_waits,
    }
    for name, waits in rows.items():
        for batch in (2, 8):
            found = waits(batch)
            print(f"{name}, batch {batch}: {found.total()}")
            if name.startswith("snellen"):
                for what, count in sorted(found.items()):
                    print(f"    {count} x {what}")


if __name__ == "__main__":
    main()
