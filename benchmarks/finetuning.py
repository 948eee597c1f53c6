"""Plans of fine-tuning by the number of training images of a class.

python benchmarks/finetuning.py --data DATA --out results.jsonl             everything; goes on where it was broken off
python benchmarks/finetuning.py --data DATA --out results.jsonl --each 5 --seeds 1 --epochs 2     a try
python benchmarks/finetuning.py --data DATA --out results.jsonl --seeds 3 --shown 600 --size 96     a quarter of an hour
python benchmarks/finetuning.py --out results.jsonl --table benchmarks/results/finetuning.md      the table alone

One line of the file is one training. Every training of one seed and size has the same images; validation images are
left-over training images, and the test images are those that the data set holds out.
"""

import argparse
import io
import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from statistics import fmean
from time import perf_counter

import numpy as np

import snellen
from snellen.data import with_splits
from snellen.metrics import mean_interval
from snellen.recipes.datasets import load
from snellen.recipes.experiments.ablation_report import interval_text

PLANS = {
    "auto": {},
    "head": {"finetune": "head"},
    "last:1": {"finetune": "last:1"},
    "gradual": {"finetune": "gradual"},
    "all": {"finetune": "all"},
    "all, decay 1/2.6": {"finetune": "all", "layer_decay": 1 / 2.6},
    "scratch": {"finetune": "scratch"},
}
EACH = (5, 20, 100)  # training images of a class
SIZES = {"hymenoptera": 128, "cifar10": 64}  # px
NUM_VAL, NUM_TEST = 40, 500  # images, at most
SHOWN = 3_000  # images in a training, so that small sets get more epochs
KEYS = ("data", "each", "plan", "seed", "size", "shown")  # that tell one training from another


def prepared(data: Path, name: str):
    """Return the data set with its splits train and val, of which the latter is the test here."""
    if name == "hymenoptera":
        return load(data / "hymenoptera")
    folder = Path(tempfile.gettempdir()) / "snellen-cifar10-folders"
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        with tarfile.open(data / "cifar10" / "cifar10_subset.tar.xz") as archive:
            for member in archive:
                parts = member.name.removeprefix("./").split("/")
                split = next((part for part in parts if part in ("train", "test")), None)
                if member.isfile() and member.name.endswith(".jpg") and split is not None:
                    place = partial / ("train" if split == "train" else "val") / parts[-2] / parts[-1]
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(io.BytesIO(archive.extractfile(member).read()).getvalue())
        partial.rename(folder)
    return load(folder)


def divided(index, each: int, seed: int):
    """Return ``each`` training images of every class, others to validate on, and the test images."""
    chance = np.random.default_rng([seed, each])
    labels = index.annotations.labels
    train, held = index.split_rows("train"), chance.permutation(index.split_rows("val"))[:NUM_TEST]
    chosen = np.concatenate(
        [chance.permutation(train[labels[train] == label])[:each] for label in range(len(index.classes))]
    )
    rest = chance.permutation(np.setdiff1d(train, chosen))[:NUM_VAL]
    return with_splits(index, {"train": chosen, "val": rest, "test": held})


def trained(index, name: str, each: int, plan: str, seed: int, given: argparse.Namespace) -> dict:
    part = divided(index, each, seed)
    shown = max(4, min(60, round(given.shown / len(part.split_rows("train")))))
    data, size = given.data, given.size or SIZES[name]
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = snellen.train(
            part, model="mobilenet_v2", weights=data / "weights" / "mobilenet_v2_imagenet.safetensors",
            mean=(0.5,) * 3, std=(0.5,) * 3, padding="same", image_size=size, epochs=given.epochs or shown,
            device="cpu", workers=0, validate_every=10_000, tensorboard=False, check=False, seed=seed,
            folder=Path(folder) / "run", **PLANS[plan],
        )  # fmt: skip
        figures, record = run.results["test"].scalars, run.record
    return {
        "data": name, "each": each, "plan": plan, "seed": seed, "epochs": record["settings"]["epochs"], "size": size,
        "shown": given.shown,
        "chosen": record.get("finetune"), "lr": record["settings"]["lr"], "accuracy": figures["accuracy"],
        "NLL": figures["NLL"], "seconds": round(perf_counter() - began, 1),
        "quadrant": (record.get("transfer") or {}).get("quadrant"),
        "skills": [round(stage["skill"], 3) for stage in (record.get("transfer") or {}).get("stages", ())],
    }  # fmt: skip


def rows_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def interval(values: list[float]) -> str:
    """Return the mean with the half-width of its 95 % interval by Student's t."""
    return interval_text(mean_interval(values))


def table(rows: list[dict]) -> str:
    budgets = sorted({f"{row['shown']:,} images of {row['size']} px" for row in rows})
    lines = [
        "# Fine-tuning plans by size of the data", "",
        "`python benchmarks/finetuning.py --data DATA --out FILE`: MobileNetV2 with weights of ImageNet, about "
        f"{' or '.join(budgets)} shown in each training; means over seeds with 95 % intervals (Student's t), and the "
        "difference to `all` of the same seeds.", "",
    ]  # fmt: skip
    for data in sorted({row["data"] for row in rows}):
        for each in sorted({row["each"] for row in rows if row["data"] == data}):
            here = [row for row in rows if (row["data"], row["each"]) == (data, each)]
            base = {row["seed"]: row["accuracy"] for row in here if row["plan"] == "all"}
            lines += [f"## {data}, {each} training images of a class", ""]
            lines += ["| plan | seeds | accuracy | minus `all` | NLL | seconds |", "|---|---|---|---|---|---|"]
            for plan in PLANS:
                mine = [row for row in here if row["plan"] == plan]
                if not mine:
                    continue
                apart = [row["accuracy"] - base[row["seed"]] for row in mine if row["seed"] in base]
                chosen = f" ({', '.join(sorted({str(row['chosen']) for row in mine}))})" if plan == "auto" else ""
                lines.append(
                    f"| {plan}{chosen} | {len(mine)} | {interval([row['accuracy'] for row in mine])} "
                    f"| {interval(apart) if apart else '–'} | {interval([row['NLL'] for row in mine])} "
                    f"| {fmean(row['seconds'] for row in mine):.0f} |"
                )
            lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["hymenoptera"], choices=list(SIZES))
    parser.add_argument("--plans", nargs="+", default=list(PLANS), choices=list(PLANS))
    parser.add_argument("--each", nargs="+", type=int, default=list(EACH))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--shown", type=int, default=SHOWN, help="images in a training, by which epochs are counted")
    parser.add_argument("--size", type=int, help=f"side of the images in pixels; {SIZES} if left out")
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    done = {tuple(row.get(name) for name in KEYS) for row in rows_of(given.out)}
    for name in given.sets if given.data else ():
        index = prepared(given.data, name)
        for seed in range(given.seeds):  # whole seeds first, so that a broken run has something to compare
            for each in given.each:
                for plan in given.plans:
                    if (name, each, plan, seed, given.size or SIZES[name], given.shown) not in done:
                        row = trained(index, name, each, plan, seed, given)
                        with given.out.open("a") as file:
                            file.write(json.dumps(row) + "\n")
                        print(json.dumps(row), flush=True)
    text = table(rows_of(given.out))
    print(text)
    if given.table:
        given.table.write_text(text)


if __name__ == "__main__":
    main()
