"""The curves that show what was found in a training: a function of its trace and the finding for each kind."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from snellen.doctor.diagnosis import CheckResult
from snellen.doctor.finding import Finding
from snellen.doctor.watching.curves import finite
from snellen.doctor.watching.outcome import HeldOut, held_out_losses, held_out_scores, weight_columns
from snellen.doctor.watching.trace import Trace
from snellen.structures import Curve, Series

__all__ = [
    "agreement_curves",
    "answer_curves",
    "apart_curves",
    "gap_curves",
    "gradient_curves",
    "held_out_curves",
    "image_curves",
    "loss_curves",
    "memory_curves",
    "mishap_curves",
    "output_curves",
    "rate_curves",
    "ratio_curves",
    "saturation_curves",
    "term_curves",
    "time_curves",
    "unit_curves",
    "varied_curves",
    "weight_curves",
    "with_curves",
]

MOST_LINES = 5  # of one chart
STEP = "step"


def with_curves(results: Sequence[CheckResult], trace: Trace) -> tuple[CheckResult, ...]:
    """Return the results with the curves that show each finding."""
    return tuple(
        replace(result, findings=tuple(_shown(result, finding, trace) for finding in result.findings))
        for result in results
    )


def _shown(result: CheckResult, finding: Finding, trace: Trace) -> Finding:
    if result.check.curves is None:
        return finding
    drawn = [_with_lines(curve) for curve in result.check.curves(trace, finding)]
    return replace(finding, curves=tuple(curve for curve in drawn if curve.series))


def _with_lines(curve: Curve) -> Curve:
    """Return a curve without the lines that hold nothing."""
    return replace(curve, series=tuple(line for line in curve.series if np.isfinite(line.y).any())[:MOST_LINES])


def loss_curves(trace: Trace, _finding: Finding) -> Iterator[Curve]:
    """Yield the loss of each step, and the held-out one."""
    held_out = map(_held_out, held_out_losses(trace)[:1])
    yield _curve("Loss", "loss", _line("training", trace.steps, trace.loss), *held_out)


def held_out_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the losses, and the held-out score."""
    yield from loss_curves(trace, finding)
    scores = held_out_scores(trace)[:1]
    yield _curve("Held-out score", scores[0].name if scores else "score", *map(_held_out, scores))


def mishap_curves(trace: Trace, _finding: Finding) -> Iterator[Curve]:
    """Yield the loss, and the steps in which something was not finite."""
    values = np.asarray(trace.loss, np.float64)
    lowest = float(np.nanmin(values)) if np.isfinite(values).any() else 0.0
    steps = [row.step for row in trace.happenings]
    told = Series(name="not finite", x=tuple(map(float, steps)), y=(lowest,) * len(steps), is_dots=True)
    yield _curve("Loss", "loss", _line("training", trace.steps, trace.loss), told)


def term_curves(trace: Trace, _finding: Finding) -> Iterator[Curve]:
    """Yield the terms of the loss."""
    names = [name for name in trace.losses if name != "loss"]
    yield _curve("Terms of the loss", "loss", *(_line(name, trace.steps, trace.losses[name]) for name in names))


def rate_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the learning rates, the highest first, and the loss."""
    order = np.argsort(-np.nanmax(trace.rates, axis=0, initial=0)).tolist() if trace.rates.size else []
    lines, told = [], set()
    for column in order:
        values = trace.rates[:, column]
        if values.tobytes() not in told:
            told.add(values.tobytes())
            lines.append(_line(f"group {column}", trace.steps, values))
    yield _curve("Learning rate", "learning rate", *lines)
    yield from loss_curves(trace, finding)


def gradient_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the size of the whole gradient and of those at fault, and the loss."""
    lines = [_told("all", trace.sampled, _log(np.sqrt(np.nansum(trace.gradient.astype(np.float64) ** 2, 1))))]
    lines += [_told(name, trace.sampled, _log(trace.gradient[:, place])) for name, place in _parameters(trace, finding)]
    yield _curve("Size of the gradient", "log10 of size", *lines)
    yield from loss_curves(trace, finding)


def ratio_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the change of weights over their size: those at fault, and the least, usual and most of all."""
    places = weight_columns(trace)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = trace.update.astype(np.float64) / trace.weight
    lines = [_told(name, trace.sampled, _log(ratios[:, place])) for name, place in _parameters(trace, finding)[:2]]
    if places and len(trace.sampled):
        for name, share in (("usual weight", 0.5), ("least", 0.0), ("most", 1.0)):
            values = [float(np.quantile(row[np.isfinite(row)], share)) if np.isfinite(row).any() else np.nan
                      for row in ratios[:, places]]  # fmt: skip
            lines.append(_told(name, trace.sampled, _log(values)))
    yield _curve("Change of weights in a step, over their size", "log10 of share", *lines)
    yield from loss_curves(trace, finding)


def weight_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the size of the weights at fault, and the loss."""
    lines = [_told(name, trace.sampled, trace.weight[:, place]) for name, place in _parameters(trace, finding)]
    yield _curve("Size of weights", "size", *lines)
    yield from loss_curves(trace, finding)


