"""Classical segmenters on horses, cells and photographs: overlap, borders and time; and how many masks they need.

    python benchmarks/classical_segmenters.py --data ../shared/data --out runs/classical
    python benchmarks/classical_segmenters.py --data ../shared/data --out runs/classical --learning-curve

Horses and ISBI's cells: every method fitted to training images as `snellen train` does, and measured on others; on
horses also as it is, without a fit, and with the true box where it takes one. BSDS500: regions without a fit beside
those of people. Subsets, so that the whole takes minutes; `--train` and `--test` say how large they are. The learning
curve fits to 1, 2, 4 … of ISBI's images and trains a U-Net on the same ones, over seeds. What is done is kept in --out,
where the same command goes on. Tables go to results/classical_segmenters.md; the pictures stay in --out, for the images
may not be passed on.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.io import loadmat
from scipy.ndimage import distance_transform_edt

import snellen
from accuracy import every_fifth
from snellen.data import BatchLoader, DatasetIndex, ImageDataset, evaluation_transform, read_image, with_splits
from snellen.metrics import SegmentationMetric, tolerance_px
from snellen.models import change_settings, find_model
from snellen.models.segmentation.classical import METHODS, find_method
from snellen.report import draw
from snellen.report.region_drawing import draw_regions
from snellen.structures import FitData, MaskTarget

RESULTS = Path(__file__).parent / "results" / "classical_segmenters.md"
NAMES = tuple(method.name for method in METHODS)
SIZES = {"horses": 160, "isbi_em": 256}  # short side in pixels at which images are cut
BOX_MARGIN = 0.04  # of a thing's box on each side, about what a hand leaves
CURVE = ("adaptive_threshold", "watershed", "graph_cut")
NETWORK = "unet_resnet18"
NETWORK_STEPS = 400  # of four cuts, whatever the number of different images
NETWORK_CUT = 128  # px; of images of 256, so that a step costs a quarter
COUNTS = (1, 2, 4, 8, 16, 24)
SHEET = (
    "otsu", "minimum_error", "canny", "watershed", "split_merge", "mean_shift", "slic", "normalized_cut", "grabcut",
    "chan_vese",
)  # fmt: skip
Figures = dict[str, float]


class Notes:
    """Figures that are kept as they come, so that a run goes on where it was broken off."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[str, Figures] = json.loads(file.read_text()) if file.exists() else {}

    def get(self, key: str, measure: Callable[[], Figures]) -> Figures:
        if key not in self.known:
            self.known[key] = {name: round(float(value), 4) for name, value in measure().items()}
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(self.known, indent=1) + "\n")
            print(key, self.known[key], flush=True)
        return self.known[key]


def part_of(data: Path, name: str, *, train: int, test: int, seed: int = 0) -> DatasetIndex:
    """Return a data set with every fifth image held out, and some images of both parts; fewer are among more."""
    index = every_fifth(snellen.load(data / name))
    rows = {part: np.flatnonzero(index.splits == index.split_names.index(part)) for part in ("train", "val")}
    rows = {
        "train": np.random.default_rng(seed).permutation(rows["train"])[:train],
        "val": np.random.default_rng(0).permutation(rows["val"])[:test],
    }
    kept = np.sort(np.concatenate(list(rows.values())))
    places = {part: np.flatnonzero(np.isin(kept, chosen)) for part, chosen in rows.items()}
    return with_splits(index.select(np.isin(np.arange(len(index)), kept)), places)


def samples_of(index: DatasetIndex, name: str) -> ImageDataset:
    return ImageDataset(index, evaluation_transform(MaskTarget, SIZES[name]))


def fitted(index: DatasetIndex, name: str, method: str, *, choose: int = 16, seed: int = 0) -> Figures:
    """Fit as a training does, without the folder of a run around it, and measure on the images that are held out."""
    model = find_model(method).build(len(index.classes))
    change_settings(model, {"choosing.images": choose})
    train = BatchLoader(dataset=samples_of(index.split("train"), name), batch_size=1)
    began = time.process_time()
    model.fit_stage(
        "fit",
        FitData(
            batches=lambda: train.epoch(0), num_images=len(index.split("train")), folder=Path(),
            device=torch.device("cpu"), seed=seed, progress=lambda *_: None,
        ),
    )  # fmt: skip
    return measured(model, index, name) | {"fit s": time.process_time() - began}


