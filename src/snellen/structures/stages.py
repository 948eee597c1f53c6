"""Trainings of several stages: what follows what, and what a stage that is no descent gets to see."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Integer
from numpy import ndarray

from snellen.structures.batch import Batch

__all__ = ["Fact", "FitData", "Stage", "Staged"]

Fact = float | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a training of several.

    Attributes:
        name: As it is printed, and as the model is told.
        kind: ``"gradient"`` runs the training loop; ``"fit"`` lets the model solve for something itself.
        share: Of the epochs of the run; gradient stages only.
        prepares: Whether a fitting stage only gets something ready for the next; measuring after it would say nothing.
    """

    name: str
    kind: Literal["gradient", "fit"]
    share: float = 1.0
    prepares: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FitData:
    """What a fitting stage works with.

    Attributes:
        batches: Makes one pass over the training images: not augmented, resized as in evaluation, on the CPU.
        num_images: Of one pass.
        folder: For caches; survives a kill.
        device: Where the model is.
        seed: Of everything random.
        progress: Is told what is being done, how much is done, and how much there is.
        groups: By row of the training images; those with equal numbers must not be torn apart when some are set aside.
            None where no groups are known.
    """

    batches: Callable[[], Iterator[Batch]]
    num_images: int
    folder: Path
    device: torch.device
    seed: int
    progress: Callable[[str, int, int], None]
    groups: Integer[ndarray, " rows"] | None = None


@runtime_checkable
class Staged(Protocol):
    """A model whose training has several stages; it is also a ``Model``."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, in order."""

    def enter(self, stage: str) -> None:
        """Set which parameters learn and what ``forward`` and ``loss`` compute; also called when a run goes on."""

    def fit_stage(self, stage: str, data: FitData) -> dict[str, Fact]:
        """Run a fitting stage and return what is worth reporting; what was fitted becomes part of the state."""
