"""From what the user gave to a `Subject`: how the model is called, what its loss is, what the task is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from snellen.doctor.examining.calling import Forward, failing_forward, usual_forward, wrong_form
from snellen.doctor.examining.lenses import lens_of
from snellen.doctor.examining.losses import loss_form, unknown_loss, usual_logits
from snellen.doctor.examining.subject import Subject, Task
from snellen.doctor.examining.tasks import guessed_task

__all__ = ["subject_of"]


def subject_of(  # noqa: PLR0913 - what a user may have to say
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Optimizer | None = None,
    *,
    forward: Forward | None = None,
    images: int | str | None = None,
    targets: int | str | None = None,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
    task: Task | None = None,
    step: Callable[[Any], Any] | None = None,
    validate: Callable[[Any], Any] | None = None,
    keep: Sequence[Any] = (),
) -> Subject:
    """Return what is to be examined, after one forward pass that shows how model and batch go together.

    Args:
        model: Any module.
        batch: ``(images, targets)``, a dictionary, a tensor of images, or a batch of Snellen's.
        loss: ``loss(output, targets)``; None if the model returns its loss, as torchvision's detectors and the models
            of Hugging Face do.
        optimizer: As it will be used.
        forward: ``forward(model, batch)``, where a model is called in an unusual way. It may return the loss itself.
        images: Place or key of the images in the batch.
        targets: Place or key of the targets in the batch.
        num_classes: Of the data, without a background class.
        classes: Their names; they also say how many there are.
        task: Where it cannot be guessed.
        step: One step of the user's own loop on a batch: zero_grad, forward, backward, step.
        validate: The user's own validation of one batch.
        keep: Whatever else could change and must not: schedulers, averages, scalers.

    Raises:
        InputError: If the form of the batch or of the output is not understood.
    """
    lens = lens_of(batch, images, targets)
    forward = forward or usual_forward(model, lens, with_targets=loss is None)
    subject = Subject(
        model=model,
        batch=batch,
        output=forward,
        loss=unknown_loss,
        logits=usual_logits,
        lens=lens,
        optimizer=optimizer,
        criterion=loss,
        num_classes=num_classes if num_classes is not None or not classes else len(classes),
        classes=tuple(classes),
        step=step,
        validate=validate,
        keep=tuple(keep),
    )
    with subject.probed(training=True), torch.no_grad():
        try:
            output = forward(model, batch)
        except TypeError as error:
            raise wrong_form(model, batch, error) from error
        except Exception as error:  # noqa: BLE001 - a model that cannot be run is a finding
            guess = guessed_task(lens.targets(batch), None)
            return replace(subject, output=failing_forward(error), forward_error=error, task=task or guess)
        form = loss_form(model, lens, batch, output, loss)
        guess = guessed_task(lens.targets(batch), None if form.is_output else usual_logits(output))
    return replace(
        subject,
        loss=form.loss,
        logits=(lambda _: None) if form.is_output else usual_logits,
        has_loss=form.known,
        loss_needs_training=form.needs_training,
        loss_takes_logits=form.takes_logits,
        loss_error=form.error,
        task=task or guess,
    )
