"""How far estimates of numbers lie from the truth: errors in the units of the data, and relative ones."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from snellen.errors import InputError
from snellen.metrics.gathering import add_entries, check_classes, check_lengths
from snellen.structures import Curve, ImageScore, Results, Series, Table, ValueEstimates, ValueTarget

__all__ = ["ValueFigures", "ValueMetric", "spearman_correlation", "unit_of", "value_figures"]

MAX_PLOTTED = 6  # values that get charts of their own
MAX_DOTS = 500  # of a scatter plot; more are one blot
MAX_BINS = 40  # of a histogram
_HIGH_SHARE = 0.95  # of the images, which have an error of at most the "95 % error"
_UNIT = re.compile(r"\[([^\[\]]+)\]\s*$|\(([^()]+)\)\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueFigures:
    """Figures of one value; in its unit where nothing else is said. Without images all are nan.

    Attributes:
        count: Images of which the value is known.
        mae: Mean absolute error.
        rmse: Root of the mean squared error.
        median_error: Median absolute error.
        high_error: Error that 95 % of the images do not exceed.
        bias: Mean of estimate less truth.
        r2: Share of the variance that is explained, 1 is best; nan where the truth does not vary.
        spearman: Correlation of the ranks, -1..1; nan where truth or estimate does not vary.
        rae: Mean absolute error over that of the best constant (the median); below 1 is better than a constant.
        spread: Standard deviation of the truth.
    """

    count: int
    mae: float
    rmse: float
    median_error: float
    high_error: float
    bias: float
    r2: float
    spearman: float
    rae: float
    spread: float


def unit_of(name: str) -> str:
    """Return the unit that the name of a value carries, as in ``age [years]`` or ``size (px)``, or an empty text."""
    found = _UNIT.search(name)
    return "" if found is None else (found[1] or found[2]).strip()


def spearman_correlation(one: Float64[np.ndarray, " n"], other: Float64[np.ndarray, " n"]) -> float:
    """Correlation of the ranks, equal numbers sharing the mean of their ranks; nan where one of the two is constant.

    Source:
        Spearman 1904, "The proof and measurement of association between two things"; as ``scipy.stats.spearmanr``.
    """
    ranks = [_ranks(values) - (len(values) + 1) / 2 for values in (one, other)]
    scale = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    return float((ranks[0] * ranks[1]).sum() / scale) if scale else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], np.float64)


def value_figures(estimates: Float64[np.ndarray, " n"], truth: Float64[np.ndarray, " n"]) -> ValueFigures:
    """Errors and correlations of the estimates of one value.

    Source:
        R²: Wright 1921, as ``sklearn.metrics.r2_score``; relative absolute error: Witten, Frank and Hall 2011, Data
        Mining, section 5.8, with the median in place of the mean, since that is the constant with the least error.
    """
    nan = float("nan")
    if not len(truth):
        return ValueFigures(
            count=0, mae=nan, rmse=nan, median_error=nan, high_error=nan, bias=nan, r2=nan, spearman=nan, rae=nan,
            spread=nan,
        )  # fmt: skip
    residuals = estimates - truth
    errors = np.abs(residuals)
    of_constant = np.abs(truth - np.median(truth)).mean()
    variance = truth.var()
    return ValueFigures(
        count=len(truth),
        mae=float(errors.mean()),
        rmse=float(np.sqrt((residuals**2).mean())),
        median_error=float(np.median(errors)),
        high_error=float(np.quantile(errors, _HIGH_SHARE)),
        bias=float(residuals.mean()),
        r2=float(1 - (residuals**2).mean() / variance) if variance else nan,
        spearman=spearman_correlation(estimates, truth),
        rae=float(errors.mean() / of_constant) if of_constant else nan,
        spread=float(truth.std()),
    )


class ValueMetric:
    """Errors of each value, and their means over the values.

    Values in different units have no common mean error: where the names do not all carry one unit, the headline is
    the relative absolute error (RAE) in place of the mean absolute error (MAE).

    Args:
        names: Of the values, with their units in brackets where they have some.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = check_classes(names)
        self._images: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def update(
        self, predictions: Sequence[ValueEstimates], targets: Sequence[ValueTarget], indices: Sequence[int]
    ) -> None:
        """Add images.

        Raises:
            InputError: If the lengths differ, an image comes twice, or an estimate is nan or of another count.
        """
        check_lengths(predictions, targets, indices)
        for found, wanted, index in zip(predictions, targets, indices, strict=True):
            known = wanted.known.cpu().numpy().astype(np.bool_)
            add_entries(self._images, {int(index): (self._row(found.values), self._row(wanted.values), known)})

    def merge(self, other: "ValueMetric") -> None:
        """Add the images of another shard.

        Raises:
            InputError: If both have seen the same image.
        """
        add_entries(self._images, other._images)  # noqa: SLF001  # its own class

    def result(self) -> Results:
        """Measure all images seen so far."""
        indices = sorted(self._images)
        shape = (len(indices), len(self._names))
        found = np.array([self._images[index][0] for index in indices], np.float64).reshape(shape)
        truth = np.array([self._images[index][1] for index in indices], np.float64).reshape(shape)
        known = np.array([self._images[index][2] for index in indices], np.bool_).reshape(shape)
        columns = [(found[known[:, value], value], truth[known[:, value], value]) for value in range(shape[1])]
        figures = [value_figures(*column) for column in columns]
        plotted = list(zip(self._names, columns, strict=True))[:MAX_PLOTTED]
        return Results(
            headline="MAE" if self._has_one_unit else "RAE",
            lower_is_better=True,
            scalars=self._scalars(figures),
            tables=(self._table(figures), self._error_table(figures)),
            curves=tuple(curve for name, column in plotted for curve in _charts(name, *column)),
            per_image=_per_image(indices, found, truth, known, figures),
        )

    @property
    def _has_one_unit(self) -> bool:
        units = {unit_of(name) for name in self._names}
        return len(self._names) == 1 or (len(units) == 1 and "" not in units)

    def _row(self, values: Tensor) -> np.ndarray:
        row = np.asarray(values.detach().double().cpu().numpy())
        if row.shape != (len(self._names),) or np.isnan(row).any():
            raise InputError(
                f"values must be {len(self._names)} numbers, one for each of {', '.join(self._names)}; got shape "
                f"{row.shape} with {int(np.isnan(row).sum())} nan. Give the model as many outputs as the data set has "
                "values; if there are nan, it has diverged: train with a lower learning rate."
            )
        return row

    def _scalars(self, figures: Sequence[ValueFigures]) -> dict[str, float]:
        errors = {
            "MAE": _mean([one.mae for one in figures]),
            "RMSE": _mean([one.rmse for one in figures]),
            "median_error": _mean([one.median_error for one in figures]),
        }
        scores = {
            "R2": _mean([one.r2 for one in figures]),
            "Spearman": _mean([one.spearman for one in figures]),
            "RAE": _mean([one.rae for one in figures]),
        }
        return errors | scores if self._has_one_unit else scores

    def _table(self, figures: Sequence[ValueFigures]) -> Table:
        rows = tuple(
            (name, one.count, *map(_cell, (one.mae, one.rmse, one.r2, one.spearman, one.rae)))
            for name, one in zip(self._names, figures, strict=True)
        )
        note = (
            "MAE and RMSE are in the unit of the value. RAE is the MAE over that of the best constant; 1 is no better."
        )
        if len(self._names) > MAX_PLOTTED:
            note += f" Charts are drawn of the first {MAX_PLOTTED} values."
        return Table(
            title="Values", columns=("Value", "Images", "MAE", "RMSE", "R2", "Spearman", "RAE"), rows=rows, note=note
        )

    def _error_table(self, figures: Sequence[ValueFigures]) -> Table:
        rows = tuple(
            (name, *map(_cell, (one.median_error, one.high_error, one.bias, one.spread)))
            for name, one in zip(self._names, figures, strict=True)
        )
        return Table(
            title="Errors",
            columns=("Value", "Median error", "95 % error", "Bias", "Spread of the truth"),
            rows=rows,
            note="In the unit of the value; the bias is the mean of estimate less truth.",
        )


