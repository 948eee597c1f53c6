"""Parameters and multiply-adds of networks against what papers and torchvision state (docs/published_networks.tsv)."""

import csv
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snellen.models import find_model

ROUNDED = 0.012  # share that a rounded number of parameters may be off
DEEP = {
    "resnet101", "resnet152", "wide_resnet101_2", "resnext101_32x8d", "resnext101_64x4d", "densenet161",
    "densenet169", "densenet201", "cifar_resnet110", *(f"efficientnet_b{variant}" for variant in range(2, 8)),
}  # fmt: skip
FILE = Path(__file__).parents[3] / "docs" / "published_networks.tsv"
with FILE.open(encoding="utf-8", newline="") as lines:
    FIGURES = {row["network"]: row for row in csv.DictReader(lines, delimiter="\t")}


def multiply_adds(net: nn.Module, size: tuple[int, int]) -> float:
    """In millions."""
    last = net.backbone.features[-1].name
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        net.head(net.backbone(torch.zeros(1, 3, *size))[last], torch.tensor([[99, 99]]))
    return counter.get_total_flops() / 2e6


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in DEEP else []) for name in FIGURES]
)
def test_size_and_cost_are_the_published_ones(name):
    """SYS-067 to SYS-088, Q-085, Q-099: parameters without auxiliary heads; sums to the last digit that is stated."""
    row = FIGURES[name]
    entry = find_model(name)
    with torch.device("meta"):
        net = entry.build(10 if entry.default_size == (32, 32) else 1000).eval()
    found = sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in net.auxiliary.parameters())
    if "e" in row["parameters"]:
        assert found == pytest.approx(float(row["parameters"]), rel=ROUNDED)
    elif row["parameters"]:
        assert found == int(row["parameters"])
    if row["multiply_adds_millions"]:
        near = pytest.approx(float(row["multiply_adds_millions"]), abs=0.6 * float(row["last_digit"]))
        assert multiply_adds(net, entry.default_size) == near
