"""What a run has settled about how its predictions are judged."""

from dataclasses import dataclass

from snellen.metrics import Decision

__all__ = ["Judging"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How predictions are judged, where that does not follow from the data that are measured.

    Attributes:
        headline: Name of the figure that stands first; None for the metric's own choice.
        decision: From probabilities to classes; None for the most probable class, or one half for label sets.
    """

    headline: str | None = None
    decision: Decision | None = None
