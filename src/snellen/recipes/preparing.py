"""Everything that is decided before the first step of a training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snellen.data import BoxTable, DatasetIndex, Repairs, repaired
from snellen.doctor.evidence.transfer import Transfer
from snellen.errors import CheckpointError, ConfigError, did_you_mean
from snellen.models import (
    ModelEntry,
    WeightsReport,
    builder_options,
    builder_words,
    draw_weights,
    load_weights,
    weights_settings,
)
from snellen.recipes.anchoring import anchors_for
from snellen.recipes.augmenting import SHARES, check_augmentation, check_cuts
from snellen.recipes.datasets import data_place, load, prepared
from snellen.recipes.finetuning import fine_tuning, measured_transfer, scratch_options
from snellen.recipes.judging import chosen_headline
from snellen.recipes.options import TrainOptions
from snellen.recipes.options_file import encoded
from snellen.recipes.parts import part_of
from snellen.recipes.planning import Plan, make_plan
from snellen.recipes.runs import RECORD, build_model, environment
from snellen.recipes.sampling import shown_words, training_sampler
from snellen.recipes.target_statistics import target_options
from snellen.structures import Model, Staged

__all__ = ["Preparation", "check_builder_options", "initial_model", "prepare_training"]

_OWN_OPTIONS = ("norm", "mean", "std", "padding", "image_size")  # of builders; the run has other ways to set them
# Settings that only a stage of the training loop reads.
_OF_DESCENT = (
    "epochs", "optimizer", "channels_last", "lr", "weight_decay", "warmup_steps", "schedule", "clip_norm", "clip_value",
    "ema", "validate_every", "augment", "flip", "sampler", "multi_scale",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """A training before its first step.

    Attributes:
        source: The data set as it was read.
        index: The data set, checked, with its splits.
        plan: Every setting, with its reason.
        record: The same, as a run writes it down.
        model: With its first weights, on the processor.
        weights: What became of the weights that were given; None without any.
        transfer: How well the features of those weights fit the data; None where it was not measured.
    """

    source: DatasetIndex
    index: DatasetIndex
    plan: Plan
    record: dict[str, Any]
    model: Model
    weights: WeightsReport | None
    transfer: Transfer | None = None


def prepare_training(data: DatasetIndex | Path | str, options: TrainOptions) -> Preparation:
    """Return everything that is decided before the first step; nothing is written.

    Raises:
        ConfigError: If an option is out of range, or model and data do not fit.
        DatasetError: If the data cannot be read.
        CheckpointError: If the weights do not fit, or there is a run in the folder.
    """
    given, options = options, scratch_options(options)
    source = load(data, format=options.format, options=options.read) if isinstance(data, (str, Path)) else data
    split_seed = options.seed if options.split_seed is None else options.split_seed
    index = part_of(repaired(prepared(source, split_seed), options.repairs or Repairs()), options.part)
    check_augmentation(options, index.target_type)
    num_train = len(training_sampler(index.split("train"), options.sampler or "shuffled"))
    plan = make_plan(index.describe(), index.target_type, num_train, options)
    check_cuts(options, plan.augment)
    _check_free(options.folder)
    place = index.root if isinstance(data, DatasetIndex) else data_place(data)
    _check_outlines(index, plan.model)
    _check_new_weights(options)
    builder, reasons = _model_options(plan, options, index)
    judged = chosen_headline(index.split("train"), options.headline)
    reasons |= {**_data_reasons(index, plan, options), **judged.reasons}
    record = _record(place, index, replace(plan, reasons={**plan.reasons, **reasons}), options, builder)
    record["headline"] = judged.name
    record["options"] = encoded(replace(given, folder=None))
    model, report = initial_model(record)
    plan, transfer = _tuned(index, plan, options, record, model)
    record["reasons"] = _without_descent(record["reasons"], model)
    return Preparation(
        source=source, index=index, plan=plan, record=record, model=model, weights=report, transfer=transfer
    )


def _tuned(
    index: DatasetIndex, plan: Plan, options: TrainOptions, record: dict[str, Any], model: Model
) -> tuple[Plan, Transfer | None]:
    """Return the plan with what fine-tuning makes of it, written into the record, and what was measured for it."""
    if options.finetune == "scratch":
        record["finetune"], record["reasons"]["finetune"] = "scratch", "given; the weights are left aside"
    if options.weights is None or not _descends(model):
        _check_no_depth(options, model)
        return plan, None
    module: nn.Module = model  # type: ignore[assignment]  # every model is a module
    transfer, why_not = measured_transfer(index, module, plan.model.name, plan.image_size, options)
    tuning = fine_tuning(
        module,
        options,
        transfer,
        target_type=index.target_type,
        epochs=plan.settings.epochs,
        batch_size=plan.batch_size,
        why_not=why_not,
    )
    settings = replace(plan.settings, depth=tuning.depth)
    reasons = {**record["reasons"], **tuning.reasons}
    if options.lr is None and tuning.gain != 1:
        settings = replace(settings, lr=settings.lr * tuning.gain)
        reasons["lr"] += f"; times {tuning.gain:g}, for only the head learns at the whole rate"
    record |= {**tuning.record(), "settings": asdict(settings), "reasons": reasons}
    return replace(plan, settings=settings, reasons={**plan.reasons, **tuning.reasons}), transfer


def _descends(model: Model) -> bool:
    return not isinstance(model, Staged) or any(stage.kind == "gradient" for stage in model.stages)


def _check_no_depth(options: TrainOptions, model: Model) -> None:
    given = [name for name in ("finetune", "layer_decay", "freeze") if getattr(options, name) not in (None, "auto")]
    if given and not _descends(model):
        raise ConfigError(f"{given[0]} is for models that are trained by gradients; {type(model).__name__} is fitted.")
    if given and options.finetune != "scratch":
        raise ConfigError(
            f"{given[0]} is for models that start from weights; none were given. Add weights=FILE (--weights), or "
            "leave it out."
        )


_PART_WORDS: Mapping[str, str] = {
    "balanced": "as many of each class as the smallest has",
    "bootstrap": "drawn with replacement; the others validate",
}


def _data_reasons(index: DatasetIndex, plan: Plan, options: TrainOptions) -> dict[str, str]:
    """Return what choices that were given do to the training images."""
    reasons = {}
    train = index.split("train")
    if options.enhance is not None:
        reasons["enhance"] = "given; done to every image, in training and in use"
    if plan.sampler != "shuffled":
        reasons["sampler"] = f"given; {shown_words(train, plan.sampler, seed=plan.settings.seed)}"
    told = None if options.part is None else _PART_WORDS.get(options.part.kind)
    if told is not None:
        reasons["part"] = f"given; {len(train):,} images, {told}"
    return reasons


def _check_outlines(index: DatasetIndex, entry: ModelEntry) -> None:
    table = index.annotations
    if entry.masks and isinstance(table, BoxTable) and table.segments is None:
        raise ConfigError(
            f"the model {entry.name!r} learns from the outlines of objects; {index.root} has boxes alone. Use data "
            "with polygons or masks (COCO, YOLO), or a model that learns from boxes."
        )


def _check_new_weights(options: TrainOptions) -> None:
    given = [name for name in ("norm", "init") if getattr(options, name) is not None]
    if options.activation == "maxout":
        given.append("activation='maxout'")
    if given and options.weights is not None:
        raise ConfigError(
            f"{given[0]} is for networks that begin with random weights; got weights={str(options.weights)!r} too. "
            "Leave one of them out."
        )


def _check_free(folder: Path | None) -> None:
    if folder is None:
        return
    if (folder / RECORD).exists():
        raise CheckpointError(f"{folder}: expected a new folder; a run is there. Resume it, or choose another folder.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder for the run; this is a file. Choose another folder.")


def initial_model(record: Mapping[str, Any]) -> tuple[Model, WeightsReport | None]:
    """Return the model before its first step, a function of the record alone, and what became of given weights."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(record["settings"]["seed"])
        model = build_model(record)
        if record.get("init") is not None:
            draw_weights(model, record["init"])  # type: ignore[arg-type]  # every model is a module
    if record["weights"] is None:
        return model, None
    return model, load_weights(model, record["weights"])  # type: ignore[arg-type]  # every model is a module


