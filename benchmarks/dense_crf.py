"""The dense CRF: its time, and its distance from a mean field whose kernels are summed exactly.

Time: images of CamVid at 480 × 360 with the probabilities of 11 classes, and other sizes and numbers of classes, by
iterations, in seconds of the processor: on a machine that does other things, too, the clock tells nothing. Distance:
the same images at 96 × 72, where all pairs of pixels can be summed, with probabilities that are the truth on a grid of
8 pixels, blurred and mixed with noise, as a network of stride 8 gives them; widths of place are those of the time in
proportion to the size. Effect: mean IoU of such probabilities before and after, at 480 × 360, by the stride of the
grid. Writes ``benchmarks/results/dense_crf.md``.
"""

import argparse
import platform
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snellen.data import DatasetIndex, ImageDataset, load
from snellen.imaging import DenseCrfSettings, PermutohedralLattice, dense_crf
from snellen.imaging.dense_crf import _features
from snellen.metrics import confusion_counts, overlap_figures
from snellen.structures import IGNORE_LABEL

RESULTS = Path(__file__).parent / "results" / "dense_crf.md"
SMALL = (72, 96)  # 6,912 pixels: kernels of 48 million pairs
KERNELS = (
    ("defaults", DenseCrfSettings()),
    ("80 px, 13 levels, weight 10", DenseCrfSettings(appearance_px=80, appearance_levels=13, appearance_weight=10)),
    ("30 px, 8 levels", DenseCrfSettings(appearance_px=30, appearance_levels=8)),
)


def network_like(truth: Tensor, num_classes: int, seed: int, stride: int = 8) -> Tensor:
    """Return probabilities as a network gives them: coarse, blurred, in part wrong."""
    known = torch.where(truth == IGNORE_LABEL, 0, truth).long()
    hot = functional.one_hot(known, num_classes).permute(2, 0, 1)[None].float()
    coarse = functional.avg_pool2d(hot, stride, ceil_mode=True)
    noise = torch.randn(coarse.shape, generator=torch.Generator().manual_seed(seed))
    logits = 5 * coarse + 1.5 * noise
    return functional.interpolate(logits, truth.shape, mode="bilinear")[0].softmax(0)


def exact_crf(probs: Tensor, image: Tensor, settings: DenseCrfSettings) -> Tensor:
    """Return what whole kernel matrices give: Krähenbühl and Koltun 2011, algorithm 1."""

    def kernel(features: Tensor) -> Tensor:
        weights = torch.exp(
            -0.5 * torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist").square()
        )
        scale = weights.sum(1).rsqrt()
        return (weights * scale[:, None] * scale[None, :]).fill_diagonal_(0)

    places = _features(image, 1.0, 1.0)[:, :2]
    appearance = kernel(_features(image, settings.appearance_px, settings.appearance_levels))
    smoothness = kernel(places / settings.smoothness_px)
    unary = probs.flatten(1).T.clamp(min=1e-12).log()
    now = unary.softmax(1)
    for _ in range(settings.iterations):
        heard = settings.appearance_weight * (appearance @ now) + settings.smoothness_weight * (smoothness @ now)
        now = (unary + heard).softmax(1)
    return now.T.reshape(probs.shape)


def resized(image: Tensor, truth: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    small = functional.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0]
    labels = functional.interpolate(truth[None, None].float(), size, mode="nearest-exact")[0, 0]
    return small.round().clamp(0, 255).to(torch.uint8), labels.to(torch.uint8)


def timed(probs: Tensor, image: Tensor, settings: DenseCrfSettings, repeats: int) -> float:
    dense_crf(probs, image, settings)
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        dense_crf(probs, image, settings)
        seconds.append(time.process_time() - start)
    return float(np.median(seconds))


def times(image: Tensor, truth: Tensor, repeats: int) -> list[str]:
    lines = ["| image | classes | 5 iterations | 10 iterations |", "|---|---|---|---|"]
    for size, count in (((360, 480), 11), ((360, 480), 21), ((375, 500), 21), ((240, 320), 11), ((720, 960), 11)):
        seen, labels = resized(image, truth, size)
        probs = network_like(labels, count, 0)
        took = [timed(probs, seen, DenseCrfSettings(iterations=number), repeats) for number in (5, 10)]
        lines.append(f"| {size[1]} × {size[0]} | {count} | {took[0]:.2f} | {took[1]:.2f} |")
    return lines


