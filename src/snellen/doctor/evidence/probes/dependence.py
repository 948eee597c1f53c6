"""What the output of a sample depends on: on its own image, and on nothing of the others."""

from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.probes.first_step import floats_of
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["UNMOVED", "Dependence", "dependence"]

UNMOVED = 1e-7  # change of an output, as a share of the largest: below float32's rounding, so nothing at all

_MOST_ROWS = 8  # samples; more show nothing new
_NUM_MAPS = 3  # of the last layers, where an output has nothing to compare
_OWN_STEPS = 2  # of Adam, before an output is said to ignore its input: heads may start from zero
_OWN_RATE = 1e-3  # the usual rate of Adam

# What rounding alone changes, as a share of the largest output: a thousand times float32's epsilon, and what the
# halved formats leave.
_ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 3e-2}


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """What happened when half of a batch was blanked, in evaluation mode. All are shares of the largest output.

    Attributes:
        leak: Largest change in the outputs of samples whose own image was left alone; None for a batch of one.
        own: Largest change in the outputs of the samples that were blanked, after two steps of training if there was
            none before; None if there was none and no loss to train with.
        repeat: Largest change between two equal passes with different random states.
        rounding: What rounding alone may change.
        samples: How many were looked at.
        batch_norms: Names of norms that use the statistics of the batch in evaluation too.
        looked_at: ``output``, or ``features`` where the output was empty.
    """

    ABSENT: ClassVar[Text] = Text(
        en="the model could not be run in evaluation mode, or its output has nothing to compare",
        zh="模型无法在评估模式下运行，或其输出没有可比较的内容",
    )

    leak: float | None
    own: float | None
    repeat: float
    rounding: float
    samples: int
    batch_norms: tuple[str, ...]
    looked_at: str


def dependence(subject: Subject) -> Dependence:
    """Blank half of a batch and compare.

    Raises:
        NotCheckable: If the images are blank already, or nothing can be compared.
    """
    count = min(len(subject), _MOST_ROWS)
    batch = subject.rows(subject.batch, torch.arange(count))
    kept = count // 2
    blanked = _blanked(subject, batch, kept)
    with subject.probed(training=False, may_resize=True) as model, torch.no_grad():
        _settle_norms(subject, model, batch)
        torch.manual_seed(0)
        first, looked_at = _outputs(subject, model, batch, count)
        torch.manual_seed(1)
        again, _ = _outputs(subject, model, batch, count)
        torch.manual_seed(0)
        changed, _ = _outputs(subject, model, blanked, count)
    own: float | None = _change(first, changed, slice(kept, None))
    if own is not None and own <= UNMOVED:
        own = _own_after_steps(subject, batch, blanked, kept, count)
    return Dependence(
        leak=_change(first, changed, slice(0, kept)) if kept else None,
        own=own,
        repeat=_change(first, again, slice(None)),
        rounding=max(_ROUNDING.get(part.dtype, 1e-4) for part in first),
        samples=count,
        batch_norms=_live_norms(subject.model),
        looked_at=looked_at,
    )


def _blanked(subject: Subject, batch: Any, kept: int) -> Any:
    images = subject.images(batch).clone()
    if not bool((images[kept:] != 0).any()):
        raise NotCheckable(Text(en="the images of the batch are all zero", zh="批次中的图像全为零"))
    images[kept:] = 0
    return subject.with_images(batch, images)


def _settle_norms(subject: Subject, model: nn.Module, batch: Any) -> None:
    """Let batch norms that have seen nothing yet take the statistics of this batch.

    With those they are built with, the signal of a deep network fades until only rounding is left of it.
    """
    fresh = [
        norm for norm in _batch_norms(model).values() if norm.running_mean is not None and not norm.running_mean.any()
    ]
    for norm in fresh:
        norm.train()
        norm.momentum = 1.0
    if fresh:
        subject.output(model, batch)
        model.eval()


def _own_after_steps(subject: Subject, batch: Any, blanked: Any, kept: int, count: int) -> float | None:
    """Return how much the outputs depend on their images once the model has been trained a little."""
    if not subject.has_loss or subject.loss_error is not None:
        return None
    with subject.probed(training=True, may_resize=True) as model:
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not trained:
            return None
        optimizer = torch.optim.Adam(trained, lr=_OWN_RATE)
        for _ in range(_OWN_STEPS):
            optimizer.zero_grad()
            loss = subject.loss(subject.output(model, batch), batch)
            if not loss.requires_grad:
                return 0.0
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        with torch.no_grad():
            _settle_norms(subject, model, batch)
            first, _ = _outputs(subject, model, batch, count)
            changed, _ = _outputs(subject, model, blanked, count)
    return _change(first, changed, slice(kept, None))


def _outputs(subject: Subject, model: nn.Module, batch: Any, count: int) -> tuple[list[Tensor], str]:
    """Return what can be compared sample by sample: tensors with one row for each sample."""
    maps: deque[Tensor] = deque(maxlen=_NUM_MAPS)
    handles = [
        module.register_forward_hook(lambda _, __, given: maps.append(given) if _is_map(given, count) else None)
        for module in model.modules()
        if not list(module.children())
    ]
    try:
        output = subject.output(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    logits = subject.logits(output)
    rows = _rows_of(output if logits is None else logits, count)
    if rows:
        return rows, "output"
    if not maps:
        raise NotCheckable(Text(en="no part of the output belongs to one sample", zh="输出中没有属于单个样本的部分"))
    return [part.detach().clone() for part in maps], "features"


def _is_map(value: Any, count: int) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4 and len(value) == count and value.is_floating_point()


def _rows_of(output: Any, count: int) -> list[Tensor]:
    """Return tensors whose first axis is the sample; lists with one entry for each sample do not count."""
    if isinstance(output, list | tuple) and any(not isinstance(part, Tensor) for part in output):
        return []
    return [part.clone() for part in floats_of(output) if part.ndim and len(part) == count and part.numel()]


def _change(before: list[Tensor], after: list[Tensor], rows: slice) -> float:
    """Return the largest change as a share of the largest value.

    What is padded to the most that any sample of the batch has may be longer after than before; padding is left out.
    """
    worst = 0.0
    for old, new in zip(before, after, strict=True):
        scale = float(torch.nan_to_num(old, 0.0, 0.0, 0.0).abs().max()) or 1.0
        common = tuple(slice(min(sides)) for sides in zip(old.shape[1:], new.shape[1:], strict=True))
        gap = new[rows][:, *common].double() - old[rows][:, *common].double()
        if gap.numel():
            worst = max(worst, float(torch.nan_to_num(gap, 0.0, 0.0, 0.0).abs().max()) / scale)
    return worst


def _live_norms(model: nn.Module) -> tuple[str, ...]:
    return tuple(name for name, norm in _batch_norms(model).items() if norm.running_mean is None)


def _batch_norms(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    kind = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the class that all batch norms share
    return {name: module for name, module in model.named_modules() if isinstance(module, kind)}  # type: ignore[misc]
