"""The training loop: a generator of events. Whoever iterates it decides what to do about them."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from math import ceil, isnan
from time import perf_counter

import torch
from torch import nn

from snellen.errors import ConfigError, DatasetError, TrainingError
from snellen.structures import Batch, Results
from snellen.training.checkpoint import CheckpointStore
from snellen.training.distributed import Ranks, current_ranks, shared_float, shared_max
from snellen.training.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    GradientsReady,
    NonFiniteLoss,
    Started,
    StepDone,
    Stopped,
    StopReason,
    Validated,
)
from snellen.training.finite import FiniteWatch
from snellen.training.interruption import Interruption
from snellen.training.norm_statistics import reestimate_norms
from snellen.training.schedule import cycle_steps, lr_factor
from snellen.training.settings import TrainSettings
from snellen.training.source import BatchSource
from snellen.training.state import TrainState
from snellen.training.step import Stepper
from snellen.training.validation import evaluating, mean_loss

__all__ = ["Validate", "train"]

Validate = Callable[[nn.Module, int], Results]
_SECONDS_PER_MINUTE = 60.0
_PLATEAU_GAIN = 1e-4  # of the lowest loss; a smaller gain is none, torch's own threshold


def train(
    model: nn.Module,
    source: BatchSource,
    state: TrainState,
    settings: TrainSettings,
    *,
    store: CheckpointStore | None = None,
    validate: Validate | None = None,
    validation: BatchSource | None = None,
    notice: str = "",
) -> Generator[Event, None, None]:
    """Train ``model``, yielding what happens; ends with ``Stopped``.

    Nothing is read back from the device inside a step. The work of each batch is seeded by its number, so
    that a run that is broken off and resumed repeats what the unbroken run would have done. While it runs,
    Ctrl-C or SIGTERM lets the step finish, saves, and stops; a second Ctrl-C aborts.

    Args:
        model: With the verb ``loss``, on its device.
        source: Of training batches.
        state: Fresh, or restored from a checkpoint.
        settings: Of the run.
        store: Where checkpoints go, or None for none.
        validate: Called with the model to judge (the average where there is one, in evaluation mode) and the
            epoch. Its headline decides which weights are best and when patience ends.
        validation: Batches on which the loss is measured at each validation. Decides if ``validate`` is None.
        notice: Passed on in ``Started``.

    Raises:
        DatasetError: If an epoch has no batches.
        TrainingError: If the loss stays non-finite for ``settings.max_nonfinite`` steps.
    """
    if len(source) == 0:
        raise DatasetError(
            "expected at least one training batch per epoch; got none. Add images, or let the last, smaller "
            "batch be used."
        )
    run = _Run(model, source, state, settings, store, validate, validation)
    with run.interruption, run.parts_given_back():
        yield Started(
            step=state.progress.step,
            epoch=state.progress.epoch,
            epochs=settings.epochs,
            total_steps=settings.epochs * run.steps_per_epoch,
            notice=notice,
        )
        while (reason := run.stop_reason()) is None:
            yield from run.steps()
            if state.progress.batch == len(source) and run.stop_reason() is None:
                yield from run.end_of_epoch()
        if reason == "interrupted":
            yield from run.save()
        yield run.stopped(reason)


@dataclass(slots=True)
class _Run:
    """What the parts of one call of ``train`` share."""

    model: nn.Module
    source: BatchSource
    state: TrainState
    settings: TrainSettings
    store: CheckpointStore | None
    validate: Validate | None
    validation: BatchSource | None
    interruption: Interruption = field(default_factory=Interruption)
    ranks: Ranks = field(default_factory=current_ranks)
    steps_per_epoch: int = field(init=False)
    stepper: Stepper = field(init=False)
    watch: FiniteWatch = field(init=False)
    _saved_at: float = field(default_factory=perf_counter)
    _entered: float = 0.0

    def __post_init__(self) -> None:
        self.steps_per_epoch = ceil(len(self.source) / self.settings.accumulate)
        self.stepper = Stepper(self.model, self.state, self.settings)
        self.watch = FiniteWatch(in_a_row=self.state.progress.nonfinite, device=self.stepper.device)

    @contextmanager
    def parts_given_back(self) -> Iterator[None]:
        """Leave the model, at the end, wanting the gradients that it wanted before."""
        try:
            yield
        finally:
            self.state.parts.leave()

    def stop_reason(self) -> StopReason | None:
        """Why not to go on, or None."""
        progress = self.state.progress
        if progress.epoch >= self.settings.epochs:
            return "finished"
        if self.settings.patience is not None and progress.stale >= self.settings.patience:
            return "patience"
        return "interrupted" if self._interrupted() else None

    def steps(self) -> Iterator[Event]:
        """Do the rest of the epoch's steps, or as many as there is time for."""
        progress = self.state.progress
        self._entered = perf_counter()
        if progress.batch == len(self.source):  # resumed where only the validation was left
            return
        self.model.train()
        if self.state.enter_epoch(self.settings):
            self.stepper.refresh()
        batches = iter(self.source.epoch(progress.epoch, first_batch=progress.batch))
        while progress.batch < len(self.source):
            asked = perf_counter()
            group = list(islice(batches, min(self.settings.accumulate, len(self.source) - progress.batch)))
            if not group:
                self._check_any_batch()
                progress.batch = len(self.source)  # the source had less to give than it said
                break
            yield from self._step(group, asked)
            yield from self._checked(wait=False)
            yield from self._snapshot()
            if self._interrupted():
                break
            if self._is_checkpoint_due():
                yield from self.save()
        yield from self._checked(wait=True)

    def _step(self, group: list[Batch], asked: float) -> Iterator[Event]:
        progress = self.state.progress
        began = perf_counter()
        first_number = progress.epoch * len(self.source) + progress.batch
        losses, norm = self.stepper.gradients(group, first_number=first_number)
        skip = self.watch.look(
            losses,
            norm,
            step=progress.step + 1,
            epoch=progress.epoch,
            indices=tuple(batch.indices for batch in group),
        )
        yield GradientsReady(step=progress.step + 1, model=self.model, norm=norm)
        factor = lr_factor(progress.step, self.settings, steps_per_epoch=self.steps_per_epoch, cuts=progress.cuts)
        lr = self.settings.peak_lr(progress.epoch) * factor
        done = self.stepper.apply(lr, skip)
        images = sum(len(batch) for batch in group)
        if done:
            self._add_losses(losses, images)
        progress.step += 1
        progress.batch += len(group)
        yield StepDone(
            step=progress.step,
            epoch=progress.epoch,
            losses=losses,
            lr=lr,
            images=images,
            data_wait_s=began - asked,
            step_s=perf_counter() - began,
        )

    def _add_losses(self, losses: dict[str, torch.Tensor], images: int) -> None:
        progress = self.state.progress
        progress.images += images
        for name, value in losses.items():
            # nan_to_num: on a GPU it is not known yet whether this step was skipped
            part = torch.nan_to_num(value.float(), nan=0.0, posinf=0.0, neginf=0.0) * images
            former = progress.loss_sums.get(name)
            progress.loss_sums[name] = part if former is None else former + part

    def _checked(self, *, wait: bool) -> Iterator[NonFiniteLoss]:
        for report in self.watch.reports(wait=wait):
            yield report
            if report.in_a_row >= self.settings.max_nonfinite:
                raise TrainingError(
                    f"expected finite losses; {' and '.join(report.names)} was not finite in "
                    f"{report.in_a_row} steps in a row, the last of them step {report.step} (epoch "
                    f"{report.epoch + 1}, images {_some(report.indices)}). Those steps changed no weight. "
                    f"Lower the learning rate (now {self.settings.lr:g}), add warm-up steps or a clip_norm, "
                    "use fp32 instead of bf16, and look at those images' annotations."
                )
        self.state.progress.nonfinite = self.watch.in_a_row

    def end_of_epoch(self) -> Iterator[Event]:
        """Validate if it is time, go to the next epoch, and save."""
        progress = self.state.progress
        epoch = progress.epoch
        yield EpochDone(
            step=progress.step,
            epoch=epoch,
            losses={name: float(total) / progress.images for name, total in progress.loss_sums.items()},
            images=progress.images,
            seconds=perf_counter() - self._entered,
            skipped=dict(self.source.skipped),
        )
        is_last = epoch + 1 == self.settings.epochs
        improved = False
        is_due = is_last or (epoch + 1) % self.settings.validate_every == 0
        self._average_epoch(epoch, measure=is_due)
        if is_due:
            for event in self._validation(epoch):
                improved = event.improved
                yield event
        progress.epoch, progress.batch = epoch + 1, 0
        progress.images, progress.loss_sums = 0, {}
        if improved:
            yield from self._save_best(epoch)
        yield from self.save()

    def _validation(self, epoch: int) -> Iterator[Validated]:
        judged = self.state.judged(self.model)
        results, losses, score = None, None, None
        if self.validation is not None:
            losses = mean_loss(
                judged,
                self.validation,
                precision=self.settings.precision,
                channels_last=self.settings.channels_last,
                seed=self.settings.seed,
            )
            score = -sum(losses.values())
        if self.validate is not None:
            with evaluating(judged):
                results = self.validate(judged, epoch)
            score = _headline(results)
        if score is None:
            return
        score = shared_float(score, self.stepper.device)
        improved = self._is_improvement(score, epoch)
        self._note_loss(score if losses is None else -sum(losses.values()))
        yield Validated(
            step=self.state.progress.step,
            epoch=epoch,
            results=results,
            losses=losses,
            score=score,
            improved=improved,
        )

    def _is_improvement(self, score: float, epoch: int) -> bool:
        progress = self.state.progress
        if isnan(score) or (progress.best_score is not None and score <= progress.best_score):
            progress.stale += 1
            return False
        progress.best_score, progress.best_epoch, progress.stale = score, epoch, 0
        return True

    def _note_loss(self, negated: float) -> None:
        """Count validations without a lower loss, as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` does."""
        if self.settings.schedule != "plateau":
            return
        progress, loss = self.state.progress, -shared_float(negated, self.stepper.device)
        lowest = progress.lowest_loss
        if lowest is None or loss < lowest - _PLATEAU_GAIN * abs(lowest):
            progress.lowest_loss, progress.stalled = loss, 0
            return
        progress.stalled += 1
        if progress.stalled > self.settings.plateau_patience:
            progress.cuts, progress.stalled = progress.cuts + 1, 0

    def _average_epoch(self, epoch: int, *, measure: bool) -> None:
        """Let the average take note of an epoch, and measure its norms if it is going to be judged."""
        average = self.state.average
        if average is not None and average.after_epoch(self.model, epoch) and measure:
            first = 0 if average.norm_batches is None else max(0, len(self.source) - average.norm_batches)
            reestimate_norms(
                average.model,
                self.source.epoch(epoch, first_batch=first),
                precision=self.settings.precision,
                channels_last=self.settings.channels_last,
            )

    def _snapshot(self) -> Iterator[CheckpointSaved]:
        """Keep the weights at the end of a cycle."""
        if self.settings.schedule != "snapshot" or self.store is None or not self.ranks.is_first:
            return
        step, total = self.state.progress.step, self.settings.epochs * self.steps_per_epoch
        length = cycle_steps(total, self.settings.cycles)
        if step % length and step != total:
            return
        path = self.store.save_snapshot(
            self.state.judged(self.model).state_dict(), number=-(-step // length), step=step
        )
        yield CheckpointSaved(step=step, epoch=self.state.progress.epoch, path=path)

    def _check_any_batch(self) -> None:
        if self.state.progress.batch == 0:
            raise DatasetError(
                f"expected {len(self.source)} training batches in epoch {self.state.progress.epoch + 1}; got "
                f"none. {len(self.source.skipped)} files could not be read; repair them or add others."
            )

    def _interrupted(self) -> bool:
        wish = self.interruption.requested
        if self.ranks.world == 1:
            return wish
        return bool(shared_max(torch.tensor([int(wish)], device=self.stepper.device)))

    def _is_checkpoint_due(self) -> bool:
        every, minutes = self.settings.checkpoint_steps, self.settings.checkpoint_minutes
        if every is not None and self.state.progress.step % every == 0:
            return True
        return minutes is not None and perf_counter() - self._saved_at >= minutes * _SECONDS_PER_MINUTE

    def save(self) -> Iterator[CheckpointSaved]:
        """Write ``last.pt``, unless there is no store or another rank does it."""
        self._saved_at = perf_counter()
        if self.store is None or not self.ranks.is_first:
            return
        self.state.progress.nonfinite = self.watch.in_a_row
        content = self.state.capture(
            self.model, self.settings, batches_per_epoch=len(self.source), world=self.ranks.world
        )
        path = self.store.save_last(content)
        yield CheckpointSaved(step=self.state.progress.step, epoch=self.state.progress.epoch, path=path)

    def _save_best(self, epoch: int) -> Iterator[CheckpointSaved]:
        score = self.state.progress.best_score
        if self.store is None or score is None or not self.ranks.is_first:
            return
        step = self.state.progress.step
        path = self.store.save_best(self.state.judged(self.model).state_dict(), score=score, epoch=epoch, step=step)
        yield CheckpointSaved(step=step, epoch=epoch, path=path)

    def stopped(self, reason: StopReason) -> Stopped:
        """The last event, with words for the user."""
        progress = self.state.progress
        total = self.settings.epochs * self.steps_per_epoch
        best = ""
        if progress.best_epoch is not None and progress.best_score is not None:
            # Losses and errors are negated so that higher is better; people know them as they are.
            best = f" Best: {abs(progress.best_score):.4g} in epoch {progress.best_epoch + 1}."
        if reason == "finished":
            message = f"Finished after {progress.step} steps.{best}"
        elif reason == "patience":
            message = f"Stopped after epoch {progress.epoch}: no gain in {progress.stale} validations.{best}"
        elif self.store is None:
            message = f"Interrupted after step {progress.step} of {total}; nothing was saved."
        else:
            message = (
                f"Interrupted after step {progress.step} of {total}; everything is saved in "
                f"{self.store.last}. Resume the run to go on exactly from here."
            )
        return Stopped(reason=reason, step=progress.step, epoch=progress.epoch, message=message)


def _headline(results: Results) -> float:
    if results.headline not in results.scalars:
        raise ConfigError(
            f"the headline {results.headline!r} must be one of the results' scalars; got "
            f"{', '.join(results.scalars)}. Name one of them in Results.headline."
        )
    return results.score


def _some(indices: tuple[int, ...], limit: int = 8) -> str:
    shown = ", ".join(map(str, indices[:limit]))
    return shown if len(indices) <= limit else f"{shown} and {len(indices) - limit} more"
