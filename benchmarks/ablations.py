"""What each step of the ladder bought, on small data, over seeds.

    python benchmarks/ablations.py --data ../shared/data --out ablation-runs --seeds 0 1 2

The comparisons stand in ``ablation_rows.py``. Each training is a call of ``snellen train`` that is kept in ``--out``,
so that a second call goes on; variants that differ only in how the trained model is used share it. Differences are
taken seed by seed; their interval is Student's t at 95 %. Writes ``results/ablations.md``.
"""

import argparse
import dataclasses
import json
import math
import platform
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torchvision

import snellen
from ablation_rows import QUESTIONS, Question, Variant
from ladder_runs import Job, run_all
from snellen.data import ImageDataset
from snellen.evaluation import METRICS, evaluate
from snellen.metrics import mean_interval
from snellen.nn import quick_layout
from snellen.recipes import Run, load, prepared
from snellen.recipes.evaluating import evaluation_loader
from snellen.training import autocast

HERE = Path(__file__).resolve().parent
BySeed = Mapping[int, Mapping[str, float]]
MEASURES = ("AP50", "AP", "AP75", "recall")


def job_of(question: Question, variant: Variant, seed: int, arguments: argparse.Namespace) -> Job:
    words = [*variant.options]
    data, size = question.set or arguments.set, question.size or arguments.size
    for name, value in (("--epochs", arguments.epochs), ("--image-size", size), ("--validate-every", 100)):
        if name not in words:
            words += [name, str(value)]
    words += ["--seed", str(seed)]
    name = file_name("_".join([data, variant.model, *words]))
    weights = arguments.data / "weights" / "mobilenet_v2_imagenet.safetensors"
    return Job(name=name, model=variant.model, data=arguments.data / data, weights=weights,
               options=tuple(words))  # fmt: skip


def file_name(text: str) -> str:
    return re.sub(r"[^\w.=-]+", "_", text)


def switched(model: torch.nn.Module, switches: Mapping[str, object]) -> None:
    """Change attributes by dotted path; frozen records on the way are replaced."""
    for path, value in switches.items():
        set_at(model, path.split("."), value)


def set_at(owner: object, path: Sequence[str], value: object) -> object:
    """Return ``owner`` with the attribute at the end of ``path`` changed."""
    first, *rest = path
    if not hasattr(owner, first):
        sys.exit(f"{type(owner).__name__} has no attribute {first!r}; correct the switch in ablation_rows.py.")
    new = set_at(getattr(owner, first), rest, value) if rest else value
    if dataclasses.is_dataclass(owner):
        return dataclasses.replace(owner, **{first: new})
    setattr(owner, first, new)
    return owner


def measured(folder: Path, variant: Variant) -> dict[str, float]:
    """Return the figures of a trained model on its test images, measured with the switches and kept."""
    if not variant.switches:
        scalars = json.loads((folder / "evaluation" / "test" / "results.json").read_text())["scalars"]
        return {name: scalars[name] for name in MEASURES}
    kept = folder / f"switched-{file_name(json.dumps(dict(variant.switches)))}.json"
    if not kept.is_file():
        run = Run.open(folder)
        index = prepared(load(run.record["data"], format=run.record["format"]), run.record["settings"]["seed"])
        part = index.split("test")
        model = run.load()
        quick_layout(model)
        switched(model, variant.switches)
        cpu, precision = torch.device("cpu"), run.record["settings"]["precision"]
        results = evaluate(
            model,
            evaluation_loader(part, run.record, model.stride).epoch(0),
            ImageDataset(part).truth,
            METRICS[part.target_type](part.classes, part.attributes),
            device=cpu,
            precision_context=lambda: autocast(cpu, precision),
        )
        kept.write_text(json.dumps({name: results.scalars[name] for name in MEASURES}))
    return json.loads(kept.read_text())


def interval(differences: Sequence[float]) -> str:
    """Return mean and 95 % interval of paired differences, in points."""
    found = mean_interval([100 * value for value in differences])
    spread = f" ± {found.high - found.mean:.1f}" if math.isfinite(found.high) else ""
    return f"{found.mean:+.1f}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--set", default="bccd")
    parser.add_argument("--out", type=Path, default=Path("ablation-runs"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--questions", nargs="+", help="names of comparisons; all if left out")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table-only", action="store_true", help="write the table of what has been trained already")
    arguments = parser.parse_args()
    questions = [item for item in QUESTIONS if not arguments.questions or item.name in arguments.questions]
    jobs: dict[str, Job] = {}
    for seed in arguments.seeds:  # seed by seed, so that a run that is broken off has compared everything once
        for question in questions:
            for variant in question.variants:
                job = job_of(question, variant, seed, arguments)
                jobs[job.name] = job
    if not arguments.table_only:
        run_all(list(jobs.values()), arguments.out, parallel=arguments.parallel, threads=arguments.threads)
    torch.set_num_threads(arguments.threads)
    write(questions, arguments)


def write(questions: Sequence[Question], arguments: argparse.Namespace) -> None:
    """Write one table for each comparison."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    text = (HERE / "ablations_head.md").read_text(encoding="utf-8").format(
        set=arguments.set, epochs=arguments.epochs, size=arguments.size,
        versions=f"Snellen {snellen.__version__}, {versions}",
    )  # fmt: skip
    left_out = []
    for question in questions:
        rows, base = [], {}
        for place, variant in enumerate(question.variants):
            found = {}
            for seed in arguments.seeds:
                folder = arguments.out / job_of(question, variant, seed, arguments).name
                if (folder / "cost.json").is_file():
                    found[seed] = measured(folder, variant)
            base = found if place == 0 else base
            if found:
                rows.append(row(variant.name, found, base, is_base=place == 0))
        if len(rows) < 2:
            left_out.append(question.name)
            continue
        place = "" if question.set is None else f" On {question.set}, {question.size} px."
        text += f"\n## {question.name}\n\nPublished: {question.published}.{place}\n\n"
        text += "| variant | seeds | AP50 | AP | AP75 | AP50 − base | AP − base |\n|---|---|---|---|---|---|---|\n"
        text += "".join(rows)
        text += f"\n{question.remark}\n" if question.remark else ""
    if left_out:
        text += f"\nNot run yet: {'; '.join(left_out)}.\n"
    (HERE / "results" / "ablations.md").write_text(text, encoding="utf-8")


def row(
    name: str, found: Mapping[int, Mapping[str, float]], base: Mapping[int, Mapping[str, float]], *, is_base: bool
) -> str:
    means = [f"{statistics.mean(entry[key] for entry in found.values()):.3f}" for key in ("AP50", "AP", "AP75")]
    both = sorted(found.keys() & base.keys())
    gains = ["base", "base"] if is_base else [
        interval([found[seed][key] - base[seed][key] for seed in both]) if both else "–" for key in ("AP50", "AP")
    ]  # fmt: skip
    return f"| {name} | {len(found)} | {' | '.join([*means, *gains])} |\n"


if __name__ == "__main__":
    main()
