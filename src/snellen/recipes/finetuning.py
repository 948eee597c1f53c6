"""A plan of fine-tuning: which stages of a backbone learn, from when on, and at which share of the rate.

Size times likeness gives four cases. Few examples and features that fit: a new head on frozen features, or from about
thirty examples of a class on the head first and then stage by stage. Many and features that fit: everything, the
earlier a stage the more slowly. Few and features that do not fit: the early stages stay, what is above learns. Many and
features that do not fit: everything at the full rate; given weights are still no worse a start than random ones.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

from torch import nn

from snellen.data import DatasetIndex
from snellen.doctor import NotCheckable
from snellen.doctor.evidence.embeddings import PretrainedBackbone
from snellen.doctor.evidence.transfer import FEW, SIMILAR, VERY_FEW, Quadrant, Transfer, transfer_of
from snellen.errors import ConfigError, did_you_mean
from snellen.models import stage_paths
from snellen.models.backbones import Backbone
from snellen.nn import Normalize
from snellen.recipes.options import TrainOptions
from snellen.structures import BoxTarget, MaskTarget, Staged, Target
from snellen.training import DepthGroup

__all__ = [
    "HEAD", "FineTuning", "backbone_copy", "fine_tuning", "finetuning_lines", "finetuning_rows",
    "measured_transfer", "scratch_options",
]  # fmt: skip

HEAD = "head"
STAGE_DECAY = 1 / 2.6  # from one stage to the one before; Howard and Ruder 2018 (ULMFiT), section 3.2, by layer
HEAD_GAIN = 10.0  # of the head's rate over that of whole networks; Girshick et al. 2014 give the rest a tenth
UNFREEZING_SHARE = 0.5  # of the epochs, after which everything learns; ULMFiT adds a layer an epoch
_HEADS_OF_MANY_LAYERS: tuple[type[Target], ...] = (BoxTarget, MaskTarget)  # their usual rates are made for such heads
LEAST_BATCH = 8  # images; statistics of smaller batches are worse than the stored ones, Wu and He 2018, figure 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """A plan.

    Attributes:
        name: As in ``TrainOptions.finetune``, never ``auto``; ``last:2`` where two stages learn.
        layer_decay: Share of the rate from one stage to the one before.
        freeze: Last stage that never learns; None where all do, sooner or later.
        depth: What the training loop is told; empty where everything learns alike.
        gain: By which the usual rate is raised, because the head learns at the whole of it.
        reasons: Of the name, the decay and what is frozen.
        transfer: What was measured; None where it was not.
    """

    name: str
    layer_decay: float
    freeze: str | None
    depth: tuple[DepthGroup, ...]
    gain: float
    reasons: Mapping[str, str]
    transfer: Transfer | None

    def record(self) -> dict[str, Any]:
        """Return what a run writes down."""
        measured = None if self.transfer is None else asdict(self.transfer) | {"quadrant": self.transfer.quadrant}
        return {
            "finetune": self.name,
            "layer_decay": self.layer_decay,
            "freeze": self.freeze,
            "transfer": measured,
        }


def backbone_copy(model: nn.Module, name: str) -> PretrainedBackbone | None:
    """Return a copy of a model's backbone, in evaluation mode, with what it expects; None where it has none."""
    network, normalize = getattr(model, "backbone", None), getattr(model, "normalize", None)
    if not isinstance(network, Backbone) or not isinstance(normalize, Normalize):
        return None
    return PretrainedBackbone(
        name=name,
        network=deepcopy(network).eval(),
        mean=(normalize.mean[0], normalize.mean[1], normalize.mean[2]),
        std=(normalize.std[0], normalize.std[1], normalize.std[2]),
    )


def measured_transfer(
    index: DatasetIndex, model: nn.Module, name: str, image_size: int, options: TrainOptions
) -> tuple[Transfer | None, str]:
    """Return how well a model's features fit a data set, or why that is not known.

    Args:
        index: With its splits.
        model: With its weights.
        name: Of the model.
        image_size: At which it will be trained.
        options: Where the user chose the plan, nothing is measured.
    """
    if options.finetune not in (None, "auto"):
        return None, "given"
    backbone = backbone_copy(model, name)
    if backbone is None:
        return None, "the model has no backbone whose features could be judged"
    try:
        return transfer_of(index, backbone, side=image_size), ""
    except NotCheckable as outcome:
        return None, f"{outcome}: everything learns alike"


