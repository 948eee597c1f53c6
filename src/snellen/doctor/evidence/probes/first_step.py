"""One forward and backward pass in training mode: the loss, its logits, and who gets which gradient."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["Activation", "FirstStep", "LayerInput", "first_step"]

Activation = Literal["softmax", "log_softmax", "sigmoid", "log_sigmoid", "relu", "tanh", "none"]

_ACTIVATIONS: dict[str, Activation] = {
    "SoftmaxBackward0": "softmax",
    "LogSoftmaxBackward0": "log_softmax",
    "SigmoidBackward0": "sigmoid",
    "LogSigmoidBackward0": "log_sigmoid",
    "ReluBackward0": "relu",
    "TanhBackward0": "tanh",
}

# Nodes of the graph that change no value; an activation is looked for behind them.
_SHAPES_ONLY = (
    "View", "UnsafeView", "Reshape", "Squeeze", "Unsqueeze", "Permute", "Transpose", "T", "Clone", "Alias", "Slice",
    "Select", "ToCopy", "Flatten", "Expand",
)  # fmt: skip

_PARAMETRIC = (nn.modules.conv._ConvNd, nn.Linear)  # noqa: SLF001 - the class that all convolutions share


@dataclass(frozen=True, kw_only=True)
class LayerInput:
    """What the first layer with weights reads.

    Attributes:
        layer: Its name.
        shape: Of the input.
        channels: Mean of each channel.
        spreads: Standard deviation of each channel.
        low: Smallest value.
        high: Largest value.
    """

    layer: str
    shape: tuple[int, ...]
    channels: tuple[float, ...]
    spreads: tuple[float, ...]
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Update:
    """One step of an optimizer.

    Attributes:
        moved: How many parameters changed.
        unchanged: Parameters that it holds, that had a gradient, and that kept every bit.
        climb: Cosine between the gradient and the change of all parameters; negative where the loss falls.
        is_fresh: Whether it had no state before, so that no momentum speaks.
        lr: Largest rate of its groups.
    """

    moved: int
    unchanged: tuple[str, ...]
    climb: float
    is_fresh: bool
    lr: float


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """What one step would do, before any weight is changed.

    Attributes:
        loss: Its value; None if there is none.
        no_loss: Why there is none.
        logits: What the loss reads, ``[batch classes ...]``; None where the output has several parts.
        logits_gradient: Of the loss, like ``logits``; None if the loss does not come from them.
        activation: The last thing that was done to the logits, by their graph.
        is_finite: Whether all logits are; in other outputs -inf is allowed, which marks what does not count.
        backward_error: Why no gradient could be computed; empty if it could.
        gradients: Largest absolute gradient of every trainable parameter that got one, by name.
        without: Trainable parameters that got none.
        hidden: Parameters that got one though ``model.parameters()`` does not list them.
        update: What the user's optimizer did with these gradients, or None.
        executed: Names of the modules that ran.
        first_input: Of the first convolution or linear layer, or None.
    """

    loss: float | None
    no_loss: Text | None
    logits: Float[Tensor, "batch classes *rest"] | None
    logits_gradient: Float[Tensor, "batch classes *rest"] | None
    activation: Activation
    is_finite: bool
    backward_error: str
    gradients: dict[str, float]
    without: tuple[str, ...]
    hidden: tuple[str, ...]
    update: Update | None
    executed: frozenset[str]
    first_input: LayerInput | None

    def require_loss(self) -> float:
        """Return the loss.

        Raises:
            NotCheckable: If there is none.
        """
        if self.loss is None:
            raise NotCheckable(self.no_loss or Subject.ABSENT)
        return self.loss


def first_step(subject: Subject) -> FirstStep:
    """Take the pass."""
    with subject.probed(training=True) as model, _watched(model) as seen:
        hidden = hidden_parameters(model)
        model.zero_grad(set_to_none=True)
        for parameter in hidden.values():
            parameter.grad = None
        output = subject.output(model, subject.batch)
        logits = subject.logits(output)
        loss, no_loss = _loss_of(subject, output)
        gradient = _gradient_of(loss, logits)
        error = _backward(loss)
        trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        gradients = {
            name: float(parameter.grad.detach().abs().max())
            for name, parameter in trainable.items()
            if parameter.grad is not None and parameter.numel()
        }
        return FirstStep(
            loss=None if loss is None else float(loss.detach()),
            no_loss=no_loss,
            logits=None if logits is None else logits.detach().clone(),
            logits_gradient=gradient,
            activation=activation_of(logits),
            is_finite=_is_finite(output, logits),
            backward_error=error,
            gradients=gradients,
            without=tuple(name for name, parameter in trainable.items() if parameter.grad is None),
            hidden=tuple(name for name, parameter in hidden.items() if parameter.grad is not None),
            update=None if error or not gradients else _updated(subject, trainable),
            executed=frozenset(seen.executed),
            first_input=seen.first_input,
        )


def _loss_of(subject: Subject, output: Any) -> tuple[Tensor | None, Text | None]:
    try:
        return subject.loss(output, subject.batch), None
    except NotCheckable as outcome:
        return None, outcome.reason


def _is_finite(output: Any, logits: Tensor | None) -> bool:
    if isinstance(output, Tensor) and logits is not None:
        return bool(torch.isfinite(logits).all())
    return not any(bool((part.isnan() | part.isposinf()).any()) for part in floats_of(output))


def _gradient_of(loss: Tensor | None, logits: Tensor | None) -> Tensor | None:
    if loss is None or logits is None:
        return None
    if not (loss.requires_grad and logits.requires_grad):
        return None
    found: tuple[Tensor | None, ...] = torch.autograd.grad(loss, logits, retain_graph=True, allow_unused=True)
    return None if found[0] is None else found[0].detach()


def _backward(loss: Tensor | None) -> str:
    if loss is None:
        return ""
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def _updated(subject: Subject, trainable: dict[str, nn.Parameter]) -> Update | None:
    """Take the step of the user's optimizer, unless it needs to compute the loss itself."""
    optimizer = subject.optimizer
    if optimizer is None or isinstance(optimizer, torch.optim.LBFGS):
        return None
    before = {name: parameter.detach().clone() for name, parameter in trainable.items() if parameter.grad is not None}
    is_fresh = not optimizer.state
    try:
        optimizer.step()
    except (RuntimeError, TypeError, AttributeError):  # such as optimizers of several passes
        return None
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    along, change, slope = 0.0, 0.0, 0.0
    unchanged, num_moved = [], 0
    for name, old in before.items():
        parameter = trainable[name]
        gradient, moved = parameter.grad, parameter.detach() - old
        if gradient is None or id(parameter) not in held:
            continue
        num_moved += bool(moved.any())
        if not bool(moved.any()) and bool(gradient.any()):
            unchanged.append(name)
        gradient, moved = gradient.flatten().float(), moved.flatten().float()
        along += float(torch.dot(gradient, moved))
        change += float(torch.dot(moved, moved))
        slope += float(torch.dot(gradient, gradient))
    return Update(
        moved=num_moved,
        unchanged=tuple(unchanged),
        climb=along / (change * slope) ** 0.5 if change and slope else 0.0,
        is_fresh=is_fresh,
        lr=max(float(group.get("lr", 0.0)) for group in optimizer.param_groups),
    )


