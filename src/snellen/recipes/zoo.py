"""The verb models: what can be trained, what stands beneath it, and what it costs and sees."""

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from snellen.data import task_of
from snellen.errors import ConfigError, did_you_mean
from snellen.models import (
    BACKBONES,
    MODELS,
    EffectiveField,
    ModelDescription,
    ModelEntry,
    builder_options,
    change_settings,
    describe_backbone,
    describe_model,
    effective_fields,
    find_model,
    load_weights,
    measured,
    page,
    page_names,
    settings_of,
)
from snellen.models.backbones import Backbone, chosen_backbone
from snellen.recipes.preparing import check_builder_options
from snellen.recipes.shallow_listing import shallow_parts
from snellen.report.field_picture import check_picture_kind, field_sentences, write_field_picture
from snellen.report.network_tables import amount_text, feature_lines

__all__ = [
    "backbone_families",
    "describe",
    "description_lines",
    "draw_fields",
    "family_of",
    "found_models",
    "is_backbone_alone",
    "measured_fields",
    "model_entry",
    "models",
    "option_lines",
    "refuse_options",
    "system_names",
    "system_page",
]

_SET_ELSEWHERE = (
    "norm",
    "mean",
    "std",
    "padding",
    "image_size",
)  # of builders; a run has options for them


def models() -> tuple[ModelEntry, ...]:
    """Return the catalogue: every model that can be trained by name."""
    return MODELS


def found_models(*, task: str | None = None, word: str | None = None) -> tuple[ModelEntry, ...]:
    """Return the models that learn something and have a word in their name, family or summary.

    Shallow models are listed by their parts, see ``shallow_parts``; where one has the word, there may be none here.

    Args:
        task: What is learned, such as ``class`` or ``box``; None for all.
        word: Part of a word, in small or capital letters; None for all.

    Raises:
        ConfigError: If there is no such model.
    """
    wanted = (word or "").lower()
    found = tuple(
        entry
        for entry in MODELS
        if task is None or task in {task_of(kind) for kind in entry.target_types}
        if wanted in f"{entry.name} {family_of(entry)} {entry.summary}".lower()
    )
    if not found and shallow_parts(task=task, word=word) is None:
        of_task = "" if task is None else f" that learns {task!r}"
        raise ConfigError(
            f"there is no model{of_task} with {word!r} in its name or summary. Leave out --search or --task; backbones "
            "are listed by --backbones."
        )
    return found


def family_of(entry: ModelEntry) -> str:
    """Return what a model is a variant of: its system, or the family of the network that it is."""
    usual = builder_options(entry).get("backbone")
    if entry.page or not isinstance(usual, str):
        return entry.page or entry.name.partition("_")[0]
    system = entry.name.removesuffix(f"_{usual}")
    return _backbone_family(usual) if system == entry.name else system


def backbone_families() -> Mapping[str, tuple[str, ...]]:
    """Return the names of the backbones by family."""
    families: dict[str, list[str]] = {}
    for name in BACKBONES:
        families.setdefault(_backbone_family(name), []).append(name)
    return {family: tuple(names) for family, names in families.items()}


def _backbone_family(name: str) -> str:
    build: Any = BACKBONES.get(name)
    while isinstance(build, partial):
        build = build.func
    return name if build is None else str(build.__module__).rpartition(".")[2]


def describe(
    name: str, *, num_classes: int = 10, size: int | None = None, options: Mapping[str, Any] | None = None
) -> ModelDescription:
    """Return parameters, operations, memory and receptive fields of a model or a backbone, layer by layer.

    Args:
        name: Of a model or a backbone; ``timm:NAME`` is a network of timm as a classifier.
        num_classes: Decides the size of the head.
        size: Side of the input in pixels; the usual one if None.
        options: Keywords of the model's builder, such as ``backbone``.

    Raises:
        ConfigError: If there is no model or backbone of that name, or the model has no such option.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    sides = None if size is None else (size, size)
    given = dict(options or {})
    if is_backbone_alone(name):
        refuse_options(name, given)
        return describe_backbone(name, size=sides)
    entry = model_entry(name)
    check_builder_options(entry, given)
    building = {key: value for key, value in given.items() if "." not in key}
    return describe_model(entry, num_classes=num_classes, size=sides, options=building)


def measured_fields(
    name: str,
    *,
    weights: Path | str | None = None,
    size: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[EffectiveField, ...]:
    """Return what the cells of each feature of a network depend on, in theory and measured by gradients.

    Args:
        name: Of a model or a backbone; of a model, its backbone is measured.
        weights: File of weights; random ones show what the architecture makes easy.
        size: Side of the images of noise; None for the widest field and a margin.
        options: Keywords of the model's builder.

    Raises:
        ConfigError: If there is no such model or backbone, or nothing in it gives maps.
        CheckpointError: If the weights cannot be read, or do not fit.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    given = dict(options or {})
    if is_backbone_alone(name):
        refuse_options(name, given)
        network: nn.Module = chosen_backbone(name, usual=name)
    else:
        entry = model_entry(name)
        check_builder_options(entry, given)
        building = {key: value for key, value in given.items() if "." not in key}
        network = entry.build(2, **building)  # type: ignore[assignment]  # every model is a module
        change_settings(network, {key: value for key, value in given.items() if "." in key})
    if weights is not None:
        load_weights(network, weights)
    found = [
        module for module in network.modules() if isinstance(module, Backbone) and module.features[0].stride < _FAR
    ]
    if not found:
        raise ConfigError(
            f"{name} has no maps of features whose receptive fields could be measured. Choose a model on a backbone, "
            "or a backbone itself; timm's networks can be looked at in one: resnet18 with --set backbone=timm:NAME."
        )
    return effective_fields(found[0], side=size)


