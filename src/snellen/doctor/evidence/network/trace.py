"""One pass through a network, taken apart: what each operation is, what it reads, and what came out of it."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, sqrt
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.network.functions import Kind
from snellen.doctor.evidence.network.tracing import Call, Tracer, traced
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text
from snellen.structures import flat_tensors

__all__ = ["SATURATING", "WEIGHTED", "NetworkTrace", "Operation", "batch_sources", "network_trace"]

WEIGHTED = (Kind.CONV, Kind.CONV_TRANSPOSE, Kind.LINEAR, Kind.ATTENTION, Kind.RECURRENT)
SATURATING = ("sigmoid", "tanh", "hardsigmoid", "softsign", "expit")
_ZEROING = ("relu", "relu6", "threshold", "clamp", "clamp_min", "hardtanh")
_MEASURED = (*WEIGHTED, Kind.ACTIVATION, Kind.BATCH_NORM, Kind.NORM, Kind.ADD)
_MOST_VALUES = 200_000  # of a result that are measured; a mean over so many is right to a few per mille
_FLAT_SLOPE = 0.01  # of a sigmoid or tanh; a unit with less hardly passes a gradient (DX-062)


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One call of a function.

    Attributes:
        index: In the order of the calls.
        function: Its name in torch.
        kind: What it is for.
        module: Path of the module that it happened in; empty for the outermost.
        inputs: Indices of the operations whose results it reads.
        from_images: Whether the images reach it.
        from_targets: Whether the targets reach it.
        reads_images: Whether it reads the images themselves.
        in_loss: Whether it happened after the output was there.
        parameters: Names of the parameters that it uses, with what these are computed from.
        num_weights: How many numbers its parameters are.
        settings: Arguments that are no tensors, by name.
        given_shape: Of the first tensor that it reads.
        given_dtype: Of that tensor, such as ``float32``.
        shape: Of its result.
        dtype: Of its result.
        weight_shape: Of its matrix or filters; empty if it has none.
        result_bytes: Of its result, where it is new memory.
        std: Standard deviation of the result, of a sample of it where it is large; None where it was not measured.
        spread: Root mean variance of the result between samples; None where it was not measured.
        given_spread: That of what it reads, for operations with weights.
        zeros: Share of the result that is zero; None but for ReLU and its like.
        saturated: Share with a slope below 0.01; None but for sigmoid, tanh and their like.
        gradient: Norm of the gradient at the result, for random gradients of norm 1 before the last layers.
    """

    index: int
    function: str
    kind: Kind
    module: str
    inputs: tuple[int, ...]
    from_images: bool
    from_targets: bool
    reads_images: bool
    in_loss: bool
    parameters: tuple[str, ...]
    num_weights: int
    settings: Mapping[str, Any]
    given_shape: tuple[int, ...]
    given_dtype: str
    shape: tuple[int, ...]
    dtype: str
    weight_shape: tuple[int, ...]
    result_bytes: int
    std: float | None = None
    spread: float | None = None
    given_spread: float | None = None
    zeros: float | None = None
    saturated: float | None = None
    gradient: float | None = None

    @property
    def has_weights(self) -> bool:
        """Whether it multiplies by a matrix or by filters that are parameters."""
        if self.kind is Kind.ATTENTION:
            return self.function == "multi_head_attention_forward"
        return self.kind in WEIGHTED and (bool(self.weight_shape) or self.kind is Kind.RECURRENT)

    @property
    def name(self) -> str:
        """What to call it: the module, or the function in it."""
        return f"{self.module} ({self.function})" if self.module else self.function


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkTrace:
    """A network as it ran on one batch in training mode.

    Attributes:
        operations: In their order; operation ``i`` stands at place ``i``.
        outputs: Indices of the operations whose results are in the output.
        lost: Functions that read something whose origin could not be followed.
        num_parameters: All numbers in the model.
        num_samples: Of the batch.
        error: Why gradients could not be computed; empty if they could.
    """

    ABSENT: ClassVar[Text] = Subject.ABSENT

    operations: tuple[Operation, ...]
    outputs: tuple[int, ...]
    lost: tuple[str, ...]
    num_parameters: int
    num_samples: int
    error: str

    @cached_property
    def forward(self) -> tuple[Operation, ...]:
        """Operations on the images that the output depends on."""
        return tuple(each for each in self.operations if each.from_images and each.index in self._useful)

    @cached_property
    def dangling(self) -> tuple[Operation, ...]:
        """Operations with weights whose result the output does not depend on."""
        return tuple(
            each
            for each in self.operations
            if each.has_weights and not each.in_loss and each.from_images and each.index not in self._useful
        )

    @cached_property
    def layers(self) -> tuple[Operation, ...]:
        """Operations with weights that the output depends on."""
        return tuple(each for each in self.forward if each.has_weights)

    @cached_property
    def first_layers(self) -> tuple[Operation, ...]:
        """Layers before which there is no layer."""
        return tuple(each for each in self.layers if self.depths[each.index] == 1)

    @cached_property
    def last_layers(self) -> tuple[Operation, ...]:
        """Layers after which there is no layer."""
        followed: set[int] = set()
        for each in reversed(self.forward):
            if each.has_weights or each.index in followed:
                followed.update(each.inputs)
        return tuple(each for each in self.layers if each.index not in followed)

    @cached_property
    def depths(self) -> Mapping[int, int]:
        """Least number of layers on a way from the images to an operation, itself included."""
        return {index: way[0] for index, way in self._ways.items()}

    @cached_property
    def users(self) -> Mapping[int, tuple[int, ...]]:
        """Indices of the operations that read the result of an operation."""
        found: dict[int, list[int]] = {each.index: [] for each in self.operations}
        for each in self.operations:
            for index in each.inputs:
                found[index].append(each.index)
        return {index: tuple(readers) for index, readers in found.items()}

    def way_to(self, operation: Operation) -> tuple[Operation, ...]:
        """Return the operations on the way from the images with the fewest layers, itself included."""
        way, index = [], operation.index
        while index >= 0:
            way.append(self.operations[index])
            index = self._ways[index][2]
        return tuple(reversed(way))

    def behind(self, operation: Operation) -> frozenset[int]:
        """Return the indices of all operations that depend on an operation."""
        found = {operation.index}
        for each in self.operations[operation.index + 1 :]:
            if not found.isdisjoint(each.inputs):
                found.add(each.index)
        return frozenset(found - {operation.index})

    @cached_property
    def _useful(self) -> frozenset[int]:
        useful = set(self.outputs)
        for each in reversed(self.operations):
            if each.index in useful:
                useful.update(each.inputs)
        return frozenset(useful)

    @cached_property
    def _ways(self) -> Mapping[int, tuple[int, int, int]]:
        """For each operation on the images: layers, saturating activations, and the operation before it (or -1)."""
        ways: dict[int, tuple[int, int, int]] = {}
        for each in self.operations:
            if not each.from_images:
                continue
            before = [(ways[index][0], ways[index][1], index) for index in each.inputs if index in ways]
            if each.reads_images or not before:
                before.append((0, 0, -1))
            layers, saturating, index = min(before)
            ways[each.index] = layers + each.has_weights, saturating + (each.function in SATURATING), index
        return ways


