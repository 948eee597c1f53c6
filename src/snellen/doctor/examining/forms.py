"""Whether two forms of a model give the same answers, for anybody's models."""

from collections.abc import Callable, Iterable
from typing import Any

from snellen.doctor.catalog import find_check
from snellen.doctor.diagnosis import Diagnosis, diagnose
from snellen.doctor.evidence.gathering import Evidence
from snellen.doctor.evidence.results.parity import parity_of

__all__ = ["check_parity"]


def check_parity(first: Callable[..., Any], second: Callable[..., Any], batches: Iterable[Any]) -> Diagnosis:
    """Give the same batches to two forms of a model and say whether their outputs are the same.

    Args:
        first: The model as it was trained, in evaluation mode, or any callable.
        second: Its other form: exported, compiled, on another device, in another precision. It takes what the first
            takes; wrap it where it does not.
        batches: Real inputs of both; a tuple is given as several arguments.

    Returns:
        A diagnosis with the check R8.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(4, 3).eval()
        >>> check_parity(net, lambda x: net(x).half().float(), [torch.randn(2, 4)]).findings
        ()
    """
    return diagnose(Evidence([parity_of(first, second, batches)]), [find_check("R8")])
