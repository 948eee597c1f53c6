"""Following every tensor of a pass from the images to the output, also through functions that no module wraps."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from snellen.doctor.evidence.network.functions import Kind, arguments_of, kind_of, name_of, writes_in_place
from snellen.structures import flat_tensors

__all__ = ["Call", "Tracer", "traced"]

# What looks at the shape of its argument alone.
_MAKERS = (
    "new_empty", "new_zeros", "new_ones", "new_full", "new_tensor", "empty_like", "zeros_like", "ones_like",
    "full_like", "rand_like", "randn_like", "randint_like", "bernoulli_like", "grad", "data_ptr", "size", "shape",
)  # fmt: skip


@dataclass(kw_only=True, eq=False)
class Call:
    """One call of a function of torch on tensors that depend on the images or on the targets.

    Attributes:
        index: In the order of the calls.
        function: Its name.
        kind: What it is for.
        module: Path of the innermost module that was running; empty for the model itself.
        inputs: Indices of the calls whose results it reads.
        from_images: Whether the images reach it.
        from_targets: Whether the targets reach it.
        reads_images: Whether it reads the images themselves.
        parameters: Names of the parameters that it uses.
        arguments: By name, as far as the names are known; tensors are left out.
        given: The first tensor that it reads which depends on images or targets.
        result: Its first tensor.
        weight: Its matrix of weights, if it has one.
        figures: What was measured of it at once.
    """

    index: int
    function: str
    kind: Kind
    module: str
    inputs: tuple[int, ...]
    from_images: bool
    from_targets: bool
    reads_images: bool
    parameters: tuple[str, ...]
    arguments: dict[str, Any]
    given: Tensor
    result: Tensor
    weight: Tensor | None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a tensor comes from."""

    call: int | None = None  # None for the images and targets themselves, and for what only parameters reach
    from_images: bool = False
    from_targets: bool = False
    parameters: tuple[str, ...] = ()


