"""Examining anybody's model before the first step."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from snellen.doctor.catalog import CHECKS, selected
from snellen.doctor.check import Stage
from snellen.doctor.diagnosis import Diagnosis, diagnose
from snellen.doctor.evidence.catalog import SETUP_SOURCES
from snellen.doctor.evidence.gathering import Evidence
from snellen.doctor.evidence.loop_parts import BoxChange, Deep, LabelTransform, MaskChange, UserLoader
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.examining.recognition import subject_of
from snellen.doctor.examining.subject import Task

__all__ = ["examine"]


def examine(  # noqa: PLR0913 - what a user may have to say
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Optimizer | None = None,
    *,
    forward: Callable[[nn.Module, Any], Any] | None = None,
    images: int | str | None = None,
    targets: int | str | None = None,
    num_classes: int | None = None,
    classes: Sequence[str] = (),
    task: Task | None = None,
    step: Callable[[Any], Any] | None = None,
    validate: Callable[[Any], Any] | None = None,
    keep: Sequence[Any] = (),
    loader: Iterable[Any] | None = None,
    box_transform: BoxChange | None = None,
    mask_transform: MaskChange | None = None,
    setup: Setup | None = None,
    deep: bool = False,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
) -> Diagnosis:
    """Return what is wrong with a model, its loss and its optimizer, found by trying them on one batch.

    Works with any PyTorch model. Afterwards weights, buffers, optimizer, gradients, modes and random states are the
    same bits as before.

    Args:
        model: Any module, on its device.
        batch: Real training data as the loop gets it, on the model's device: ``(images, targets)``, a dictionary, or a
            tensor. Eight samples or more show more than two.
        loss: ``loss(output, targets)``; None if the model returns its loss, as torchvision's detectors and the models
            of Hugging Face do.
        optimizer: As it will be used.
        forward: ``forward(model, batch)``, where a model is called in an unusual way; it may return the loss itself.
        images: Place or key of the images in the batch, where it is not found.
        targets: Place or key of the targets in the batch, where it is not found.
        num_classes: Of the data, without a background class.
        classes: Names of the classes; they also say how many there are.
        task: What the model is for, where targets and output do not show it.
        step: One step of your own loop on a batch: zero_grad, forward, backward, step. It shows faults of the loop.
        validate: Your own validation of one batch.
        keep: Whatever else could change and must not, such as a scheduler that `step` does not name.
        loader: Of training, such as a ``DataLoader``; shows whether its processes draw the same random numbers.
        box_transform: Augmentation and resizing, ``(image, boxes) -> (image, boxes)``, of bytes
            ``[height, width, 3]`` and xyxy in pixels ``[n, 4]``.
        mask_transform: The same with masks of class numbers, ``(image, mask) -> (image, mask)``.
        setup: What is planned: ``Setup(epochs=…, steps=…, pretrained=True)``; whatever is left out is not judged.
        deep: Whether to take minutes for a range test of the learning rate.
        select: Codes or names of checks; all if empty.
        ignore: What is left out.

    Returns:
        Every check with what it found, or why it could not look.

    Raises:
        InputError: If the form of the batch or of the output is not understood.

    Example:
        >>> import torch, snellen
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3), torch.nn.Softmax(1))
        >>> batch = torch.rand(8, 3, 4, 4), torch.randint(3, (8,))
        >>> diagnosis = snellen.examine(model, batch, torch.nn.functional.cross_entropy, select=("M4",))
        >>> [(finding.code, finding.message) for finding in diagnosis.findings]
        [('M4', 'softmax_twice')]
    """
    subject = subject_of(
        model,
        batch,
        loss,
        optimizer,
        forward=forward,
        images=images,
        targets=targets,
        num_classes=num_classes,
        classes=classes,
        task=task,
        step=step,
        validate=validate,
        keep=keep,
    )
    given: list[object] = [subject]
    if loader is not None:
        given.append(UserLoader(batches=loader))
    if box_transform is not None or mask_transform is not None:
        given.append(LabelTransform(boxes=box_transform, mask=mask_transform))
    if setup is not None:
        given.append(setup)
    if deep:
        given.append(Deep())
    checks = tuple(check for check in selected(CHECKS, select, ignore) if check.stage is Stage.SETUP)
    return diagnose(Evidence(given, SETUP_SOURCES), checks)
