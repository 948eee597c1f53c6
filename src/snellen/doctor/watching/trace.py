"""What was seen of a training: columns over its steps, over the sampled ones, and over its validations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from snellen.doctor.watching.rows import (
    NUM_FACTS,
    Happening,
    LayerColumn,
    ParameterColumn,
    StepRow,
    ValidationRow,
)
from snellen.doctor.words import Text

__all__ = ["Trace", "TraceHead", "TraceRows", "trace_of"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class TraceHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a training before its first step; see `Trace`."""

    layers: tuple[LayerColumn, ...]
    parameters: tuple[ParameterColumn, ...]
    planned_steps: int | None
    device: str
    plan: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """A training as it was seen; ``n`` steps, ``m`` of them sampled, ``P`` parameters, ``L`` layers, ``G`` groups.

    Attributes:
        parameters: Of the optimizer.
        layers: In the order in which they are called.
        steps: Numbers, rising, ``[n]``.
        losses: By name, NaN where a step did not tell; ``[n]`` each.
        rates: ``[n, G]``.
        wait_s: Seconds spent waiting for data, ``[n]``.
        step_s: Seconds of the whole step, ``[n]``.
        images: ``[n]``.
        memory: Bytes, ``[n]``.
        sampled: Numbers of the sampled steps, ``[m]``.
        gradient: 2-norms, NaN where a parameter had none; ``[m, P]``.
        weight: 2-norms before the step, ``[m, P]``.
        update: 2-norms of the change, ``[m, P]``.
        agreement: Cosine of the gradient with that of the step before, NaN where it was not measured; ``[m]``.
        rms: Root mean square of what each layer gives out, NaN where it was not called; ``[m, L]``.
        largest: Largest absolute value of that, ``[m, L]``.
        zeros: Share of zeros in what each layer reads (for activations: gives out), ``[m, L]``.
        dead: Share of the units that were zero in this and at least the two samples before, ``[m, L]``.
        saturated: Share of the outputs of sigmoids and tanhs close to their bounds, ``[m, L]``; NaN for others.
        gap: Spreads by which the outputs of batch norms would differ with their running statistics, ``[m, L]``; NaN for
            other layers and where they were used anyway.
        apart: Spread of the means of a layer's units, over the root mean square of what it gives out, ``[m, L]``; 0 if
            all units give out the same, NaN for other layers than those with weights and those of fewer than 4 units.
        varied: Spread over the images of a batch of what a layer gives out, at one place and unit, ``[m, L]``; NaN for
            other layers than those with weights, and for batches of one image.
        named: How often each class was the first choice, ``[m, K]``; ``K`` is 0 where that is not known.
        validations: In their order.
        happenings: In their order.
        planned_steps: Of the whole training, where it was said.
        is_over: Whether the training came to its end; False while it goes on, and after it was broken off.
        device: Type of the device of the first parameter.
        plan: What was planned, as `packed_plan` packs it; None where it was not said.
    """

    ABSENT = Text(en="no training was watched", zh="没有观察过训练")

    parameters: tuple[ParameterColumn, ...]
    layers: tuple[LayerColumn, ...]
    steps: Rows
    losses: Mapping[str, Floats]
    rates: Floats
    wait_s: Floats
    step_s: Floats
    images: Rows
    memory: Rows
    sampled: Rows
    gradient: Floats
    weight: Floats
    update: Floats
    agreement: Floats
    rms: Floats
    largest: Floats
    zeros: Floats
    dead: Floats
    saturated: Floats
    gap: Floats
    apart: Floats
    varied: Floats
    named: Rows
    validations: tuple[ValidationRow, ...] = ()
    happenings: tuple[Happening, ...] = ()
    planned_steps: int | None = None
    is_over: bool = False
    device: str = "cpu"
    plan: Mapping[str, Any] | None = None

    @property
    def loss(self) -> Floats:
        """The whole loss of each step: ``loss``, or the sum of the terms; NaN where a step did not tell."""
        if "loss" in self.losses:
            return self.losses["loss"]
        if not self.losses:
            return np.full(len(self.steps), np.nan, np.float32)
        total: Floats = np.stack(list(self.losses.values())).sum(0)
        return total


