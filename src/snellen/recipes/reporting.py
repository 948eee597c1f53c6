"""From the files of a run to its report."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from snellen.data import DataDescription, DatasetIndex, ImageDataset
from snellen.doctor import CHECKS, Diagnosis, Stage
from snellen.evaluation import read_predictions
from snellen.recipes.augmenting import SHARES
from snellen.recipes.check_report import untold_problems
from snellen.recipes.check_run import diagnosis_of_training
from snellen.recipes.evaluating import PREDICTION_OF
from snellen.recipes.finetuning import finetuning_rows
from snellen.recipes.operating import operating_lines, read_operating
from snellen.recipes.parts import recorded_part
from snellen.recipes.results_checking import diagnosis_of_results
from snellen.recipes.runs import DIAGNOSIS, ENSEMBLE_FILE, Run, read_skipped, recorded_entry
from snellen.recipes.stages import fact_text, read_stages
from snellen.recipes.target_statistics import DERIVED_OPTIONS
from snellen.recipes.target_words import TARGET_WORDS
from snellen.report import (
    Bars,
    Figure,
    ImageCard,
    Report,
    Setting,
    SkippedImage,
    diagnosis_from_json,
    draw,
    write_report,
)
from snellen.structures import ImageScore, Prediction, Results, Table
from snellen.training import TrainSettings

__all__ = ["description_tables", "write_run_report"]

IMAGES_PER_GROUP = 8
_LARGEST_PX = 900  # long side of an image in the report; keeps the file small


def write_run_report(run: Run, index: DatasetIndex) -> Path:
    """Write ``report.html`` from what lies in the run's folder and return its path.

    Args:
        run: With at least one evaluation.
        index: The data set, for its description and its images.
    """
    results = run.results
    split = next((name for name in ("test", "val") if name in results), next(iter(results), None))
    record = run.record
    machine = record["environment"]
    diagnosis = _diagnosis(run, index)
    learned = TARGET_WORDS[index.target_type.__name__].learned
    report = Report(
        title=f"{record['model']} on {Path(record['data']).name}",
        subtitle=" · ".join(
            [f"{len(run.classes)} {learned}", machine["started"][:10], f"snellen {machine['snellen']}"]
        ),
        summary=_summary(results, split),
        results={name: results[name] for name in sorted(results, key=lambda name: name != split)},
        history=tuple(_history(run.folder / "log.jsonl")),
        training=(*_tuning_tables(record), *_stage_tables(run), *_operating_tables(run)),
        settings=tuple(_settings(record)),
        environment=tuple((name, str(value)) for name, value in record["environment"].items()),
        problems=untold_problems(index.problems, diagnosis),
        diagnosis=diagnosis,
        skipped=tuple(SkippedImage(file=file, reason=reason) for file, reason in read_skipped(run.folder).items()),
        description=description_tables(index.describe()),
        distributions=_bars(index.describe()),
        cards={} if split is None else _cards(run, index, split, results[split]),
        commands=_commands(run),
    )
    return write_report(run.report, report)


def _diagnosis(run: Run, index: DatasetIndex) -> Diagnosis | None:
    """Return what was found before training, while it ran and in its results, or None if nobody looked."""
    file = run.folder / DIAGNOSIS
    before = diagnosis_from_json(file.read_bytes()) if file.is_file() else None
    during = diagnosis_of_training(run.folder, [check for check in CHECKS if check.stage == Stage.TRAINING])
    after = diagnosis_of_results(run, CHECKS, index=index, scan=False)
    found = [part for part in (before, during, after) if part is not None]
    return replace(found[0], results=tuple(row for part in found for row in part.results)) if found else None


def _summary(results: Mapping[str, Results], split: str | None) -> tuple[Figure, ...]:
    if split is None:
        return ()
    measured = results[split]
    names = [measured.headline, *(name for name in measured.scalars if name != measured.headline)]
    wanted = [name for name in names if name == measured.headline or name in _HEADLINES][:4]
    where = f"on the {split} split"
    return tuple(
        Figure(name=name, value=measured.scalars[name], explanation=f"{_HEADLINES.get(name, '')} {where}".strip())
        for name in wanted
    )


_HEADLINES: Mapping[str, str] = {
    "AP": "average precision over IoU 0.5 to 0.95,",
    "AP50": "average precision at IoU 0.5,",
    "accuracy": "share of images classified right,",
    "balanced_accuracy": "mean recall of the classes,",
    "mIoU": "mean overlap of the classes,",
    "pixel_accuracy": "share of pixels labelled right,",
    "mAP": "mean over the classes of the average precision of each,",
    "macro_F1": "mean over the classes of F1 at the thresholds,",
    "subset_accuracy": "share of images of which every class is right,",
    "MAE": "mean absolute error in the units of the data,",
    "RAE": "mean absolute error over that of the best constant,",
    "R2": "share of the variance that is explained,",
    "Spearman": "correlation of the ranks,",
    "acuity_px": "smallest height in pixels at which at least half is found,",
}


def _history(log: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    if not log.is_file():
        return rows
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # the last line of a run that was killed while writing it
        if entry.get("event") == "step":
            busy = (entry["data_wait_s"] or 0.0) + (entry["step_s"] or 0.0)
            rows.append(
                {
                    "step": entry["step"],
                    "loss": entry["loss"],
                    **{f"loss/{name}": value for name, value in entry["losses"].items()},
                    "lr": entry["lr"],
                    "wait_share": entry["data_wait_s"] / busy if busy else None,
                    "images_per_s": entry["images"] / busy if busy else None,
                }
            )
        elif entry.get("event") == "validated":
            scalars, losses = entry["scalars"] or {}, entry["losses"] or {}
            row = {f"val/{name}": scalars[name] for name in scalars if name in _HEADLINES}
            if losses and None not in losses.values():
                row["val/loss"] = sum(losses.values())
            rows.append({"step": entry["step"], **row})
    return rows


def _tuning_tables(record: Mapping[str, Any]) -> tuple[Table, ...]:
    """Return which part of the model learned, from when on, at which share of the rate, and why."""
    rows = tuple(tuple(row) for row in finetuning_rows(record))
    if not rows:
        return ()
    columns = ("part", "share of the rate", "from epoch", "skill of a linear probe", "shift of its norms")
    return (Table(title="Fine-tuning", columns=columns, rows=rows, note=record["reasons"]["finetune"]),)


def _stage_tables(run: Run) -> tuple[Table, ...]:
    """Return what each stage of a training of several took and gave; nothing for other trainings."""
    stages = read_stages(run.folder)
    if not stages:
        return ()
    rows = tuple(
        (
            stage.name,
            stage.kind,
            round(stage.seconds, 1),
            stage.score,
            ", ".join(f"{name}: {fact_text(value)}" for name, value in stage.facts.items()),
        )
        for stage in stages
    )
    return (Table(title="Stages", columns=("stage", "kind", "seconds", "validation", "what it reports"), rows=rows),)


def _operating_tables(run: Run) -> tuple[Table, ...]:
    """Return the thresholds that were chosen, and what they do on the images they were chosen on."""
    chosen = read_operating(run)
    if chosen is None:
        return ()
    rows = tuple((name, p.threshold, p.precision, p.recall, p.f1) for name, p in chosen.points.items())
    note = " ".join(f"{line}." for line in operating_lines(chosen) if "temperature" in line)
    columns = ("class", "from a probability of", "precision", "recall", "F1")
    where = f"Chosen on {chosen.num_images} validation images, whose figures these are."
    return (Table(title="Thresholds", columns=columns, rows=rows, note=f"{where} {note}".strip()),)


def _settings(record: Mapping[str, Any]) -> list[Setting]:
    from snellen.recipes.training import setting_rows  # noqa: PLC0415 - training imports this module

    return [Setting(name=name, value=value, reason=reason) for name, value, reason in setting_rows(record)]


def description_tables(description: DataDescription) -> tuple[Table, ...]:
    """Return the counts of images and of objects by split."""
    names = list(description.images_per_split)
    words = TARGET_WORDS[description.target_type]
    counts = Table(
        title="Images",
        columns=("split", "images", words.without),
        rows=tuple(
            (name or "none", description.images_per_split[name], description.images_without_objects[name])
            for name in names
        ),
    )
    classes = Table(
        title=words.learned.capitalize(),
        columns=(words.one, *(name or "none" for name in names)),
        rows=tuple(
            (label, *(description.objects_per_class[name][label] for name in names)) for label in description.classes
        ),
        note=words.counted,
    )
    return (counts, classes, *_range_tables(description))


def _range_tables(description: DataDescription) -> tuple[Table, ...]:
    """Return how large the values are, where values are learned."""
    if not description.value_ranges:
        return ()
    columns = ("value", "smallest", "5 %", "median", "95 %", "largest")
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, *numbers) for name, numbers in description.value_ranges.items()
    )
    return (Table(title="Range of the values", columns=columns, rows=rows),)


def _bars(description: DataDescription) -> tuple[Bars, ...]:
    total = {
        label: sum(per_class[label] for per_class in description.objects_per_class.values())
        for label in description.classes
    }
    if description.value_ranges:
        return ()  # how many numbers are known is in the table
    order = sorted(total, key=lambda label: -total[label])
    return (Bars(title="Class frequency", names=tuple(order), values=tuple(float(total[label]) for label in order)),)


def _cards(run: Run, index: DatasetIndex, split: str, results: Results) -> dict[str, tuple[ImageCard, ...]]:
    part = index.split(split)
    scores = [score for score in results.per_image if score.quality == score.quality]  # nan: nothing to judge
    by_quality = sorted(scores, key=lambda score: score.quality)
    doubtful = [score for score in results.per_image if score.uncertainty == score.uncertainty]  # nan: nothing is told
    by_doubt = sorted(doubtful, key=lambda score: -score.uncertainty)
    groups = {
        "Worst": by_quality[:IMAGES_PER_GROUP],
        "Best": by_quality[::-1][:IMAGES_PER_GROUP],
        "Most uncertain": by_doubt[:IMAGES_PER_GROUP],
    }
    wanted = {score.index for group in groups.values() for score in group}
    kind = PREDICTION_OF[part.target_type]
    found = {
        image.index: image.prediction
        for image in read_predictions(run.folder / "evaluation" / split, kind)
        if image.index in wanted
    }
    dataset = ImageDataset(part, masks=True)
    return {
        name: tuple(_card(dataset, score, found.get(score.index), run.classes) for score in group)
        for name, group in groups.items()
        if group
    }


def _card(dataset: ImageDataset, score: ImageScore, prediction: Prediction | None, classes: Sequence[str]) -> ImageCard:
    sample = dataset.untransformed(score.index)
    doubt = f" · uncertainty {score.uncertainty:.2f}" if score.uncertainty == score.uncertainty else ""
    return ImageCard(
        caption=f"{Path(sample.source).name} · quality {score.quality:.2f}{doubt}",
        truth=draw(sample.image, sample.target, classes, largest_px=_LARGEST_PX),
        prediction=None if prediction is None else draw(sample.image, prediction, classes, largest_px=_LARGEST_PX),
    )


_LISTS = ("randaugment", "enhance")  # options that are written with commas between


def _commands(run: Run) -> tuple[str, ...]:
    record = run.record
    if "ensemble" in record:
        return _ensemble_commands(run)
    settings = record["settings"]
    words = [
        "snellen", "train", record["data"], "--format", record["format"], "--model", record["model"],
        "--image-size", record["image_size"], "--batch-size", record["batch_size"],
        "--epochs", settings["epochs"], "--lr", settings["lr"], "--optimizer", settings["optimizer"],
        "--schedule", settings["schedule"], "--weight-decay", settings["weight_decay"],
        "--warmup-steps", settings["warmup_steps"], "--clip-norm", settings["clip_norm"] or 0,
        "--ema", settings["ema_decay"] or 0, "--precision", settings["precision"], "--augment", record["augment"],
        "--flip" if record["flip"] else "--no-flip", "--accumulate", settings["accumulate"],
        "--validate-every", settings["validate_every"], "--seed", settings["seed"],
    ]  # fmt: skip
    for name in (*SHARES, "noise"):
        if record.get(name):
            words += [f"--{name.replace('_', '-')}", record[name]]
    words += [word for name in _LISTS if record.get(name) for word in (f"--{name}", ",".join(map(str, record[name])))]
    part = recorded_part(record)
    if part is not None and part.kind == "balanced":
        words += ["--subset", f"{part.number}/{part.of}"]
    if record["reasons"].get("headline") == "given":
        words += ["--headline", record["headline"]]
    if record.get("sampler", "shuffled") != "shuffled":
        words += ["--sampler", record["sampler"]]
    words += [*_loop_words(settings), *_tuning_words(record)]
    words += [*_model_words(record), *_reading_words(record["read"])]
    if settings["patience"] is not None:
        words += ["--patience", settings["patience"]]
    for milestone in settings["milestones"]:
        words += ["--milestone", milestone]
    versions = {name: record["environment"][name].split("+")[0] for name in ("snellen", "torch", "torchvision")}
    install = shlex.join(["pip", "install", *(f"{name}=={version}" for name, version in versions.items())])
    return install, shlex.join(map(str, words)), shlex.join(["snellen", "eval", str(run.folder)])


def _ensemble_commands(run: Run) -> tuple[str, ...]:
    facts = json.loads((run.folder / ENSEMBLE_FILE).read_text(encoding="utf-8"))
    members = list(dict.fromkeys(member["run"] for member in facts["members"]))
    words = ["snellen", "ensemble", *members, "--how", facts["how"]]
    if any(member["weights"].startswith("snapshot-") for member in facts["members"]):
        words += ["--last", len(facts["members"]) // len(members)]
    if facts["how"] == "mean":
        words += ["--weights", ",".join(f"{share:g}" for share in facts["shares"])]
    return shlex.join(map(str, words)), shlex.join(["snellen", "eval", str(run.folder)])


def _loop_words(settings: Mapping[str, Any]) -> list[str]:
    """Return the settings of the loop that are not what they are by themselves."""
    usual = {entry.name: entry.default for entry in fields(TrainSettings)}
    words = []
    for name in _TOLD_IF_UNUSUAL:
        value = settings.get(name, usual[name])
        if value != usual[name]:
            flag = f"--{name.replace('_', '-')}"
            words += [flag] if value is True else [flag, value]
    return words


_TOLD_IF_UNUSUAL = (
    "clip_value", "momentum", "nesterov", "l1", "switch_epoch", "switch_lr", "power", "cycles", "plateau_patience",
    "swa_epochs",
)  # fmt: skip


def _tuning_words(record: Mapping[str, Any]) -> list[str]:
    if record.get("finetune") is None or record["weights"] is None:
        return []
    words = ["--finetune", record["finetune"], "--layer-decay", record["layer_decay"]]
    is_told = record["finetune"] == "head" or record["finetune"].startswith("last:")  # the name says what is frozen
    return words if record["freeze"] is None or is_told else [*words, "--freeze", record["freeze"]]


_RESHAPED = {"norm_name": "norm", "activation_name": "activation"}  # entries of a record, and their options


def _model_words(record: Mapping[str, Any]) -> list[str]:
    options = record["model_options"]
    words = ["--weights", record["weights"]] if record["weights"] else []
    for name in ("mean", "std"):
        if name in options:
            words += [f"--{name}", ",".join(map(str, options[name]))]
    if "padding" in options:
        words += ["--padding", options["padding"]]
    if record["proposals"] is not None:
        words += ["--proposals", record["proposals"]]
    if recorded_entry(record).multi_scale is not None:
        words += ["--no-multi-scale" if record["multi_scale"] is None else "--multi-scale"]
    others = {**options, **options.get("settings_by_path", {})}
    derived = [name for name in DERIVED_OPTIONS if name in record["reasons"]]
    for name, value in others.items():
        if name in _RESHAPED:
            words += [f"--{_RESHAPED[name]}", value]
        elif name not in ("mean", "std", "padding", "image_size", "frozen_norm", "settings_by_path", *derived):
            words += ["--set", f"{name}={json.dumps(value)}"]
    if record.get("init") is not None:
        words += ["--init", record["init"]]
    return words


def _reading_words(read: Mapping[str, Any]) -> list[str]:
    words = ["--classes", ",".join(read["classes"])] if read["classes"] else []
    if read["images"] is not None:
        words += ["--images", read["images"]]
    if read["ignore_index"] is not None:
        words += ["--ignore-index", str(read["ignore_index"])]
    if read.get("columns") is not None:
        words += ["--columns", ",".join(read["columns"])]
    for name in ("task", "separator"):
        if read.get(name) is not None:
            words += [f"--{name}", read[name]]
    return words
