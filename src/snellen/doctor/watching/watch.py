"""Watching anybody's training loop: what happens is written down and judged, and nothing is changed."""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from snellen.doctor.diagnosis import Diagnosis
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.finding import Finding
from snellen.doctor.watching.blame import gradient_happening, loss_happening
from snellen.doctor.watching.board import Board
from snellen.doctor.watching.drafts import Draft, Drafts
from snellen.doctor.watching.measuring import LayerSampler, watched_layers
from snellen.doctor.watching.memory import held_bytes
from snellen.doctor.watching.parameter_sampler import ParameterSampler
from snellen.doctor.watching.plan import packed_plan
from snellen.doctor.watching.reading import first_choices, losses_in, num_images
from snellen.doctor.watching.rows import Happening, ParameterColumn, ValidationRow
from snellen.doctor.watching.sampling import SampleSchedule
from snellen.doctor.watching.telling import Teller, judged
from snellen.doctor.watching.trace import Trace
from snellen.doctor.watching.trace_file import TraceWriter
from snellen.errors import InputError

__all__ = ["Watch", "watch"]

MOST_BLAMED = 3  # steps whose mishap is looked into; the rest have the same origin


def watch(  # noqa: PLR0913 - what a user may say of a loop
    model: nn.Module,
    optimizer: Optimizer | Sequence[Optimizer],
    *,
    criterion: nn.Module | None = None,
    planned_steps: int | None = None,
    setup: Setup | None = None,
    steps_done: int | None = None,
    folder: Path | str | None = None,
    every: int | None = None,
    on_finding: Callable[[Finding, str], None] | None = None,
    tensorboard: Board | None = None,
) -> "Watch":
    """Watch a training loop: ``with snellen.watch(model, optimizer) as doctor: ...``.

    Weights, gradients, random states and results are the same bits as without it. A step of the optimizer is a step of
    the training; layers and gradients are looked at in a few of them, so many that it takes half a
    percent of the time, and up to two where ``planned_steps`` are so few that hardly any would be left.

    Args:
        model: Any module; the forward passes in training mode are those that count.
        optimizer: One, or several that step in turn; the first one's steps are counted.
        criterion: The loss, where it is a module; else call `Watch.observe` with it in each step. Losses that the
            model itself returns are found.
        planned_steps: Steps of the whole training, where they are known.
        setup: What else is planned: ``Setup(lr=…, warmup_steps=…, options={"schedule": "cosine"})``; a training
            that goes otherwise is told.
        steps_done: Steps that were done before, where a training is resumed; those of the trace in ``folder`` if None.
        folder: Where the trace is kept, so that ``snellen check FOLDER`` judges it again; a trace that is there is
            gone on with.
        every: Steps between samples; chosen by what they cost if None.
        on_finding: Called with each new finding of level warning or error and its text; logs it if None.
        tensorboard: A ``SummaryWriter`` that findings are added to, each as a text and as a point at its step.

    Raises:
        InputError: If the optimizer holds nothing, or ``every`` is below 1.
    """
    optimizers = (optimizer,) if isinstance(optimizer, Optimizer) else tuple(optimizer)
    if not optimizers or not any(group["params"] for one in optimizers for group in one.param_groups):
        raise InputError("expected an optimizer with parameters to watch; got none. Pass the one that your loop steps.")
    if every is not None and every < 1:
        raise InputError(f"every must be at least 1 step; got {every}.")
    return Watch(
        model=model,
        optimizers=optimizers,
        criterion=criterion,
        planned_steps=planned_steps,
        setup=setup,
        steps_done=steps_done,
        folder=None if folder is None else Path(folder),
        every=every,
        on_finding=on_finding,
        tensorboard=tensorboard,
    )


