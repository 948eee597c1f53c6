"""Train every system of the ladder on the same real data by the command line, and put them side by side.

    python benchmarks/ladder.py --data ../shared/data --sets bccd pennfudan --out ladder-runs

Writes ``results/ladder.md`` (one table for each data set), ``results/ladder.json`` and ``results/ladder.svg``. Runs are
kept in ``--out``: a second call goes on where the first was broken off. All systems but HOG + SVM stand on one backbone
(MobileNetV2 with the same ImageNet weights); R-CNN, SPPNet and Fast R-CNN judge the same proposals. Times per image are
medians over test images, one at a time, measured one system after another when all training is over. Detectors of two
stages and of one stand side by side in accuracy and in time (SYS-027, ERR-103).
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
import torchvision

import snellen
from ladder_plot import scatter
from ladder_runs import DATA_SETS, LADDER, Job, run_all, scores_of
from snellen.data import ImageDataset, evaluation_transform
from snellen.evaluation import METRICS, evaluate
from snellen.imaging import selective_search
from snellen.nn import quick_layout
from snellen.recipes import load, prepared
from snellen.recipes.evaluating import evaluation_loader
from snellen.recipes.runs import Run, build_model
from snellen.structures import Batch
from snellen.training import autocast

# What is timed: the parts of a detector by the names they have in every one of them.
PARTS = {
    "normalize": "image features",
    "backbone": "image features",
    "neck": "image features",
    "proposals": "proposals",
    "region_features": "region features",
    "region_head": "heads",
    "head": "heads",
}
COLUMNS = ("proposals", "image features", "region features", "heads", "rest")
SEARCHED = ("rcnn", "sppnet", "fast_rcnn")  # judge the regions of selective search
TIMED_SEARCH = "fast"  # trained on the regions of its single strategy, timed with those of its fast one, as published
HERE = Path(__file__).resolve().parent


class Stopwatch:
    """Seconds inside the parts of a model, by forward hooks."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.began: dict[str, float] = {}
        self.handles = []
        for name, child in model.named_children():
            if name in PARTS:
                self.handles.append(child.register_forward_pre_hook(partial(self._start, name)))
                self.handles.append(child.register_forward_hook(partial(self._stop, name)))

    def _start(self, name: str, *_: object) -> None:
        self.began[name] = time.perf_counter()

    def _stop(self, name: str, *_: object) -> None:
        self.seconds[PARTS[name]] += time.perf_counter() - self.began[name]

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def timed(run: Run, count: int) -> dict[str, float]:
    """Return median seconds per image of each part of a run's model, over ``count`` test images."""
    index = prepared(load(run.record["data"], format=run.record["format"]), run.record["settings"]["seed"])
    part = index.split("test")
    change = evaluation_transform(part.target_type, run.record["image_size"], resize=run.record["resize"])
    dataset = ImageDataset(part)
    model = run.load()
    quick_layout(model)
    watch = Stopwatch(model)
    rows: dict[str, list[float]] = defaultdict(list)
    strategy = None if run.record["proposals"] is None else TIMED_SEARCH
    for row in [0, *range(min(count, len(part)))]:
        sample = dataset.untransformed(row)
        searched = 0.0
        if strategy is not None:
            began = time.perf_counter()
            found = searched_regions(sample.image, strategy)
            searched = time.perf_counter() - began
            sample = type(sample)(**{**{n: getattr(sample, n) for n in sample.__slots__}, "regions": found})
        batch = Batch.collate([change(sample, torch.Generator())], stride=model.stride)
        watch.seconds.clear()
        began = time.perf_counter()
        with torch.inference_mode(), autocast(torch.device("cpu"), run.record["settings"]["precision"]):
            output = model(batch.images)
        model.decode(output, batch.images.original_sizes)
        total = time.perf_counter() - began
        inside = sum(watch.seconds.values())
        for name in COLUMNS[:-1]:
            rows[name].append(watch.seconds[name] + (searched if name == "proposals" else 0.0))
        rows["rest"].append(total - inside)
        rows["total"].append(total + searched)
        rows["network"].append(total)
    watch.close()
    return {name: statistics.median(values[1:]) for name, values in rows.items()}


def searched_regions(image: torch.Tensor, strategy: str) -> torch.Tensor:
    """Search an image as a run does when it has not been searched before."""
    from snellen.data import ProposalStore

    store = ProposalStore(partial(selective_search, strategy=strategy), key=f"selective-search-{strategy}")
    return store.compute(image)


def untrained(run: Run) -> float:
    """Return the AP50 on the test images of the model as it was before its first step, but for the backbone."""
    index = prepared(load(run.record["data"], format=run.record["format"]), run.record["settings"]["seed"])
    part = index.split("test")
    torch.manual_seed(run.record["settings"]["seed"])
    model = build_model(run.record).eval()
    loader = evaluation_loader(part, run.record, model.stride)
    metric = METRICS[part.target_type](part.classes, part.attributes)
    cpu, precision = torch.device("cpu"), run.record["settings"]["precision"]
    truth_of = ImageDataset(part).truth
    results = evaluate(
        model, loader.epoch(0), truth_of, metric, device=cpu, precision_context=lambda: autocast(cpu, precision)
    )
    return results.scalars["AP50"]


