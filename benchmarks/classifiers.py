"""Families of networks at a fixed CPU budget, beside shallow models: accuracy against time and against parameters.

    python benchmarks/classifiers.py --data ../shared/data --out classifier-runs --seeds 3 --budget 10 --peers
    python benchmarks/classifiers.py --data ../shared/data --out classifier-runs --sets mnist --models lenet5_modern
    python benchmarks/classifiers.py --out classifier-runs --table-only

Every network is trained from random weights for as many epochs as ``--budget`` seconds of one core allow, by the time
of its own step, with one recipe for all; the shallow models are ``snellen.baseline``'s. With ``--peers`` torchvision's
or timm's network, where there is the same one, learns for as many epochs by a plain script (``peer_classifiers.py``).
One line of ``OUT/results.jsonl`` is one training, so that a second call goes on. Writes ``results/classifiers.md`` and
two plots for each set of images.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn

import snellen
from accuracy_settings import Budget
from comparisons import images
from ladder_plot import Cost, scatter
from peer_classifiers import PEERS, peer_accuracy
from snellen.data import with_splits
from snellen.doctor.watching import read_trace
from snellen.metrics import mean_interval
from snellen.models import count_parameters, find_model
from snellen.nn import quick_layout
from snellen.recipes.experiments.ablation_report import interval_text
from snellen.structures import ClassTarget, ImageBatch

SETTLED = 3  # steps, from which on they are usual
HERE = Path(__file__).resolve().parent
Rows = Sequence[Mapping[str, Any]]
SETS: Mapping[str, tuple[str, int]] = {  # images of ``comparison_questions.py``, and their side in pixels
    "mnist": ("mnist", 28),
    "cifar10": ("cifar10", 32),
    "hymenoptera": ("ants 100", 64),
}
FAMILIES: Mapping[str, Mapping[str, Any]] = {  # model, and options of its builder
    "lenet5_modern": {},
    "nin_cifar": {},
    "vgg11_bn": {"fc_width": 128},
    "googlenet": {},
    "cifar_plain20": {},
    "cifar_resnet20": {},
    "resnet18": {},
    "resnetv2_18": {},
    "seresnet18": {},
    "densenet121": {},
    "mobilenet_v2": {},
    "shufflenet_v2_x1_0": {},
    "efficientnet_b0": {},
    "squeezenet1_1": {},
}
SHALLOW = (
    "pixels_knn", "pixels_softmax", "pixels_forest", "hog_softmax", "hog_svm", "hog_rbf_svm", "lbp_forest",
    "colour_forest",
)  # fmt: skip
BATCH = 32
RECIPE: Mapping[str, Any] = {
    "optimizer": "sgd", "lr": 0.05, "weight_decay": 5e-4, "batch_size": BATCH, "ema": 0.0, "augment": 0.0,
    "precision": "fp32", "validate_every": 10_000, "tensorboard": False, "workers": 0,
}  # fmt: skip
RATES = {"squeezenet1_1": 0.01, "nin_cifar": 0.01}  # without norms; at the rate of the others they learn nothing
TIME = Cost(key="image_ms", factor=1, title="milliseconds of one core per image, to predict")
SIZE = Cost(key="parameters", factor=1, title="numbers that are learned or kept")


def costs(name: str, size: int, num_classes: int) -> dict[str, float]:
    """Return CPU seconds of a step, CPU milliseconds of an image, and parameters; after two steps to warm up."""
    network = find_model(name).build(num_classes, **FAMILIES[name])
    module: nn.Module = network  # type: ignore[assignment]  # every model is a module
    quick_layout(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-4, momentum=0.9)
    sides = torch.full((BATCH, 2), size)
    blank = ImageBatch(pixels=torch.zeros(BATCH, 3, size, size, dtype=torch.uint8), sizes=sides, original_sizes=sides)
    target = ClassTarget(probs=torch.eye(num_classes)[torch.arange(BATCH) % num_classes])
    module.train()
    began = 0.0
    for step in range(5):
        began = process_time() if step == 2 else began
        losses = network.loss(network(blank, target), target)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    step_s = (process_time() - began) / 3
    module.eval()
    with torch.no_grad():
        network(blank)
        began = process_time()
        network.decode(network(blank), sides)
    image_ms = 1000 * (process_time() - began) / BATCH
    return {"step_s": step_s, "image_ms": image_ms, "parameters": count_parameters(module)}


def trained(name: str, data: str, place: Path, seed: int, budget: float, folder: Path) -> dict[str, Any]:
    """Return what a network reaches within the budget; no accuracy where not even one epoch fits."""
    size, index = SETS[data][1], snellen.load(place)
    known = costs(name, size, len(index.classes))
    steps = max(1, len(index.split_rows("train")) // BATCH)
    epochs = int(budget / (steps * known["step_s"]))
    row: dict[str, Any] = {"set": data, "model": name, "seed": seed, "budget": budget, "epochs": epochs, **known}
    if epochs < 1:
        return row
    began = process_time()
    run = snellen.train(
        place, model=name, model_options=FAMILIES[name], image_size=size, epochs=epochs, warmup_steps=min(20, steps),
        flip=data != "mnist", seed=seed, check=False, folder=folder, measure=("test",),
        **{**RECIPE, "lr": RATES.get(name, RECIPE["lr"])},
    )  # fmt: skip
    return {**row, "accuracy": run.results["test"].scalars["accuracy"], "cpu_s": round(process_time() - began, 1)}


def of_peer(row: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """Return what the peer's network reaches in the epochs of a training."""
    size, index, name = SETS[row["set"]][1], snellen.load(place), row["model"]
    steps = max(1, len(index.split_rows("train")) // BATCH)
    budget = Budget(
        kind="classification", network=name, size=size, batch=BATCH, epochs=row["epochs"],
        lr=RATES.get(name, RECIPE["lr"]),
        warmup=min(20, steps), weight_decay=RECIPE["weight_decay"], flip=row["set"] != "mnist",
    )  # fmt: skip
    began = process_time()
    reached = peer_accuracy(name, index, budget, row["seed"])
    known = {key: row[key] for key in ("set", "model", "seed", "budget", "epochs")}
    return {**known, "accuracy": reached, "cpu_s": round(process_time() - began, 1)}


def shallow(data: str, place: Path, out: Path) -> list[dict[str, Any]]:
    """Return what the shallow models reach on the same images."""
    index = snellen.load(place)
    rows = {name: index.split_rows(name) for name in ("train", "val", "test")}
    measured = with_splits(index, {"train": np.concatenate([rows["train"], rows["val"]]), "val": rows["test"]})
    report = snellen.baseline(
        measured, models=SHALLOW, minutes=None, folder=out / f"shallow-{data}", console=Console(stderr=True)
    )
    return [
        {"set": data, "model": row.model, "accuracy": row.scalars["accuracy"], "image_ms": row.image_ms,
         "fit_s": row.fit_s + row.features_s, "parameters": row.num_bytes / 4}
        for row in report.rows if row.model in SHALLOW
    ]  # fmt: skip


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


def means(rows: Rows, data: str) -> dict[str, dict[str, float]]:
    """Return the means over the seeds of what was measured of each model."""
    here: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["set"] == data and row.get("accuracy") is not None:
            here.setdefault(row["model"], []).append(row)
    return {
        name: {key: fmean(row[key] for row in some) for key in ("accuracy", "image_ms", "parameters")}
        for name, some in here.items()
    }


def peer_cells(name: str, mine: Rows, peers: Rows) -> str:
    """Return the accuracy of the peer's network and ours less that, seed by seed; dashes where there is none."""
    ours = {row["seed"]: row["accuracy"] for row in mine}
    theirs = {row["seed"]: row["accuracy"] for row in peers if row["model"] == name and row["seed"] in ours}
    if not theirs:
        return "– | –"
    gaps = [ours[seed] - value for seed, value in theirs.items()]
    return f"{interval_text(mean_interval(list(theirs.values())))} | {interval_text(mean_interval(gaps))}"


def waiting(runs: Path, data: str) -> dict[str, str]:
    """Return the share of a usual step that goes into waiting for images, by model, from the traces of the trainings.

    Images are read and changed in the process that trains, so that this is also what reading costs.
    """
    shares: dict[str, list[float]] = {}
    for folder in runs.glob(f"{data}-*"):
        trace = read_trace(folder)
        if len(trace.steps) > SETTLED:
            share = trace.wait_s[SETTLED:] / trace.step_s[SETTLED:]
            shares.setdefault(folder.name.split("-")[1], []).append(float(np.median(share)))
    return {name: f"{fmean(found):.0%}" for name, found in shares.items()}


def table(
    rows: Sequence[Mapping[str, Any]],
    simple: Sequence[Mapping[str, Any]],
    peers: Sequence[Mapping[str, Any]],
    waits: Mapping[str, str],
    data: str,
) -> list[str]:
    lines = [
        f"## {data}",
        "",
        "| model | seeds | accuracy | peer | ours less the peer's | epochs | ms per image | waiting for images "
        "| parameters |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    peers = [row for row in peers if row["set"] == data]
    found = means(rows, data)
    for name in sorted(found, key=lambda name: -found[name]["accuracy"]):
        mine = [row for row in rows if (row["set"], row["model"]) == (data, name) and "accuracy" in row]
        reached = interval_text(mean_interval([row["accuracy"] for row in mine]))
        lines.append(
            f"| {name} | {len(mine)} | {reached} | {peer_cells(name, mine, peers)} "
            f"| {fmean(row['epochs'] for row in mine):.0f} "
            f"| {found[name]['image_ms']:.2f} | {waits.get(name, '–')} | {found[name]['parameters']:,.0f} |"
        )
    lines += [
        f"| {row['model']} | – | {row['accuracy']:.3f} | – | – | {row['fit_s']:.0f} s to fit | {row['image_ms']:.2f} "
        f"| – | {row['parameters']:,.0f} |"
        for row in sorted(simple, key=lambda row: -row["accuracy"])
        if row["set"] == data
    ]
    pairs = {(row["model"], row["seed"]): row["accuracy"] for row in peers}
    gaps = [row["accuracy"] - pairs[row["model"], row["seed"]] for row in rows
            if row["set"] == data and "accuracy" in row and (row["model"], row["seed"]) in pairs]  # fmt: skip
    if len(gaps) > 1:
        lines += ["", f"Over these {len(gaps)} pairs of trainings: ours less the peer's "
                      f"{interval_text(mean_interval(gaps))}."]  # fmt: skip
    slow = sorted({row["model"] for row in rows if row["set"] == data and row["epochs"] < 1})
    lines += ["", f"Not one epoch within the budget: {', '.join(slow)}."] if slow else []
    return [
        *lines,
        "",
        f"![time](classifiers-{data}-time.svg)",
        f"![parameters](classifiers-{data}-parameters.svg)",
        "",
    ]


def write(out: Path, results: Path) -> None:
    rows, simple, peers = (read(out / f"{name}.jsonl") for name in ("results", "shallow", "peers"))
    budgets = sorted({row["budget"] for row in rows})
    lines = [
        "# Families of classifiers at a fixed CPU budget", "",
        f"`python benchmarks/classifiers.py`; Snellen {snellen.__version__}, torch {torch.__version__}. Networks from "
        f"random weights, trained for {', '.join(f'{each:g}' for each in budgets)} seconds of one",
        "core (with the time of their own step); SGD with momentum, rate 0.05 (0.01 for SqueezeNet and NIN, which",
        "have no norms), cosine, batches of 32. Means over seeds with 95 % intervals (Student's t). Peers: the same",
        "network of torchvision or timm, its own first weights, the same recipe and epochs in a plain script. Of",
        "shallow models",
        "parameters are the numbers that they keep, and settings are chosen by cross-validation. *Waiting for",
        "images*: share of a usual step that goes into reading and changing them, which the process that trains does",
        "by itself here; with worker processes it is done beside.", "",
    ]  # fmt: skip
    for data in SETS:
        if any(row["set"] == data for row in (*rows, *simple)):
            lines += table(rows, simple, peers, waiting(out / "runs", data), data)
            found = {"networks": means(rows, data), "shallow": means(simple, data)}
            for cost, name in ((TIME, "time"), (SIZE, "parameters")):
                picture = scatter(found, cost=cost, merit="accuracy")
                (results / f"classifiers-{data}-{name}.svg").write_text(picture, encoding="utf-8")
    (results / "classifiers.md").write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("classifier-runs"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=float, default=10.0, help="seconds of one core for each training")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--peers", action="store_true", help="train the peers' networks too")
    parser.add_argument("--table-only", action="store_true", help="write what has been measured already")
    given = parser.parse_args()
    if not given.table_only:
        if not given.data.is_dir():
            sys.exit(f"{given.data}: expected the folder of the real data sets. Name it with --data.")
        torch.set_num_threads(1)
        measure(given)
    write(given.out, given.results)


def measure(given: argparse.Namespace) -> None:
    given.out.mkdir(parents=True, exist_ok=True)
    file, other = given.out / "results.jsonl", given.out / "shallow.jsonl"
    places = {name: images(SETS[name][0], given.data, given.out) for name in given.sets}
    for name, place in places.items():
        if not any(row["set"] == name for row in read(other)):
            with other.open("a", encoding="utf-8") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in shallow(name, place, given.out))
    done = {(row["set"], row["model"], row["seed"], row["budget"]) for row in read(file)}
    for seed in range(given.seeds):  # whole seeds first, so that a run that is broken off has compared everything once
        for data, place in places.items():
            for name in given.models:
                if (data, name, seed, given.budget) not in done:
                    folder = given.out / "runs" / f"{data}-{name}-{given.budget:g}-seed{seed}"
                    shutil.rmtree(folder, ignore_errors=True)  # of a call that was broken off: its clock stopped
                    row = trained(name, data, place, seed, given.budget, folder)
                    with file.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(row) + "\n")
                    print(json.dumps(row), flush=True)
                    write(given.out, given.results)
    if given.peers:
        against_peers(given, places)


def against_peers(given: argparse.Namespace, places: Mapping[str, Path]) -> None:
    """Train the peers' networks for as many epochs as ours."""
    file = given.out / "peers.jsonl"
    done = {(row["set"], row["model"], row["seed"], row["budget"]) for row in read(file)}
    for row in read(given.out / "results.jsonl"):
        mine = row["set"], row["model"], row["seed"], row["budget"]
        if row["epochs"] and row["model"] in PEERS and row["set"] in places and mine not in done:
            found = of_peer(row, places[row["set"]])
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)
            write(given.out, given.results)


if __name__ == "__main__":
    main()
