"""Logits moved by how often each class is seen, so that rare classes are not told too seldom."""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

__all__ = ["log_priors", "logit_adjusted"]


def log_priors(counts: Integer[Tensor, " num_classes"]) -> Float[Tensor, " num_classes"]:
    """Return the logarithm of the share of each class.

    Args:
        counts: Examples of each class.

    Returns:
        Natural logarithms, float32, 0 or less. A class without examples, of which nothing is known, has that of the
        commonest class: no adjustment then favours it. All 0 where there are no examples.
    """
    number = counts.double()
    known = torch.where(number > 0, number, number.max() if number.numel() else 1.0)
    return (known / number.sum().clamp(min=1)).clamp(min=torch.finfo(torch.float64).tiny).log().clamp(max=0).float()


def logit_adjusted(
    logits: Float[Tensor, "*batch num_classes"], log_prior: Float[Tensor, " num_classes"], *, tau: float
) -> Float[Tensor, "*batch num_classes"]:
    """Return logits plus ``tau`` times the logarithms of the shares of their classes.

    With a positive ``tau`` inside the cross-entropy of training, the logits themselves learn what is right under
    equally frequent classes. With a negative one, the logits of a network that was trained without it are corrected
    afterwards.

    Args:
        logits: Raw scores.
        log_prior: See ``log_priors``.
        tau: Strength; 1, or -1 afterwards, aims at the mean of the classes' errors.

    Source:
        Menon et al. 2021, "Long-tail learning via logit adjustment", eq. 10 (in the loss) and eq. 9 (afterwards),
        https://arxiv.org/abs/2007.07314.
    """
    return logits.float() + tau * log_prior