def draw_fields(
    picture: Path | str,
    name: str,
    *,
    weights: Path | str | None = None,
    size: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Draw the receptive fields of a network and return what they are in words.

    Args:
        picture: ``.png``, ``.svg`` or ``.html``.
        name: See ``measured_fields``.
        weights: See ``measured_fields``.
        size: See ``measured_fields``.
        options: See ``measured_fields``.

    Raises:
        ConfigError: As ``measured_fields``; or if the picture is of another kind.
        CheckpointError: If the weights cannot be read, or do not fit.
        MissingExtraError: If it is one of timm's and timm is not installed.
    """
    check_picture_kind(picture)
    fields = measured_fields(name, weights=weights, size=size, options=options)
    told = "random weights" if weights is None else f"weights of {Path(weights).name}"
    backbone = (options or {}).get("backbone")
    of = name if backbone is None else f"{name} on {backbone}"
    side = len(fields[0].parts)
    file = write_field_picture(picture, fields, title=f"Receptive fields of {of}, {told}, in {side} x {side} px")
    return (*(", ".join(field_sentences(field)) for field in fields), f"drawn in {file}")


_FAR = 2**12  # px; no map has such a stride, only a network that says one thing of the whole image


def is_backbone_alone(name: str) -> bool:
    """Return whether a name is that of a backbone and of no model."""
    return name in BACKBONES and name not in {entry.name for entry in MODELS}


def model_entry(name: str) -> ModelEntry:
    """Return the row of a model; an error names models and backbones that are near."""
    try:
        return find_model(name)
    except ConfigError as error:
        near = did_you_mean(name, {*BACKBONES, *(entry.name for entry in MODELS)})
        if str(error).startswith("there is no model") and "Did you mean" in near:
            raise ConfigError(f"there is no model or backbone {name!r}.{near}") from error
        raise


def refuse_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise ConfigError if a backbone that is looked at by itself is given options."""
    if options:
        raise ConfigError(
            f"{name} is a backbone, which takes no options here; got {', '.join(options)}. Name a model that stands on "
            f"it, such as resnet18 with --set backbone={name}."
        )


def description_lines(described: ModelDescription) -> str:
    """Return a description of a model as plain text."""
    height, width = described.size
    lines = [
        f"{described.name}: {described.num_parameters / 1e6:.2f} M parameters "
        f"({described.num_trainable / 1e6:.2f} M of them trained)",
        f"{described.multiply_adds / 1e9:.2f} G multiply-adds for one image of {height} x {width}"
        + (f" with {described.regions} regions" if described.regions else "")
        + f", {amount_text(described.written_bytes, is_bytes=True)} of activations in float32",
        *feature_lines(described),
    ]
    return "\n".join(lines)


def option_lines(name: str) -> str:
    """Return what ``--set NAME=VALUE`` takes for a model: keywords of its builder, and settings inside it."""
    if is_backbone_alone(name):
        return ""
    entry = find_model(name)
    options = {key: value for key, value in builder_options(entry).items() if key not in _SET_ELSEWHERE}
    built: nn.Module = entry.build(2)  # type: ignore[assignment]  # every model is a module
    options |= settings_of(built)
    if not options:
        return ""
    lines = [f"  {key}={'…' if value is inspect.Parameter.empty else value}" for key, value in options.items()]
    return "\n".join(["options (--set NAME=VALUE):", *lines])


def system_names() -> tuple[str, ...]:
    """Return the names of the systems that have a page and are not the name of a model."""
    names = {entry.name for entry in MODELS}
    return tuple(name for name in page_names() if name not in names)


def system_page(name: str) -> str | None:
    """Return the page about a system, by its own name or by that of one of its models; None if there is none.

    What was measured, and the models of the system, stand at the end.
    """
    known = {entry.name: entry.page for entry in MODELS}
    title = name if name in page_names() else known.get(name, "")
    if title not in page_names():
        return None
    rows = [f"- `{entry.name}`: {entry.summary}" for entry in MODELS if entry.page == title]
    return "\n".join([page(title).rstrip(), "", *_measured_lines(title), "## Models", "", *rows])


def _measured_lines(title: str) -> list[str]:
    """Return a section with the figures of a system's models in the ladder's benchmark; nothing if there are none."""
    found = measured()
    names = [entry.name for entry in MODELS if entry.page == title]
    rows = [
        f"| `{name}` | {data} | {figures['AP50']:.3f} | {figures['AP']:.3f} | {figures['untrained']:.3f} "
        f"| {1000 * figures['total']:.0f} ms |"
        for data, models in found["sets"].items()
        for name, figures in models.items()
        if name in names
    ]
    if not rows:
        return []
    head = ["| model | data | AP50 | AP | AP50 before training | per image |", "|---|---|---|---|---|---|"]
    return ["## Measured here", "", found["how"], "", *head, *rows, ""]
