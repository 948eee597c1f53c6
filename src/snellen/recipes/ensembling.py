"""The verb ensemble: several trained runs as one, in a run folder of its own."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from snellen.data import ClassTable, DatasetIndex
from snellen.errors import CheckpointError, ConfigError, did_you_mean
from snellen.evaluation import blend_weights, log_loss, predicted_batches
from snellen.models.ensemble import Ensemble, MergeSettings
from snellen.recipes.evaluating import evaluate_run, evaluation_loader, measured_score, recorded_index
from snellen.recipes.loaders import training_loader
from snellen.recipes.parts import recorded_part
from snellen.recipes.planning import chosen_device
from snellen.recipes.progress import say
from snellen.recipes.reporting import write_run_report
from snellen.recipes.runs import ENSEMBLE, ENSEMBLE_FILE, Run, environment, new_folder, write_json
from snellen.structures import ClassScores, ClassTarget, Model
from snellen.training import autocast, read_weights, reestimate_norms

__all__ = ["HOWS", "Ensembling", "Member", "averaged_weights", "ensemble", "members_of"]

Ensembling = Literal["mean", "blend", "soup", "greedy_soup"]
HOWS: tuple[Ensembling, ...] = get_args(Ensembling)
# That one picture is made for all members.
_SAME = ("target", "image_size", "resize", "masks", "proposals", "classes", "enhance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One set of weights of one run.

    Attributes:
        run: Trained.
        file: Of the weights.
    """

    run: Run
    file: Path

    def load(self, device: torch.device | str = "cpu") -> nn.Module:
        """Return the model with these weights, in evaluation mode."""
        model: nn.Module = self.run.build()  # type: ignore[assignment]  # every model is a module
        model.load_state_dict(read_weights(self.file))
        return model.to(device).eval()


def members_of(runs: Sequence[Run | Path | str], *, snapshots: bool = False, last: int | None = None) -> list[Member]:
    """Return the members that runs give: the best weights of each, or all that were kept at the ends of cycles.

    Args:
        runs: Trained, or their folders.
        snapshots: Whether the snapshots of each are meant; train with ``schedule="snapshot"``.
        last: Only so many snapshots of each, the latest.

    Raises:
        CheckpointError: If a run has no weights, or no snapshots.
    """
    found: list[Member] = []
    for given in runs:
        run = given if isinstance(given, Run) else Run.open(given)
        store = run.store
        files = (
            list(store.snapshots)[-(last or 0) :] if snapshots else [store.best if store.best.exists() else store.last]
        )
        if not files or not all(file.exists() for file in files):
            wanted = "snapshots; train with --schedule snapshot" if snapshots else "weights; train first"
            raise CheckpointError(f"{run.folder}: expected {wanted}. None are in {store.folder.name}/.")
        found += [Member(run=run, file=file) for file in files]
    return found


