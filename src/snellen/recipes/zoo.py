"""The verb models: what can be trained."""

from snellen.models import MODELS, ModelDescription, ModelEntry, describe_model, find_model

__all__ = ["describe", "description_lines", "models"]


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
        f"{described.multiply_adds / 1e9:.2f} G multiply-adds for one image of {height} x {width}",
    ]
    lines += [
        f"  {feature.name}: {feature.channels} channels, stride {feature.stride}, "
        f"receptive field {feature.receptive_field_px} px"
        for feature in described.features
    ]
    return "\n".join(lines)