class Tracer(TorchFunctionMode):
    """Notes the calls while it is entered.

    Args:
        model: Its parameters are known by name, and the module that is running is followed.
        images: Tensors that are the images.
        targets: Tensors that are the targets.
        measure: Called with each call and its result at once, before anything can change it in place; what it returns
            is kept as ``figures``.

    Attributes:
        calls: So far.
        lost: Functions that read something whose origin could not be followed.
        stack: Paths of the modules that are running.
        failed_in: Path of the module in which a function raised, or None.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Iterable[Tensor],
        targets: Iterable[Tensor] = (),
        measure: Callable[[Call], dict[str, float]] | None = None,
    ) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.lost: list[str] = []
        self.stack: list[str] = []
        self.failed_in: str | None = None
        self._measure = measure
        self._origins: MutableMapping[Tensor, _Origin] = WeakTensorKeyDictionary()
        self._writers: dict[int, tuple[torch.UntypedStorage, int]] = {}  # what is held is not used for other tensors
        for name, parameter in model.named_parameters(remove_duplicate=False):
            if parameter not in self._origins:
                self._origins[parameter] = _Origin(parameters=(name,))
        for image in images:
            self._origins[image] = _Origin(from_images=True)
        for target in targets:
            self._origins[target] = _Origin(from_targets=True)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Make the call and note it."""
        del types
        kwargs = kwargs or {}
        try:
            result = func(*args, **kwargs)
        except Exception:
            self.failed_in = self.stack[-1] if self.stack else ""
            raise
        name = name_of(func)
        results = [args[0]] if name == "setitem" else list(flat_tensors(result))
        if results and name not in _MAKERS and not isinstance(result, nn.Parameter):
            self._note(func, name if name != "get" else "view", args, kwargs, results)
        return result

    def index_of(self, tensor: Tensor) -> int | None:
        """Return the call that a tensor came from, or None."""
        origin = self._origin(tensor)
        return None if origin is None else origin.call

    def _note(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], results: list[Tensor]
    ) -> None:
        given = list(flat_tensors((args, kwargs)))
        origins = [(tensor, self._origin(tensor)) for tensor in given]
        self.lost += [name for tensor, origin in origins if origin is None and tensor.grad_fn is not None]
        known = [origin for _, origin in origins if origin is not None]
        if not known:
            return
        moving = [origin for origin in known if origin.from_images or origin.from_targets]
        parameters = tuple(
            dict.fromkeys(name for origin in known if origin not in moving for name in origin.parameters)
        )
        merged = _Origin(
            from_images=any(origin.from_images for origin in known),
            from_targets=any(origin.from_targets for origin in known),
            parameters=parameters if not moving else (),
        )
        if not moving:
            for result in results:
                if result not in self._origins:
                    self._origins[result] = merged
            return
        call = self._call(name, args, kwargs, results, origins, parameters)
        self.calls.append(call)
        after = _Origin(call.index, merged.from_images, merged.from_targets)
        for result in results:
            self._origins[result] = after
        if writes_in_place(func, call.arguments, results[0], args[0] if args else None):
            self._writers[_memory(results[0])] = (results[0].untyped_storage(), call.index)
        if self._measure is not None:
            call.figures = self._measure(call)

    def _call(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        results: list[Tensor],
        origins: list[tuple[Tensor, _Origin | None]],
        parameters: tuple[str, ...],
    ) -> Call:
        moving = [origin for _, origin in origins if origin is not None and (origin.from_images or origin.from_targets)]
        weight = next(
            (
                tensor
                for tensor, origin in origins
                if origin is not None and origin.parameters and origin not in moving and tensor.ndim > 1
            ),
            None,
        )
        arguments = arguments_of(name, args, kwargs)
        kind = kind_of(name, len(moving), weight is not None)
        if kind in (Kind.CONV, Kind.CONV_TRANSPOSE) and weight is None and len(moving) > 1:
            kind = Kind.GATE
        inputs = {origin.call for origin in moving if origin.call is not None}
        for tensor, origin in origins:
            writer = self._writer(tensor)
            if writer is not None and origin is not None and origin.call is not None and writer > origin.call:
                inputs.add(writer)
        return Call(
            index=len(self.calls),
            function=name,
            kind=kind,
            module=self.stack[-1] if self.stack else "",
            inputs=tuple(sorted(inputs)),
            from_images=any(origin.from_images for origin in moving),
            from_targets=any(origin.from_targets for origin in moving),
            reads_images=any(origin.call is None and origin.from_images for origin in moving),
            parameters=parameters,
            arguments={key: value for key, value in arguments.items() if not isinstance(value, Tensor)},
            given=next(tensor for tensor, origin in origins if origin is not None and origin in moving),
            result=results[0],
            weight=weight,
        )

    def _origin(self, tensor: Tensor) -> _Origin | None:
        origin = self._origins.get(tensor)
        writer = self._writer(tensor) if origin is None else None
        if writer is None:
            return origin
        call = self.calls[writer]  # a tensor of constants into a part of which something was written
        return _Origin(call.index, call.from_images, call.from_targets)

    def _writer(self, tensor: Tensor) -> int | None:
        """Return the last call that wrote into the memory of a tensor."""
        found = self._writers.get(_memory(tensor))
        return None if found is None else found[1]


@contextmanager
def traced(tracer: Tracer, model: nn.Module) -> Iterator[Tracer]:
    """Follow the modules and the calls of a model."""
    handles: list[Any] = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(_entering(tracer, name)))
        handles.append(module.register_forward_hook(_leaving(tracer), always_call=True))
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        if "torch._dynamo" in sys.modules:  # otherwise nothing is compiled, and to ask would import it
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(tracer)
        yield tracer


def _entering(tracer: Tracer, name: str) -> Any:
    def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
        del module, given
        tracer.stack.append(name)

    return hook


def _leaving(tracer: Tracer) -> Any:
    def hook(module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        del module, given, result
        if tracer.stack:
            tracer.stack.pop()

    return hook


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0