def hidden_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return trainable parameters of modules that lie in plain lists and dictionaries, where torch does not look."""
    known = {id(module) for module in model.modules()}
    found: dict[str, nn.Parameter] = {}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute.startswith("_") or not isinstance(value, list | tuple | dict):
                continue
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(item, nn.Module) and id(item) not in known:
                    prefix = ".".join(part for part in (name, attribute, str(key)) if part)
                    found |= {f"{prefix}.{own}": p for own, p in item.named_parameters() if p.requires_grad}
    return found


class _Seen:
    """What the hooks saw."""

    def __init__(self) -> None:
        self.executed: set[str] = set()
        self.first_input: LayerInput | None = None


@contextmanager
def _watched(model: nn.Module) -> Iterator[_Seen]:
    """Note which modules run, and what the first one with weights reads."""
    seen = _Seen()
    handles: list[Any] = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(_noting(seen, name)))
        if isinstance(module, _PARAMETRIC):
            handles.append(module.register_forward_pre_hook(_noting_input(seen, name)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _noting(seen: _Seen, name: str) -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        del module, arguments
        seen.executed.add(name)

    return hook


def _noting_input(seen: _Seen, name: str) -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        del module
        given = arguments[0] if arguments else None
        if seen.first_input is None and isinstance(given, Tensor) and given.numel():
            seen.first_input = _layer_input(name, given.detach())

    return hook


def _layer_input(name: str, values: Tensor) -> LayerInput:
    channels = values.float().movedim(1, 0).flatten(1) if values.ndim > 2 else values.float().flatten()[None]
    return LayerInput(
        layer=name,
        shape=tuple(values.shape),
        channels=tuple(channels.mean(1).tolist()),
        spreads=tuple(channels.std(1, correction=0).tolist()),
        low=float(channels.min()),
        high=float(channels.max()),
    )


def activation_of(logits: Tensor | None) -> Activation:
    """Return the last function that changed the values of a tensor, by its graph."""
    node: Any = None if logits is None else logits.grad_fn
    while node is not None and node.name().startswith(_SHAPES_ONLY) and node.next_functions:
        node = node.next_functions[0][0]
    return "none" if node is None else _ACTIVATIONS.get(node.name(), "none")


def floats_of(value: Any) -> list[Tensor]:
    """Return all tensors of real numbers in an output of any form."""
    if isinstance(value, Tensor):
        return [value.detach()] if value.is_floating_point() else []
    if isinstance(value, dict):
        return [part for item in value.values() for part in floats_of(item)]
    if isinstance(value, list | tuple):
        return [part for item in value for part in floats_of(item)]
    names = getattr(value, "__dataclass_fields__", ())
    return [part for name in names for part in floats_of(getattr(value, name))]


def is_number(value: float | None) -> bool:
    """Return whether it is known and finite."""
    return value is not None and isfinite(value)
