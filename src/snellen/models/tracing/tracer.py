"""A run that is followed operation by operation: what is computed, what is written, and how far every cell sees."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakTensorKeyDictionary

from snellen.models.tracing.operations import after_operation
from snellen.models.tracing.reach import LOST, Reach, image_reach
from snellen.structures import flat_tensors

__all__ = ["ModuleTrace", "RunTracer", "traced_modules"]

_OPS_PER_MULTIPLY_ADD = 2  # torch counts the multiplication and the addition
_CPU_ATTENTION = "aten::_scaled_dot_product_flash_attention_for_cpu"  # torch has no formula for it


@dataclass(kw_only=True, eq=False)
class ModuleTrace:
    """What a module did in a run, with all that lies in it.

    Attributes:
        calls: How often it was called.
        multiply_adds: Of convolutions and matrix products.
        written_bytes: Size of all results that were written; views and results written in place take none.
        output_shape: Of the first tensor that its last call returned (of maps by name, the last); None without any.
        reach: What the cells of that tensor see; None if it does not depend on the image.
    """

    calls: int = 0
    multiply_adds: int = 0
    written_bytes: int = 0
    output_shape: tuple[int, ...] | None = None
    reach: Reach | None = None


class RunTracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is untyped
    """Follows the operations of a run while it is entered.

    Args:
        image: ``[batch, channels, height, width]``; what a cell sees is counted in its pixels. None for a run in which
            that is not followed until ``follow`` is called.

    Attributes:
        modules: What each module did, by its path.
    """

    def __init__(self, image: Tensor | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self.modules: dict[str, ModuleTrace] = {"": ModuleTrace()}
        self.running: list[str] = [""]
        self._reaches: MutableMapping[Tensor, Reach] = WeakTensorKeyDictionary()
        if image is not None:
            self.follow(image)

    @property
    def total(self) -> ModuleTrace:
        """What the whole run did."""
        return self.modules[""]

    def follow(self, image: Tensor) -> None:
        """Take a tensor for the image."""
        self._reaches[image] = image_reach(*image.shape[-2:])

    def reach(self, x: Tensor) -> Reach | None:
        """Return what the cells of a tensor see; None if it does not depend on the image."""
        return self._reaches.get(x)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and note it."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        outputs = list(flat_tensors(result))
        name = func._schema.name  # noqa: SLF001 - torch gives no public name
        work, size = _multiply_adds(func, name, args, kwargs, result), _written_bytes(func, outputs)
        for path in dict.fromkeys(self.running):
            self.modules[path].multiply_adds += work
            self.modules[path].written_bytes += size
        self._spread(name, args, kwargs, outputs)
        return result

    def _spread(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: Sequence[Tensor]) -> None:
        given = [tensor for tensor in flat_tensors((args, kwargs)) if tensor in self._reaches]
        if not given:
            return
        inputs = [(self._reaches[tensor], tuple(tensor.shape)) for tensor in given]
        for output in outputs:
            try:
                self._reaches[output] = after_operation(name, args, inputs, tuple(output.shape))
            except (TypeError, ValueError, IndexError):  # called in a form that the rules do not know
                self._reaches[output] = LOST


def _multiply_adds(func: Any, name: str, args: Any, kwargs: Any, result: Any) -> int:
    packet = func.overloadpacket
    if packet in flop_registry:
        count: int = flop_registry[packet](*args, **kwargs, out_val=result)
        return count // _OPS_PER_MULTIPLY_ADD
    if name == _CPU_ATTENTION:
        return _attention(*(tuple(each.shape) for each in args[:3]))
    return 0


def _attention(queries: tuple[int, ...], keys: tuple[int, ...], values: tuple[int, ...]) -> int:
    """Return the multiply-adds of the two products of attention; shapes are ``[batch, heads, tokens, depth]``."""
    batch, heads, asked, depth = queries
    return batch * heads * asked * keys[2] * (depth + values[3])


def _written_bytes(func: Any, outputs: Sequence[Tensor]) -> int:
    if any(each.alias_info is not None for each in func._schema.returns):  # noqa: SLF001 - as above
        return 0
    return sum(tensor.numel() * tensor.element_size() for tensor in outputs)


@contextmanager
def traced_modules(tracer: RunTracer, model: nn.Module) -> Iterator[RunTracer]:
    """Follow a run of a model in evaluation, module by module; the modes of its modules are restored."""
    modes = [(module, module.training) for module in model.modules()]
    handles: list[Any] = []
    for path, module in model.named_modules():
        if path:
            handles.append(module.register_forward_pre_hook(_entering(tracer, path)))
            handles.append(module.register_forward_hook(_leaving(tracer, path), always_call=True))
    model.eval()
    try:
        with torch.no_grad(), tracer:
            yield tracer
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode


def _entering(tracer: RunTracer, path: str) -> Any:
    def hook(module: nn.Module, given: tuple[Any, ...]) -> None:
        del module, given
        tracer.running.append(path)
        tracer.modules.setdefault(path, ModuleTrace()).calls += 1

    return hook


def _leaving(tracer: RunTracer, path: str) -> Any:
    def hook(module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        del module, given
        tracer.running.pop()
        tensors = list(flat_tensors(result))
        if tensors:
            told = tensors[-1] if isinstance(result, Mapping) else tensors[0]
            trace = tracer.modules[path]
            trace.output_shape, trace.reach = tuple(told.shape), tracer.reach(told)

    return hook
