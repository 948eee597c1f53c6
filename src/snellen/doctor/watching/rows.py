"""What a trace is made of: one record for each step, validation and mishap."""

from enum import StrEnum

import msgspec

__all__ = ["NUM_FACTS", "Happening", "HappeningKind", "LayerColumn", "ParameterColumn", "StepRow", "ValidationRow"]

# Of each layer: root mean square, largest, zeros, dead units, saturated, gap of a norm, units apart, spread of images.
NUM_FACTS = 8


class LayerColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A layer that is watched.

    Attributes:
        name: Dotted path in the model.
        kind: Its class.
        role: ``weights`` (convolution, linear), ``norm``, or ``activation``.
        units: Channels of what it reads; 0 before it is known.
    """

    name: str
    kind: str
    role: str
    units: int = 0


class ParameterColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of the optimizer.

    Attributes:
        name: Dotted path in the model; its place in the optimizer if it is none of the model's.
        shape: Its shape.
        group: Number of its group in the optimizer.
    """

    name: str
    shape: tuple[int, ...]
    group: int


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the optimizer.

    Attributes:
        step: From 1.
        losses: The terms by name; the whole under ``loss`` where it is known.
        rates: Of each group.
        wait_s: Between the end of the last step and the first forward pass: waiting for data, mostly.
        step_s: Of the whole step, with the wait; on a GPU until the work was queued.
        images: In the batches of the step; 0 where it is not known.
        gradient: Size of each parameter's gradient; empty where the step was not sampled.
        weight: Size of each parameter before the step.
        update: Size of the change of each parameter.
        agreement: Cosine between the whole gradient and that of the step before; NaN where it was not measured.
        layers: Of each layer, see `Trace.layers`; empty where the step was not sampled.
        named: How often each class was the model's first choice; empty where outputs are no scores of classes.
        memory: Bytes that the process, or the device, holds.
    """

    step: int
    losses: dict[str, float]
    rates: tuple[float, ...]
    wait_s: float
    step_s: float
    images: int = 0
    gradient: tuple[float, ...] = ()
    weight: tuple[float, ...] = ()
    update: tuple[float, ...] = ()
    agreement: float = float("nan")
    layers: tuple[tuple[float, ...], ...] = ()
    named: tuple[int, ...] = ()
    memory: int = 0


class ValidationRow(msgspec.Struct, frozen=True, kw_only=True):
    """Measures on data that are not learned from.

    Attributes:
        step: Steps done before.
        scores: By name.
    """

    step: int
    scores: dict[str, float]


class HappeningKind(StrEnum):
    """What can happen at a step, apart from figures."""

    LOSS = "loss not finite"
    GRADIENT = "gradient not finite"
    WEIGHT = "weight not finite"


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that went wrong at one step.

    Attributes:
        step: From 1.
        kind: What.
        origin: Layer, parameter or loss that made it, where that was found.
        note: Figures that go with it, free of language.
    """

    step: int
    kind: HappeningKind
    origin: str = ""
    note: str = ""