def distances(index: DatasetIndex, rows: list[int]) -> list[str]:
    lines = [
        "| kernels | mean difference of probabilities | greatest | equal labels | mIoU before | exact | lattice |",
        "|---|---|---|---|---|---|---|",
    ]
    dataset, count = ImageDataset(index), len(index.classes)
    for name, full in KERNELS:
        share = SMALL[0] / 360
        settings = replace(full, appearance_px=full.appearance_px * share, smoothness_px=1.0)
        gaps, equal, greatest = [], [], 0.0
        confusions = np.zeros((3, count, count), np.int64)
        for row in rows:
            sample = dataset[row]
            image, truth = resized(sample.image, sample.target.labels, SMALL)
            probs = network_like(truth, count, row)
            exact, found = exact_crf(probs, image, settings), dense_crf(probs, image, settings)
            gaps.append(float((exact - found).abs().mean()))
            greatest = max(greatest, float((exact - found).abs().max()))
            equal.append(float((exact.argmax(0) == found.argmax(0)).float().mean()))
            known = (truth != IGNORE_LABEL).numpy()
            for place, each in enumerate((probs, exact, found)):
                labels = each.argmax(0).numpy()
                confusions[place] += confusion_counts(truth.numpy()[known], labels[known], num_classes=count)
        mious = [float(np.nanmean(overlap_figures(one).iou)) for one in confusions]
        told = " | ".join(f"{value:.3f}" for value in mious)
        lines.append(f"| {name} | {np.mean(gaps):.4f} | {greatest:.2f} | {np.mean(equal):.1%} | {told} |")
    return lines


def effects(index: DatasetIndex, rows: list[int]) -> list[str]:
    settings = {
        "without": None,
        "defaults": DenseCrfSettings(),
        "weight 2": DenseCrfSettings(appearance_weight=2.0),
        "30 px, 8 levels": DenseCrfSettings(appearance_px=30.0, appearance_levels=8.0),
        "place alone": DenseCrfSettings(appearance_weight=0.0),
    }
    lines = [f"| stride | {' | '.join(settings)} |", "|---" * (len(settings) + 1) + "|"]
    dataset, count = ImageDataset(index), len(index.classes)
    for stride in (8, 16, 32):
        told = []
        for kernels in settings.values():
            confusion = np.zeros((count, count), np.int64)
            for row in rows:
                sample = dataset[row]
                truth = sample.target.labels
                probs = network_like(truth, count, row, stride)
                labels = (probs if kernels is None else dense_crf(probs, sample.image, kernels)).argmax(0).numpy()
                known = (truth != IGNORE_LABEL).numpy()
                confusion += confusion_counts(truth.numpy()[known], labels[known], num_classes=count)
            told.append(f"{float(np.nanmean(overlap_figures(confusion).iou)):.3f}")
        lines.append(f"| {stride} | {' | '.join(told)} |")
    return lines


def sums(index: DatasetIndex, rows: list[int]) -> list[str]:
    """Compare sums of the kernel, and means that it weights, with exact ones at 300 pixels of whole images."""
    lines = ["| kernels | sum over exact | its spread | error of a weighted mean of 0..1 |", "|---|---|---|---|"]
    dataset = ImageDataset(index)
    for name, settings in KERNELS:
        ratios, errors = [], []
        for row in rows:
            image = dataset[row].image
            features = _features(image, settings.appearance_px, settings.appearance_levels)
            values = torch.rand(len(features), 2, generator=torch.Generator().manual_seed(row))
            values[:, 0] = 1
            found = PermutohedralLattice.of(features).filtered(values)
            some = torch.randperm(len(features), generator=torch.Generator().manual_seed(row))[:300]
            weights = torch.exp(-0.5 * torch.cdist(features[some].double(), features.double()).square())
            exact = weights @ values.double()
            ratios.append((found[some, 0] / exact[:, 0]).numpy())
            errors.append((found[some, 1] / found[some, 0] - exact[:, 1] / exact[:, 0]).abs().numpy())
        ratio = np.concatenate(ratios)
        lines.append(f"| {name} | {ratio.mean():.2f} | {ratio.std():.2f} | {np.concatenate(errors).mean():.4f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--images", type=int, default=6, help="images of CamVid's test split")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    index = load(arguments.data / "camvid", ignore_index=11).split("test")
    rows = np.linspace(0, len(index) - 1, arguments.images).astype(int).tolist()
    sample = ImageDataset(index)[rows[0]]
    head = [
        "# Dense CRF",
        "",
        f"`python benchmarks/dense_crf.py --data … --images {arguments.images} --threads {arguments.threads}`, "
        f"{datetime.now(UTC):%Y-%m-%d}, torch "
        f"{torch.__version__}, {platform.processor() or platform.machine()}, {arguments.threads} thread(s).",
        "",
        "## Time",
        "",
        f"Median of {arguments.repeats}, seconds of the processor; lattice included.",
        "",
        *times(sample.image, sample.target.labels, arguments.repeats),
        "",
        "## Against exact sums",
        "",
        f"{len(rows)} test images of CamVid at {SMALL[1]} × {SMALL[0]}, probabilities of a grid of 8 pixels, "
        "10 iterations; widths of place in proportion.",
        "",
        *distances(index, rows),
        "",
        f"The kernel of place and colour alone, at 300 pixels of each of {min(3, len(rows))} images of 480 × 360. That "
        "sums are too small by one factor everywhere does not matter, for the field divides by them.",
        "",
        *sums(index, rows[:3]),
        "",
        "## Effect",
        "",
        f"Mean IoU on {len(rows)} images of 480 × 360, by the stride of the grid that stands for a network's.",
        "",
        *effects(index, rows),
        "",
    ]
    RESULTS.write_text("\n".join(head), encoding="utf-8")
    print("\n".join(head))


if __name__ == "__main__":
    main()