def unit_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the share of dead units in the layers at fault, and the loss."""
    yield _of_layers(trace, finding, trace.dead, "Units that never fire", "share")
    yield from loss_curves(trace, finding)


def saturation_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the share of outputs close to their bounds in the layers at fault, and the loss."""
    yield _of_layers(trace, finding, trace.saturated, "Outputs close to their bounds", "share")
    yield from loss_curves(trace, finding)


def output_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield how large the outputs of the layers at fault are, and the losses."""
    yield _of_layers(trace, finding, trace.rms, "Size of outputs", "root mean square")
    yield from loss_curves(trace, finding)


def apart_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield how far the units of the layers at fault are apart, and the loss."""
    yield _of_layers(trace, finding, trace.apart, "Spread over units", "share of size")
    yield from loss_curves(trace, finding)


def varied_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield how much what the layers at fault give out differs from image to image, and the loss."""
    yield _of_layers(trace, finding, trace.varied, "Spread over images", "units of the output")
    yield from loss_curves(trace, finding)


def gap_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield how far norms in evaluation are from norms in training, and the losses and scores."""
    yield _of_layers(trace, finding, trace.gap, "Norms: evaluation against training", "spreads")
    yield from held_out_curves(trace, finding)


def agreement_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the cosine of successive gradients, and the loss."""
    line = _told("cosine", trace.sampled, trace.agreement)
    yield _curve("Agreement of successive gradients", "cosine", line)
    yield from loss_curves(trace, finding)


def answer_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield how often the most frequent classes are the first choice, and the loss."""
    total = trace.named.sum(1)
    shares = trace.named / np.maximum(total, 1)[:, None]
    shares = np.where(total[:, None] > 0, shares, np.nan)
    often = np.argsort(-trace.named.sum(0))[:MOST_LINES]
    yield _curve("First choices", "share", *(_told(f"class {one}", trace.sampled, shares[:, one]) for one in often))
    yield from held_out_curves(trace, finding)


def image_curves(trace: Trace, finding: Finding) -> Iterator[Curve]:
    """Yield the images of each step, and the loss."""
    yield _curve("Images of a step", "images", _line("images", trace.steps, trace.images))
    yield from loss_curves(trace, finding)


def time_curves(trace: Trace, _finding: Finding) -> Iterator[Curve]:
    """Yield how long steps take, and how much of it is waiting for data."""
    waits = _line("waiting for data", trace.steps, 1000 * trace.wait_s)
    yield _curve("Time of a step", "ms", _line("whole step", trace.steps, 1000 * trace.step_s), waits)


def memory_curves(trace: Trace, _finding: Finding) -> Iterator[Curve]:
    """Yield how much memory is held."""
    held = np.where(trace.memory > 0, trace.memory / 2**20, np.nan)
    yield _curve("Memory", "MiB", _told("held", trace.steps, held))


def _curve(title: str, label: str, *lines: Series) -> Curve:
    return Curve(title=title, x_label=STEP, y_label=label, series=lines)


def _line(name: str, steps: ArrayLike, values: ArrayLike) -> Series:
    at, value = np.asarray(steps, np.float64), np.asarray(values, np.float64)
    return Series(name=name, x=tuple(at.tolist()), y=tuple(value.tolist()))


def _told(name: str, steps: ArrayLike, values: ArrayLike) -> Series:
    """Return a line through the steps that were looked at for this: not all samples tell of everything."""
    return _line(name, *finite(steps, values))


def _held_out(row: HeldOut) -> Series:
    return _line(f"held out: {row.name}", row.steps, row.values)


def _of_layers(trace: Trace, finding: Finding, table: np.ndarray, title: str, label: str) -> Curve:
    """Return a chart of the layers at fault; of those that say most where none is named."""
    columns = {column.name: place for place, column in enumerate(trace.layers)}
    chosen = [columns[place.name] for place in finding.places if place.name in columns]
    if not chosen and table.size:
        highest = np.nanmax(np.where(np.isfinite(table), table, -np.inf), axis=0, initial=-np.inf)
        chosen = [int(place) for place in np.argsort(-highest) if np.isfinite(highest[place])]
    lines = (_told(trace.layers[place].name, trace.sampled, table[:, place]) for place in chosen[:MOST_LINES])
    return _curve(title, label, *lines)


def _parameters(trace: Trace, finding: Finding) -> list[tuple[str, int]]:
    """Return the parameters at fault with their columns; the first weights where none is named."""
    columns = {column.name: place for place, column in enumerate(trace.parameters)}
    named = [(place.name, columns[place.name]) for place in finding.places if place.name in columns]
    return (named or [(trace.parameters[place].name, place) for place in weight_columns(trace)])[:MOST_LINES]


def _log(values: Iterable[float] | np.ndarray) -> np.ndarray:
    found = np.asarray(values, np.float64)
    return np.log10(found, out=np.full(found.shape, np.nan), where=found > 0)
