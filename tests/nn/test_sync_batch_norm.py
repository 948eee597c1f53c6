"""Batch norm over all processes (SYS-121, DX-054, DX-125, Q-048): that of one process with the whole batch."""

import copy
import sys

import pytest
import torch
from torch import distributed, nn

from snellen.models import norm_named
from snellen.nn import SyncBatchNorm

PROGRAM = """
import pathlib, sys, torch
from torch import distributed
from snellen.nn import SyncBatchNorm
from snellen.training import process_group

torch.set_num_threads(1)
folder = pathlib.Path(sys.argv[1])
exchanges = []
for name in ("all_gather", "all_reduce"):
    def counted(*args, whole=getattr(distributed, name), name=name):
        exchanges.append(name)
        return whole(*args)
    setattr(distributed, name, counted)
with process_group("cpu") as ranks:
    for name, case in torch.load(folder / "cases.pt").items():
        layer = SyncBatchNorm(3, affine=case["affine"], momentum=case["momentum"]).to(case["x"].dtype)
        if case["affine"]:
            layer.load_state_dict(case["state"])
        parts = case["parts"]
        x = case["x"].split(parts)[ranks.rank].requires_grad_()
        exchanges.clear()
        y = layer(x)
        y.backward(case["coming"].split(parts)[ranks.rank])
        grads = {key: value.grad for key, value in layer.named_parameters()}
        answer = layer.eval()(x.detach())
        torch.save({"y": y.detach(), "x": x.grad, "grads": grads, "state": layer.state_dict(), "answer": answer,
                    "exchanges": list(exchanges)}, folder / f"{name}-{ranks.rank}.pt")
"""
pytestmark = [
    pytest.mark.skipif(not distributed.is_available(), reason="torch was built without torch.distributed"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names Linux's loopback interface"),
]


def case(parts=(4, 4), *, dtype=torch.float64, affine=True, momentum=0.1, mean=3.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (sum(parts), 3, 5, 4)
    x = (torch.randn(shape, generator=generator, dtype=torch.float64) * 2 + mean).to(dtype)
    coming = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    layer = nn.BatchNorm2d(3).to(dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, -1.0, 2.0]))
        layer.bias.copy_(torch.tensor([1.0, 0.0, -2.0]))
    return {"x": x, "coming": coming, "parts": parts, "affine": affine, "momentum": momentum,
            "state": layer.state_dict()}  # fmt: skip


CASES = {
    "halves": case(),
    "uneven": case((5, 2)),
    "one process has none": case((6, 0)),
    "no weights": case(affine=False),
    "running average": case(momentum=None),
    "far from zero": case(dtype=torch.float32, mean=1e4),
}


@pytest.fixture(scope="module")
def found(together, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sync")
    torch.save(CASES, folder / "cases.pt")
    together(PROGRAM, folder)
    return {name: [torch.load(folder / f"{name}-{rank}.pt") for rank in range(2)] for name in CASES}


def whole(name):
    """What torch's batch norm does with the whole batch, in double precision."""
    given = CASES[name]
    layer = nn.BatchNorm2d(3, affine=given["affine"], momentum=given["momentum"]).double()
    if given["affine"]:
        layer.load_state_dict(given["state"])
    x = given["x"].double().requires_grad_()
    y = layer(x)
    y.backward(given["coming"].double())
    return layer, x.grad, y.detach()


@pytest.mark.parametrize("name", [name for name in CASES if name != "far from zero"])
def test_two_processes_are_one(found, name):
    """SYS-119: own gradients of input, scale and shift, by the chain rule."""
    layer, grad, y = whole(name)
    parts = found[name]
    torch.testing.assert_close(torch.cat([part["y"] for part in parts]), y)
    torch.testing.assert_close(torch.cat([part["x"] for part in parts]), grad)
    for key, value in layer.named_parameters():
        torch.testing.assert_close(sum(part["grads"][key] for part in parts), value.grad)
    answer = layer.eval()(CASES[name]["x"])
    torch.testing.assert_close(torch.cat([part["answer"] for part in parts]), answer)
    for part in parts:
        assert set(part["state"]) == set(layer.state_dict())
        for key, value in layer.state_dict().items():
            torch.testing.assert_close(part["state"][key], value)


def test_one_exchange_each_way(found):
    for parts in found.values():
        assert [part["exchanges"] for part in parts] == [["all_gather", "all_reduce"]] * 2


def test_no_digits_are_lost_far_from_zero(found):
    """ERR-019: the mean of squares minus the squared mean would be off by more than the variance itself."""
    x = CASES["far from zero"]["x"]
    naive = x.square().mean((0, 2, 3)) - x.mean((0, 2, 3)).square()
    var = x.double().var((0, 2, 3))
    assert (naive / var - 1).abs().max() > 0.5
    for part in found["far from zero"]:
        kept = (part["state"]["running_var"].double() - 0.9) / 0.1
        torch.testing.assert_close(kept, var, rtol=1e-3, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_alone_it_is_batch_norm(training):
    """SYS-117, SYS-118."""
    layer = norm_named("sync_batch")(3).train(training)
    assert type(layer) is SyncBatchNorm
    plain = copy.deepcopy(layer)
    plain.__class__ = nn.BatchNorm2d
    x = CASES["halves"]["x"].float()
    assert torch.equal(layer(x), plain(x))
    assert all(torch.equal(value, plain.state_dict()[key]) for key, value in layer.state_dict().items())
