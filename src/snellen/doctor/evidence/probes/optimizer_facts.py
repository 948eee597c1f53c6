"""What the optimizer is, as far as it shows."""

from dataclasses import dataclass

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.probes.first_updates import is_decoupled, planned_rates
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.examining import Subject
from snellen.doctor.words import Text

__all__ = ["OptimizerFacts", "optimizer_facts"]


@dataclass(frozen=True, kw_only=True)
class OptimizerFacts:
    """Rule and settings.

    Attributes:
        kind: Name of the class, in lower case.
        lr: Highest planned rate of its groups.
        momentum: Of SGD; None for rules without such a setting.
        weight_decay: Highest of its groups.
        decoupled: Whether the decay shrinks the weights themselves (AdamW).
        clip_norm: Longest gradient; None where there is no limit or it is not known.
    """

    kind: str
    lr: float
    momentum: float | None
    weight_decay: float
    decoupled: bool
    clip_norm: float | None


def optimizer_facts(subject: Subject | None, setup: Setup | None) -> OptimizerFacts:
    """Read them from the optimizer, or from the plan where there is none yet.

    Raises:
        NotCheckable: If neither is known.
    """
    clip_norm = None if setup is None else setup.options.get("clip_norm")
    if subject is not None and subject.optimizer is not None:
        groups = subject.optimizer.param_groups
        return OptimizerFacts(
            kind=type(subject.optimizer).__name__.lower(),
            lr=max(planned_rates(subject.optimizer)),
            momentum=max(float(group["momentum"]) for group in groups) if "momentum" in groups[0] else None,
            weight_decay=max(float(group.get("weight_decay", 0.0) or 0.0) for group in groups),
            decoupled=is_decoupled(subject.optimizer),
            clip_norm=clip_norm,
        )
    if setup is None or setup.optimizer is None or setup.lr is None:
        raise NotCheckable(Text(en="no optimizer is known; pass optimizer=", zh="不知道优化器；请传入 optimizer="))
    return OptimizerFacts(
        kind=setup.optimizer,
        lr=setup.lr,
        momentum=setup.options.get("momentum"),
        weight_decay=setup.weight_decay or 0.0,
        decoupled=setup.optimizer == "adamw",
        clip_norm=clip_norm,
    )
