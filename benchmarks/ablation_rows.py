"""What each step of the ladder bought: which trainings and which switches are compared, and what was published."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["QUESTIONS", "Question", "Variant"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One side of a comparison.

    Attributes:
        name: In the table.
        model: That is trained.
        options: Further words of ``snellen train``; equal words mean the same training, done once.
        switches: Attributes of the trained model that are changed before it is measured, by dotted path.
    """

    name: str
    model: str
    options: tuple[str, ...] = ()
    switches: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Question:
    """Variants of which the first is the base.

    Attributes:
        name: Short.
        published: What the paper measured.
        variants: The base first.
    """

    name: str
    published: str
    variants: tuple[Variant, ...]


QUESTIONS: tuple[Question, ...] = ()