def _model_options(plan: Plan, options: TrainOptions, index: DatasetIndex) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options of the builder (the user's, those of the file of weights, those of the data), and reasons."""
    told = {} if options.weights is None else weights_settings(options.weights)
    given = {"mean": options.mean, "std": options.std, "padding": options.padding}
    chosen = {**told, **{name: value for name, value in given.items() if value is not None}}
    reasons: dict[str, str] = {}
    if plan.model.sized:
        chosen["image_size"] = plan.image_size
    if plan.model.num_anchors and "anchors" in options.model_options:
        reasons["anchors"] = "given"
    elif plan.model.num_anchors:
        chosen["anchors"], reasons["anchors"] = anchors_for(index, plan)
    paths = {name: value for name, value in options.model_options.items() if "." in name}
    chosen |= {name: value for name, value in options.model_options.items() if name not in paths}
    found = target_options(index.split("train"), options.model_options, sampler=plan.sampler, seed=plan.settings.seed)
    derived, why = _taken(plan.model, *found)
    chosen |= derived
    reasons |= why
    if paths:
        chosen["settings_by_path"] = paths
    check_builder_options(plan.model, options.model_options)
    if plan.frozen_norm:
        chosen["frozen_norm"] = True
    if options.norm is not None:
        chosen["norm_name"] = options.norm
    if options.activation is not None:
        chosen["activation_name"] = options.activation
    return chosen, reasons


def _taken(
    entry: ModelEntry, options: Mapping[str, Any], reasons: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return those options that the builder of a model takes, and their reasons."""
    known = builder_options(entry)
    return (
        {name: value for name, value in options.items() if name in known},
        {name: reason for name, reason in reasons.items() if name in known},
    )


def _without_descent(reasons: Mapping[str, str], model: Model) -> dict[str, str]:
    """Return the reasons without those of settings that nothing reads where no stage descends, unless given."""
    if _descends(model):
        return dict(reasons)
    return {name: reason for name, reason in reasons.items() if name not in _OF_DESCENT or reason == "given"}


def check_builder_options(entry: ModelEntry, given: Mapping[str, Any]) -> None:
    """Check the keywords for a model's builder; settings by dotted path are left to the model.

    Args:
        entry: Row of the catalogue.
        given: By name.

    Raises:
        ConfigError: If the model has no such option, or the value is of another kind.
    """
    known = {name: value for name, value in builder_options(entry).items() if name not in _OWN_OPTIONS}
    for name, value in given.items():
        if "." in name:
            continue  # a setting inside the model, which checks it when it is built
        if name not in known:
            raise ConfigError(f"the model {entry.name!r} has no option {name!r}.{did_you_mean(name, sorted(known))}")
        words = builder_words(entry).get(name, (value,))
        if value not in words:
            raise ConfigError(
                f"the option {name!r} of {entry.name!r} must be one of {', '.join(map(repr, words))}; got {value!r}."
            )
        usual = known[name]
        kinds: Any = (int, float) if isinstance(usual, float) else type(usual)
        is_number = isinstance(usual, int | float) and not isinstance(usual, bool)
        kinds = (list, tuple) if isinstance(usual, tuple) else kinds
        if isinstance(usual, bool | int | float | str | tuple) and (
            not isinstance(value, kinds) or (is_number and isinstance(value, bool))
        ):
            raise ConfigError(
                f"the option {name!r} of {entry.name!r} must be like its default {usual!r}; got {value!r}."
            )


def _record(
    data: Path, index: DatasetIndex, plan: Plan, options: TrainOptions, model_options: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "model": plan.model.name,
        "target": plan.model.target_type.__name__,
        "model_options": dict(model_options),
        "classes": list(index.classes),
        "data": str(data.resolve()),  # a run can be used from any folder
        "format": index.format,
        "read": {
            "images": None if options.read.images is None else str(options.read.images.resolve()),
            "classes": None if options.read.classes is None else list(options.read.classes),
            "ignore_index": options.read.ignore_index,
            "task": options.read.task,
            "columns": None if options.read.columns is None else list(options.read.columns),
            "separator": options.read.separator,
        },
        "fingerprint": index.fingerprint(),
        "weights": None if options.weights is None else str(options.weights.resolve()),
        "image_size": plan.image_size,
        "batch_size": plan.batch_size,
        "augment": plan.augment,
        "flip": plan.flip,
        "resize": plan.model.resize,
        "masks": plan.model.masks,
        "proposals": plan.proposals,
        "augmentation": plan.model.augmentation,
        "multi_scale": list(plan.model.multi_scale) if plan.multi_scale and plan.model.multi_scale else None,
        **{name: getattr(options, name) for name in SHARES},
        "noise": options.noise,
        "crop": options.crop,
        "randaugment": None if options.randaugment is None else list(options.randaugment),
        "enhance": None if options.enhance is None else list(options.enhance),
        "sampler": plan.sampler,
        "init": options.init,
        "split_seed": options.seed if options.split_seed is None else options.split_seed,
        "part": None if options.part is None else asdict(options.part),
        "repairs": None if options.repairs is None else options.repairs.record(),
        "workers": plan.workers,
        "device": plan.device,
        "tensorboard": options.tensorboard,
        "settings": asdict(plan.settings),
        "reasons": dict(plan.reasons),
        "environment": environment(),
    }
