"""One training of one run: its loaders, its stages, and what they leave behind."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import ceil, isfinite
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console
from rich.progress import Progress, TaskID

from snellen.data import BatchLoader, DatasetIndex
from snellen.errors import CheckpointError
from snellen.evaluation import METRICS, evaluate
from snellen.recipes.check_run import TRACES
from snellen.recipes.evaluating import evaluation_loader
from snellen.recipes.judging import recorded_judging
from snellen.recipes.loaders import training_loader
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import progress_bar, say
from snellen.recipes.proposing import prepare_proposals
from snellen.recipes.runs import Run
from snellen.recipes.stages import StageDone, fact_text, read_stages, write_stages
from snellen.recipes.watching import LoopWatch, loop_plan
from snellen.structures import Batch, FitData, Model, Results, Stage, Staged
from snellen.training import (
    CheckpointStore,
    Event,
    FitResult,
    JsonlLog,
    Observer,
    ProgressBar,
    TensorBoardLog,
    TrainSettings,
    TrainState,
    autocast,
    current_ranks,
    fit,
    read_checkpoint,
)

__all__ = ["Outcome", "Session"]

_LOG_EVERY = 10  # steps between two points of a curve in a long run
_LEAST_POINTS = 50  # of a curve; short runs log every step
_LINE_S = 30.0  # between two lines about a fit where there is no terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a training ended: whether it was broken off, and which files could not be read."""

    interrupted: bool
    skipped: Mapping[str, str]


class _Continued:
    """An observer that counts on where the stage before ended."""

    def __init__(self, observer: Observer, *, steps: int, epochs: int) -> None:
        self.observer = observer
        self.offsets = {"step": steps, "epoch": epochs}

    def see(self, event: Event) -> None:
        changes = {name: getattr(event, name) + offset for name, offset in self.offsets.items() if hasattr(event, name)}
        self.observer.see(replace(event, **changes))

    def close(self) -> None:
        self.observer.close()


@dataclass(frozen=True, slots=True)
class _Board:
    """Where the doctor pins its findings among the curves; steps count on where the stage before ended."""

    log: TensorBoardLog | None
    steps: int

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> None:
        if self.log is not None:
            self.log.add_text(tag, text_string, self.steps + (global_step or 0))

    def add_scalar(self, tag: str, scalar_value: float, global_step: int | None = None) -> None:
        if self.log is not None:
            self.log.add_scalar(tag, scalar_value, self.steps + (global_step or 0))


