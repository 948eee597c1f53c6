"""A baseline that is being measured: features once for each kind, models one after the other, a file after each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from rich.console import Console

from snellen.data import DatasetIndex
from snellen.doctor.evidence.statistics import wilson_interval
from snellen.errors import CheckpointError, ConfigError, SnellenError
from snellen.evaluation import METRICS
from snellen.metrics.intervals import QUICK_FIGURES, RESAMPLES, bootstrap_interval
from snellen.models import ModelEntry, load_weights, weights_settings
from snellen.models.shallow import ShallowModel, kind_of_features
from snellen.recipes.baseline_guesses import GUESSES
from snellen.recipes.baseline_notes import signal_notes
from snellen.recipes.baseline_report import BASELINE, BaselineReport, BaselineRow
from snellen.recipes.evaluating import evaluation_loader
from snellen.recipes.judging import chosen_headline, recorded_judging
from snellen.recipes.progress import counting, say
from snellen.structures import Batch, ClassScores, ClassTarget, FitData, Prediction, Results, Target

__all__ = ["BaselineWork", "interval_of_equals"]

_BATCH = 32  # images read at once
_AT_ONCE = 512  # images described at once, so that several processes have something to do
_TIMED = 16  # images whose features are computed anew, to tell how long one takes
_SLOW_RESAMPLES = 200  # where a figure has to be measured anew for each draw


def interval_of_equals(truth: Int64[np.ndarray, " n"], *, are_right: bool) -> tuple[float, float]:
    """Return the interval of a share where all images are right, or all wrong: there a bootstrap has no width.

    Each class counts as if it had as many images as the smallest.

    Source:
        Wilson 1927.
    """
    counts = np.bincount(truth)
    trials = int(counts[counts > 0].min() * (counts > 0).sum())
    return wilson_interval(trials if are_right else 0, trials)


@dataclass
class Images:
    """The images of one split, as one kind of features sees them."""

    descriptions: list[NDArray[Any]]
    targets: list[Any]
    rows: list[int]
    seconds: float


@dataclass
class BaselineWork:
    """A baseline that is being measured."""

    index: DatasetIndex
    settings: Mapping[str, Any]
    device: torch.device
    console: Console | None
    folder: Path
    rows: list[BaselineRow] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    headline: str = ""

    def __post_init__(self) -> None:
        """Pick the images."""
        self.split = "val" if "val" in self.index.split_names else "test"
        self.train, self.judged = (self._part(name) for name in ("train", self.split))
        self.judging = recorded_judging({"headline": chosen_headline(self.train, None).name})

    def _part(self, name: str) -> DatasetIndex:
        part = self.index.split(name)
        limit = self.settings["limit"]
        if limit is None or len(part) <= limit:
            return part
        rows = np.random.default_rng(self.settings["seed"]).permutation(len(part))[: int(limit)]
        return part.select(np.sort(rows))

    def go_on(self) -> None:
        """Take over what an earlier call left in the folder.

        Raises:
            CheckpointError: If it is of other data or settings.
        """
        if not (self.folder / BASELINE).is_file():
            return
        before = BaselineReport.read(self.folder)
        if dict(before.settings) != dict(self.settings):
            raise CheckpointError(
                f"{self.folder}: expected a new folder, or a baseline of the same data and settings to go on with; "
                "another one is there. Choose another folder."
            )
        self.rows, self.headline = list(before.rows), before.headline
        self.skipped = dict(before.skipped)

    def run(self, entries: Sequence[ModelEntry], *, deadline: float | None) -> BaselineReport:
        """Measure what is not measured yet, write after each model, and return the report."""
        say(
            self.console,
            f"baseline of {self.settings['data']}: {len(self.train)} training images, measured on {len(self.judged)} "
            f"of {self.split}",
            style="bold",
        )
        interrupted = False
        try:
            self._guess()
            for features, group in _by_features(entries):
                self._measure_group(features, group, deadline)
        except KeyboardInterrupt:
            interrupted = True
        report = self._report(interrupted=interrupted)
        report.write(self.folder)
        if self.console is not None:
            self.console.print(report.renderable())
        again = " Go on with the same command and --out." if interrupted or self.left_out else ""
        say(self.console, f"baseline: {self.folder / 'baseline.html'}.{again}")
        return report

    def _guess(self) -> None:
        """Measure what is said without looking."""
        known = {row.model for row in self.rows}
        wanted = [self.train.target(row, (1, 1)) for row in range(len(self.train))]
        for name, guess in GUESSES[self.index.target_type].items():
            if name not in known:
                said = guess(wanted)
                rows = list(range(len(self.judged)))
                self._add(BaselineRow(model=name, features="", **self._measured([said] * len(rows), rows)))

    def _measure_group(self, features: str, entries: Sequence[ModelEntry], deadline: float | None) -> None:
        """Measure the models on one kind of features, which are computed once."""
        known = {row.model for row in self.rows}
        images: tuple[Images, Images, float] | None = None
        for entry in entries:
            if entry.name in known:
                continue
            if deadline is not None and perf_counter() > deadline:
                self.left_out[entry.name] = "the time was over; --minutes gives more"
                continue
            try:
                model = self._built(entry)
                if images is None:
                    images = self._described(model, entry)
                row = self._fitted(model, entry, features, *images)
            except SnellenError as error:
                if isinstance(error, CheckpointError):
                    raise
                self.left_out[entry.name] = str(error)
                continue
            self._add(row)
            self._report(interrupted=True).write(self.folder)

    def _built(self, entry: ModelEntry) -> ShallowModel:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.settings["seed"])
            model = entry.build(len(self.index.classes), **self._told(entry))
        if not isinstance(model, ShallowModel):
            raise ConfigError(f"a baseline is of shallow models, such as hog_svm; got {entry.name!r}.")
        if entry.presumes_weights and self.settings["weights"] is not None:
            load_weights(model, self.settings["weights"])
        elif entry.presumes_weights:
            say(self.console, f"{entry.name}: no weights were given; its features are random", style="yellow")
        return model.to(self.device).eval()

    def _told(self, entry: ModelEntry) -> Mapping[str, Any]:
        """Return what the file of weights says of the images that it expects."""
        weights = self.settings["weights"]
        return weights_settings(weights) if entry.presumes_weights and weights is not None else {}

    def _described(self, model: ShallowModel, entry: ModelEntry) -> tuple[Images, Images, float]:
        """Return descriptions of training images and of those judged, and the seconds that one takes."""
        parts = [self._descriptions(model, entry, part) for part in (self.train, self.judged)]
        batch = next(iter(self._batches(self.judged, entry, min(_TIMED, len(self.judged)))))
        began = perf_counter()
        model.described([batch.images.to(self.device)], fresh=True)
        return parts[0], parts[1], (perf_counter() - began) / len(batch)

    def _descriptions(self, model: ShallowModel, entry: ModelEntry, part: DatasetIndex) -> Images:
        found = Images(descriptions=[], targets=[], rows=[], seconds=0.0)
        what = f"features for {entry.name}"
        with counting(total=len(part), what=what, console=self.console) as advance:
            for batches in _chunks(self._batches(part, entry, _BATCH)):
                began = perf_counter()
                found.descriptions += model.described([batch.images.to(self.device) for batch in batches])
                found.seconds += perf_counter() - began
                found.targets += [batch.targets for batch in batches]
                found.rows += [row for batch in batches for row in batch.indices.tolist()]
                advance(len(found.rows), len(part))
        return found

    def _batches(self, part: DatasetIndex, entry: ModelEntry, batch_size: int) -> Iterator[Batch]:
        record = {
            "image_size": entry.default_size[0],
            "resize": entry.resize,
            "masks": False,
            "proposals": None,
            "batch_size": batch_size,
            "workers": 0,
        }
        loader = evaluation_loader(part, record, 1)
        yield from loader.epoch(0)
        self.skipped.update(loader.skipped)

    def _fitted(
        self, model: ShallowModel, entry: ModelEntry, features: str, train: Images, judged: Images, of_one: float
    ) -> BaselineRow:
        groups = None if self.train.groups is None else np.asarray(self.train.groups)[train.rows]
        began = perf_counter()
        with counting(total=1, what=entry.name, console=self.console) as advance:
            data = FitData(
                batches=lambda: iter(()),
                num_images=len(train.rows),
                folder=self.folder,
                device=self.device,
                seed=self.settings["seed"],
                progress=lambda _, done, total: advance(done, total),
            )
            facts = model.fit_to(train.descriptions, train.targets, groups=groups, data=data)
        fitted = perf_counter()
        predictions = model.decode(model.output(judged.descriptions), torch.ones(len(judged.rows), 2, dtype=torch.long))
        answered = (perf_counter() - fitted) / max(1, len(judged.rows))
        return BaselineRow(
            model=entry.name,
            features=features,
            **self._measured(predictions, judged.rows),
            fit_s=round(fitted - began, 3),
            features_s=round(train.seconds, 3),
            image_ms=round(1000 * (of_one + answered), 3),
            num_bytes=sum(value.numel() * value.element_size() for value in model.state_dict().values()),
            facts=facts,
        )

    def _measured(self, predictions: Sequence[Prediction], rows: Sequence[int]) -> dict[str, Any]:
        truths = [self.judged.target(row, (1, 1)) for row in rows]
        results = self._results(predictions, truths, np.arange(len(rows)))
        self.headline = results.headline
        low, high = self._interval(predictions, truths, results.headline)
        return {
            "score": results.scalars[results.headline],
            "low": low,
            "high": high,
            "scalars": dict(results.scalars),
            "lower_is_better": results.lower_is_better,
        }

    def _interval(
        self, predictions: Sequence[Prediction], truths: Sequence[Target], headline: str
    ) -> tuple[float, float]:
        quick = QUICK_FIGURES.get(headline)
        truth = [int(each.probs.argmax()) for each in truths if isinstance(each, ClassTarget)]
        guess = [int(each.probs.argmax()) for each in predictions if isinstance(each, ClassScores)]
        if quick is not None and len(truth) == len(guess) == len(truths):
            wanted, said = np.array(truth), np.array(guess)
            if len(set((wanted == said).tolist())) == 1:
                return interval_of_equals(wanted, are_right=bool(wanted[0] == said[0]))
            return bootstrap_interval(len(truths), lambda drawn: quick(wanted[drawn], said[drawn]), resamples=RESAMPLES)
        return bootstrap_interval(
            len(truths),
            lambda drawn: self._results(predictions, truths, drawn).scalars[headline],
            resamples=_SLOW_RESAMPLES,
        )

    def _results(
        self, predictions: Sequence[Prediction], truths: Sequence[Target], drawn: Int64[np.ndarray, " n"]
    ) -> Results:
        metric = METRICS[self.index.target_type](self.index.classes, judging=self.judging)
        picked = drawn.tolist()
        metric.update([predictions[row] for row in picked], [truths[row] for row in picked], list(range(len(picked))))
        return metric.result()

    def _add(self, row: BaselineRow) -> None:
        self.rows.append(row)
        took = f", {row.fit_s + row.features_s:.1f} s" if row.features else ""
        say(self.console, f"  {row.model:<34} {row.score:.3f} ({row.low:.3f}–{row.high:.3f}){took}")

    def _report(self, *, interrupted: bool) -> BaselineReport:
        return BaselineReport(
            data=self.settings["data"],
            split=self.split,
            num_train=len(self.train),
            num_measured=len(self.judged),
            headline=self.headline,
            rows=tuple(self.rows),
            left_out=self.left_out,
            skipped=self.skipped,
            notes=signal_notes(self.rows, self.headline),
            settings=self.settings,
            interrupted=interrupted,
        )


def _by_features(entries: Sequence[ModelEntry]) -> list[tuple[str, list[ModelEntry]]]:
    """Return the models of each kind of features together, in the order in which they come first."""
    groups: dict[str, list[ModelEntry]] = {}
    for entry in entries:
        groups.setdefault(kind_of_features(entry.name), []).append(entry)
    return list(groups.items())


def _chunks(batches: Iterator[Batch], most: int = _AT_ONCE) -> Iterator[list[Batch]]:
    part: list[Batch] = []
    for batch in batches:
        part.append(batch)
        if sum(map(len, part)) >= most:
            yield part
            part = []
    if part:
        yield part
