"""Closed sets of words that options take."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from snellen.errors import ConfigError

__all__ = [
    "Activation",
    "BoxMerge",
    "Ensembling",
    "Init",
    "NormKind",
    "Optimizer",
    "Padding",
    "Precision",
    "SamplerName",
    "Schedule",
    "Which",
    "assignments",
    "colour",
    "comma_list",
    "number_list",
]


class Optimizer(StrEnum):
    """Rules of the steps."""

    sgd = "sgd"
    rmsprop = "rmsprop"
    adam = "adam"
    adamw = "adamw"


class Schedule(StrEnum):
    """Courses of the learning rate."""

    cosine = "cosine"
    multistep = "multistep"
    constant = "constant"
    polynomial = "polynomial"
    onecycle = "onecycle"
    plateau = "plateau"
    snapshot = "snapshot"


class Ensembling(StrEnum):
    """Ways in which runs become one."""

    mean = "mean"
    blend = "blend"
    soup = "soup"
    greedy_soup = "greedy_soup"


class BoxMerge(StrEnum):
    """Ways to merge detections of several models."""

    fusion = "fusion"
    nms = "nms"


class Activation(StrEnum):
    """Activations in the place of a network's own."""

    relu = "relu"
    leaky_relu = "leaky_relu"
    elu = "elu"
    selu = "selu"
    silu = "silu"
    gelu = "gelu"
    tanh = "tanh"
    sigmoid = "sigmoid"
    maxout = "maxout"


class NormKind(StrEnum):
    """Norms in the place of a network's own."""

    batch = "batch"
    group = "group"
    instance = "instance"
    none = "none"


class Init(StrEnum):
    """Ways to draw first weights."""

    kaiming = "kaiming"
    xavier = "xavier"
    orthogonal = "orthogonal"


class Padding(StrEnum):
    """Where convolutions with a stride put their padding."""

    torch = "torch"
    same = "same"


class Precision(StrEnum):
    """Kinds of arithmetic of the forward pass."""

    fp32 = "fp32"
    bf16 = "bf16"


class SamplerName(StrEnum):
    """Ways to choose which images an epoch shows."""

    shuffled = "shuffled"
    repeat_factor = "repeat_factor"
    class_balanced = "class_balanced"
    square_root = "square_root"
    oversampled = "oversampled"
    undersampled = "undersampled"
    in_order = "in_order"


class Which(StrEnum):
    """Weights of a run."""

    best = "best"
    last = "last"


def comma_list(text: str | None) -> tuple[str, ...] | None:
    """Return the words between the commas, or None."""
    return None if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def colour(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Return three numbers from one or three with commas between, or None.

    Raises:
        ConfigError: If they are not one or three numbers.
    """
    if text is None:
        return None
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise ConfigError(
            f"{option} must be one number or three with commas between, such as 0.5,0.5,0.5; got {text!r}."
        )
    return values[0], values[1], values[2]


def number_list(text: str | None, option: str) -> tuple[float, ...] | None:
    """Return the numbers between the commas, or None.

    Raises:
        ConfigError: If one is no number.
    """
    if text is None:
        return None
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} must be numbers with commas between, such as 0.7,0.3; got {text!r}.") from None


def whole_numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Return the whole numbers between the commas, or None.

    Raises:
        ConfigError: If something else stands there.
    """
    if text is None:
        return None
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} must be whole numbers with commas between, such as 2,9; got {text!r}.") from error


def weights_by_class(text: str | None) -> str | list[float] | dict[str, float] | None:
    """Return a word, numbers in label order, or numbers by name, as they were typed; None for nothing.

    Raises:
        ConfigError: If names and numbers are mixed up.
    """
    if text is None or not any(sign in text for sign in ",=0123456789"):
        return text
    words = [word.strip() for word in text.split(",")]
    pairs = [word.rpartition("=") for word in words]
    try:
        if all(sign for _, sign, _ in pairs):
            return {name.strip(): float(number) for name, _, number in pairs}
        return [float(word) for word in words]
    except ValueError as error:
        raise ConfigError(
            "--class-weights must be inverse, inverse_sqrt, effective_number, numbers in label order such as 1,20, or "
            f"numbers by name such as rust=20,scratch=5; got {text!r}."
        ) from error


def assignments(texts: Sequence[str] | None, option: str = "--set") -> dict[str, Any]:
    """Return names and values from ``NAME=VALUE``; values are read as JSON, and as text where they are none.

    Args:
        texts: As they were typed.
        option: With which, for the message.

    Raises:
        ConfigError: If there is no name or no equals sign.
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise ConfigError(f"{option} must be NAME=VALUE, such as gamma=1.5; got {text!r}.")
        try:
            found[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[name.strip()] = value.strip()
    return found
