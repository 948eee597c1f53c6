"""Builders of systems that stand on a backbone."""

from collections.abc import Callable
from functools import partial
from typing import Any

from snellen.structures import Model

__all__ = ["on_backbone"]


def on_backbone(build: Callable[..., Model], usual: str, **options: Any) -> Callable[..., Model]:
    """Return the builder of a system on its usual backbone, in whose place another may be named.

    Args:
        build: ``build(usual, num_classes, *, backbone, **options) -> Model``.
        usual: Name of the backbone that the system is published with.
        options: Other values for keywords of ``build``.
    """
    return partial(build, usual, backbone=usual, **options)
