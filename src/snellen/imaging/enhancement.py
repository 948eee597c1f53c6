"""Operations one after the other, as users spell them: ``clahe:clip_limit=3,grey_world``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from snellen.errors import ConfigError, InputError, ShapeError, did_you_mean
from snellen.imaging.operations import OPERATIONS
from snellen.imaging.pixels import Images, checked

__all__ = ["Enhancement", "Step", "array_of", "enhanced", "tensor_of"]

_TRIED_PX = 8  # side of the image on which options are tried when they are read
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

Picture = TypeVar("Picture", Tensor, NDArray[Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation with its options.

    Attributes:
        name: Of the operation.
        options: Those that were given.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as it is typed."""
        return ":".join([self.name, *(f"{name}={_typed(value)}" for name, value in self.options.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Enhancement:
    """Operations that are applied in their order.

    Attributes:
        steps: At least one.
    """

    steps: tuple[Step, ...]

    @classmethod
    def read(cls, operations: "str | Sequence[str] | Enhancement") -> "Enhancement":
        """Return what a text names, or several texts, one for each operation.

        Args:
            operations: Such as ``clahe:clip_limit=3,grey_world``: names with commas between, each with its options
                behind colons; or a list of such.

        Raises:
            ConfigError: If a name or an option is unknown, or a value out of range.
        """
        if isinstance(operations, Enhancement):
            return operations
        texts = [operations] if isinstance(operations, str) else list(operations)
        if not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"operations must be texts such as 'clahe:clip_limit=3'; got {operations!r}.")
        words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
        if not words:
            raise ConfigError("expected at least one operation, such as clahe; see `snellen enhance --list`.")
        return cls(steps=tuple(map(_step, words)))

    def __call__(self, images: Images) -> Images:
        """Return the images after all operations.

        Raises:
            ShapeError: If they are not images.
            InputError: If they are neither uint8 nor floating.
        """
        changed = checked(images)
        for step in self.steps:
            changed = OPERATIONS[step.name].apply(changed, **step.options)
        return changed

    @property
    def moving(self) -> tuple[str, ...]:
        """Names of the operations after which boxes and masks would not be right."""
        return tuple(step.name for step in self.steps if not OPERATIONS[step.name].keeps_places)

    def texts(self) -> list[str]:
        """Return each operation as it is typed."""
        return [str(step) for step in self.steps]

    def __str__(self) -> str:
        """Return all as they are typed."""
        return ",".join(self.texts())


def enhanced(image: Picture, operations: str | Sequence[str] | Enhancement) -> Picture:
    """Return images after operations, of the kind that came in.

    Args:
        image: A tensor ``[*batch, 1 or 3, height, width]``, or an array ``[height, width]`` or
            ``[height, width, 1 or 3]`` (RGB); uint8, or floating in 0..255.
        operations: As of ``Enhancement.read``.

    Raises:
        ConfigError: If a name or an option is unknown, or a value out of range.
        ShapeError: If it is no image.
        InputError: If it is neither uint8 nor floating.
    """
    steps = Enhancement.read(operations)
    if isinstance(image, Tensor):
        return steps(image)
    array = array_of(steps(tensor_of(image)))
    return array[..., 0] if image.ndim == 2 else array


def tensor_of(array: NDArray[Any]) -> Images:
    """Return an array ``[height, width]`` or ``[height, width, channels]`` as a tensor ``[channels, height, width]``.

    Raises:
        ShapeError: If it is neither.
        InputError: If it is neither uint8 nor floating.
    """
    if array.ndim not in (2, 3):
        raise ShapeError(
            f"an image as an array must be [height, width] or [height, width, channels]; got {array.shape}."
        )
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"images must be uint8, or floating in 0..255; got {array.dtype}. Divide 16-bit values by 257 first."
        )
    whole = array[..., None] if array.ndim == 2 else array
    return torch.from_numpy(np.array(whole)).permute(2, 0, 1).contiguous()  # [h, w, c] -> [c, h, w]


def array_of(image: UInt8[Tensor, "channels height width"] | Images) -> NDArray[Any]:
    """Return an image ``[channels, height, width]`` as an array ``[height, width, channels]``."""
    return image.permute(1, 2, 0).contiguous().cpu().numpy()  # [c, h, w] -> [h, w, c]


def _step(word: str) -> Step:
    name, *rest = (part.strip() for part in word.split(":"))
    if name not in OPERATIONS:
        raise ConfigError(
            f"there is no operation {name!r}.{did_you_mean(name, OPERATIONS)} See `snellen enhance --list`."
        )
    step = Step(name=name, options=dict(_options(name, rest)))
    try:
        OPERATIONS[name].apply(torch.zeros(1, 3, _TRIED_PX, _TRIED_PX), **step.options)
    except TypeError as error:
        raise ConfigError(f"{word!r}: {error}.") from error
    except ConfigError as error:
        raise ConfigError(f"{word!r}: {error}") from error
    return step


def _options(name: str, texts: Sequence[str]) -> Iterator[tuple[str, Any]]:
    known = OPERATIONS[name].options
    for text in texts:
        option, sign, value = (part.strip() for part in text.partition("="))
        if not sign:
            raise ConfigError(f"options of {name!r} must be NAME=VALUE with colons between; got {text!r}.")
        if option not in known:
            raise ConfigError(f"{name!r} has no option {option!r}.{did_you_mean(option, known)}")
        yield option, _value(f"{name}:{option}", value, known[option])


def _value(place: str, text: str, usual: Any) -> Any:
    """Return a value of the kind of the usual one; where that is None, a number."""
    if isinstance(usual, str):
        return text
    if isinstance(usual, bool):
        if text.lower() not in _TRUTHS:
            raise ConfigError(f"{place} must be true or false; got {text!r}.")
        return _TRUTHS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        raise ConfigError(f"{place} must be a number; got {text!r}.") from None
    if isinstance(usual, float):
        return number
    if not number.is_integer():
        if usual is None:
            return number
        raise ConfigError(f"{place} must be a whole number; got {text!r}.")
    return int(number)


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
