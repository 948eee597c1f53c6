"""The protocols by which packages know each other without importing each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Int64
from torch import Tensor, nn

from snellen.structures.batch import Sample
from snellen.structures.images import ImageBatch
from snellen.structures.predictions import Prediction
from snellen.structures.results import Results
from snellen.structures.targets import Target

__all__ = ["Dataset", "Metric", "Model"]


@runtime_checkable
class Model(Protocol):
    """A network with three verbs. It is also an ``nn.Module``."""

    @property
    def stride(self) -> int:
        """Height and width of a canvas must be a multiple of this."""

    @property
    def target_type(self) -> type[Target]:
        """What it learns from."""

    def __call__(self, images: ImageBatch, targets: Target | None = None) -> Any:
        """Return one type of output, in training and in evaluation.

        ``targets`` are only for systems whose paper samples by them (two-stage detectors).
        """

    def loss(self, output: Any, targets: Any) -> Mapping[str, Tensor]:
        """Return named scalars, already weighted; their sum is what is minimised."""

    def decode(self, output: Any, sizes: Int64[Tensor, "batch 2"]) -> Sequence[Prediction]:
        """Return one prediction per image in the pixels of the original ``sizes`` (height, width)."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:  # noqa: FBT001, FBT002
        """Return the parameters, as ``nn.Module`` does."""


@runtime_checkable
class Dataset(Protocol):
    """Samples that can be picked by row, in any order, from any process."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""

    @property
    def target_type(self) -> type[Target]:
        """What kind of target its samples carry."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: int) -> Sample:
        """Return one sample; raise ``DatasetError`` if its file cannot be read."""

    def truth(self, index: int) -> Target:
        """Return the target in the pixels of the original file, without any transform (for metrics, drawing)."""


@runtime_checkable
class Metric(Protocol):
    """Sums over images, then one result. ``merge`` adds the sums of another shard."""

    def update(self, predictions: Sequence[Prediction], targets: Sequence[Target], indices: Sequence[int]) -> None:
        """Add the images of one batch; boxes and masks in original pixels."""

    def merge(self, other: Any) -> None:
        """Add what another accumulator of the same type has seen."""

    def result(self) -> Results:
        """Return what was measured so far."""