@dataclass
class TraceRows:
    """Rows as they come.

    Attributes:
        head: What is known before the first.
        steps: In their order.
        validations: In their order.
        happenings: In their order.
        is_over: Whether the training came to its end after the last row.
    """

    head: TraceHead
    steps: list[StepRow] = field(default_factory=list)
    validations: list[ValidationRow] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    is_over: bool = False

    def trace(self) -> Trace:
        """Return the columns that the rows make."""
        steps = self.steps
        sampled = [row for row in steps if row.gradient or row.layers]
        num_parameters, num_layers = len(self.head.parameters), len(self.head.layers)
        layers = np.full((len(sampled), num_layers, NUM_FACTS), np.nan, np.float32)
        for place, row in enumerate(sampled):
            if row.layers:
                facts = np.array(row.layers, np.float32)
                layers[place, :, : facts.shape[1]] = facts  # fewer in traces of former versions
        num_classes = max((len(row.named) for row in sampled), default=0)
        named = np.zeros((len(sampled), num_classes), np.int64)
        for place, row in enumerate(sampled):
            named[place, : len(row.named)] = row.named
        names = dict.fromkeys(name for row in steps for name in row.losses)
        groups = max((len(row.rates) for row in steps), default=0)
        return Trace(
            parameters=self.head.parameters,
            layers=self.head.layers,
            steps=np.array([row.step for row in steps], np.int64),
            losses={name: np.array([row.losses.get(name, np.nan) for row in steps], np.float32) for name in names},
            rates=_table([row.rates for row in steps], groups),
            wait_s=np.array([row.wait_s for row in steps], np.float32),
            step_s=np.array([row.step_s for row in steps], np.float32),
            images=np.array([row.images for row in steps], np.int64),
            memory=np.array([row.memory for row in steps], np.int64),
            sampled=np.array([row.step for row in sampled], np.int64),
            gradient=_table([row.gradient for row in sampled], num_parameters),
            weight=_table([row.weight for row in sampled], num_parameters),
            update=_table([row.update for row in sampled], num_parameters),
            agreement=np.array([row.agreement for row in sampled], np.float32),
            rms=layers[..., 0],
            largest=layers[..., 1],
            zeros=layers[..., 2],
            dead=layers[..., 3],
            saturated=layers[..., 4],
            gap=layers[..., 5],
            apart=layers[..., 6],
            varied=layers[..., 7],
            named=named,
            validations=tuple(self.validations),
            happenings=tuple(self.happenings),
            planned_steps=self.head.planned_steps,
            is_over=self.is_over,
            device=self.head.device,
            plan=self.head.plan,
        )

    def add(self, row: StepRow | ValidationRow | Happening) -> None:
        """Add a row. A step that was seen before (by a run that was resumed) replaces it and what came after."""
        if isinstance(row, StepRow):
            self.is_over = False
            self._forget(row.step)
            self.steps.append(row)
        elif isinstance(row, ValidationRow):
            self.validations.append(row)
        else:
            self.happenings.append(row)

    def _forget(self, step: int) -> None:
        """Forget what a killed run did after the checkpoint from which it goes on."""
        while self.steps and self.steps[-1].step >= step:
            self.steps.pop()
        while self.validations and self.validations[-1].step >= step:
            self.validations.pop()
        while self.happenings and self.happenings[-1].step > step:
            self.happenings.pop()


def _table(rows: Sequence[Sequence[float]], columns: int) -> Floats:
    found = np.full((len(rows), columns), np.nan, np.float32)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return found


def trace_of(
    rows: Iterable[StepRow | ValidationRow | Happening],
    *,
    layers: Sequence[LayerColumn] = (),
    parameters: Sequence[ParameterColumn] = (),
    planned_steps: int | None = None,
    is_over: bool = False,
    plan: dict[str, Any] | None = None,
) -> Trace:
    """Return the trace that some rows make."""
    head = TraceHead(
        layers=tuple(layers), parameters=tuple(parameters), planned_steps=planned_steps, device="cpu", plan=plan
    )
    found = TraceRows(head=head)
    for row in rows:
        found.add(row)
    found.is_over = is_over
    return found.trace()
