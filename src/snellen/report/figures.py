"""Numbers to read first, as the pages show them."""

from dataclasses import dataclass

__all__ = ["FigureView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """One number, or one short text, and what it means."""

    name: str
    text: str
    is_text: bool = False
    explanation: str = ""
