"""Every network against torchvision's or timm's with the same state dict, and its size against what was published.

    python benchmarks/parity.py
    python benchmarks/parity.py --models resnet18 densenet121

Weights are random, statistics and scales of norms as after training; both see the same image at the size the network is
made for. The difference is the largest of a logit, as a share of the largest logit. Parameters are counted without
auxiliary heads; multiply-adds by torch's own counter. What was published stands in ``docs/published_networks.tsv``.
Writes ``results/parity.md``.
"""

import argparse
import csv
import gc
import platform
import sys
import warnings
from pathlib import Path

import timm
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from backbone_speed import TIMM, TORCHVISION, pair
from snellen.models import find_model

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "parity.md"
MORE = ("vgg13_bn", "vgg16_bn", "vgg19_bn", "mobilenet_v3_large", "mobilenet_v3_small")
PEERS = (*TORCHVISION, *MORE, *TIMM)
HEAD = """# Networks beside torchvision's and timm's, and beside what was published

`python benchmarks/parity.py`; {versions}. The same state dict in both, the same
image at the size that the network is made for, float32. Difference: the largest of a logit, as a share of the largest
logit. Parameters without auxiliary heads; multiply-adds in millions, by torch's counter; published figures and their
sources in [`docs/published_networks.tsv`](../../docs/published_networks.tsv).

| network | px | peer | difference | parameters | published | multiply-adds, M | published |
|---|---|---|---|---|---|---|---|
"""


def lived(net: nn.Module) -> None:
    """Give norms statistics, scales and shifts as after training, or they would do nothing."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, 0, 0.1)


def difference(name: str, size: int) -> float:
    """Return how far logits are apart, as a share of the largest."""
    theirs, ours = pair(name, lived)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted, found = theirs.eval()(x), ours.eval()(x)
    return float((found - wanted).abs().max() / wanted.abs().max())


def counted(name: str, size: int) -> tuple[int, float]:
    """Return the parameters and the millions of multiply-adds of ours."""
    entry = find_model(name)
    with torch.device("meta"):
        net = entry.build(10 if entry.default_size == (32, 32) else 1000).eval()
        parameters = sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in net.auxiliary.parameters())
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            maps = net.backbone(torch.zeros(1, 3, size, size))
            net.head(maps[net.backbone.features[-1].name], torch.tensor([[99, 99]]))
    return parameters, counter.get_total_flops() / 2e6


def row_of(name: str, stated: dict[str, str]) -> str:
    size = find_model(name).default_size[0]
    parameters, millions = counted(name, size)
    peer = "–" if name not in PEERS else "timm" if name in TIMM else "torchvision"
    gap = difference(name, size) if name in PEERS else None
    told = "–" if gap is None else f"{gap:.0e}" if gap else "0"
    published = stated.get("parameters", "")
    published = f"{float(published) / 1e6:.2f} M" if "e" in published else f"{int(published):,}" if published else "–"
    cost = stated.get("multiply_adds_millions") or "–"
    return f"| `{name}` | {size} | {peer} | {told} | {parameters:,} | {published} | {millions:.0f} | {cost} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    with (ROOT / "docs" / "published_networks.tsv").open(encoding="utf-8", newline="") as lines:
        stated = {row["network"]: row for row in csv.DictReader(lines, delimiter="\t")}
    names = list(dict.fromkeys([*PEERS, *stated]))
    parser.add_argument("--models", nargs="+", default=names, choices=names)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torchvision announces that it will start networks otherwise
    rows = []
    for name in arguments.models:
        rows.append(row_of(name, stated.get(name, {})))
        print(rows[-1], end="", file=sys.stderr, flush=True)
        gc.collect()
    versions = (
        f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"timm {timm.__version__}"
    )
    arguments.out.write_text(HEAD.format(versions=versions) + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
