"""What each step of segmentation bought, on small data, over seeds.

    python benchmarks/segmentation_steps.py --data ../shared/data --out step-runs --seeds 0 1 2

The comparisons stand in ``segmentation_step_rows.py``. Each training is a call of ``snellen train`` that is kept in
``--out``, so that a second call goes on; sides that differ only in what is done at use share it. Measured are the last
weights. Differences are taken seed by seed; their interval is Student's t at 95 %. Writes
``results/segmentation_steps.md``.
"""

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

import snellen
from ablations import file_name, interval
from ladder_runs import Job, run_all
from segmentation_step_rows import QUESTIONS, SETS, Question, Side
from segmenters import prepared as linked

HERE = Path(__file__).resolve().parent
# What is told of a map; the first one is compared.
MEASURES = {"mIoU": "mIoU", "mean_class_accuracy": "class accuracy", "pixel_accuracy": "pixel accuracy",
            "mean_boundary_F": "border F"}  # fmt: skip
FRAMES = {"train": 2, "val": 3, "test": 3}  # of CamVid's films every second, every third frame: neighbours are alike
COMPARED = ("mIoU", "mean_class_accuracy", "mean_boundary_F")


def data_of(name: str, arguments: argparse.Namespace) -> Path:
    """Return a folder of links to a data set; of CamVid all three parts, for the CRF is chosen on validation images."""
    if name != "camvid":
        return linked(name, arguments)
    root = arguments.out / "data" / "camvid-with-val"
    if not (root / "snellen.yaml").is_file():
        for split, every in FRAMES.items():
            for folder in (split, f"{split}annot"):
                (root / folder).mkdir(parents=True, exist_ok=True)
                for file in sorted((arguments.data / "camvid" / folder).iterdir())[::every]:
                    place = root / folder / file.name
                    if not place.exists():
                        place.symlink_to(file.resolve())
        (root / "snellen.yaml").write_text("ignore_index: 11\n")
    return root


def job_of(question: Question, side: Side, seed: int, arguments: argparse.Namespace) -> Job:
    """Return the training of a side."""
    budget, words = SETS[question.data], [*side.options]
    epochs = budget.epochs if arguments.epochs is None else arguments.epochs
    usual = {
        "--epochs": epochs, "--validate-every": epochs, "--image-size": budget.size, "--batch-size": budget.batch,
        "--lr": budget.lr, "--warmup-steps": budget.warmup, "--optimizer": "sgd", "--schedule": "cosine",
        "--weight-decay": 1e-4, "--clip-norm": 0,
    }  # fmt: skip
    for name, value in usual.items():
        if name not in words:
            words += [name, str(value)]
    if budget.has_weights:
        words += ["--finetune", "all"]
    words += ["--flip", "--no-check", "--seed", str(seed), "--device", arguments.device]
    weights = arguments.data / "weights" / "mobilenet_v2_imagenet.safetensors" if budget.has_weights else None
    name = f"{question.data}-{side.model}-{file_name('_'.join(side.options)) or 'plain'}-epochs{epochs}-seed{seed}"
    return Job(name=name, model=side.model, data=data_of(question.data, arguments), weights=weights,
               options=tuple(words))  # fmt: skip


def measured(folder: Path, split: str, *, crf: bool) -> dict[str, float]:
    """Return the figures of the last weights of a training, measured once and kept."""
    kept = folder / ("score-crf.json" if crf else "score.json")
    if not kept.is_file():
        results = snellen.evaluate(folder, split=split, which="last", tune_crf=crf)
        kept.write_text(json.dumps({name: results.scalars[name] for name in MEASURES}))
    return json.loads(kept.read_text())


def measure_all(questions: Sequence[Question], arguments: argparse.Namespace) -> None:
    """Measure what was trained, in as many processes as there were trainings at a time."""
    wanted = {
        (arguments.out / job_of(question, side, seed, arguments).name, SETS[question.data].split, side.crf)
        for question in questions
        for side in question.sides
        for seed in arguments.seeds
    }
    ready = [each for each in sorted(wanted, key=lambda each: not each[2]) if (each[0] / "cost.json").is_file()]
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.parallel, fresh, torch.set_num_threads, (arguments.threads,)) as pool:
        for task in [pool.submit(measured, folder, split, crf=crf) for folder, split, crf in ready]:
            task.result()


