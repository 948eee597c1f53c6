"""Probing without a trace: whatever happens inside, everything is the same bits afterwards."""

import functools
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import CellType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from snellen.errors import InputError

__all__ = ["untouched"]

Undo = Callable[[], None]

_EMPTY_CELL = CellType()  # of a name that is not bound yet


@contextmanager
def untouched(*things: Any) -> Iterator[None]:
    """Put everything back when the block ends, also after an exception or Ctrl-C.

    What is kept, bit for bit and with the same identities: parameters, buffers, plain tensors and attributes of
    modules, their modes, hooks and ``requires_grad``; gradients; state and groups of optimizers; state of everything
    else that has ``state_dict`` (schedulers, gradient scalers, averages); the tensors of batches. And, whatever is
    passed: the random states of Python, numpy and torch (on the processor and on every device in use), gradient mode,
    autocast, deterministic algorithms, cuDNN's and matrix multiplication's settings, and the default dtype.

    Args:
        things: Modules, optimizers, schedulers, batches: tensors, and containers of them; functions stand for what
            they hold of these in closures and globals. None is allowed.

    Raises:
        InputError: If a module has parameters that do not exist yet (lazy modules).
    """
    memory = _Memory()
    for thing in things:
        memory.keep(thing)
    restore_world = _world()
    try:
        yield
    finally:
        _certainly(memory.restore)
        _certainly(restore_world)


def _certainly(restore: Undo) -> None:
    """Run to the end, again if Ctrl-C comes in between, and raise that only afterwards."""
    try:
        restore()
    except KeyboardInterrupt:
        _certainly(restore)
        raise


class _Memory:
    """What everything looked like, found by walking from the things that were passed."""

    def __init__(self) -> None:
        self._known: dict[int, object] = {}  # holds the objects, so that no id is used twice
        self._undo: list[Undo] = []

    def restore(self) -> None:
        for undo in self._undo:
            undo()

    def keep(self, thing: Any) -> None:
        """Remember a thing and all that hangs on it."""
        if id(thing) in self._known or _is_plain(thing):
            return
        self._known[id(thing)] = thing
        if isinstance(thing, Tensor):
            self._undo.append(_tensor_undo(thing))
            self.keep(thing.grad if thing.is_leaf else None)
        elif isinstance(thing, dict):
            self._undo.append(_dict_undo(thing))
            self._keep_all(thing.values())
        elif isinstance(thing, list | set | deque):
            self._undo.append(_items_undo(thing))
            self._keep_all(thing)
        elif isinstance(thing, tuple | frozenset):
            self._keep_all(thing)
        elif isinstance(thing, Mapping):
            self._keep_all(thing.values())
        else:
            self._keep_object(thing)

    def _keep_object(self, thing: Any) -> None:
        generator = _generator_undo(thing)
        if generator is not None:
            self._undo.append(generator)
        elif _has_state(thing):
            self.keep(vars(thing))
        elif isinstance(thing, FunctionType | MethodType | functools.partial):
            self._keep_all(_held(thing))
        else:
            self._keep_all(getattr(thing, name, None) for name in _fields(thing))

    def _keep_all(self, things: Iterable[Any]) -> None:
        for thing in list(things):
            self.keep(thing)


def _is_plain(thing: Any) -> bool:
    """Return whether there is nothing in it that could change."""
    return thing is None or isinstance(thing, str | bytes | int | float | complex | type | torch.device | torch.dtype)


