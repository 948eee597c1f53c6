"""What is examined: a model with one batch, and the functions that lead from the one to the loss.

Sources of evidence take a `Subject` as a parameter and never the form of somebody's model or batch::

    def gradient_norms(subject: Subject) -> GradientNorms:
        with subject.probed(training=True) as model:      # everything inside is undone afterwards, see `untouched`
            loss = subject.loss(subject.output(model, subject.batch), subject.batch)
            loss.backward()
            ...

- ``output(model, batch)`` and ``loss(output, batch)`` work with any batch that the lenses give back. ``loss`` returns
  a scalar, or raises `NotCheckable` where there is no loss, where it cannot be computed on this batch, or where the
  model tells it in training mode only (``loss_needs_training``) and is not in it.
- ``images(batch)`` is one tensor, uint8 for Snellen's own models and nearly always float for others: ask
  ``is_floating_point()`` before you add noise or want a gradient. ``with_images`` keeps shape and dtype.
- ``rows(batch, indices)`` makes sub-batches, permutations and repetitions: ``indices`` is int64, may repeat.
- ``logits(output)`` is the tensor that the loss reads, ``[batch, classes, ...]`` for classes; None where an output has
  several parts, as in detection.
- Randomness inside `probed` starts from a fixed seed, so two equal probes give equal bits.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim import Optimizer

from snellen.doctor.examining.lenses import Lens
from snellen.doctor.examining.resizing import take_smaller
from snellen.doctor.examining.untouched import untouched
from snellen.doctor.words import Text

__all__ = ["Subject", "Task"]

Task = Literal["classification", "multilabel", "detection", "segmentation", "regression", "unknown"]

_SEED = 0  # of every probe; any number would do


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model, one batch, and how they go together; made by `snellen.doctor.examining.subject_of`.

    Attributes:
        model: In the modes in which it was handed over.
        batch: Real data, in the form that the user's loop has.
        output: Of a model for a batch.
        loss: Of an output for its batch, a scalar.
        logits: Of an output, or None.
        lens: Where images and targets are in the batch.
        optimizer: Of the user, or None.
        criterion: The loss as the user passed it, or None.
        num_classes: Of the data, without a background class; None if nobody said.
        classes: Their names, if somebody said.
        task: As far as batch and output show it.
        has_loss: Whether a loss is known at all.
        loss_needs_training: Whether the loss exists only while the model is in training mode.
        forward_error: What the model raised on this batch, or None; then ``output`` raises `NotCheckable`.
        loss_error: What the loss raised on this batch, or None.
        loss_takes_logits: Whether the loss is a function of ``logits(output)`` and the targets, and of nothing else.
        step: One step of the user's own loop, a function of a batch, or None.
        validate: The user's own validation, a function of a batch, or None.
        keep: What else must be left as it is.
    """

    ABSENT: ClassVar[Text] = Text(
        en="no model and batch were given; use snellen.examine(model, batch, loss, optimizer)",
        zh="没有给出模型和批次；请使用 snellen.examine(model, batch, loss, optimizer)",
    )

    model: nn.Module
    batch: Any
    output: Callable[[nn.Module, Any], Any]
    loss: Callable[[Any, Any], Float[Tensor, ""]]
    logits: Callable[[Any], Tensor | None]
    lens: Lens
    optimizer: Optimizer | None = None
    criterion: Callable[..., Any] | None = None
    num_classes: int | None = None
    classes: tuple[str, ...] = ()
    task: Task = "unknown"
    has_loss: bool = True
    loss_needs_training: bool = False
    forward_error: Exception | None = None
    loss_error: Exception | None = None
    loss_takes_logits: bool = False
    step: Callable[[Any], Any] | None = None
    validate: Callable[[Any], Any] | None = None
    keep: tuple[Any, ...] = ()

    def __len__(self) -> int:
        """Return the number of samples of the batch."""
        return len(self.images(self.batch))

    def images(self, batch: Any) -> Tensor:
        """Return all images of a batch as one tensor; images of several sizes are padded right and bottom."""
        return self.lens.images(batch)

    def with_images(self, batch: Any, images: Tensor) -> Any:
        """Return a copy of a batch with other images of the same shape and dtype."""
        return self.lens.with_images(batch, images)

    def targets(self, batch: Any) -> Any:
        """Return what the model should say, in the form of the batch; None if there is nothing."""
        return self.lens.targets(batch)

    def rows(self, batch: Any, indices: Int64[Tensor, " rows"]) -> Any:
        """Return the batch of these samples in this order."""
        return self.lens.rows(batch, indices)

    @contextmanager
    def probed(self, *, training: bool | None, seed: int = _SEED, may_resize: bool = False) -> Iterator[nn.Module]:
        """Give the model in training or in evaluation mode (None: as it is), and put everything back afterwards.

        For training, modes stay as they were handed over if the model was in training mode, so that norms which the
        user holds in evaluation mode stay so. Where what is measured does not depend on the size of images
        (``may_resize``), models that enlarge them by themselves do so less: see `take_smaller`.
        """
        held = (self.model, self.optimizer, self.criterion, self.output, self.loss, self.step, self.validate)
        with untouched(*held, self.batch, self.keep):
            if training is not None and not (training and self.model.training):
                self.model.train(training)
            if may_resize:
                take_smaller(self.model)
            seed_everything(seed)
            with torch.enable_grad():
                yield self.model


def seed_everything(seed: int) -> None:
    """Seed the global generators; only inside `untouched`."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what people's augmentation may draw from
    torch.manual_seed(seed)
