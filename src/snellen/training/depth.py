"""Parts of a model that learn at rates of their own, from an epoch on, or not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from snellen.errors import ConfigError

__all__ = ["DepthGroup", "LearningParts", "group_of_parameters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthGroup:
    """A part of a model, and how it learns.

    Attributes:
        name: For people, such as ``c2`` or ``head``.
        parts: Paths of modules, such as ``backbone.layer1``; the empty path is everything that no other group names.
        factor: Share of the run's learning rate, above 0, at most 1.
        from_epoch: Epoch, from 0, in which it begins to learn; None for never.
        fixed_norms: Whether its batch norms keep the statistics that they have, also while it learns. Those of a part
            that does not learn always do: if they moved, the features would.
    """

    name: str
    parts: tuple[str, ...]
    factor: float = 1.0
    from_epoch: int | None = 0
    fixed_norms: bool = False

    def __post_init__(self) -> None:
        """Check every value."""
        if not 0 < self.factor <= 1:
            raise ConfigError(f"the share of the rate of {self.name!r} must be in (0, 1]; got {self.factor}.")
        if self.from_epoch is not None and self.from_epoch < 0:
            raise ConfigError(f"{self.name!r} must begin to learn in epoch 0 or later; got {self.from_epoch}.")

    def learns_in(self, epoch: int) -> bool:
        """Return whether it learns in ``epoch``."""
        return self.from_epoch is not None and epoch >= self.from_epoch


def group_of_parameters(model: nn.Module, groups: Sequence[DepthGroup]) -> dict[str, DepthGroup]:
    """Return the group of every parameter by name; the longest path that leads to it decides.

    Raises:
        ConfigError: If a parameter is in no group.
    """
    return {name: _group_of(name, groups) for name, _ in model.named_parameters()}


def _group_of(name: str, groups: Sequence[DepthGroup]) -> DepthGroup:
    best, length = None, -1
    for group in groups:
        for path in group.parts:
            if len(path) > length and (not path or name == path or name.startswith(f"{path}.")):
                best, length = group, len(path)
    if best is None:
        raise ConfigError(
            f"every parameter must be in a group; {name!r} is in none of {', '.join(group.name for group in groups)}. "
            "Give one group the empty path, which stands for the rest."
        )
    return best


class LearningParts:
    """Lets the parts of a model learn when their epoch has come.

    A part that does not learn yet gets no gradients at all, instead of a rate of 0: an optimizer passes it by, so that
    neither momentum nor second moments gather while it waits, and Adam's bias correction counts from its own first
    step. What learns is a function of the epoch alone.

    Args:
        model: Parameters without gradients are left as they are, and never learn.
        groups: None for a model that learns as it is.
    """

    def __init__(self, model: nn.Module, groups: Sequence[DepthGroup]) -> None:
        self._groups = tuple(groups)
        owners = group_of_parameters(model, groups) if groups else {}
        self._parameters = [
            (parameter, owners[name])
            for name, parameter in model.named_parameters()
            if groups and parameter.requires_grad
        ]
        self._norms = [(module, _group_of(path, groups)) for path, module in _moving_norms(model) if groups]

    def enter(self, epoch: int) -> bool:
        """Let learn what learns in ``epoch``; return whether that has changed. Call it after ``model.train()``."""
        changed = False
        for parameter, group in self._parameters:
            learns = group.learns_in(epoch)
            changed |= parameter.requires_grad != learns
            parameter.requires_grad_(learns)
            if not learns:
                parameter.grad = None
        for norm, group in self._norms:
            if group.fixed_norms or not group.learns_in(epoch):
                norm.eval()
        return changed

    def leave(self) -> None:
        """Give every parameter its gradients back."""
        for parameter, _ in self._parameters:
            parameter.requires_grad_(True)  # noqa: FBT003 - torch takes it by place


def _moving_norms(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for path, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            yield path, module
