"""Builders of networks that can learn several things: they take the keywords of the network and of the answer."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, get_type_hints

from snellen.structures import Model

__all__ = ["AnsweringBuild", "builder_hints", "builder_keywords"]


@dataclass(frozen=True, slots=True)
class AnsweringBuild:
    """Builds a network and tells it what to learn.

    Attributes:
        network: ``network(num_outputs, **options)`` makes a model that has ``learn``.
        usual: What that makes the network learn by itself; keywords that both have are left to the answer.
        answer: ``answer(num_outputs, **options)`` makes what it shall learn.
    """

    network: Callable[..., Model]
    usual: Callable[..., Any]
    answer: Callable[..., Any]

    def __call__(self, num_outputs: int, **options: Any) -> Model:
        """Return the network, told what to learn."""
        known = builder_keywords(self.answer)
        own = {name: value for name, value in options.items() if name in known}
        model: Any = self.network(num_outputs, **{name: options[name] for name in options if name not in known})
        model.learn(self.answer(num_outputs, **own))
        learner: Model = model
        return learner


def builder_keywords(build: Callable[..., Any]) -> dict[str, Any]:
    """Return the keywords of a builder with their defaults."""
    if isinstance(build, AnsweringBuild):
        replaced = builder_keywords(build.usual)
        kept = {name: value for name, value in builder_keywords(build.network).items() if name not in replaced}
        return {**kept, **builder_keywords(build.answer)}
    parameters = inspect.signature(build).parameters.values()
    return {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}


def builder_hints(build: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a builder's keywords."""
    if isinstance(build, AnsweringBuild):
        return {**builder_hints(build.network), **builder_hints(build.answer)}
    while isinstance(build, partial):
        build = build.func
    return get_type_hints(build.__init__ if inspect.isclass(build) else build)