def fine_tuning(
    model: nn.Module,
    options: TrainOptions,
    transfer: Transfer | None,
    *,
    target_type: type[Target],
    epochs: int,
    batch_size: int,
    why_not: str = "",
) -> FineTuning:
    """Return the plan for a model that starts from weights.

    Args:
        model: With a backbone, unless nothing but ``all`` is asked of it.
        options: ``finetune``, ``layer_decay`` and ``freeze`` win over what would be chosen.
        transfer: How well the features fit; None where that is not known.
        target_type: What the model learns from.
        epochs: Of the training.
        batch_size: Images that a batch norm sees.
        why_not: Why it is not known how well the features fit.

    Raises:
        ConfigError: If a stage does not exist, or the model cannot be trained like this.

    Source:
        The four cases: Yosinski et al. 2014, https://arxiv.org/abs/1411.1792, and Kornblith et al. 2019. Stage by
        stage, with rates that fall with depth: Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, sections 3.2
        and 3.3; decay by layer also Bao et al. 2022 (BEiT), https://arxiv.org/abs/2106.08254. The head first: Kumar
        et al. 2022, https://arxiv.org/abs/2202.10054.
    """
    choice = _chosen(options.finetune or "auto", transfer, why_not, model)
    name = choice.name
    decay = choice.decay if options.layer_decay is None else options.layer_decay
    freeze = choice.freeze if options.freeze is None else options.freeze
    if name == "gradual" and isinstance(model, Staged):
        raise ConfigError(
            f"{type(model).__name__} is trained in stages of its own, which decide when a part begins to learn; "
            "finetune='gradual' does not go with it. Use --freeze or --layer-decay."
        )
    is_whole = target_type not in _HEADS_OF_MANY_LAYERS
    stands_on_stages = isinstance(getattr(model, "backbone", None), Backbone)
    fixed = is_whole and stands_on_stages and batch_size < LEAST_BATCH
    depth = _depth(model, name, freeze, decay, epochs, fixed=fixed)
    gain = HEAD_GAIN if is_whole and depth and (decay < 1 or name == HEAD) else 1.0
    frozen = [group.name for group in depth if group.from_epoch is None]
    small = f"; norms keep their statistics, for batches of {batch_size} images tell little" if fixed else ""
    reasons = {"finetune": f"{choice.reason}{small}"}
    if decay != 1:
        reasons["layer_decay"] = _given(options.layer_decay, "early stages are general: they change less")
    if frozen:
        reasons["freeze"] = _given(options.freeze, "up to this stage weights and statistics stay")
    return FineTuning(
        name=name,
        layer_decay=decay,
        freeze=frozen[-1] if frozen else None,
        depth=depth,
        gain=gain,
        reasons=reasons,
        transfer=transfer,
    )


def _given(value: object, reason: str) -> str:
    return reason if value is None else "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Name, last stage that is frozen (None for none), decay and reason."""

    name: str
    freeze: str | None = None
    decay: float = 1.0
    reason: str = "given"


def _chosen(name: str, transfer: Transfer | None, why_not: str, model: nn.Module) -> _Choice:
    if name != "auto":
        return _Choice(name=name, decay=STAGE_DECAY if name == "gradual" else 1.0)
    if transfer is None:
        return _Choice(name="all", reason=why_not or "how well the features fit is measured for images of one class")
    told = _measured_words(transfer)
    if transfer.quadrant == "few_similar" and transfer.usual < VERY_FEW:
        return _Choice(name=HEAD, reason=f"few and similar ({told}): a new head on frozen features")
    if transfer.quadrant == "few_different":
        stages = list(stage_paths(model))
        best = transfer.best.name
        last = best if best in stages[:-1] else stages[ceil(len(stages) / 2) - 1]
        reason = f"few and different ({told}): early stages stay, what is above learns"
        return _Choice(name="all", freeze=last, reason=reason)
    name, decay, reason = _BY_QUADRANT[transfer.quadrant]
    return _Choice(name=name, decay=decay, reason=reason.format(told))