def measured(model: torch.nn.Module, index: DatasetIndex, name: str) -> Figures:
    """Measure a model on the images that are held out, at their size in the files."""
    held_out = samples_of(index.split("val"), name)
    metric = SegmentationMetric(index.classes)
    times = []
    for batch in BatchLoader(dataset=held_out, batch_size=1, stride=model.stride).epoch(0):
        began = time.process_time()
        with torch.inference_mode():
            found = model.decode(model(batch.images), batch.images.original_sizes)
        times.append(time.process_time() - began)
        rows = batch.indices.tolist()
        metric.update(found, [held_out.truth(row) for row in rows], rows)
    return figures_of(metric, times)


def figures_of(metric: SegmentationMetric, times: Sequence[float]) -> Figures:
    scalars = metric.result().scalars
    return {
        "mIoU": scalars["mIoU"], "boundary F": scalars["mean_boundary_F"], "image ms": 1000 * float(np.median(times)),
    }  # fmt: skip


def trained(index: DatasetIndex, name: str, folder: Path, **options: object) -> Figures:
    """Train the network as the command does, and measure it likewise."""
    shutil.rmtree(folder, ignore_errors=True)
    began = time.process_time()
    run = snellen.train(
        index, model=NETWORK, folder=folder, image_size=SIZES[name], device="cpu", check=False, tensorboard=False,
        **options,
    )  # fmt: skip
    seconds = time.process_time() - began
    return measured(run.load(which="last"), index, name) | {"fit s": seconds}


def as_it_is(index: DatasetIndex, name: str, method: str, *, boxed: bool) -> Figures:
    """Measure a method without a fit; foreground is the second class."""
    held_out = samples_of(index.split("val"), name)
    metric = SegmentationMetric(index.classes)
    times = []
    for row in range(len(held_out)):
        sample = held_out[row]
        box = true_box(sample.target.labels.numpy() == 1) if boxed else None
        began = time.process_time()
        found = snellen.segment(sample.image, method, box=box)
        times.append(time.process_time() - began)
        metric.update([found.map], [sample.target], [row])
    return figures_of(metric, times)


def true_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box of a thing with a margin, a pixel within the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    down, across = BOX_MARGIN * len(rows), BOX_MARGIN * len(columns)
    height, width = mask.shape
    return (
        max(1.0, columns[0] - across), max(1.0, rows[0] - down),
        min(width - 1.0, columns[-1] + 1 + across), min(height - 1.0, rows[-1] + 1 + down),
    )  # fmt: skip


def contours(regions: np.ndarray) -> np.ndarray:
    """Return where a pixel differs from its right or lower neighbour."""
    edges = np.zeros(regions.shape, dtype=bool)
    edges[:, :-1] |= regions[:, :-1] != regions[:, 1:]
    edges[:-1] |= regions[:-1] != regions[1:]
    return edges