class Watch:
    """What `watch` returns; see there.

    Attributes:
        trace: What was seen so far.
        diagnosis: What the checks of trainings say of it.
    """

    def __init__(  # noqa: PLR0913 - what a user may say of a loop
        self,
        *,
        model: nn.Module,
        optimizers: tuple[Optimizer, ...],
        criterion: nn.Module | None,
        planned_steps: int | None,
        setup: Setup | None,
        steps_done: int | None,
        folder: Path | None,
        every: int | None,
        on_finding: Callable[[Finding, str], None] | None,
        tensorboard: Board | None,
    ) -> None:
        self._model, self._optimizers, self._criterion = model, optimizers, criterion
        self._setup, self._teller = setup, Teller(on_finding, tensorboard, setup)
        self._parameters, self._columns = _columns(model, optimizers)
        self._device = self._parameters[0].device
        layers = () if _is_compiled(model) else watched_layers(model)
        self._sampler = LayerSampler(layers, self._device)
        self._sizes = ParameterSampler(self._parameters, self._device)
        self._writer = TraceWriter(
            layers=[column for column, _ in layers],
            parameters=self._columns,
            planned_steps=planned_steps,
            device=self._device.type,
            plan=packed_plan(setup),
            folder=folder,
        )
        self._steps = self._writer.last_step if steps_done is None else steps_done
        self._draft = Draft(step=self._steps + 1)
        self._closed: Draft | None = None  # the step that is done, while the loop may still tell its loss
        self._call: tuple[Sequence[Any], Mapping[str, Any]] | None = None
        self._drafts = Drafts(self._device)
        self._schedule = SampleSchedule(self._steps + 1, every, planned_steps)
        self._ended_at = perf_counter()
        self._is_called = False
        self._blamed: set[int] = set()
        self._handles: list[RemovableHandle] = []
        self._step_handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._handles = [
            self._model.register_forward_pre_hook(self._before_forward, with_kwargs=True),
            self._model.register_forward_hook(self._after_forward),
        ]
        self._step_handles = self._on_steps()
        if self._criterion is not None:
            self._handles.append(self._criterion.register_forward_hook(self._after_criterion))
        self._ended_at = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching; what was seen stays."""
        for handle in (*self._handles, *self._step_handles):
            handle.remove()
        self._handles, self._step_handles = [], []
        self._sampler.detach()
        self._close_step()
        self._write_arrived(wait=True)
        self._call = None
        self._sizes.forget()
        if kind is None:
            self._writer.end()
        self._teller.tell(self._writer.trace, self._steps)
        self._writer.close()

    def _on_steps(self) -> list[RemovableHandle]:
        first = self._optimizers[0]
        return [first.register_step_pre_hook(self._before_step), first.register_step_post_hook(self._after_step)]

    def follow(self, optimizer: Optimizer) -> None:
        """Go on with an optimizer that takes over from the (first) one, over the same parameters in the same groups.

        Raises:
            InputError: If its parameters are others.
        """
        others = (optimizer, *self._optimizers[1:])
        parameters, columns = _columns(self._model, others)
        if columns != self._columns or any(a is not b for a, b in zip(parameters, self._parameters, strict=True)):
            raise InputError("expected an optimizer of the same parameters in the same groups; watch the new one anew.")
        self._optimizers = others
        for handle in self._step_handles:
            handle.remove()
        self._step_handles = self._on_steps()

    @property
    def trace(self) -> Trace:
        """What was seen so far."""
        self._close_step()
        self._write_arrived(wait=True)
        return self._writer.trace()

    @property
    def diagnosis(self) -> Diagnosis:
        """What the checks of trainings say of it."""
        return judged(self.trace, self._setup)

    def observe(self, loss: Tensor | float | None = None, **terms: Tensor | float) -> None:
        """Note the loss of the step under way, or of the one that was just done.

        Args:
            loss: The whole.
            terms: Its parts, by name.
        """
        draft = self._draft if self._is_called or self._closed is None else self._closed
        values = {**({} if loss is None else {"loss": loss}), **terms}
        draft.losses.update({name: _detached(value) for name, value in values.items()})
        self._check_losses(draft)

    def validated(self, **scores: float | Tensor) -> None:
        """Note measures on data that are not learned from: ``doctor.validated(loss=…, accuracy=…)``."""
        self._close_step()
        self._write_arrived(wait=False)
        self._writer.write(
            ValidationRow(step=self._steps, scores={name: float(value) for name, value in scores.items()})
        )
        if self._teller.has_time:
            self._teller.tell(self._writer.trace, self._steps)

    # What follows is called by PyTorch, in the order in which a step goes.

    def _before_forward(self, model: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if not (model.training and torch.is_grad_enabled()):
            return
        draft = self._draft
        if not self._is_called:
            self._close_step()
            draft.wait_s = perf_counter() - self._ended_at
            self._is_called = True
            if self._schedule.is_due(draft.step) and self._sampler.layers:
                self._sampler.attach()
        draft.images += num_images(arguments, keywords)
        self._call = (arguments, keywords)

    def _after_forward(self, _model: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
        if not self._is_called:
            return
        draft = self._draft
        if self._sampler.is_attached:
            began = perf_counter()
            self._sampler.detach()
            draft.sample["layers"] = self._sampler.facts().flatten()
            named = first_choices(output)
            if named is not None:
                draft.sample["named"] = named.float()
            draft.spent_s += self._sampler.spent_s + perf_counter() - began
        draft.losses.update({name: value.detach() for name, value in losses_in(output).items()})

    def _after_criterion(self, _criterion: nn.Module, _arguments: tuple[Any, ...], output: Any) -> None:
        if self._is_called and isinstance(output, Tensor) and output.numel() == 1:
            self._draft.losses["loss"] = output.detach()

    def _before_step(self, *_: Any) -> None:
        draft, began = self._draft, perf_counter()
        draft.rates = tuple(float(group["lr"]) for one in self._optimizers for group in one.param_groups)
        self._check_losses(draft)
        self._check_gradient(draft.step)
        is_sampled = self._schedule.is_due(draft.step)
        if is_sampled or self._sizes.is_waiting:
            draft.sample |= self._sizes.before(is_first=is_sampled)
            draft.spent_s += perf_counter() - began

    def _after_step(self, *_: Any) -> None:
        draft, began = self._draft, perf_counter()
        moved = self._sizes.after()
        if moved:
            draft.sample |= moved
            draft.memory = held_bytes(self._device)
            draft.spent_s += perf_counter() - began
        now = perf_counter()
        draft.step_s = now - self._ended_at
        self._ended_at = now
        self._steps = draft.step
        self._schedule.note(draft.step, step_s=draft.step_s, spent_s=draft.spent_s)
        self._closed, self._draft = draft, Draft(step=draft.step + 1)
        self._is_called = False
        self._call = None

    def _close_step(self) -> None:
        """Send the figures of the step that is done on their way."""
        draft, self._closed = self._closed, None
        if draft is None:
            return
        self._drafts.send(draft)
        self._write_arrived(wait=False)
        if self._teller.is_due(draft.step):
            self._teller.tell(self._writer.trace, self._steps)

    def _write_arrived(self, *, wait: bool) -> None:
        for row in self._drafts.arrived(wait=wait):
            bad = [name for name, value in row.losses.items() if not isfinite(value)]
            if bad and self._device.type == "cuda" and self._may_blame(row.step):
                self._blame(loss_happening(self._model, None, bad, row.step))
            self._writer.write(row)

    def _check_losses(self, draft: Draft) -> None:
        """Look at once whether losses are finite, where that waits for no device."""
        here = {name: value for name, value in draft.losses.items() if not getattr(value, "is_cuda", False)}
        bad = [name for name, value in here.items() if not isfinite(float(value))]
        if bad and self._may_blame(draft.step):
            self._blame(loss_happening(self._model, self._call, bad, draft.step))

    def _check_gradient(self, step: int) -> None:
        """Look at the gradient that came last, and through which all that went wrong must have come."""
        first = next((one.grad for one in self._parameters if one.grad is not None), None)
        if first is None or first.is_cuda or not self._may_blame(step):
            return
        if not bool(torch.isfinite(first.sum())):
            self._blame(gradient_happening(self._model, step))

    def _may_blame(self, step: int) -> bool:
        return len(self._blamed) < MOST_BLAMED and step not in self._blamed

    def _blame(self, happening: Happening | None) -> None:
        if happening is not None:
            self._blamed.add(happening.step)
            self._writer.write(happening)
            self._teller.tell(self._writer.trace, self._steps)


def _columns(
    model: nn.Module, optimizers: Sequence[Optimizer]
) -> tuple[list[nn.Parameter], tuple[ParameterColumn, ...]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    parameters, columns, group_number = [], [], 0
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for place, parameter in enumerate(group["params"]):
                parameters.append(parameter)
                name = names.get(id(parameter), f"group {group_number}, parameter {place}")
                columns.append(ParameterColumn(name=name, shape=tuple(parameter.shape), group=group_number))
            group_number += 1
    return parameters, tuple(columns)


def _is_compiled(model: nn.Module) -> bool:
    """Return whether hooks inside would break the graph that was compiled."""
    return hasattr(model, "_orig_mod")


def _detached(value: Tensor | float) -> Tensor | float:
    return value.detach() if isinstance(value, Tensor) else float(value)
