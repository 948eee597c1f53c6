"""A row of the catalogue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, get_origin

from snellen.models.answering import AnsweringBuild, builder_hints, builder_keywords
from snellen.models.backbones import own_norm
from snellen.nn import Norm
from snellen.structures import Model, Target

__all__ = ["ModelEntry", "answering", "builder_options", "builder_words", "usual_norm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model that can be built by name.

    Attributes:
        name: What the user types.
        build: ``build(num_classes, **options) -> Model``, with random weights. Every builder takes ``norm``,
            ``mean`` and ``std``.
        target_type: What it learns from.
        summary: One line.
        paper: Address.
        licence: SPDX identifier of the code here.
        default_size: Height and width of the input at which the paper, or usual practice, runs it.
        least_size: Smallest side of the input in pixels.
        page: Name of the page about the system (``snellen models PAGE``); empty where there is none.
        resize: How images come to their size; see ``snellen.data.training_transform``.
        sized: Whether the builder takes ``image_size``, the side of the square it is built for.
        num_anchors: Anchors that the builder takes from the data (``anchors``: width and height in pixels); 0 for none.
        regions: Whether it judges proposals from outside.
        masks: Whether it learns from outlines.
        presumes_weights: Whether a part of it is never trained, so that without weights it stays as random as it began.
        augmentation: ``usual``, or ``ssd`` for that paper's own.
        multi_scale: Smallest and greatest size in multi-scale training, as shares of the usual one; None for none.
        tuned: Optimizer and learning rate (for four images) that suit it when it starts from weights; None for what is
            usual for its kind of target.
        scratch_lr: AdamW's rate that suits it when it starts from random weights; None for what is usual.
        answers: What the same network can learn, by type: ``answer(num_outputs, **options)`` makes what the built
            model is told to ``learn``. That of ``target_type``, whose options the builder takes itself, is among them.
            Empty for models that learn ``target_type`` alone.
        origin: The row that this one was made from by ``learning``, or None.
    """

    name: str
    build: Callable[..., Model]
    target_type: type[Target]
    summary: str
    paper: str
    licence: str
    default_size: tuple[int, int]
    least_size: int = 1
    page: str = ""
    resize: Literal["short", "square", "letterbox", "squeeze"] = "short"
    sized: bool = False
    num_anchors: int = 0
    regions: bool = False
    masks: bool = False
    presumes_weights: bool = False
    augmentation: Literal["usual", "ssd"] = "usual"
    multi_scale: tuple[float, float] | None = None
    tuned: tuple[Literal["sgd", "adamw"], float] | None = None
    scratch_lr: float | None = None
    answers: Mapping[type[Target], Callable[..., Any]] = field(default_factory=dict)
    origin: "ModelEntry | None" = None

    @property
    def target_types(self) -> tuple[type[Target], ...]:
        """Everything that its network can learn from, ``target_type`` first."""
        return (self.target_type, *(kind for kind in self.answers if kind is not self.target_type))

    def learning(self, target_type: type[Target]) -> "ModelEntry":
        """Return the row of the same network that learns from another one of ``target_types``."""
        row = self.origin or self
        if target_type is row.target_type:
            return row
        network = row.build.network if isinstance(row.build, AnsweringBuild) else row.build
        build = AnsweringBuild(network, row.answers[row.target_type], row.answers[target_type])
        return replace(row, build=build, target_type=target_type, origin=row)


def answering(entry: ModelEntry) -> ModelEntry:
    """Return a row whose builder takes the keywords of the answer for its ``target_type`` too."""
    answer = entry.answers[entry.target_type]
    return replace(entry, build=AnsweringBuild(entry.build, answer, answer))


def builder_options(entry: ModelEntry) -> Mapping[str, Any]:
    """Return the keywords of a model's builder with their defaults."""
    return builder_keywords(entry.build)


def builder_words(entry: ModelEntry) -> Mapping[str, tuple[Any, ...]]:
    """Return the words that a keyword of a model's builder may be, for those that take some words only."""
    hints = builder_hints(entry.build)
    return {name: get_args(kind) for name, kind in hints.items() if get_origin(kind) is Literal}


def usual_norm(entry: ModelEntry, options: Mapping[str, Any]) -> Norm | None:
    """Return what makes the norm layers of a model's backbone unless another is asked for; None if it has none.

    Args:
        entry: Row of the catalogue.
        options: Keywords for its builder, of which ``backbone`` may name another network.

    Raises:
        ConfigError: If there is no such backbone.
    """
    known = builder_options(entry)
    name = options.get("backbone", known.get("backbone"))
    if name == known.get("backbone") or not isinstance(name, str):
        norm: Norm | None = known.get("norm")
        return norm
    return own_norm(name)