_BY_QUADRANT: Mapping[Quadrant, tuple[str, float, str]] = {
    "few_similar": ("gradual", STAGE_DECAY, "few and similar ({}): the head first, then stage by stage"),
    "many_similar": ("all", STAGE_DECAY, "many and similar ({}): everything, early stages more slowly"),
    "many_different": ("all", 1.0, "many and different ({}): everything at the full rate"),
}


def _measured_words(transfer: Transfer) -> str:
    size = f"{transfer.usual} images of a usual class, {'below' if transfer.usual < FEW else 'from'} {FEW}"
    best = transfer.best
    early = "" if best.name == transfer.stages[-1].name else f", {best.skill:.2f} after {best.name}"
    shift = "" if transfer.shift is None else f"; norms see means {transfer.shift:.2f} deviations from the stored ones"
    skill = f"skill of a linear probe {transfer.skill:.2f} ± {transfer.error:.2f} of 1, similar from {SIMILAR:g}"
    return f"{size}; {skill}{early}{shift}"


def _depth(
    model: nn.Module, name: str, freeze: str | None, decay: float, epochs: int, *, fixed: bool
) -> tuple[DepthGroup, ...]:
    if name in ("all", "scratch") and freeze is None and decay == 1 and not fixed:
        return ()
    paths = stage_paths(model)
    stages = list(paths)
    if freeze is not None and freeze not in stages:
        hint = did_you_mean(freeze, stages)
        raise ConfigError(f"cannot freeze up to {freeze!r}: the stages are {', '.join(stages)}.{hint}")
    last_frozen = -1 if freeze is None else stages.index(freeze)
    groups = [
        DepthGroup(
            name=stage,
            parts=paths[stage],
            factor=decay ** (len(stages) - place),
            from_epoch=None if place <= last_frozen else _first_epoch(name, place, len(stages), epochs),
            fixed_norms=fixed,
        )
        for place, stage in enumerate(stages)
    ]
    return (*groups, DepthGroup(name=HEAD, parts=("",)))


def _first_epoch(name: str, place: int, count: int, epochs: int) -> int | None:
    """Return the epoch in which a stage, from 0, begins to learn; None for never."""
    above = count - place  # 1 for the stage below the head
    if name == HEAD:
        return None
    if name == "gradual":
        return min(max(1, round(above * epochs * UNFREEZING_SHARE / count)), epochs - 1)
    word, _, number = name.partition(":")
    return None if word == "last" and above > int(number) else 0


def finetuning_rows(
    record: Mapping[str, Any],
) -> list[tuple[str, float | None, int | None, float | None, float | None]]:
    """Return name, share of the rate, first epoch (from 1; None for never), skill and shift of each part of a run."""
    depth: Sequence[Mapping[str, Any]] = record["settings"].get("depth", ())
    measured = {stage["name"]: stage for stage in (record.get("transfer") or {}).get("stages", ())}
    rows = []
    for group in depth:
        start = group["from_epoch"]
        found = measured.get(group["name"], {"skill": None, "shift": None})
        share, first = (None, None) if start is None else (group["factor"], start + 1)
        rows.append((group["name"], share, first, found["skill"], found["shift"]))
    return rows


def finetuning_lines(record: Mapping[str, Any]) -> list[str]:
    """Return a line for each part of the model of a run: what it does, and what was measured of it."""
    lines = []
    for name, share, first, skill, shift in finetuning_rows(record):
        begins = "" if first is None or first == 1 else f", from epoch {first}"
        does = "frozen" if share is None else f"{share:.3g} of the rate{begins}"
        moved = "" if shift is None else f", shift {shift:.2f}"
        probe = "" if skill is None else f" (probe {skill:.2f}{moved})"
        lines.append(f"{name:<6} {does}{probe}")
    return lines


def scratch_options(options: TrainOptions) -> TrainOptions:
    """Return the options of a training from random weights: those that were given are left aside."""
    return replace(options, weights=None) if options.finetune == "scratch" else options