@dataclass
class Session:
    """A model, its data and its settings, ready to be trained.

    Attributes:
        run: Where everything is written.
        model: Before its first step, or as it was built.
        index: The data set.
        settings: Of the training loop, all stages together.
        console: Where to say what happens.
    """

    run: Run
    model: Model
    index: DatasetIndex
    settings: TrainSettings
    console: Console | None
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        """Put the model on its device."""
        self.device = torch.device(chosen_device(self.run.record["device"])[0])
        self.module.to(self.device)

    @property
    def module(self) -> torch.nn.Module:
        """The model as torch knows it."""
        return self.model  # type: ignore[return-value]  # every model is a module

    @cached_property
    def source(self) -> BatchLoader:
        """Training batches, augmented."""
        return training_loader(self.index, self.run.record, self.model.stride)

    @cached_property
    def validation(self) -> BatchLoader:
        """Batches of the images that decide which weights are best."""
        return evaluation_loader(self.index.split(self._judged), self.run.record, self.model.stride)

    @property
    def _judged(self) -> str:
        return "val" if "val" in self.index.split_names else "test"

    @cached_property
    def fitted(self) -> BatchLoader:
        """Training batches as a fitting stage sees them: not augmented."""
        return evaluation_loader(self.index.split("train"), self.run.record, self.model.stride)

    def validate(self, candidate: torch.nn.Module, _epoch: int) -> Results:
        """Measure a candidate on the validation images."""
        part = self.index.split(self._judged)
        return evaluate(
            candidate,  # type: ignore[arg-type]  # the average of a model is a model
            self.validation.epoch(0),
            self.validation.dataset.truth,  # type: ignore[attr-defined]  # an ImageDataset
            METRICS[self.index.target_type](self.index.classes, part.attributes, recorded_judging(self.run.record)),
            device=self.device,
            precision_context=lambda: autocast(self.device, self.settings.precision),
        )

    def train(self, *, go_on: bool) -> Outcome:
        """Train to the end, or until it is broken off.

        Args:
            go_on: Whether to go on from what is in the run's folder.
        """
        prepare_proposals(self.index, self.run.record, self.console)
        fitted: Mapping[str, str] = {}
        if isinstance(self.model, Staged):
            interrupted = self._stages(self.model)
            fitted = self.fitted.skipped
            if not interrupted and current_ranks().rank == 0:
                shutil.rmtree(self._cache, ignore_errors=True)  # no stage is left that reads it
        else:
            result = self._descend(self.run.store, self.settings, go_on=go_on, steps=0, epochs=0)
            interrupted = result.stopped.reason == "interrupted"
        return Outcome(interrupted=interrupted, skipped={**fitted, **self.source.skipped})

    @property
    def _cache(self) -> Path:
        return self.run.folder / "cache"

    def _descend(
        self, store: CheckpointStore, settings: TrainSettings, *, go_on: bool, steps: int, epochs: int
    ) -> FitResult:
        """Run the loop."""
        log = self._curves()
        return fit(
            self.module,
            self.source,
            settings,
            store=store,
            validate=self.validate,
            validation=self.validation,
            observers=self._observers(log, steps, epochs) if current_ranks().rank == 0 else (),
            watcher=partial(self._watched, store, settings, _Board(log, steps)) if current_ranks().rank == 0 else None,
            resume=go_on,
        )

    def _watched(
        self, store: CheckpointStore, settings: TrainSettings, board: "_Board", state: TrainState
    ) -> LoopWatch:
        folder = self.run.folder
        steps = settings.epochs * ceil(len(self.source) / settings.accumulate)
        return LoopWatch(
            state,
            self.model,
            plan=loop_plan(self.run.record, settings, steps=steps),
            folder=folder if store.folder == self.run.store.folder else folder / TRACES / store.folder.name,
            console=self.console,
            board=board,
        )

    @property
    def _log_every(self) -> int:
        """Steps between two points of a curve."""
        total = self.settings.epochs * len(self.source) // self.settings.accumulate
        return max(1, min(_LOG_EVERY, total // _LEAST_POINTS))

    def _curves(self) -> TensorBoardLog | None:
        """Return the log for TensorBoard, if one is wanted."""
        is_wanted = self.run.record["tensorboard"]
        return TensorBoardLog(self.run.folder / "tensorboard", every=self._log_every) if is_wanted else None

    def _observers(self, curves: TensorBoardLog | None, steps: int, epochs: int) -> Sequence[Observer]:
        logs: list[Observer] = [JsonlLog(self.run.folder / "log.jsonl", every=self._log_every)]
        logs += [] if curves is None else [curves]
        observers: list[Observer] = [_Continued(log, steps=steps, epochs=epochs) for log in logs]
        if self.console is not None:
            observers.append(ProgressBar(self.console))
        return observers

    def _stages(self, model: Staged) -> bool:
        """Run the stages that are not over yet; return whether it was broken off."""
        done = read_stages(self.run.folder)
        if done:
            self._load(self.run.folder / "checkpoints" / done[-1].weights)
        for number, stage in enumerate(model.stages[len(done) :], len(done) + 1):
            say(self.console, f"stage {number} of {len(model.stages)}: {stage.name}", style="bold")
            store = CheckpointStore(self.run.folder / "checkpoints" / f"{number}-{stage.name}")
            began = perf_counter()
            try:
                model.enter(stage.name)
                entry = self._stage(model, stage, store, done)
            except KeyboardInterrupt:
                return True
            if entry is None:
                return True
            done.append(replace(entry, seconds=round(perf_counter() - began, 2)))
            if current_ranks().rank == 0:
                self.run.store.save_best(
                    self.module.state_dict(), score=entry.score or 0.0, epoch=entry.epochs, step=entry.steps
                )
                write_stages(self.run.folder, done)
            self._tell(done[-1])
        return False

    def _stage(
        self, model: Staged, stage: Stage, store: CheckpointStore, done: Sequence[StageDone]
    ) -> StageDone | None:
        """Run one stage; None if it was broken off."""
        file = str(store.best.relative_to(self.run.folder / "checkpoints"))
        if stage.kind == "fit":
            with progress_bar(self.console) as bar:
                facts = model.fit_stage(stage.name, self._fit_data(_FitProgress(bar, self.console)))
            score = None
            if not stage.prepares:
                results = self.validate(self.module, 0)
                score = results.score
                score = score if isfinite(score) else None  # there may be nothing to measure on
            store.save_best(self.module.state_dict(), score=score or 0.0, epoch=0, step=0)
            return StageDone(
                name=stage.name,
                kind="fit",
                seconds=0,
                score=score,
                steps=0,
                epochs=0,
                weights=file,
                facts=facts,
                cache_bytes=sum(part.stat().st_size for part in self._cache.rglob("*") if part.is_file()),
            )
        epochs = max(1, round(self.settings.epochs * stage.share))
        steps = epochs * ceil(len(self.source) / self.settings.accumulate)
        settings = replace(
            self.settings,
            epochs=epochs,
            warmup_steps=min(self.settings.warmup_steps, steps // 2),
            validate_every=min(self.settings.validate_every, epochs),
            milestones=tuple(sorted({max(1, round(place * stage.share)) for place in self.settings.milestones})),
        )
        before = (sum(item.steps for item in done), sum(item.epochs for item in done))
        result = self._descend(store, settings, go_on=True, steps=before[0], epochs=before[1])
        if result.stopped.reason == "interrupted":
            return None
        steps = result.stopped.step
        if not store.best.exists():  # no validation said anything: the last of what it judged is as good as any
            store.save_best(result.model.state_dict(), score=0.0, epoch=epochs, step=steps)
        self._load(store.best)
        return StageDone(
            name=stage.name,
            kind="gradient",
            seconds=0,
            score=result.best_score,
            steps=steps,
            epochs=epochs,
            weights=file,
            facts={},
        )

    def _fit_data(self, progress: "_FitProgress") -> FitData:
        def batches() -> Iterator[Batch]:
            return self.fitted.epoch(0)

        self._cache.mkdir(parents=True, exist_ok=True)
        return FitData(
            batches=batches,
            num_images=len(self.index.split("train")),
            folder=self._cache,
            device=self.device,
            seed=self.settings.seed,
            progress=progress.tell,
            groups=self.index.split("train").groups,
        )

    def _load(self, file: Path) -> None:
        try:
            self.module.load_state_dict(dict(read_checkpoint(file).weights))
        except RuntimeError as error:  # torch says so of names and shapes alike
            raise CheckpointError(
                f"{file}: expected the state after a stage of {self.run.record['model']}; it does not fit "
                f"({str(error).splitlines()[0]}). Restore it, or train again."
            ) from error

    def _tell(self, stage: StageDone) -> None:
        facts = ", ".join(f"{name}: {fact_text(value)}" for name, value in stage.facts.items())
        score = "" if stage.score is None else f"validation {stage.score:.4g}, "
        say(self.console, f"{stage.name}: {score}{stage.seconds:.0f} s{', ' if facts else ''}{facts}")


class _FitProgress:
    """What a fitting stage says it is doing: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, bar: Progress, console: Console | None) -> None:
        self.bar = bar
        self.console = console
        self.tasks: dict[str, TaskID] = {}
        self.told_at = perf_counter()

    def tell(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            for task in self.tasks.values():
                self.bar.update(task, visible=False)
            self.tasks[what] = self.bar.add_task(what, total=total)
        self.bar.update(self.tasks[what], completed=done, total=total)
        if self.bar.disable and perf_counter() - self.told_at >= _LINE_S:
            self.told_at = perf_counter()
            say(self.console, f"{what}: {done} of {total}")
