"""In which arithmetic a step is computed."""

from contextlib import AbstractContextManager
from functools import cache
from statistics import median
from time import perf_counter

import torch
from torch import nn

from snellen.training.settings import PrecisionName

__all__ = ["autocast", "best_precision"]

_LEAST_GAIN = 1.2  # below it, converting between the two eats what is gained
_PROBES = 7  # of which the median counts, as other processes disturb single ones
_BF16_CAPABILITY = (8, 0)  # compute capability; Ampere is the first with bf16 tensor cores


def best_precision(device: torch.device | str) -> PrecisionName:
    """Return ``"bf16"`` where the device is faster with it, else ``"fp32"``.

    A processor counts if oneDNN supports bf16 on it, it has the instructions (AVX512-BF16 or AMX; oneDNN alone
    also says yes where it would emulate), and a convolution is measurably faster: some processors list the
    instructions and run them at half the speed of float32. bf16 has the range of float32, so no loss scaling is
    needed.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        capable = torch.cuda.get_device_capability(device) >= _BF16_CAPABILITY
        return "bf16" if capable else "fp32"
    if kind == "cpu":
        return "bf16" if _cpu_has_bf16() and _cpu_gain() > _LEAST_GAIN else "fp32"
    return "fp32"


def autocast(device: torch.device, precision: PrecisionName) -> AbstractContextManager[object]:
    """Return the context in which the forward pass and the loss run."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


@cache
def _cpu_gain() -> float:
    """Return how many times faster a convolution is in bf16 than in float32, measured once; it takes about 0.1 s."""
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        layer = nn.Conv2d(128, 128, 3, padding=1).to(memory_format=torch.channels_last)
        x = torch.zeros(2, 128, 28, 28).to(memory_format=torch.channels_last)
        seconds = {}
        for dtype in (torch.float32, torch.bfloat16):
            layer, x = layer.to(dtype), x.to(dtype)
            layer(x)  # kernels are chosen before the clock starts
            seconds[dtype] = median(_seconds(layer, x) for _ in range(_PROBES))
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _seconds(layer: nn.Module, x: torch.Tensor) -> float:
    began = perf_counter()
    layer(x)
    return perf_counter() - began


def _cpu_has_bf16() -> bool:
    # Both lists are private in torch and have moved between releases; where they are missing, say no.
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001
            return False
    except (AttributeError, RuntimeError):
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)
