"""How the loss grows with the batch."""

from dataclasses import dataclass

import torch
from torch import nn

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.probes.first_step import FirstStep
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["LossScale", "loss_scale"]

_MOST_ROWS = (
    8  # samples that are repeated; one, or two for the sake of batch norms, if the model has to be run for them
)


@dataclass(frozen=True, kw_only=True)
class LossScale:
    """What happens when every sample comes twice.

    Attributes:
        ratio: Loss of the doubled batch over the loss of the batch: 1 for a mean, 2 for a sum.
    """

    ratio: float


def loss_scale(subject: Subject, first: FirstStep) -> LossScale:
    """Double some samples.

    Raises:
        NotCheckable: If there is no loss, or it is zero.
    """
    first.require_loss()
    rows = _MOST_ROWS if subject.loss_takes_logits else 2 if _has_batch_norms(subject) else 1
    once = torch.arange(min(rows, len(subject)))
    values = [_loss_of_rows(subject, first, rows) for rows in (once, once.repeat(2))]
    if not values[0]:
        raise NotCheckable(Text(en="the loss of the samples is zero", zh="这些样本的损失为零"))
    return LossScale(ratio=values[1] / values[0])


def _has_batch_norms(subject: Subject) -> bool:
    """Return whether the model has norms that refuse a single sample in training mode, and has to be in it."""
    kind = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the class that all batch norms share
    return subject.loss_needs_training and any(isinstance(module, kind) for module in subject.model.modules())


def _loss_of_rows(subject: Subject, first: FirstStep, rows: torch.Tensor) -> float:
    batch = subject.rows(subject.batch, rows)
    with subject.probed(training=subject.loss_needs_training, may_resize=True) as model, torch.no_grad():
        if subject.loss_takes_logits and first.logits is not None:
            return float(subject.loss(first.logits[rows.to(first.logits.device)], batch))
        return float(subject.loss(subject.output(model, batch), batch))