def ensemble(
    runs: Sequence[Run | Path | str],
    *,
    how: Ensembling = "mean",
    weights: Sequence[float] | None = None,
    snapshots: bool = False,
    last: int | None = None,
    merge: MergeSettings | None = None,
    folder: Path | str | None = None,
    console: Console | None = None,
) -> Run:
    """Put trained runs together, measure what comes of it, and write it as a run that evaluates and predicts like any.

    Args:
        runs: Trained, or their folders; of the same classes, and with images made for one size.
        how: ``mean`` (of the answers), ``blend`` (the same with weights fitted on the validation images), ``soup`` (the
            mean of the weights of one architecture, as one model) or ``greedy_soup`` (of those that help).
        weights: Of the members, instead of equal ones, for ``mean``.
        snapshots: See ``members_of``.
        last: See ``members_of``.
        merge: How detections are merged.
        folder: Of the new run; a new one in ``runs`` if None.
        console: Where to say what happens.

    Raises:
        ConfigError: If the runs do not go together.
        CheckpointError: If one has no weights, or there is a run in the folder.
    """
    if how not in HOWS:
        raise ConfigError(f"how must be one of {', '.join(HOWS)}; got {how!r}.{did_you_mean(how, HOWS)}")
    members = members_of(runs, snapshots=snapshots, last=last)
    _check_together(members)
    index = _shared_index(members)
    if weights is not None and how != "mean":
        raise ConfigError(f"weights are given for how='mean'; {how!r} finds its own. Leave one of them out.")
    clean = _clean_splits(members)
    if how in ("blend", "greedy_soup") and "val" not in clean:
        raise ConfigError(
            f"{how} is fitted on validation images that no member learned from; members of folds, or of draws, "
            "have none in common. Use how='mean' or 'soup'."
        )
    if how in ("mean", "blend"):
        made = _mixed(members, index, weights, merge or MergeSettings(), is_fitted=how == "blend")
    else:
        made = _soup(members, index, is_greedy=how == "greedy_soup")
    return _finish(made, members, index, how, clean, folder, console)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What was put together: the record of its model, its weights, and what was found on the way."""

    model: str
    model_options: Mapping[str, Any]
    state: Mapping[str, Tensor]
    shares: Sequence[float]
    facts: Mapping[str, Any]


def _check_together(members: Sequence[Member]) -> None:
    first = members[0].run
    for member in members[1:]:
        for name in _SAME:
            one, other = first.record.get(name), member.run.record.get(name)
            if one != other:
                raise ConfigError(
                    f"the members of an ensemble must agree in {name}; {first.folder} has {one!r}, {member.run.folder} "
                    f"has {other!r}. Train them alike (--image-size, --classes)."
                )


def _shared_index(members: Sequence[Member]) -> DatasetIndex:
    """Return the data set of all members; what one learned from must not be what another is tested on."""
    known: dict[str, DatasetIndex] = {}
    for member in members:
        record = member.run.record
        told = {name: record.get(name) for name in ("data", "format", "read", "split_seed")}
        key = json.dumps([told, record["settings"]["seed"] if told["split_seed"] is None else None])
        if key not in known:
            known[key] = recorded_index(member.run, whole=True)
    if len({index.fingerprint() for index in known.values()}) > 1:
        raise ConfigError(
            "the members of an ensemble must share one data set, divided alike, or images that one learned from would "
            "be test images of another. Train them on data with splits, with the same --split-seed, or by --seeds."
        )
    return next(iter(known.values()))


def _clean_splits(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the splits that no member has learned from: not the validation images where some held out others."""
    parts = [recorded_part(member.run.record) for member in members]
    is_held_out = any(part is not None and part.kind in ("fold", "bootstrap") for part in parts)
    return ("test",) if is_held_out and len(set(parts)) > 1 else ("val", "test")


def _mixed(
    members: Sequence[Member],
    index: DatasetIndex,
    weights: Sequence[float] | None,
    merge: MergeSettings,
    *,
    is_fitted: bool,
) -> _Made:
    shares = [1 / len(members)] * len(members) if weights is None else list(weights)
    facts: dict[str, Any] = {}
    if is_fitted:
        likelihoods = _likelihoods(members, index)
        shares = [round(float(share), 6) for share in blend_weights(likelihoods)]
        facts = {
            "held_out_log_loss": log_loss(likelihoods @ np.array(shares)),
            "equal_log_loss": log_loss(likelihoods.mean(1)),
            "member_log_losses": [log_loss(column) for column in likelihoods.T],
        }
    model = Ensemble([member.load() for member in members], weights=shares, settings=merge)
    parts = [{name: member.run.record.get(name) for name in ("model", "model_options", "target")} for member in members]
    options = {"members": parts, "weights": list(shares), "merge": asdict(merge)}
    return _Made(
        model=ENSEMBLE, model_options=options, state=model.state_dict(), shares=model.shares.tolist(), facts=facts
    )


def _likelihoods(members: Sequence[Member], index: DatasetIndex) -> NDArray[np.float64]:
    """Return what each member gives to the true class of each validation image, ``[images, members]``."""
    if index.target_type is not ClassTarget:
        raise ConfigError(
            f"blend fits weights to the classes of images; the members learn from {index.target_type.__name__}. Use "
            "how='mean', with weights of your own if you like."
        )
    part = index.split("val")
    table = np.stack([_given_to_truth(member, part) for member in members], axis=1)
    return np.asarray(table[np.isfinite(table).all(1)], np.float64)


def _given_to_truth(member: Member, part: DatasetIndex) -> NDArray[np.float64]:
    """Return the probability that a member gives to the true class of each image; NaN where it could not be read."""
    record = member.run.record
    device = torch.device(chosen_device(record["device"])[0])
    model: Model = member.load(device)  # type: ignore[assignment]  # a module with the three verbs
    loader = evaluation_loader(part, record, model.stride)
    given = np.full(len(part), np.nan)

    def precision() -> AbstractContextManager[object]:
        return autocast(device, record["settings"]["precision"])

    for batch, said in predicted_batches(model, loader.epoch(0), device=device, precision_context=precision):
        for row, prediction in zip(batch.indices.tolist(), said, strict=True):
            if isinstance(prediction, ClassScores) and isinstance(part.annotations, ClassTable):
                given[row] = float(prediction.probs[int(part.annotations.labels[row])])
    return given


