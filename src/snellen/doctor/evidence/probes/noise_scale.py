"""How much the gradient differs from one part of the batch to another, and which batch size that suggests."""

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["NoiseScale", "noise_scale"]

_NUM_PARTS = 4
_LEAST_PART = 2  # samples; norms need two
_MOST_ROWS = 32  # samples; more cost time

_TOO_SMALL = Text(
    en="the batch has fewer than eight samples, too few to compare its parts", zh="批次少于八个样本，无法比较其各部分"
)


@dataclass(frozen=True, kw_only=True)
class NoiseScale:
    """The simple noise scale at the first step.

    Attributes:
        scale: Samples from which on a larger batch gains little; infinite where the gradient drowns in noise.
        batch_size: Of the batch that was given.
        samples: That were looked at.
    """

    scale: float
    batch_size: int
    samples: int


def noise_scale(subject: Subject) -> NoiseScale:
    """Compare the gradients of parts of the batch.

    Raises:
        NotCheckable: If the batch is too small or gives no gradient.

    Source:
        McCandlish et al. 2018, "An empirical model of large-batch training", appendix A.1,
        https://arxiv.org/abs/1812.06162. Differs: the large batch is the mean of the small ones.
    """
    part = min(len(subject), _MOST_ROWS) // _NUM_PARTS
    if part < _LEAST_PART:
        raise NotCheckable(_TOO_SMALL)
    total: list[Tensor] | None = None
    small = 0.0
    with subject.probed(training=True) as model:
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not learning:
            raise NotCheckable(Text(en="no parameter learns", zh="没有任何参数参与学习"))
        for number in range(_NUM_PARTS):
            batch = subject.rows(subject.batch, torch.arange(number * part, (number + 1) * part))
            loss = subject.loss(subject.output(model, batch), batch)
            if not loss.requires_grad:
                raise NotCheckable(Text(en="the loss gives no gradient", zh="损失不产生梯度"))
            gradients = list(torch.autograd.grad(loss, learning, materialize_grads=True))
            small += _squared(gradients) / _NUM_PARTS
            total = gradients if total is None else [a + b for a, b in zip(total, gradients, strict=True)]
    large = _squared(total or []) / _NUM_PARTS**2
    whole = part * _NUM_PARTS
    signal = (whole * large - part * small) / (whole - part)
    noise = (small - large) / (1 / part - 1 / whole)
    scale = noise / signal if signal > 0 else inf
    return NoiseScale(scale=max(scale, 0.0), batch_size=len(subject), samples=whole)


def _squared(gradients: list[Tensor]) -> float:
    return sum(float(gradient.double().square().sum()) for gradient in gradients)