def network_trace(subject: Subject) -> NetworkTrace:
    """Run the batch through the network and its loss, forwards and, from the last layers, backwards.

    Raises:
        NotCheckable: If the model does not run.
    """
    images, targets = batch_sources(subject, subject.batch)
    with subject.probed(training=True) as model:
        tracer = Tracer(model, images, targets, measure=_figures)
        with traced(tracer, model):
            output = subject.output(model, subject.batch)
            num_forward = len(tracer.calls)
            outputs = {tracer.index_of(part) for part in flat_tensors(output)}
            with suppress(NotCheckable):
                subject.loss(output, subject.batch)
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters(remove_duplicate=False)}
        found = NetworkTrace(
            operations=tuple(_operation(call, num_forward, sizes) for call in tracer.calls),
            outputs=tuple(sorted(index for index in outputs if index is not None)),
            lost=tuple(dict.fromkeys(tracer.lost)),
            num_parameters=sum(parameter.numel() for parameter in model.parameters()),
            num_samples=len(subject),
            error="",
        )
        return _with_gradients(found, tracer.calls)


def batch_sources(subject: Subject, batch: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors of a batch that are images, and those that are targets."""
    targets = list(flat_tensors(subject.targets(batch)))
    known = {id(target) for target in targets}
    images = [
        part
        for part in flat_tensors(batch)
        if id(part) not in known and part.ndim > 1 and (part.is_floating_point() or part.dtype == torch.uint8)
    ]
    return images, targets


def _operation(call: Call, num_forward: int, sizes: Mapping[str, int]) -> Operation:
    moves = call.kind is Kind.SHAPE or call.arguments.get("inplace") is True
    return Operation(
        index=call.index,
        function=call.function,
        kind=call.kind,
        module=call.module,
        inputs=call.inputs,
        from_images=call.from_images,
        from_targets=call.from_targets,
        reads_images=call.reads_images,
        in_loss=call.index >= num_forward,
        parameters=call.parameters,
        num_weights=sum(sizes[name] for name in call.parameters),
        settings=call.arguments,
        given_shape=tuple(call.given.shape),
        given_dtype=str(call.given.dtype).removeprefix("torch."),
        shape=tuple(call.result.shape),
        dtype=str(call.result.dtype).removeprefix("torch."),
        weight_shape=() if call.weight is None else tuple(call.weight.shape),
        result_bytes=0 if moves else call.result.numel() * call.result.element_size(),
        **call.figures,
    )


def _figures(call: Call) -> dict[str, float]:
    result = call.result.detach()
    if call.kind not in _MEASURED or not result.is_floating_point() or not result.numel():
        return {}
    values = _rows(result)
    found = {"std": float(values.std(correction=0)), "spread": _spread(values)}
    if call.kind in WEIGHTED and call.given.is_floating_point() and call.given.numel():
        found["given_spread"] = _spread(_rows(call.given.detach()))
    if call.function in _ZEROING:
        found["zeros"] = float((values == 0).float().mean())
    if call.function in SATURATING:
        slope = values * (1 - values) if call.function in ("sigmoid", "hardsigmoid", "expit") else 1 - values.square()
        found["saturated"] = float((slope < _FLAT_SLOPE).float().mean())
    return found


def _rows(values: Tensor) -> Float[Tensor, "rows columns"]:
    """Return some of the values, one row for each place along the first axis."""
    rows = values.reshape(len(values), -1) if values.ndim > 1 else values.reshape(1, -1)
    step = rows.numel() // _MOST_VALUES | 1  # odd, so that all columns of a map come in turn
    return rows[:, ::step].float()


def _spread(rows: Float[Tensor, "rows columns"]) -> float:
    """Return the root mean variance between rows; of all values if there is but one row."""
    return sqrt(float(rows.var(0, correction=0).mean())) if len(rows) > 1 else float(rows.std(correction=0))


def _with_gradients(trace: NetworkTrace, calls: list[Call]) -> NetworkTrace:
    """Return the trace with the gradients that reach each layer from random ones at what the last layers read."""
    layers = [calls[each.index] for each in trace.layers if calls[each.index].result.requires_grad]
    starts = _distinct(calls[each.index].given for each in trace.last_layers if calls[each.index].given.requires_grad)
    if not layers or not starts:
        return trace
    noise = torch.Generator().manual_seed(0)
    pushes = [torch.randn(start.shape, generator=noise).to(start) for start in starts]
    length = sqrt(sum(float(push.double().square().sum()) for push in pushes))
    try:
        found: tuple[Tensor | None, ...] = torch.autograd.grad(
            starts, [call.result for call in layers], pushes, allow_unused=True
        )
    except RuntimeError as error:
        return _replaced(trace, {}, str(error).splitlines()[0])
    norms = {
        call.index: float(gradient.double().norm()) / (length or inf)
        for call, gradient in zip(layers, found, strict=True)
        if gradient is not None
    }
    return _replaced(trace, norms, "")


def _distinct(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in tensors}.values())


def _replaced(trace: NetworkTrace, norms: Mapping[int, float], error: str) -> NetworkTrace:
    operations = tuple(replace(each, gradient=norms.get(each.index)) for each in trace.operations)
    return replace(trace, operations=operations, error=error)
