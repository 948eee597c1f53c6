"""The verb models: what can be trained."""

import inspect

from torch import nn

from snellen.models import (
    MODELS,
    ModelDescription,
    ModelEntry,
    builder_options,
    describe_model,
    find_model,
    measured,
    page,
    page_names,
    settings_of,
)

__all__ = ["describe", "description_lines", "models", "option_lines", "system_page"]

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


def describe(name: str, *, num_classes: int = 10, size: int | None = None) -> ModelDescription:
    """Return parameters, operations and receptive fields of a model.

    Args:
        name: From the catalogue.
        num_classes: Decides the size of the head.
        size: Side of the input in pixels; the usual one of the model if None.

    Raises:
        ConfigError: If there is no such model.
    """
    entry = find_model(name)
    return describe_model(entry, num_classes=num_classes, size=entry.default_size if size is None else (size, size))


def description_lines(described: ModelDescription) -> str:
    """Return a description of a model as plain text."""
    height, width = described.size
    lines = [
        f"{described.name}: {described.num_parameters / 1e6:.2f} M parameters "
        f"({described.num_trainable / 1e6:.2f} M of them trained)",
        f"{described.multiply_adds / 1e9:.2f} G multiply-adds for one image of {height} x {width}"
        + (f" with {described.regions} regions" if described.regions else ""),
    ]
    lines += [
        f"  {feature.name}: {feature.channels} channels, stride {feature.stride}, "
        f"receptive field {feature.receptive_field_px} px"
        for feature in described.features
    ]
    return "\n".join(lines)


def option_lines(name: str) -> str:
    """Return what ``--set NAME=VALUE`` takes for a model: keywords of its builder, and settings inside it."""
    entry = find_model(name)
    options = {key: value for key, value in builder_options(entry).items() if key not in _SET_ELSEWHERE}
    built: nn.Module = entry.build(2)  # type: ignore[assignment]  # every model is a module
    options |= settings_of(built)
    if not options:
        return ""
    lines = [f"  {key}={'…' if value is inspect.Parameter.empty else value}" for key, value in options.items()]
    return "\n".join(["options (--set NAME=VALUE):", *lines])


def system_page(name: str) -> str | None:
    """Return the page about a system, by its own name or by that of one of its models; None if there is none.

    What was measured, and the models of the system, stand at the end.
    """
    known = {entry.name: entry.page for entry in MODELS}
    title = name if name in page_names() else known.get(name, "")
    if not title:
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
