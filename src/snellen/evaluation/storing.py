"""What a store of predictions is: an image with its prediction, names outside, a line of JSON, a further file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from snellen.errors import InputError
from snellen.metrics import Decision
from snellen.structures import Prediction

__all__ = ["ExtraFile", "ImagePrediction", "Naming", "Store", "prediction_of"]

Kind = TypeVar("Kind", bound=Prediction)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImagePrediction:
    """A prediction and the image it is for.

    Attributes:
        index: Row of the data set.
        source: Path of the image, as the data set or the user gave it.
        size: Height and width of the file.
        prediction: On the CPU, in original pixels.
    """

    index: int
    source: str
    size: tuple[int, int]
    prediction: Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How the outside world calls classes and images.

    Attributes:
        classes: Names in label order.
        category_ids: Ids of the classes in COCO files, in label order; None numbers them from 1.
        image_ids: Id of each row of the data set in COCO files; None takes the row.
        decision: From probabilities to the class or the classes that are named; None takes the most probable, and of
            label sets those from 0.5 on.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...] | None = None
    image_ids: Sequence[int] | None = None
    decision: Decision | None = None

    def category_id(self, label: int) -> int:
        """Id of a label in COCO files."""
        return label + 1 if self.category_ids is None else int(self.category_ids[label])

    def image_id(self, index: int) -> int:
        """Id of a row of the data set in COCO files."""
        return index if self.image_ids is None else int(self.image_ids[index])


@runtime_checkable
class ExtraFile(Protocol):
    """A file for other tools that grows image by image."""

    def write(self, image: ImagePrediction) -> None:
        """Add one image."""

    def close(self) -> None:
        """Finish the file."""


class Store(NamedTuple):
    """How one kind of prediction is written and read."""

    line: Callable[[ImagePrediction, Naming, Path], dict[str, Any]]
    read: Callable[[dict[str, Any], Path], Prediction]
    extra: Callable[[Path, Naming], ExtraFile] | None


def prediction_of(image: ImagePrediction, kind: type[Kind]) -> Kind:
    """Return the prediction of an image.

    Raises:
        InputError: If it is of another type.
    """
    if not isinstance(image.prediction, kind):
        raise InputError(
            f"expected {kind.__name__}; got {type(image.prediction).__name__} for {image.source!r}. "
            "Use one writer for each kind of prediction."
        )
    return image.prediction
