"""What a large COCO file costs: time and memory of reading it, and of workers that use the index.

Writes a COCO file of 200,000 images (empty files: only names matter) and 1,000,000 objects with polygons
into a temporary folder, reads it in a fresh process, and touches every array in 2 forked and 2 spawned
workers. Appends a row to ``benchmarks/results/data_index.md``.
"""

import argparse
import json
import multiprocessing
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "data_index.md"
CLASSES = 80
COLUMNS = (
    "date",
    "images",
    "objects",
    "file MB",
    "seconds",
    "peak RSS MB",
    "RSS before MB",
    "arrays MB",
    "fork own MB",
    "spawn own MB",
    "versions",
)
HEADER = f"""# Reading a large COCO file

One row per run of `python benchmarks/data_index.py`. "RSS before" is that of a process
that only imported torch and snellen.data; what reading adds is the peak less that. "own" is the private memory (USS) of
a worker that touched every array of the index, above that of a worker with an empty index; "arrays" is how much the
index holds.

| {" | ".join(COLUMNS)} |
{"|---" * len(COLUMNS)}|
"""


def generate(folder: Path, num_images: int, num_objects: int) -> Path:
    (folder / "images").mkdir()
    chance = random.Random(0)
    path = folder / "instances_all.json"
    with path.open("w") as file:
        file.write('{"images": [')
        for number in range(num_images):
            name = f"{number:012d}.jpg"
            (folder / "images" / name).touch()
            entry = {"id": number + 1, "file_name": name, "width": 640, "height": 480, "license": 1}
            file.write((", " if number else "") + json.dumps(entry))
        file.write('], "annotations": [')
        for number in range(num_objects):
            x, y, w, h = (round(chance.uniform(1, 300), 2), round(chance.uniform(1, 220), 2), 80.5, 60.25)
            corners = [round(value + chance.uniform(0, 60), 2) for value in (x, y) * 8]
            entry = {
                "id": number + 1,
                "image_id": chance.randrange(num_images) + 1,
                "category_id": chance.randrange(CLASSES) + 1,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
                "segmentation": [corners],
            }
            file.write((", " if number else "") + json.dumps(entry))
        names = [{"id": number + 1, "name": f"class {number}"} for number in range(CLASSES)]
        file.write(f'], "categories": {json.dumps(names)}}}')
    return path


def arrays_of(record):
    import numpy as np

    for value in vars(record).values():
        if isinstance(value, np.ndarray):
            yield value
        elif hasattr(value, "__dict__") and type(value).__module__.startswith("snellen"):
            yield from arrays_of(value)


def own_memory_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def touch(index, queue, ready) -> None:
    total = sum(
        float(array[start : start + 65536].sum()) for array in arrays_of(index) for start in range(0, len(array), 65536)
    )
    if len(index):
        index.target(0, (480, 640))
    queue.put((own_memory_mb(), total))
    ready.wait()  # while this one still holds its memory the others measure


def measure(path: Path) -> dict[str, float]:
    import numpy as np
    import torch

    from snellen.data import load

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    index = load(path)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {
        "seconds": seconds,
        "peak": peak,
        "before": before,
        "arrays": sum(array.nbytes for array in arrays_of(index)) / 2**20,
        "objects": len(index.annotations.boxes),
        "images": len(index),
        "versions": f"Python {platform.python_version()}, numpy {np.__version__}, torch {torch.__version__}",
    }
    found["fork"] = in_workers(index, "fork")
    found["spawn"] = in_workers(index, "spawn")
    return found


def in_workers(index, method: str) -> float:
    """Return what a worker with the index holds on its own above one with an empty index, MB."""
    return most_own(index, method) - most_own(index.select([]), method)


def most_own(index, method: str) -> float:
    context = multiprocessing.get_context(method)
    queue, ready = context.Queue(), context.Event()
    workers = [context.Process(target=touch, args=(index, queue, ready)) for _ in range(2)]
    for worker in workers:
        worker.start()
    grown = [queue.get(timeout=300)[0] for _ in workers]
    ready.set()
    for worker in workers:
        worker.join()
    return max(grown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = generate(Path(folder), options.images, options.objects)
        command = [sys.executable, __file__, "--measure", str(path)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(output.splitlines()[-1])
        size = path.stat().st_size / 2**20
    row = (
        f"| {datetime.now(UTC):%Y-%m-%d} | {found['images']} | {found['objects']} | {size:.0f} "
        f"| {found['seconds']:.1f} | {found['peak']:.0f} | {found['before']:.0f} | {found['arrays']:.0f} "
        f"| {found['fork']:.1f} | {found['spawn']:.1f} | {found['versions']} |\n"
    )
    RESULTS.parent.mkdir(exist_ok=True)
    if not RESULTS.exists():
        RESULTS.write_text(HEADER)
    with RESULTS.open("a") as file:
        file.write(row)
    print(row)


if __name__ == "__main__":
    main()
