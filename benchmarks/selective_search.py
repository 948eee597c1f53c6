"""Selective search against OpenCV's: time, and how much of the ground truth the boxes cover.

For each image both run one after the other, on one thread, each with its own settings of the strategy. Writes
``benchmarks/results/selective_search.md``: medians of the times and of their ratios, then recall (share of objects that
a box meets with an IoU of 0.5) and mean best overlap against the number of boxes.
"""

import argparse
import platform
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import scipy
import skimage
import torch
from threadpoolctl import threadpool_limits

from snellen.data import load, read_image
from snellen.imaging import selective_search
from snellen.ops import box_iou

RESULTS = Path(__file__).parent / "results" / "selective_search.md"
# Name, path and folder of images beneath --data, split.
SETS = (
    ("voc100", "voc100/gts/coco_format_v2", "voc100/images", None),
    ("bccd test", "bccd", "bccd/JPEGImages", "test"),
    ("pennfudan test", "pennfudan/instances_test.json", "pennfudan/images", None),
    ("coco val80", "coco/instances_val80.json", "coco/val80", None),
)
COUNTS = (10, 30, 100, 300, 500, 1000, 2000)
PEER = "OpenCV"


@dataclass
class Measured:
    seconds: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    overlaps: dict[int | None, list[torch.Tensor]] = field(default_factory=dict)

    def add(self, seconds: float, boxes: np.ndarray, truth: torch.Tensor) -> None:
        self.seconds.append(seconds)
        self.numbers.append(len(boxes))
        overlap = box_iou(truth, torch.from_numpy(boxes)).cummax(dim=1).values
        for count in (*COUNTS, None):
            last = overlap.shape[1] if count is None else min(count, overlap.shape[1])
            self.overlaps.setdefault(count, []).append(overlap[:, last - 1])

    def coverage(self, count: int | None) -> tuple[float, float]:
        best = torch.cat(self.overlaps[count])
        return float((best >= 0.5).float().mean()), float(best.mean())


def opencv_boxes(image: np.ndarray, strategy: str) -> np.ndarray:
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(image[..., ::-1]))
    if strategy == "fast":
        search.switchToSelectiveSearchFast()
    elif strategy == "quality":
        search.switchToSelectiveSearchQuality()
    else:
        search.switchToSingleStrategy()
    boxes = search.process().astype(np.float32)  # xywh
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def measure(index, rows, strategy: str, min_side_px: float) -> dict[str, Measured]:
    runs = {
        "Snellen": lambda image: selective_search(image, strategy=strategy, min_side_px=min_side_px),
        PEER: lambda image: opencv_boxes(image, strategy),
    }
    found = {name: Measured() for name in runs}
    for turn, row in enumerate(rows):
        pixels = read_image(index.path(row))
        truth = index.target(row, tuple(pixels.shape[1:])).boxes
        image = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
        for name in sorted(runs, reverse=bool(turn % 2)):  # neither always goes first
            start = time.process_time()
            boxes = runs[name](image)
            seconds = time.process_time() - start
            found[name].add(seconds, boxes, truth)
        print(f"{turn + 1}/{len(rows)}", end="\r", file=sys.stderr)
    return found


def time_row(name: str, found: dict[str, Measured]) -> str:
    ours, peers = found["Snellen"], found[PEER]
    ratios = np.array(peers.seconds) / np.array(ours.seconds)
    return (
        f"| {name} | {len(ratios)} | {np.median(ours.seconds):.2f} | {np.median(peers.seconds):.2f} "
        f"| **{np.median(ratios):.2f}×** | {np.median(ours.numbers):.0f} | {np.median(peers.numbers):.0f} |"
    )


def coverage_rows(name: str, found: dict[str, Measured]) -> list[str]:
    rows = []
    for count in (*COUNTS, None):
        (recall, overlap), (peer_recall, peer_overlap) = (found[who].coverage(count) for who in ("Snellen", PEER))
        rows.append(
            f"| {name} | {'all' if count is None else count} | {recall:.3f} | {peer_recall:.3f} "
            f"| {recall - peer_recall:+.3f} | {overlap:.3f} | {peer_overlap:.3f} |"
        )
    return rows


def report(results: dict[str, dict[str, Measured]], options: argparse.Namespace) -> str:
    versions = (
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"scikit-image {skimage.__version__}, OpenCV {cv2.__version__}"
    )
    lines = [
        "# Selective search against OpenCV's",
        "",
        f"`python benchmarks/selective_search.py --data DATA --images {options.images} --strategy {options.strategy} "
        f"--min-side {options.min_side:g}`,",
        f"{datetime.now(UTC):%Y-%m-%d}; {versions}; one thread each on {processor()}.",
        "Times are medians over the images, in seconds of the processor (not of the clock, which would count what else",
        "the machine does); the ratio is the median of the ratios of single images (above 1: Snellen is faster).",
        "",
        "| images | number | Snellen, s | OpenCV, s | ratio | boxes, Snellen | boxes, OpenCV |",
        "|---|---|---|---|---|---|---|",
        *(time_row(name, found) for name, found in results.items()),
        "",
        "Recall is the share of objects that one of the first boxes meets with an IoU of at least 0.5; MBO the mean",
        'best overlap. "all" are different numbers of boxes, see above.',
        "",
        "| images | boxes | recall, Snellen | recall, OpenCV | difference | MBO, Snellen | MBO, OpenCV |",
        "|---|---|---|---|---|---|---|",
        *(row for name, found in results.items() for row in coverage_rows(name, found)),
        "",
    ]
    return "\n".join(lines)


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--images", type=int, default=40, help="most images of each set, evenly spread")
    parser.add_argument("--sets", nargs="+", choices=[name for name, *_ in SETS], help="only these")
    parser.add_argument("--strategy", choices=["single", "fast", "quality"], default="fast")
    parser.add_argument("--min-side", type=float, default=20.0, help="of Snellen's boxes, pixels")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    threadpool_limits(1)
    results = {}
    for name, place, images, split in SETS:
        if options.sets and name not in options.sets:
            continue
        index = load(options.data / place, images=options.data / images)
        index = index if split is None else index.split(split)
        rows = sorted({int(row) for row in np.linspace(0, len(index) - 1, options.images)})
        rows = [row for row in rows if len(index.target(row, index.size(row) or (1, 1)).boxes)]
        results[name] = measure(index, rows, options.strategy, options.min_side)
        print(time_row(name, results[name]), *coverage_rows(name, results[name]), sep="\n")
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(report(results, options))


if __name__ == "__main__":
    main()