def averaged_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the equal mean of every number of several state dicts; counters are those of the first.

    Raises:
        ConfigError: If they are not of one architecture.
    """
    first = states[0]
    for other in states[1:]:
        if {k: v.shape for k, v in first.items()} != {k: v.shape for k, v in other.items()}:
            raise ConfigError(
                "a soup is made of weights of one architecture; got several. Use how='mean', which takes any."
            )
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in first.items()
    }


def _soup(members: Sequence[Member], index: DatasetIndex, *, is_greedy: bool) -> _Made:
    """Average weights; batch norms are measured anew, for the mean of weights has statistics of its own.

    Source:
        Wortsman et al. 2022, Model soups, https://arxiv.org/abs/2203.05482, recipe 1 for the greedy one; batch norms as
        in Izmailov et al. 2018.
    """
    states = [read_weights(member.file) for member in members]
    record = members[0].run.record
    if not is_greedy:
        state = _measured_anew(averaged_weights(states), members[0].run, index)
        shares = [1 / len(members)] * len(members)
        return _Made(model=record["model"], model_options=record["model_options"], state=state, shares=shares, facts={})
    scores = [measured_score(_loaded(state, members[0].run), members[0].run, index, "val") for state in states]
    order = sorted(range(len(states)), key=lambda place: -scores[place])
    chosen, best, state = [order[0]], scores[order[0]], dict(states[order[0]])
    for place in order[1:]:
        tried = _measured_anew(averaged_weights([states[p] for p in (*chosen, place)]), members[0].run, index)
        score = measured_score(_loaded(tried, members[0].run), members[0].run, index, "val")
        if score >= best:
            chosen, best, state = [*chosen, place], score, tried
    shares = [1 / len(chosen) if place in chosen else 0.0 for place in range(len(members))]
    facts = {"member_scores": scores, "held_out_score": best}
    return _Made(model=record["model"], model_options=record["model_options"], state=state, shares=shares, facts=facts)


def _loaded(state: Mapping[str, Tensor], run: Run) -> nn.Module:
    model: nn.Module = run.build()  # type: ignore[assignment]  # every model is a module
    model.load_state_dict(dict(state))
    return model.to(chosen_device(run.record["device"])[0]).eval()


def _measured_anew(state: Mapping[str, Tensor], run: Run, index: DatasetIndex) -> dict[str, Tensor]:
    model = _loaded(state, run)
    stride = model.stride
    loader = training_loader(index, run.record, int(stride) if isinstance(stride, int) else 1)
    reestimate_norms(model, loader.epoch(0), precision=run.record["settings"]["precision"])
    return {name: value.cpu() for name, value in model.state_dict().items()}


def _finish(
    made: _Made,
    members: Sequence[Member],
    index: DatasetIndex,
    how: Ensembling,
    clean: Sequence[str],
    folder: Path | str | None,
    console: Console | None,
) -> Run:
    base = members[0].run.record
    place = Path(folder) if folder is not None else new_folder(f"ensemble-{base['model']}")
    if (place / "run.json").exists():
        raise CheckpointError(f"{place}: expected a new folder; a run is there. Choose another folder.")
    facts = {
        "how": how,
        "members": [{"run": str(member.run.folder.resolve()), "weights": member.file.name} for member in members],
        "shares": list(made.shares),
        **made.facts,
    }
    left_out = ("version", "options", "finetune", "layer_decay", "freeze", "transfer", "part")
    record = {
        **{name: value for name, value in base.items() if name not in left_out},
        "model": made.model,
        "model_options": dict(made.model_options),
        "weights": None,
        "fingerprint": index.fingerprint(),
        "reasons": {"ensemble": f"{len(members)} members: {', '.join(f'{share:.3g}' for share in made.shares)}"},
        "ensemble": how,
        "environment": environment(),
    }
    run = Run.create(place, record)
    write_json(place / ENSEMBLE_FILE, facts)
    run.store.save_best(made.state, score=0.0, epoch=0, step=0)
    for name in clean:
        if name in index.split_names and len(index.split_rows(name)):
            evaluate_run(run, index=index, split=name, console=console)
    write_run_report(run, index)
    say(console, f"report: {run.report}")
    return run
