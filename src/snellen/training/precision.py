"""In which arithmetic a step is computed."""

from contextlib import AbstractContextManager

import torch

from snellen.training.settings import PrecisionName

__all__ = ["autocast", "best_precision"]

_BF16_CAPABILITY = (8, 0)  # compute capability; Ampere is the first with bf16 tensor cores


def best_precision(device: torch.device | str) -> PrecisionName:
    """Return ``"bf16"`` where the device computes it in hardware, else ``"fp32"``.

    A processor counts if oneDNN supports bf16 on it and it has the instructions (AVX512-BF16 or AMX);
    oneDNN alone also says yes where it would emulate. bf16 has the range of float32, so no loss scaling is
    needed.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        capable = torch.cuda.get_device_capability(device) >= _BF16_CAPABILITY
        return "bf16" if capable else "fp32"
    if kind == "cpu":
        return "bf16" if _cpu_has_bf16() else "fp32"
    return "fp32"


def autocast(device: torch.device, precision: PrecisionName) -> AbstractContextManager[object]:
    """Return the context in which the forward pass and the loss run."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def _cpu_has_bf16() -> bool:
    # Both lists are private in torch and have moved between releases; where they are missing, say no.
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001
            return False
    except (AttributeError, RuntimeError):
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)
