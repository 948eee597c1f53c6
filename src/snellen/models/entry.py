"""A row of the catalogue."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from snellen.models.backbones import own_norm
from snellen.nn import Norm
from snellen.structures import Model, Target

__all__ = ["ModelEntry", "builder_options", "builder_words", "usual_norm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model that can be built by name.

    Attributes:
        name: What the user types.
        build: ``build(num_classes, **options) -> Model``, with random weights. Every builder takes ``norm``,
            ``mean`` and ``std``.
        target_type: What it learns from, usually.
        summary: One line.
        paper: Address.
        licence: SPDX identifier of the code here.
        default_size: Height and width of the input at which the paper, or usual practice, runs it.
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
        answers: What it can learn with the same network, by type: ``answer(num_outputs, **options)`` makes what the
            built model is told to ``learn``. That of ``target_type``, whose options the builder takes itself, is
            among them. Empty for models that learn ``target_type`` alone.
    """

    name: str
    build: Callable[..., Model]
    target_type: type[Target]
    summary: str
    paper: str
    licence: str
    default_size: tuple[int, int]
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
    answers: Mapping[type[Target], Callable[..., Any]] = field(default_factory=dict)

    @property
    def target_types(self) -> tuple[type[Target], ...]:
        """Everything that it can learn from, the usual first."""
        return (self.target_type, *(kind for kind in self.answers if kind is not self.target_type))

    def build_for(self, target_type: type[Target], num_outputs: int, options: Mapping[str, Any]) -> Model:
        """Return the model that learns from a type of target, with random weights.

        Args:
            target_type: One of ``target_types``.
            num_outputs: Classes or values.
            options: Keywords of the builder and of the answer.
        """
        if target_type is self.target_type:
            return self.build(num_outputs, **options)
        known = _keywords(self.answers[target_type])
        own = {name: value for name, value in options.items() if name in known}
        model: Any = self.build(num_outputs, **{name: value for name, value in options.items() if name not in known})
        model.learn(self.answers[target_type](num_outputs, **own))
        learner: Model = model
        return learner


def builder_options(entry: ModelEntry, target_type: type[Target] | None = None) -> Mapping[str, Any]:
    """Return the keywords that a model can be built with, and their defaults.

    Args:
        entry: Row of the catalogue.
        target_type: What is learned; what is usual for the model if None.
    """
    known = _keywords(entry.build)
    if target_type is None or target_type is entry.target_type:
        return known
    replaced = _keywords(entry.answers[entry.target_type])
    kept = {name: value for name, value in known.items() if name not in replaced}
    return {**kept, **_keywords(entry.answers[target_type])}


def builder_words(entry: ModelEntry, target_type: type[Target] | None = None) -> Mapping[str, tuple[Any, ...]]:
    """Return the words that a keyword of `builder_options` may be, for those that take some words only."""
    build = entry.build
    while isinstance(build, partial):
        build = build.func
    hints = get_type_hints(build)
    if target_type is not None and target_type is not entry.target_type:
        answer = entry.answers[target_type]
        hints |= get_type_hints(answer.__init__ if inspect.isclass(answer) else answer)
    return {name: get_args(kind) for name, kind in hints.items() if get_origin(kind) is Literal}


def _keywords(build: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(build).parameters.values()
    return {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}


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
