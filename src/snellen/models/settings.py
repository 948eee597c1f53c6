"""The settings inside a built model, by dotted path: to list them and to change them."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import nn

from snellen.errors import ConfigError, did_you_mean
from snellen.models.field_checks import allowed_words, field_kinds
from snellen.structures import FeatureSpec, TensorRecord

__all__ = ["change_settings", "settings_of"]


def settings_of(model: nn.Module) -> dict[str, Any]:
    """Return every setting that a model reads while it runs, such as ``settings.selection.nms_iou``.

    Settings are the fields of frozen records that modules hold; what shaped the network when it was built is not among
    them. Where a record holds such fields too, its module names them in ``shaped_by``: path from the module, and the
    keyword of the builder.
    """
    shaping = _shaping(model)
    return {path: value for path, value in _all_fields(model).items() if path not in shaping}


def change_settings(model: nn.Module, changes: Mapping[str, Any]) -> None:
    """Change settings of a model in place.

    Args:
        model: Built.
        changes: Values by path, see ``settings_of``.

    Raises:
        ConfigError: If there is no such setting, it shaped the network when that was built, or the value is of another
            kind than the one it replaces.
    """
    known, shaping = settings_of(model), _shaping(model)
    for path, value in changes.items():
        if path in shaping:
            keyword = shaping[path]
            option = "--image-size" if keyword == "image_size" else f"--set {keyword}=…"
            raise ConfigError(
                f"the setting {path!r} shapes the network and cannot be changed once that is built; got {value!r}. "
                f"Give {keyword!r} to the builder of the model instead (in a run: {option})."
            )
        if path not in known:
            raise ConfigError(f"the model has no setting {path!r}.{did_you_mean(path, known)}")
        _check_kind(path, known[path], value)
        _change(model, path.split("."), value)


def _shaping(model: nn.Module) -> dict[str, str]:
    """Return the paths of the fields that shaped the network, with the builder's keyword for each."""
    return {
        f"{name}.{path}" if name else path: keyword
        for name, module in model.named_modules()
        for path, keyword in getattr(type(module), "shaped_by", {}).items()
    }


def _all_fields(model: nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if _is_settings(value):
                found.update(_entries(f"{name}.{attribute}" if name else attribute, value))
    return found


def _is_settings(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type | TensorRecord | FeatureSpec)


def _entries(path: str, record: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(record):
        value = getattr(record, field.name)
        if _is_settings(value):
            yield from _entries(f"{path}.{field.name}", value)
        else:
            yield f"{path}.{field.name}", value


def _check_kind(path: str, usual: Any, value: Any) -> None:
    is_number = isinstance(usual, int | float) and not isinstance(usual, bool)
    if is_number and isinstance(value, int | float) and not isinstance(value, bool):
        return
    if usual is None or value is None or type(value) is type(usual) or isinstance(usual, list | tuple):
        return
    raise ConfigError(f"the setting {path!r} must be like its value {usual!r}; got {value!r}.")


def _check_allowed(record: Any, name: str, value: Any) -> None:
    """Raise ConfigError if a field takes some words only and this is none of them, or whole numbers only."""
    words = allowed_words(type(record), name)
    if isinstance(value, str) and words and value not in words:
        raise ConfigError(f"{name} must be one of {', '.join(map(repr, words))}; got {value!r}.")
    kinds = field_kinds(type(record), name)
    if isinstance(value, float) and int in kinds and float not in kinds:
        raise ConfigError(f"{name} must be a whole number; got {value!r}.")


def _change(owner: Any, path: list[str], value: Any) -> Any:
    """Return ``owner`` with the value at the end of ``path`` changed; modules in place, records as new ones."""
    first, *rest = path
    new = _change(getattr(owner, first), rest, value) if rest else value
    if _is_settings(owner):
        if not rest:
            _check_allowed(owner, first, value)
        return replace(owner, **{first: new})
    setattr(owner, first, new)
    return owner
