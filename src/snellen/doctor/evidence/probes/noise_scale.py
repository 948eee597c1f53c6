"""How much the gradient differs from one part of the batch to another, and which batch size that suggests."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from snellen.doctor.check import NotCheckable
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["NoiseScale", "noise_scale", "scale_of"]

_NUM_PARTS = 4
_LEAST_PART = 2  # samples; norms need two
_MOST_ROWS = 16  # samples; more cost time
_CLEAR = 3.0  # standard errors that what the parts have in common must be above zero

_TOO_SMALL = Text(
    en="the batch has fewer than eight samples, too few to compare its parts", zh="批次少于八个样本，无法比较其各部分"
)


@dataclass(frozen=True, kw_only=True)
class NoiseScale:
    """The simple noise scale at the first step.

    Attributes:
        scale: Samples from which on a larger batch gains little; None where the gradients of the parts have so little
            in common that one batch cannot tell.
        batch_size: Of the batch that was given.
        samples: That were looked at.
    """

    scale: float | None
    batch_size: int
    samples: int


def noise_scale(subject: Subject) -> NoiseScale:
    """Compare the gradients of parts of the batch.

    Raises:
        NotCheckable: If the batch is too small or gives no gradient.
    """
    part = min(len(subject), _MOST_ROWS) // _NUM_PARTS
    if part < _LEAST_PART:
        raise NotCheckable(_TOO_SMALL)
    gradients: list[Tensor] = []
    with subject.probed(training=True, may_resize=True) as model:
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not learning:
            raise NotCheckable(Text(en="no parameter learns", zh="没有任何参数参与学习"))
        for number in range(_NUM_PARTS):
            batch = subject.rows(subject.batch, torch.arange(number * part, (number + 1) * part))
            loss = subject.loss(subject.output(model, batch), batch)
            if not loss.requires_grad:
                raise NotCheckable(Text(en="the loss gives no gradient", zh="损失不产生梯度"))
            found = torch.autograd.grad(loss, learning, materialize_grads=True)
            gradients.append(torch.cat([gradient.flatten() for gradient in found]))
    products = torch.stack([torch.stack([first @ second for second in gradients]) for first in gradients]).double()
    return NoiseScale(scale=scale_of(products, part), batch_size=len(subject), samples=part * _NUM_PARTS)


def scale_of(products: Float[Tensor, "parts parts"], part: int) -> float | None:
    """Return the noise scale from the inner products of the gradients of parts with ``part`` samples each.

    The mean of the products of different parts is an unbiased estimate of the squared true gradient, and the same as
    McCandlish's estimate by two batch sizes where the large batch is all parts together.

    Source:
        McCandlish et al. 2018, "An empirical model of large-batch training", appendix A.1,
        https://arxiv.org/abs/1812.06162.
    """
    parts = len(products)
    pairs = products[torch.triu(torch.ones(parts, parts, dtype=torch.bool), diagonal=1)]
    signal = float(pairs.mean())
    error = float(pairs.std()) / len(pairs) ** 0.5
    if signal <= _CLEAR * error:
        return None
    noise = part * (float(products.diagonal().mean()) - signal)
    return max(noise / signal, 0.0)
