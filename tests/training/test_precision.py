import pytest
import torch

from snellen.training import autocast, best_precision
from snellen.training import precision as module


def test_processor_needs_the_instructions(monkeypatch):
    monkeypatch.setattr(module, "_cpu_gain", lambda: 2.0)
    for flag, expected in ((True, "bf16"), (False, "fp32")):
        for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
            monkeypatch.setattr(torch.cpu, probe, lambda answer=flag: answer, raising=False)
        supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
        assert best_precision("cpu") == (expected if supported else "fp32")


@pytest.mark.parametrize(("gain", "expected"), [(0.5, "fp32"), (1.0, "fp32"), (3.0, "bf16")])
def test_processor_must_be_faster_with_it(monkeypatch, gain, expected):
    """Some list the instructions and run them at half the speed of float32."""
    monkeypatch.setattr(module, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(module, "_cpu_gain", lambda: gain)
    assert best_precision("cpu") == expected


def test_the_gain_is_measured_without_a_trace():
    before = torch.get_rng_state()
    assert 0.01 < module._cpu_gain() < 100
    assert torch.equal(torch.get_rng_state(), before)


def test_torch_without_the_probes_means_fp32(monkeypatch):
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, probe, raising=False)
    assert not module._cpu_has_bf16()


def test_unknown_devices_get_fp32():
    assert best_precision("meta") == "fp32"


def test_autocast_changes_the_arithmetic_only_if_asked():
    a = torch.ones(2, 2)
    with autocast(torch.device("cpu"), "bf16"):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), "fp32"):
        assert (a @ a).dtype == torch.float32
