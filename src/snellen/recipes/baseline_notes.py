"""What the rows of a baseline tell of the data: which features seem to carry the signal."""

from collections.abc import Mapping, Sequence

from snellen.recipes.baseline_report import BaselineRow

__all__ = ["signal_notes"]

# What the kinds of features see, in words.
_SEES: Mapping[str, str] = {
    "pixels": "pixels at their places",
    "hog": "shape",
    "colour": "colour alone",
    "lbp": "texture",
    "sift": "parts wherever they are",
}
# Features that know nothing of shape; where they do as well as the best, backgrounds or lighting may give classes away.
_WITHOUT_SHAPE = ("colour", "lbp")


def signal_notes(rows: Sequence[BaselineRow], headline: str) -> tuple[str, ...]:
    """Return sentences about what seems to carry the signal; none without rows."""
    guesses = [row for row in rows if not row.features]
    looking = [row for row in rows if row.features]
    if not looking:
        return ()
    best = max(looking, key=lambda row: row.rank)
    notes = [f"To beat: {headline} {_told(best)}, by {best.model}."]
    chance = max(guesses, key=lambda row: row.rank) if guesses else None
    if chance is not None:
        notes[0] += f" Without looking ({chance.model}): {chance.score:.3f}."
    of_kind: dict[str, BaselineRow] = {}
    for row in looking:
        if row.features not in of_kind or row.rank > of_kind[row.features].rank:
            of_kind[row.features] = row
    ranked = sorted(of_kind.items(), key=lambda item: -item[1].rank)
    if len(ranked) > 1:
        told = "; ".join(f"{_seen(kind)} {_told(row)}" for kind, row in ranked)
        notes.append(f"What seems to carry the signal: {told}.")
    if chance is not None:
        silent = [_seen(kind) for kind, row in ranked if row.at_least <= chance.rank]
        if silent:
            notes.append(f"No better than without looking, as far as these images tell: {', '.join(silent)}.")
    blind = [of_kind[kind] for kind in _WITHOUT_SHAPE if kind in of_kind]
    telling = [row for row in blind if row.at_most >= best.at_least and (chance is None or row.at_least > chance.rank)]
    if telling and len(of_kind) > len(blind):
        names = " and ".join(_SEES[row.features] for row in telling)
        notes.append(
            f"{names[:1].upper()}{names[1:]} tell{'s' if len(telling) == 1 else ''} as much as the best: look whether "
            "backgrounds, lighting or cameras give the classes away (`snellen check`)."
        )
    return tuple(notes)


def _seen(kind: str) -> str:
    return _SEES.get(kind) or f"what {kind.removesuffix('_features')} has learned elsewhere"


def _told(row: BaselineRow) -> str:
    return f"{row.score:.3f} ({row.low:.3f}–{row.high:.3f})"
