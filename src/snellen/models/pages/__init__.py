"""A page about each system: how data flow through it, what it changed, what was published, what was measured here."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from snellen.errors import ConfigError, did_you_mean

__all__ = ["measured", "page", "page_names"]


def page_names() -> tuple[str, ...]:
    """Return the systems that have a page."""
    folder = resources.files(__package__)
    return tuple(sorted(entry.name.removesuffix(".md") for entry in folder.iterdir() if entry.name.endswith(".md")))


def page(name: str) -> str:
    """Return a page as Markdown.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in page_names():
        raise ConfigError(f"there is no page about {name!r}.{did_you_mean(name, page_names())}")
    return (resources.files(__package__) / f"{name}.md").read_text(encoding="utf-8")


def measured() -> Mapping[str, Any]:
    """Return what the ladder's benchmark measured: by data set, the figures of each model, and how it was run."""
    text = (resources.files(__package__) / "measured.json").read_text(encoding="utf-8")
    figures: Mapping[str, Any] = json.loads(text)
    return figures
