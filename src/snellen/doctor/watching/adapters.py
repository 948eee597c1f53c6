"""Watching the loops of other libraries; each adapter is a callback of theirs around `watch`."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from snellen.doctor.watching.watch import Watch, watch
from snellen.errors import ConfigError

__all__ = ["hugging_face_callback", "lightning_callback", "ultralytics_callbacks"]


class _Watched:
    """What all of them do: begin when the optimizer is there, and note scores."""

    def __init__(self, folder: Path | str | None, options: Mapping[str, Any]) -> None:
        self.folder, self.options = folder, options
        self.doctor: Watch | None = None

    def begin(self, model: nn.Module, optimizer: Optimizer, *, planned_steps: int | None, steps_done: int) -> None:
        self.end()
        self.doctor = watch(
            model,
            getattr(optimizer, "optimizer", optimizer),  # inside what accelerate and Lightning wrap around it
            planned_steps=planned_steps,
            steps_done=steps_done,
            folder=self.folder,
            **self.options,
        )
        self.doctor.__enter__()

    def note(self, scores: Mapping[str, Any]) -> None:
        numbers = {
            name: float(value)
            for name, value in scores.items()
            if isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)
        }
        if self.doctor is not None and numbers:
            self.doctor.validated(**numbers)

    def end(self) -> None:
        if self.doctor is not None:
            self.doctor.__exit__(None, None, None)


def hugging_face_callback(*, folder: Path | str | None = None, **options: Any) -> Any:
    """Return a callback for the ``Trainer`` of transformers: ``Trainer(…, callbacks=[hugging_face_callback()])``.

    Losses are those that the model returns. The attribute ``doctor`` of the callback is the `Watch`.

    Args:
        folder: Where the trace goes.
        **options: Others of `watch`.

    Raises:
        ConfigError: If transformers is not installed.
    """
    base = _imported("transformers", "transformers").TrainerCallback

    class _HuggingFaceWatch(_Watched, base):  # type: ignore[misc, valid-type]  # known at run time only
        def on_train_begin(self, _args: Any, state: Any, _control: Any, **given: Any) -> None:
            self.begin(given["model"], given["optimizer"], planned_steps=state.max_steps, steps_done=state.global_step)

        def on_evaluate(self, *_: Any, metrics: Mapping[str, Any] | None = None, **__: Any) -> None:
            self.note({name.removeprefix("eval_"): value for name, value in (metrics or {}).items()})

        def on_train_end(self, *_: Any, **__: Any) -> None:
            self.end()

    return _HuggingFaceWatch(folder, options)


def lightning_callback(*, folder: Path | str | None = None, **options: Any) -> Any:
    """Return a callback for Lightning: ``Trainer(callbacks=[lightning_callback()])``.

    The loss is what ``training_step`` returns; measures of validations are those that were logged. The attribute
    ``doctor`` of the callback is the `Watch`.

    Args:
        folder: Where the trace goes.
        **options: Others of `watch`.

    Raises:
        ConfigError: If Lightning is not installed.
    """
    base = _imported("lightning.pytorch", "lightning").Callback

    class _LightningWatch(_Watched, base):  # type: ignore[misc, valid-type]  # known at run time only
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            planned = trainer.estimated_stepping_batches
            finite = planned if planned != float("inf") else None
            self.begin(pl_module, trainer.optimizers[0], planned_steps=finite, steps_done=trainer.global_step)

        def on_train_batch_end(self, _trainer: Any, _module: Any, outputs: Any, *_: Any) -> None:
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            if self.doctor is not None and isinstance(loss, Tensor):
                self.doctor.observe(loss)

        def on_validation_end(self, trainer: Any, _module: Any) -> None:
            if not trainer.sanity_checking:
                self.note(trainer.callback_metrics)

        def on_train_end(self, *_: Any) -> None:
            self.end()

        def on_exception(self, *_: Any) -> None:
            self.end()

    return _LightningWatch(folder, options)


def ultralytics_callbacks(*, folder: Path | str | None = None, **options: Any) -> dict[str, Any]:
    """Return callbacks for ultralytics, by event, each for ``model.add_callback(event, callback)``.

    Args:
        folder: Where the trace goes.
        **options: Others of `watch`.
    """
    watched = _Watched(folder, options)

    def begin(trainer: Any) -> None:
        steps = len(trainer.train_loader) * trainer.epochs // max(1, getattr(trainer, "accumulate", 1))
        done = len(trainer.train_loader) * trainer.start_epoch
        watched.begin(trainer.model, trainer.optimizer, planned_steps=steps, steps_done=done)

    def batch(trainer: Any) -> None:
        if watched.doctor is not None and isinstance(trainer.loss, Tensor):
            terms = dict(zip(getattr(trainer, "loss_names", ()), getattr(trainer, "loss_items", ()), strict=False))
            watched.doctor.observe(trainer.loss.sum(), **{str(name): value for name, value in terms.items()})

    return {
        "on_train_start": begin,
        "on_train_batch_end": batch,
        "on_fit_epoch_end": lambda trainer: watched.note(trainer.metrics or {}),
        "on_train_end": lambda _trainer: watched.end(),
    }


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"{package} is not installed: pip install {package}") from error