def berkeley(data: Path, method: str, number: int) -> Figures:
    """Measure regions beside those of people: contours met, and how well regions are covered."""
    counts = np.zeros(4)  # found and right, found, wanted and met, wanted
    covering, times, num_regions = [], [], []
    for file in sorted((data / "bsds500_val" / "images").iterdir())[:number]:
        people = loadmat(data / "bsds500_val" / "groundTruth" / f"{file.stem}.mat")["groundTruth"][0]
        maps = [person["Segmentation"][0, 0].astype(np.int64) for person in people]
        began = time.process_time()
        regions = snellen.segment(file, method).regions
        times.append(time.process_time() - began)
        edges, within = contours(regions), tolerance_px(regions.shape)
        own_distance = distance_transform_edt(~edges) if edges.any() else np.full(edges.shape, np.inf)
        met = np.zeros(edges.shape, dtype=bool)
        for map_ in maps:
            wanted = contours(map_)
            met |= distance_transform_edt(~wanted) <= within
            counts[2:] += (own_distance[wanted] <= within).sum(), wanted.sum()
        counts[:2] += (met & edges).sum(), edges.sum()
        covering.append(np.mean([covered(map_, regions) for map_ in maps]))
        num_regions.append(regions.max() + 1)
    precision, recall = counts[0] / max(counts[1], 1), counts[2] / max(counts[3], 1)
    return {
        "boundary F": 2 * precision * recall / max(precision + recall, 1e-9), "precision": precision, "recall": recall,
        "covering": float(np.mean(covering)), "regions": float(np.median(num_regions)),
        "image ms": 1000 * float(np.median(times)),
    }  # fmt: skip


def covered(wanted: np.ndarray, found: np.ndarray) -> float:
    """Return the mean over the pixels of the greatest IoU of their region with one of the other map."""
    rows, columns = np.unique(wanted, return_inverse=True)[1].ravel(), found.ravel().astype(np.int64)
    shared = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(shared, (rows, columns), 1)
    sizes, others = shared.sum(axis=1, keepdims=True), shared.sum(axis=0, keepdims=True)
    best = (shared / (sizes + others - shared)).max(axis=1)
    return float((best * sizes[:, 0]).sum() / sizes.sum())


def table(rows: Mapping[str, Figures], columns: Sequence[str]) -> list[str]:
    """Return a table, the best first by its first column."""
    lines = [f"| method | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 1)}"]
    for name, figures in sorted(rows.items(), key=lambda row: -row[1][columns[0]]):
        cells = [
            "–"
            if column not in figures
            else f"{figures[column]:.0f}"
            if figures[column] >= 10
            else f"{figures[column]:.3f}"
            for column in columns
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return [*lines, ""]


def fitted_table(given: argparse.Namespace, notes: Notes, name: str) -> list[str]:
    index = part_of(given.data, name, train=given.train, test=given.test)
    rows = {
        method: notes.get(f"{name} fitted {method}", lambda m=method: fitted(index, name, m, choose=given.choose))
        for method in given.methods
    }
    return [
        f"## {name}: fitted to {given.train} images, measured on {given.test}",
        "",
        f"Short side {SIZES[name]} px. Settings compared on {given.choose} of the training images.",
        "",
        *table(rows, ("mIoU", "boundary F", "image ms", "fit s")),
    ]


def tables(given: argparse.Namespace, notes: Notes) -> list[str]:
    lines = [*fitted_table(given, notes, "horses"), *fitted_table(given, notes, "isbi_em")]
    index = part_of(given.data, "horses", train=given.train, test=given.test)
    plain = {
        method: notes.get(f"horses plain {method}", lambda m=method: as_it_is(index, "horses", m, boxed=False))
        for method in given.methods
    }
    boxed = {
        f"{method} + box": notes.get(f"horses box {method}", lambda m=method: as_it_is(index, "horses", m, boxed=True))
        for method in given.methods
        if "box" in find_method(method).takes
    }
    lines += ["## horses: as they are, without a fit", ""]
    lines += [
        "Foreground is what lies rather inside than at the frame; with a box, the true one and a margin of 4 %.",
        "",
    ]
    lines += table({**plain, **boxed}, ("mIoU", "boundary F", "image ms"))
    regions = {
        method: notes.get(f"bsds {method}", lambda m=method: berkeley(given.data, m, given.photos))
        for method in given.methods
        if method not in ("graph_cut", "grabcut", "snake")  # one thing in a box is not all regions
    }
    lines += [f"## BSDS500: regions without a fit, {given.photos} photographs of 481 × 321", ""]
    lines += [
        "Contours within 0.75 % of the diagonal of any person's (precision) and of everybody's (recall), any number to",
        "any; covering: the best overlap of each region of a person, by its pixels. One setting for all images.",
        "",
    ]
    return lines + table(regions, ("boundary F", "precision", "recall", "covering", "regions", "image ms"))


def learning_curve(given: argparse.Namespace, notes: Notes) -> list[str]:
    """Return mIoU on six held-out images of ISBI by the number of training images."""
    found: dict[str, list[str]] = {}
    for model in (*CURVE, NETWORK):
        cells = []
        steps = f" steps {given.network_steps}" if model == NETWORK else ""
        for count in given.counts:
            scores = [
                notes.get(
                    f"curve {model} {count} {seed}{steps}", lambda m=model, c=count, s=seed: one_point(given, m, c, s)
                )
                for seed in given.seeds
            ]
            values = [score["mIoU"] for score in scores]
            cells.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}")
        found[model] = cells
    lines = ["## isbi_em: mIoU by the number of training images", ""]
    lines += [
        f"Six images held out; mean ± spread over {len(given.seeds)} draws of the training images. {NETWORK} from",
        f"random weights on {4 * given.network_steps} cuts of {NETWORK_CUT} px out of images of {SIZES['isbi_em']} px.",
        "",
        f"| model | {' | '.join(map(str, given.counts))} |",
        f"|{'---|' * (len(given.counts) + 1)}",
        *(f"| `{model}` | {' | '.join(cells)} |" for model, cells in found.items()),
        "",
    ]
    return lines


