"""What a treatment must know of the run that it is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from snellen.data import DatasetIndex
from snellen.models import BENDING, ModelEntry, builder_options, builder_words, settings_of
from snellen.recipes.options import TrainOptions
from snellen.recipes.runs import ENSEMBLE, Run, recorded_entry
from snellen.structures import Staged, Target

__all__ = ["Situation", "situation_of"]


_BENDING = (*BENDING, nn.Sigmoid, nn.Hardsigmoid, nn.Hardtanh, nn.Softsign)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The configuration of a run, with what was chosen where nothing was given.

    Attributes:
        record: Of the run.
        given: Options as the user gave them.
        entry: Row of the model.
        known: Options of the model's builder, with their values in the run.
        words: Words that options of the builder take.
        inside: Settings inside the model by dotted path.
        descends: Whether any of it is trained by gradients.
        train_images: Names of the training images.
        activations: Names of the layers that bend, such as ``ReLU``.
    """

    record: Mapping[str, Any]
    given: TrainOptions
    entry: ModelEntry
    known: Mapping[str, Any]
    words: Mapping[str, tuple[str, ...]]
    inside: Mapping[str, Any]
    descends: bool
    train_images: frozenset[str]
    activations: frozenset[str]

    @property
    def target_type(self) -> type[Target]:
        """What is learned from."""
        return self.entry.target_type

    @property
    def settings(self) -> Mapping[str, Any]:
        """Of the training loop."""
        settings: Mapping[str, Any] = self.record["settings"]
        return settings

    @property
    def rate(self) -> float:
        """Peak learning rate."""
        return float(self.settings["lr"])

    @property
    def has_weights(self) -> bool:
        """Whether it begins from given weights."""
        return self.record["weights"] is not None

    def can_be(self, option: str, word: str) -> bool:
        """Return whether an option of the builder takes a word, and has another one now."""
        return word in self.words.get(option, ()) and self.known.get(option) != word


def situation_of(run: Run, given: TrainOptions, index: DatasetIndex) -> Situation:
    """Return the configuration of a run.

    Args:
        run: Trained, or at least planned.
        given: Its options.
        index: Its data set, with its splits.
    """
    entry = recorded_entry(run.record)
    model = run.build()
    module: nn.Module = model  # type: ignore[assignment]  # every model is a module
    builder = {} if run.record["model"] == ENSEMBLE else builder_options(entry)
    own = {name: value for name, value in run.record["model_options"].items() if name in builder}
    return Situation(
        record=run.record,
        given=given,
        entry=entry,
        known={**builder, **own},
        words={} if run.record["model"] == ENSEMBLE else builder_words(entry),
        inside=settings_of(module),
        descends=not isinstance(model, Staged) or any(stage.kind == "gradient" for stage in model.stages),
        train_images=frozenset(index.paths[row] for row in index.split_rows("train").tolist()),
        activations=frozenset(type(layer).__name__ for layer in module.modules() if isinstance(layer, _BENDING)),
    )