def _has_state(thing: Any) -> bool:
    if isinstance(thing, type) or not hasattr(thing, "__dict__"):
        return False
    return isinstance(thing, nn.Module) or (hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict"))


def _generator_undo(thing: Any) -> Undo | None:
    """Return what puts a random generator back, or None if it is something else."""
    if isinstance(thing, random.Random):
        return _partial(thing.setstate, thing.getstate())
    if isinstance(thing, torch.Generator):
        return _partial(thing.set_state, thing.get_state())
    if isinstance(thing, np.random.Generator):
        return _partial(setattr, thing.bit_generator, "state", thing.bit_generator.state)
    return None


def _held(function: Any) -> list[Any]:
    """Return what a function holds and could change: of its closure everything, of its globals what has a state."""
    if isinstance(function, functools.partial):
        return [function.func, *function.args, *function.keywords.values()]
    if isinstance(function, MethodType):
        return [function.__self__]
    cells = [cell.cell_contents for cell in function.__closure__ or () if cell != _EMPTY_CELL]
    named = (function.__globals__.get(name) for name in function.__code__.co_names)
    return cells + [value for value in named if isinstance(value, Tensor) or _has_state(value)]


def _fields(thing: Any) -> tuple[str, ...]:
    if isinstance(thing, type):
        return ()
    names: Iterable[str] = getattr(type(thing), "__dataclass_fields__", ()) or getattr(type(thing), "__slots__", ())
    return (names,) if isinstance(names, str) else tuple(names)


def _partial(function: Callable[..., Any], *arguments: Any) -> Undo:
    def undo() -> None:
        function(*arguments)

    return undo


def _dict_undo(thing: dict[Any, Any]) -> Undo:
    former = list(thing.items())

    def undo() -> None:
        now = list(thing.items())
        if len(now) == len(former) and all(a[0] is b[0] and a[1] is b[1] for a, b in zip(now, former, strict=True)):
            return
        kind = OrderedDict if isinstance(thing, OrderedDict) else dict  # subclasses may refuse to forget
        kind.clear(thing)
        kind.update(thing, former)

    return undo


def _items_undo(thing: Any) -> Undo:
    former = list(thing)

    def undo() -> None:
        now = list(thing)
        if len(now) == len(former) and all(a is b for a, b in zip(now, former, strict=True)):
            return
        thing.clear()
        if isinstance(thing, set):
            thing.update(former)
        else:
            thing.extend(former)

    return undo


def _tensor_undo(tensor: Tensor) -> Undo:
    if is_lazy(tensor):
        raise InputError(
            "expected a model whose parameters exist; got one with lazy modules that have seen no batch yet. Run "
            "model(images) once before."
        )
    values = tensor.detach()  # the same memory
    written = values if _is_dense(values) else values.as_strided((_reach(values),), (1,))
    copy = written.clone()
    needs_grad, grad, is_leaf = tensor.requires_grad, tensor.grad if tensor.is_leaf else None, tensor.is_leaf

    def undo() -> None:
        with torch.inference_mode(values.is_inference()), torch.no_grad():
            written.data.copy_(copy)
            if tensor.data_ptr() != values.data_ptr() or tensor.dtype != values.dtype or tensor.shape != values.shape:
                tensor.data = values
        if is_leaf:
            tensor.requires_grad_(needs_grad)
            tensor.grad = grad

    return undo


def _is_dense(values: Tensor) -> bool:
    """Return whether no two elements share memory, as they do after `expand`."""
    if values.layout != torch.strided:
        return True
    return all(stride or size <= 1 for size, stride in zip(values.shape, values.stride(), strict=True))


def _reach(values: Tensor) -> int:
    """Return how many elements of memory lie between the first and the last element."""
    return 1 + sum((size - 1) * stride for size, stride in zip(values.shape, values.stride(), strict=True))


def _world() -> Undo:
    """Return what puts random states and global settings back."""
    undo: list[Undo] = [
        _partial(random.setstate, random.getstate()),
        _partial(np.random.set_state, np.random.get_state()),  # noqa: NPY002 - what people's code may use
        _partial(torch.set_rng_state, torch.get_rng_state()),
        _partial(torch.set_grad_enabled, torch.is_grad_enabled()),
        _partial(torch.set_default_dtype, torch.get_default_dtype()),
        _partial(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision()),
        _partial(torch.set_num_threads, torch.get_num_threads()),
        _partial(torch.set_autocast_cache_enabled, torch.is_autocast_cache_enabled()),
        _deterministic(),
    ]
    for device in ("cpu", "cuda"):
        undo.append(_partial(torch.set_autocast_enabled, device, torch.is_autocast_enabled(device)))
        undo.append(_partial(torch.set_autocast_dtype, device, torch.get_autocast_dtype(device)))
    cudnn = torch.backends.cudnn
    undo += [_setting_undo(cudnn, name, getattr(cudnn, name)) for name in ("enabled", "benchmark", "deterministic")]
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        undo.append(_partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    if torch.backends.mps.is_available():
        undo.append(_partial(torch.mps.set_rng_state, torch.mps.get_rng_state()))

    def restore() -> None:
        for step in undo:
            step()

    return restore


def _setting_undo(owner: Any, name: str, former: Any) -> Undo:
    def undo() -> None:
        if getattr(owner, name) != former:
            setattr(owner, name, former)

    return undo


def _deterministic() -> Undo:
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()

    def undo() -> None:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)

    return undo