def one_point(given: argparse.Namespace, model: str, count: int, seed: int) -> Figures:
    index = part_of(given.data, "isbi_em", train=count, test=6, seed=seed)
    if model != NETWORK:
        return fitted(index, "isbi_em", model, choose=given.choose, seed=seed)
    batch = min(4, count)
    epochs = ceil(4 * given.network_steps / count)  # shows as many cuts, however few images there are
    return trained(
        index, "isbi_em", given.out / "run", seed=seed, batch_size=batch, epochs=epochs, validate_every=epochs,
        crop=NETWORK_CUT,
    )  # fmt: skip


def picture_sheet(given: argparse.Namespace) -> None:
    """Draw some methods, as they are, on some images of each data set, to be looked at."""
    files = [
        *sorted((given.data / "horses" / "images").iterdir())[4:150:60],
        *sorted((given.data / "bsds500_val" / "images").iterdir())[:6:3],
        sorted((given.data / "isbi_em" / "image").iterdir())[0],
    ]
    width, height = 240, 180
    sheet = Image.new("RGB", (width * len(files), height * len(SHEET)))
    for row, method in enumerate(SHEET):
        for column, file in enumerate(files):
            found = snellen.segment(file, method)
            pixels = read_image(file)
            picture = (
                draw_regions(pixels.permute(1, 2, 0).numpy(), found.regions)
                if found.is_plain
                else draw(pixels, found.map, found.classes)
            )
            sheet.paste(picture.convert("RGB").resize((width, height)), (column * width, row * height))
        ImageDraw.Draw(sheet).text((4, row * height + 4), method, fill="red")
    sheet.save(given.out / "classical_segmenters.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of what is in progress, and of the pictures")
    parser.add_argument("--methods", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--train", type=int, default=12, help="training images of each set")
    parser.add_argument("--test", type=int, default=5, help="images of each set that are measured")
    parser.add_argument("--choose", type=int, default=3, help="training images on which settings are compared")
    parser.add_argument("--photos", type=int, default=6, help="images of BSDS500")
    parser.add_argument("--learning-curve", action="store_true", help="measure it, too")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="draws of the learning curve")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="training images of the curve")
    parser.add_argument("--network-steps", type=int, default=NETWORK_STEPS, help="of four cuts, in the curve")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    notes = Notes(given.out / "figures.json")
    lines = [
        "# Classical segmenters",
        "",
        f"`python benchmarks/classical_segmenters.py`; times are those of the processor (of {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} used by torch).",
        "",
        *tables(given, notes),
    ]
    if given.learning_curve or any(key.startswith("curve") for key in notes.known):
        lines += learning_curve(given, notes)
    picture_sheet(given)
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
