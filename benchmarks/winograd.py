"""Time 3×3 convolutions by Winograd against torch's direct ones, layer by layer, and measure how much they err.

    python benchmarks/winograd.py

The two take turns; medians. Writes ``results/winograd.md``, from which the thresholds of
``snellen/nn/winograd.py`` come.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from dense_speed import measure
from snellen.ops import num_tiles, winograd_conv, winograd_kernels

# Images, channels in and out, cells of a side: of VGG, ResNets, pyramids and heads of detectors, wide maps and small.
SHAPES = [
    (2, 16, 16, 300),
    (2, 64, 64, 150),
    (2, 64, 128, 150),
    (2, 96, 96, 75),
    (2, 128, 128, 150),
    (2, 128, 128, 40),
    (2, 256, 16, 40),
    (2, 256, 64, 75),
    (2, 256, 256, 100),
    (2, 256, 256, 40),
    (2, 256, 256, 20),
    (2, 256, 256, 10),
    (2, 256, 256, 5),
    (2, 256, 810, 40),
    (2, 512, 512, 38),
    (2, 512, 512, 19),
    (2, 512, 512, 10),
    (64, 256, 256, 14),
]
HEAD = """# 3×3 convolutions by Winograd

`OMP_NUM_THREADS={threads} python benchmarks/winograd.py{words}`; Python {python}, torch {torch}, {threads} thread(s) of
a processor with {capability}. float32, channels last, medians of {repeats} turns ({clock}). "Kept" is a forward pass
with kernels transformed before, as in prediction; "step" is a forward and a backward pass with all gradients, kernels
transformed in it. The error is the standard deviation of the difference to float64 over that of the output.

| images, channels, cells | tiles | direct, forward | kept | forward | direct, step | step | error, direct | error |
|---|---|---|---|---|---|---|---|---|
"""


def medians(calls: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Return milliseconds of each call, which take turns."""
    return {name: 1000 * statistics.median(row) for name, row in measure(calls, repeats, clock).items()}


def row(shape: tuple[int, int, int, int], repeats: int, clock: Callable[[], float]) -> str:
    images, channels, out_channels, size = shape
    torch.manual_seed(0)
    x = torch.randn(images, channels, size, size).to(memory_format=torch.channels_last)
    weight = torch.randn(out_channels, channels, 3, 3) / (9 * channels) ** 0.5
    weight = weight.to(memory_format=torch.channels_last)
    coming = torch.randn(images, out_channels, size, size).to(memory_format=torch.channels_last)
    bias, kernels = torch.zeros(out_channels), winograd_kernels(weight)
    inputs = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]

    def direct() -> torch.Tensor:
        return functional.conv2d(*inputs, padding=1)

    def quick() -> torch.Tensor:
        return winograd_conv(*inputs, padding=1)

    with torch.no_grad():
        exact = functional.conv2d(x.double(), weight.double(), padding=1)
        errors = [float((found - exact).std() / exact.std()) for found in (direct(), quick())]
        times = medians(
            {
                "direct": direct,
                "kept": lambda: winograd_conv(x, weight, bias, padding=1, kernels=kernels),
                "forward": quick,
            },
            repeats,
            clock,
        )
    times |= medians(
        {"direct step": lambda: direct().backward(coming), "step": lambda: quick().backward(coming)}, repeats, clock
    )
    cells = [f"{images}, {channels} → {out_channels}, {size} × {size}", f"{images * num_tiles(size, size)}"]
    cells += [f"{times['direct']:.1f} ms"]
    cells += [f"{times[name]:.1f} ms, {times['direct'] / times[name]:.2f}×" for name in ("kept", "forward")]
    cells += [f"{times['direct step']:.1f} ms", f"{times['step']:.1f} ms, {times['direct step'] / times['step']:.2f}×"]
    cells += [f"{error:.1e}" for error in errors]
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true", help="processor time: steadier on a machine that others use")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    text = HEAD.format(
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=torch.__version__,
        capability=torch.backends.cpu.get_cpu_capability(),
        repeats=arguments.repeats,
        clock=clock.__name__,
        words="".join(f" {word}" for word in sys.argv[1:]),
    )
    for shape in SHAPES:
        text += row(shape, arguments.repeats, clock)
        print(text.rsplit("\n", 2)[-2], flush=True)
    (Path(__file__).resolve().parent / "results" / "winograd.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
