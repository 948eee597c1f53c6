"""Training runs of the benchmarks: by the command line, one process each, kept so that a second call goes on."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["DATA_SETS", "LADDER", "Job", "command_of", "run_all", "run_job", "scores_of"]

HALF = "0.5,0.5,0.5"  # mean and spread that the given MobileNetV2 weights were trained with

# The real data sets that the ladder is measured on, with the short side of the images in pixels.
DATA_SETS: Mapping[str, int] = {"bccd": 224, "pennfudan": 224}

# The ladder, in the order of the papers: name of the model, its own options.
LADDER: Mapping[str, tuple[str, ...]] = {
    "hog_svm": (),
    "rcnn_mobilenet_v2": ("--epochs", "3"),  # a network for each region: half the epochs take longer than any other's
    "sppnet_mobilenet_v2": (),
    "fast_rcnn_mobilenet_v2": (),
    "faster_rcnn_mobilenet_v2_c4": (),
    "faster_rcnn_mobilenet_v2_c4_alternating": (),
    "faster_rcnn_mobilenet_v2_fpn": (),
    "mask_rcnn_mobilenet_v2_fpn": (),
    # A step of a dense detector costs a quarter of a step of a pyramid of regions: the same time, not the same epochs.
    "yolo_v1_mobilenet_v2": ("--epochs", "24"),
    "yolo_v2_mobilenet_v2": ("--epochs", "24"),
    "yolo_v3_mobilenet_v2": ("--epochs", "24"),
    "ssd_mobilenet_v2": ("--epochs", "24"),
    "retinanet_mobilenet_v2_fpn": ("--epochs", "12"),
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        name: Of its folder.
        model: From the catalogue.
        data: Path of the data set.
        weights: To start from, or None.
        options: Further words of the command line.
    """

    name: str
    model: str
    data: Path
    weights: Path | None = None
    options: tuple[str, ...] = field(default=())


def command_of(job: Job, folder: Path) -> list[str]:
    """Return the command that trains: the one that a user types."""
    words = ["snellen", "train", str(job.data), "--model", job.model, "--out", str(folder), "--no-tensorboard"]
    if job.weights is not None:
        words += ["--weights", str(job.weights), "--mean", HALF, "--std", HALF]
    return [*words, *job.options]


def run_job(job: Job, out: Path, threads: int) -> dict[str, float]:
    """Train unless it was trained already; return seconds, CPU seconds, peak memory and disk."""
    folder = out / job.name
    facts_file = folder / "cost.json"
    if facts_file.is_file():
        return json.loads(facts_file.read_text())
    words = command_of(job, folder)
    if (folder / "run.json").is_file() or (folder / "members.json").is_file():
        words = ["snellen", "train", "--resume", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    log = out / f"{job.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], stdout=stream, stderr=subprocess.STDOUT, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        print(f"{job.name} failed; see {log}", file=sys.stderr)
        return {}
    cache_mb = _cache_mb(folder)
    facts = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "memory_mb": usage.ru_maxrss / 1024,
        "disk_mb": cache_mb + sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6,
        "cache_mb": cache_mb,
    }
    facts_file.write_text(json.dumps(facts))
    return facts


def _cache_mb(folder: Path) -> float:
    """Return the most that the stages of a training kept for one another; it is gone when they are done."""
    file = folder / "stages.json"
    stages = json.loads(file.read_text()) if file.is_file() else []
    return max((stage.get("cache_bytes", 0) for stage in stages), default=0) / 1e6


def run_all(jobs: Sequence[Job], out: Path, *, parallel: int, threads: int) -> dict[str, dict[str, float]]:
    """Train all, ``parallel`` at a time."""
    with ThreadPoolExecutor(parallel) as pool:
        done = list(pool.map(lambda job: _told(job, out, threads), jobs))
    return {job.name: facts for job, facts in zip(jobs, done, strict=True)}


def _told(job: Job, out: Path, threads: int) -> dict[str, float]:
    facts = run_job(job, out, threads)
    scores = scores_of(out / job.name)
    print(f"{job.name}: {facts.get('seconds', 0):.0f} s, {scores}", file=sys.stderr, flush=True)
    return facts


def scores_of(folder: Path, split: str = "test") -> dict[str, float]:
    """Return the scalars that were measured on a split; empty if it failed."""
    file = folder / "evaluation" / split / "results.json"
    if not file.is_file():
        return {}
    wanted = ("AP", "AP50", "AP75", "AR_100", "mask_AP", "mask_AP50", "recall", "precision")
    scalars = json.loads(file.read_text())["scalars"]
    return {name: scalars[name] for name in wanted if scalars.get(name) is not None}


def peak_memory_mb() -> float:
    """Return the most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