def found_of(question: Question, side: Side, arguments: argparse.Namespace) -> dict[int, dict[str, float]]:
    """Return the figures of a side by seed, as far as it was trained."""
    found = {}
    for seed in arguments.seeds:
        folder = arguments.out / job_of(question, side, seed, arguments).name
        if (folder / "cost.json").is_file():
            found[seed] = measured(folder, SETS[question.data].split, crf=side.crf)
    return found


def section(question: Question, arguments: argparse.Namespace) -> str:
    """Return the table of a comparison; nothing if fewer than two sides were trained."""
    found = {side.name: found_of(question, side, arguments) for side in question.sides}
    found = {name: figures for name, figures in found.items() if figures}
    if len(found) < 2:
        return ""
    budget = SETS[question.data]
    text = f"\n## {question.name}\n\nPublished: {question.published}. Here: {question.data}, {budget.size} px.\n\n"
    heads = ["side", "seeds", *MEASURES.values(), *(f"{MEASURES[name]} − base" for name in COMPARED)]
    text += f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
    first = question.sides[0].name
    for name, figures in found.items():
        base = (question.bases or {}).get(name, first)
        text += row(name, figures, found.get(base, {}), is_base=name == base)
    if question.bases:
        text += "\n" + "; ".join(f"the base of *{side}* is *{base}*" for side, base in question.bases.items()) + ".\n"
    return text


def row(
    name: str, figures: Mapping[int, Mapping[str, float]], base: Mapping[int, Mapping[str, float]], *, is_base: bool
) -> str:
    """Return a line of a table: means, and paired differences in points of 0.01."""
    cells = [name, str(len(figures))]
    cells += [f"{statistics.mean(each[key] for each in figures.values()):.3f}" for key in MEASURES]
    both = sorted(figures.keys() & base.keys())
    for key in COMPARED:
        if is_base:
            cells.append("base")
        else:
            cells.append(interval([figures[seed][key] - base[seed][key] for seed in both]) if both else "–")
    return f"| {' | '.join(cells)} |\n"


def write(questions: Sequence[Question], arguments: argparse.Namespace) -> None:
    """Write one table for each comparison."""
    versions = f"Snellen {snellen.__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    budgets = "; ".join(
        f"{name}: {each.size} px, {arguments.epochs or each.epochs} epochs, batches of {each.batch}, rate {each.lr:g}, "
        + ("ImageNet weights of MobileNetV2" if each.has_weights else "random weights")
        for name, each in SETS.items()
    )
    text = (
        "# What each step of segmentation bought\n\n"
        f"`python benchmarks/segmentation_steps.py`; {versions}. {budgets}; SGD, cosine, mirror images. CamVid is "
        "trained on every second frame of its training part and measured on every third of its test part, ISBI on "
        "every fifth image. Measured are the last "
        "weights, at the size of the files. Differences are in points of 0.01, paired by seed, with Student's 95 % "
        "interval. The published figures are of other networks on other data: what is compared is the direction and "
        "the rough size.\n"
    )
    sections = {question.name: section(question, arguments) for question in questions}
    text += "".join(sections.values())
    missing = [name for name, found in sections.items() if not found]
    if missing:
        text += f"\nNot run yet: {'; '.join(missing)}.\n"
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(text, encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=Path("step-runs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="those of each data set if left out")
    parser.add_argument("--questions", nargs="+", help="beginnings of the names of comparisons; all if left out")
    parser.add_argument("--parallel", type=int, default=1, help="trainings at a time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "segmentation_steps.md")
    parser.set_defaults(small=False)  # of the links that segmenters.py makes
    parser.add_argument("--table-only", action="store_true", help="write the tables of what has been trained already")
    arguments = parser.parse_args(words)
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data}: expected the folder of the real data sets. Name it with --data.")
    wanted = tuple(arguments.questions or ("",))
    questions = [question for question in QUESTIONS if question.name.startswith(wanted)]
    if not arguments.table_only:
        # Seed by seed, so that a run that is broken off has compared everything once.
        jobs = {
            job.name: job
            for seed in arguments.seeds
            for question in questions
            for job in (job_of(question, side, seed, arguments) for side in question.sides)
        }
        run_all(list(jobs.values()), arguments.out, parallel=arguments.parallel, threads=arguments.threads)
        measure_all(questions, arguments)
    torch.set_num_threads(arguments.threads)
    write(questions, arguments)


if __name__ == "__main__":
    main()