def _charts(name: str, found: np.ndarray, truth: np.ndarray) -> tuple[Curve, ...]:
    """Return estimate over truth, residual over estimate, and the histogram of the residuals."""
    if not len(truth):
        return ()
    residuals = found - truth
    picked = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), MAX_DOTS)).round().astype(np.int64))
    ends = (float(min(truth.min(), found.min())), float(max(truth.max(), found.max())))
    reach = (float(found.min()), float(found.max()))
    note = "" if len(picked) == len(truth) else f"{len(picked):,} of {len(truth):,} images, evenly spaced in the file."
    return (
        Curve(
            title=f"Estimate over truth: {name}",
            x_label=f"true {name}",
            y_label="estimate",
            series=(_dots("images", truth[picked], found[picked]), Series(name="perfect", x=ends, y=ends)),
            note=note,
        ),
        Curve(
            title=f"Residual over estimate: {name}",
            x_label=f"estimated {name}",
            y_label="estimate less truth",
            series=(_dots("images", found[picked], residuals[picked]), Series(name="perfect", x=reach, y=(0.0, 0.0))),
            note=note,
        ),
        _histogram(name, residuals),
    )


def _dots(name: str, x: np.ndarray, y: np.ndarray) -> Series:
    return Series(name=name, x=tuple(x.tolist()), y=tuple(y.tolist()), is_dots=True)


def _histogram(name: str, residuals: np.ndarray) -> Curve:
    edges = np.histogram_bin_edges(residuals, bins="auto")
    if len(edges) > MAX_BINS + 1:
        edges = np.linspace(edges[0], edges[-1], MAX_BINS + 1)
    counts, _ = np.histogram(residuals, edges)
    x = np.repeat(edges, 2)  # an outline: up at the left edge of a bin, down at its right edge
    y = np.concatenate([[0], np.repeat(counts, 2), [0]]).astype(np.float64)
    return Curve(
        title=f"Residuals: {name}",
        x_label="estimate less truth",
        y_label="images",
        series=(Series(name="images", x=tuple(x.tolist()), y=tuple(y.tolist())),),
    )


def _per_image(
    indices: Sequence[int], found: np.ndarray, truth: np.ndarray, known: np.ndarray, figures: Sequence[ValueFigures]
) -> tuple[ImageScore, ...]:
    """Rate images by their greatest error in spreads of the truth: 1 for none, 1/2 for an error of one spread."""
    spreads = np.array([one.spread if one.spread > 0 else 1.0 for one in figures])
    errors = np.where(known, np.abs(found - truth) / spreads, -1.0).max(axis=1, initial=-1.0)
    quality = np.where(errors >= 0, 1 / (1 + np.maximum(errors, 0)), np.nan)
    return tuple(
        ImageScore(index=index, quality=float(value), uncertainty=float("nan"))
        for index, value in zip(indices, quality, strict=True)
    )


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else value


def _mean(values: Sequence[float]) -> float:
    counted = [value for value in values if not np.isnan(value)]
    return float(np.mean(counted)) if counted else float("nan")