def jobs_of(name: str, arguments: argparse.Namespace) -> list[Job]:
    weights = arguments.data / "weights" / "mobilenet_v2_imagenet.safetensors"
    found = []
    for model, options in LADDER.items():
        if arguments.systems and model not in arguments.systems:
            continue
        if model.startswith("mask") and name != "pennfudan":
            continue  # no outlines to learn from
        words = ["--epochs", str(arguments.epochs), "--seed", "0", "--validate-every", "100", *options]
        if not model.startswith("hog"):
            words += ["--image-size", str(DATA_SETS[name])]
        if model.startswith(SEARCHED):
            words += ["--proposals", "single"]
        start = None if model.startswith("hog") else weights
        place = arguments.data / name
        found.append(Job(name=f"{name}-{model}", model=model, data=place, weights=start, options=tuple(words)))
    return found


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return the rows as Markdown."""
    head = ["system", "AP50", "AP", "mask AP", "untrained AP50", "training s", "training CPU s", "memory MB", "disk MB",
            *(f"{name} ms" for name in COLUMNS), "total ms"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for model, row in rows.items():
        cells = [f"`{model}`", *(shown(row.get(key), 3) for key in ("AP50", "AP", "mask_AP", "untrained"))]
        cells += [shown(row.get(key), 0) for key in ("seconds", "cpu_seconds", "memory_mb", "disk_mb")]
        cells += [shown(None if row.get(key) is None else 1000 * row[key], 1) for key in (*COLUMNS, "total")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def shown(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def ratios(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return what the papers said about speed beside what was measured, as Markdown."""
    have: Callable[[str, str], float | None] = lambda model, key: rows.get(f"{model}_mobilenet_v2", {}).get(key)  # noqa: E731
    rcnn, spp, fast = (have(model, "network") for model in ("rcnn", "sppnet", "fast_rcnn"))
    search = have("fast_rcnn", "proposals")
    faster = rows.get("faster_rcnn_mobilenet_v2_c4", {}).get("total")
    lines = ["| ratio | published | here |", "|---|---|---|"]
    pairs = [
        ("R-CNN : Fast R-CNN, without proposals", "146× (VGG16, Fast R-CNN table 4)", rcnn, fast),
        ("R-CNN : SPPNet, without proposals", "24–102× (He et al. 2014, section 4.3)", rcnn, spp),
        ("SPPNet : Fast R-CNN, without proposals", "7× (Fast R-CNN table 4)", spp, fast),
        ("Fast R-CNN with its search : Faster R-CNN", "9.2× (1830 : 198 ms, Faster R-CNN table 5)",
         None if fast is None or search is None else fast + search, faster),
    ]  # fmt: skip
    for name, published, upper, lower in pairs:
        lines.append(f"| {name} | {published} | {'–' if not upper or not lower else f'{upper / lower:.1f}×'} |")
    train = [rows.get(f"{model}_mobilenet_v2", {}).get("cpu_seconds") for model in ("rcnn", "sppnet", "fast_rcnn")]
    kinds = (("R-CNN : Fast R-CNN, training", "8.8×"), ("SPPNet : Fast R-CNN, training", "2.7×"))
    for (name, published), value in zip(kinds, train[:2], strict=True):
        lines.append(f"| {name} | {published} | {'–' if not value or not train[2] else f'{value / train[2]:.1f}×'} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=sorted(DATA_SETS), default=sorted(DATA_SETS))
    parser.add_argument("--systems", nargs="+", choices=sorted(LADDER), help="all if left out")
    parser.add_argument("--out", type=Path, default=Path("ladder-runs"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--parallel", type=int, default=2, help="trainings at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each training, and of the timing")
    parser.add_argument("--images", type=int, default=12, help="test images that are timed")
    parser.add_argument("--no-timing", action="store_true", help="train only")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data}: expected the folder of the real data sets. Name it with --data.")
    jobs = {name: jobs_of(name, arguments) for name in arguments.sets}
    costs = run_all([job for part in jobs.values() for job in part], arguments.out, parallel=arguments.parallel,
                    threads=arguments.threads)  # fmt: skip
    if arguments.no_timing:
        return
    torch.set_num_threads(arguments.threads)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, part in jobs.items():
        found[name] = {}
        for job in part:
            folder = arguments.out / job.name
            if not scores_of(folder):
                continue
            run = Run.open(folder)
            found[name][job.model] = {**scores_of(folder), **costs[job.name], "untrained": untrained(run),
                                      **timed(run, arguments.images)}  # fmt: skip
            print(job.name, found[name][job.model], file=sys.stderr, flush=True)
    write(found, arguments)


def write(found: Mapping[str, Mapping[str, Mapping[str, float]]], arguments: argparse.Namespace) -> None:
    """Write table, figures and plot."""
    results = HERE / "results"
    sizes = ", ".join(f"{size} px ({name})" for name, size in DATA_SETS.items() if name in found)
    how = (
        f"Trained by `snellen train` for {arguments.epochs} epochs (R-CNN 3, RetinaNet 12, SSD and YOLO 24: about the "
        f"same time) at {sizes}, all but HOG + SVM from the same ImageNet weights of MobileNetV2; see "
        "`benchmarks/results/ladder.md`."
    )
    (results / "ladder.json").write_text(json.dumps({"how": how, "sets": found}, indent=1) + "\n")
    (results / "ladder.svg").write_text(scatter(found), encoding="utf-8")
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    text = (HERE / "ladder_head.md").read_text(encoding="utf-8").format(
        epochs=arguments.epochs, threads=arguments.threads, parallel=arguments.parallel, images=arguments.images,
        versions=f"Snellen {snellen.__version__}, {versions}",
    )  # fmt: skip
    for name, rows in found.items():
        text += f"\n## {name}, {DATA_SETS[name]} px\n\n{table(rows)}\n\n{ratios(rows)}\n"
    (results / "ladder.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
