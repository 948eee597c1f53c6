"""The verb check: what is wrong with a data set, and with a training that is planned on it, before the first step."""

import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from torch import nn

from snellen.data import DatasetIndex
from snellen.doctor import (
    CHECKS,
    Check,
    CheckResult,
    Diagnosis,
    Evidence,
    Finding,
    Level,
    NotCheckable,
    Stage,
    Status,
    Text,
    chosen_language,
    diagnose,
    read_baseline,
    selected,
    without_accepted,
)
from snellen.doctor.evidence.catalog import DATA_SOURCES, SETUP_SOURCES
from snellen.doctor.evidence.embeddings import PretrainedBackbone
from snellen.doctor.evidence.images import ScanSettings
from snellen.doctor.evidence.loop_parts import Deep
from snellen.doctor.evidence.transfer import Transfer
from snellen.doctor.examining import Subject, subject_of
from snellen.errors import ConfigError, DatasetError, FaultsFoundError
from snellen.evaluation import predicted_batches
from snellen.recipes.check_report import CheckReport
from snellen.recipes.check_run import check_run, is_run
from snellen.recipes.datasets import load
from snellen.recipes.finetuning import backbone_copy
from snellen.recipes.loaders import training_loader
from snellen.recipes.loop_facts import batches_of, transform_of
from snellen.recipes.options import TrainOptions, options_from
from snellen.recipes.preparing import Preparation, prepare_training
from snellen.recipes.progress import progress_bar
from snellen.recipes.setup_facts import setup_of
from snellen.structures import Batch, Staged
from snellen.training import TrainState
from snellen.training.step import Stepper

__all__ = ["check", "quick_check", "refuse_spoiling"]

# Findings, by check and message, about entries that reading leaves out or mends: they are told and stop no training.
MENDED_BY_READING: Mapping[str, tuple[str, ...]] = {
    "D1": ("default",),
    "D4": ("unreadable", "not_finite", "dangling"),
    "D5": ("out_of_range", "unknown"),
    "D7": ("no_area", "outside"),
    "D8": ("shape",),
}
_AFTER = (Stage.TRAINING, Stage.RESULTS)  # what is there once a training has begun
_NOT_RUN = Text(
    en="the model is not run before a training; `snellen check DATA --model NAME` does it",
    zh="训练前不运行模型；`snellen check 数据 --model 名称` 会运行",
)
_STAGED = Text(
    en="the model is trained in stages, some of which solve for their weights; there is no single loss to probe",
    zh="该模型分阶段训练，其中有些阶段直接求解权重；没有单一的损失可供检查",
)
_NO_BACKBONE = Text(
    en="no weights of a backbone were given; --weights and --model describe images better",
    zh="没有给出骨干网络的权重；用 --weights 和 --model 能更好地描述图像",
)


def check(
    data: DatasetIndex | Path | str = "charts",
    model: str | None = None,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    baseline: Path | str | None = None,
    deep: bool = False,
    against: Path | str | None = None,
    console: Console | None = None,
    **options: Any,
) -> CheckReport:
    """Return what is wrong with a data set and, if a model is named, with a training that is planned on it.

    Args:
        data: A data set, its path, the name of built-in charts, or the folder of a run: then its training is judged, by
            the trace that it left, and what it predicts.
        model: Name from ``snellen models``; without it the data alone are checked.
        select: Codes or names of checks, or beginnings such as ``D``; all if empty.
        ignore: Checks to leave out, in the same terms.
        baseline: File of accepted findings.
        deep: Whether to take minutes for single boxes that are wrong and for a range test of the learning rate; for a
            run, for measuring it on its training images and predicting some images anew.
        against: Folder of another run, with which a run is compared.
        console: Where to show how far it is.
        **options: Those of ``train``, see ``TrainOptions``.

    Raises:
        ConfigError: If an option or a check is unknown, or model and data do not fit.
        DatasetError: If no data set can be read.
        CheckpointError: If the weights do not fit.
    """
    chosen = options_from({**options, "model": model})
    checks = selected(CHECKS, tuple(select), tuple(ignore))
    accepted = () if baseline is None else read_baseline(baseline)
    if isinstance(data, (str, Path)) and is_run(Path(data)):
        found = check_run(Path(data), checks, against=against, deep=deep, console=console)
        return without_accepted(found, accepted)
    if against is not None:
        raise ConfigError(f"against compares two runs; {data} is not the folder of a run. Leave it out.")
    if not select:
        unseen = _AFTER if model is not None else (Stage.SETUP, *_AFTER)
        checks = tuple(item for item in checks if item.stage not in unseen)
    source = load(data, format=chosen.format, options=chosen.read) if isinstance(data, (str, Path)) else data
    planned = (_leave(deep=deep), *(() if model is None else _planned(source, chosen)))
    results = _less_grave(_results(source, checks, planned, console), chosen.enhance)
    name = Path(data).name if isinstance(data, (str, Path)) else source.root.name
    report = CheckReport(results=results, name=name or str(source.root), index=source, model=model or "")
    return without_accepted(report, accepted)


def quick_check(ready: Preparation, *, budget_s: float, console: Console | None = None) -> CheckReport:
    """Return what can be found within some seconds in the data and the settings of a training that is about to begin.

    What was measured is remembered, so that the next time goes further. The model is not run: `check` does that.

    Args:
        ready: The training.
        budget_s: Seconds after which no more is measured.
        console: Where to show how far it is.
    """

    def preparation() -> Preparation:
        return ready

    def subject() -> Subject:
        raise NotCheckable(_NOT_RUN)

    planned: tuple[Callable[..., object], ...] = (preparation, setup_of, subject, _transfer, *SETUP_SOURCES)
    checks = [item for item in CHECKS if item.stage not in _AFTER]
    results = _results(ready.source, checks, planned, console, budget_s=budget_s)
    return CheckReport(
        results=_less_grave(results, ready.record["enhance"]),
        name=Path(ready.record["data"]).name,
        index=ready.source,
        model=ready.plan.model.name,
    )


def refuse_spoiling(diagnosis: Diagnosis, ready: Preparation) -> None:
    """Stop where a training would be spoiled.

    Args:
        diagnosis: What was found.
        ready: The training; images that it leaves out anyway spoil nothing.

    Raises:
        FaultsFoundError: If there is an error that reading the data does not mend or leave out by itself.
    """
    language = chosen_language()
    spoiling = [
        finding
        for finding in diagnosis.findings
        if finding.level == Level.ERROR and not _is_mended(finding, ready.index)
    ]
    if not spoiling:
        return
    lines = []
    for finding in spoiling:
        told = diagnosis.check_of(finding)
        page = told.pages[language]
        lines.append(f"  {finding.code} {told.name}: {page.message(finding)} {page.fix_of(finding)}")
    many = f"{len(spoiling)} faults that spoil" if len(spoiling) > 1 else "a fault that spoils"
    raise FaultsFoundError(
        f"data and settings without faults were expected; found {many} the training:\n"
        + "\n".join(lines)
        + "\nMend it, or go on all the same with --force (force=True). `snellen check` shows where they are."
    )


def _is_mended(finding: Finding, index: DatasetIndex) -> bool:
    """Return whether reading has already done what mends a fault: images left out, annotations clipped or dropped."""
    if finding.message in MENDED_BY_READING.get(finding.code, ()):
        return True
    treatment = finding.treatment
    if treatment is None or not treatment.drop_images or treatment.settings or treatment.data:
        return False
    return {index.paths[row] for row in range(len(index))}.isdisjoint(treatment.drop_images)


def _less_grave(results: Iterable[CheckResult], operations: Sequence[str] | None) -> tuple[CheckResult, ...]:
    """Return results in which what the planned operations mend in training and in use is no warning any more."""
    planned = {text.partition(":")[0] for text in operations or ()}

    def eased(finding: Finding) -> Finding:
        settings = {} if finding.treatment is None else finding.treatment.settings
        proposed = {text.partition(":")[0] for text in settings.get("enhance", ())}
        is_mended = finding.level == Level.WARNING and bool(proposed) and proposed <= planned
        return replace(finding, level=Level.INFO) if is_mended else finding

    return tuple(replace(result, findings=tuple(map(eased, result.findings))) for result in results)


def _leave(*, deep: bool) -> Callable[[], Deep]:
    """Return what gives leave to take minutes."""

    def leave() -> Deep:
        if not deep:
            raise NotCheckable(Deep.ABSENT)
        return Deep()

    return leave


def _planned(source: DatasetIndex, options: TrainOptions) -> tuple[Callable[..., object], ...]:
    """Return what supplies the set-up and the model with a batch.

    Where the data are too broken to be trained on, they are judged all the same, and the reason is told.
    """
    ready: Preparation | None = None
    reason = Text(en="", zh="")
    try:
        ready = prepare_training(source, options)
    except DatasetError as error:
        reason = Text(en=f"no training can be prepared: {error}", zh=f"无法准备训练：{error}")

    def preparation() -> Preparation:
        if ready is None:
            raise NotCheckable(reason)
        return ready

    return preparation, setup_of, batches_of, transform_of, _pretrained, _transfer, _subject, *SETUP_SOURCES


def _pretrained(ready: Preparation) -> PretrainedBackbone:
    """Return a copy of the backbone with the weights that were given; images are described by it."""
    module: nn.Module = ready.model  # type: ignore[assignment]  # every model is a module
    backbone = None if ready.weights is None else backbone_copy(module, ready.plan.model.name)
    if backbone is None:
        raise NotCheckable(_NO_BACKBONE)
    return backbone


def _transfer(ready: Preparation) -> Transfer:
    """Return how well the features of given weights fit, as the plan of fine-tuning took it."""
    if ready.transfer is None:
        raise NotCheckable(Transfer.ABSENT)
    return ready.transfer


def _subject(ready: Preparation) -> Subject:
    """Return the model with a batch as it will be trained on, and the loop and optimizer that will train it."""
    if isinstance(ready.model, Staged):
        raise NotCheckable(_STAGED)
    module: nn.Module = ready.model  # type: ignore[assignment]  # every model is a module
    batch = next(training_loader(ready.index, {**ready.record, "workers": 0}, ready.model.stride).epoch(0))
    settings = replace(ready.plan.settings, ema_decay=None, channels_last=False)
    state = TrainState.fresh(module.train(), settings)
    stepper = Stepper(module, state, settings)

    def step(given: Batch) -> None:
        stepper.gradients([given], first_number=0)
        stepper.apply(settings.lr, torch.tensor(data=False))

    def validate(given: Batch) -> None:
        for _ in predicted_batches(ready.model, [given], device=stepper.device):
            continue

    return subject_of(
        module, batch, optimizer=state.optimizer, classes=ready.index.classes, step=step, validate=validate
    )


class _Watched(Evidence):
    """Evidence that says what it measures, and measures no more when the time is over."""

    def __init__(
        self,
        given: Iterable[object],
        sources: Iterable[Callable[..., object]],
        *,
        on_measure: Callable[[str], None],
        in_time: Callable[[], None],
    ) -> None:
        super().__init__(given, sources)
        self.on_measure = on_measure
        self.in_time = in_time

    def _measured(self, kind: type[Any]) -> object:
        try:
            self.in_time()
        except NotCheckable as outcome:
            return outcome
        self.on_measure(re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower())
        return super()._measured(kind)


def _results(
    source: DatasetIndex,
    checks: Sequence[Check],
    planned: Sequence[Callable[..., object]],
    console: Console | None,
    *,
    budget_s: float = inf,
) -> tuple[CheckResult, ...]:
    deadline = perf_counter() + budget_s

    def in_time() -> None:
        if perf_counter() > deadline:
            raise NotCheckable(
                Text(
                    en=f"the {budget_s:g} s for checks before a training were over; `snellen check` takes its time",
                    zh=f"训练前检查的 {budget_s:g} 秒时限已到；`snellen check` 不限时",
                )
            )

    with progress_bar(console) as bar:
        task = bar.add_task("checking", total=len(source))

        def advance(done: int, of: int) -> None:
            in_time()
            bar.update(task, completed=done, total=of)

        evidence = _Watched(
            [source, ScanSettings(on_progress=advance)],
            (*DATA_SOURCES, *planned),
            on_measure=lambda what: bar.update(task, description=f"measuring {what}"),
            in_time=in_time,
        )
        return tuple(_told(result) for result in diagnose(evidence, checks).results)


def _told(result: CheckResult) -> CheckResult:
    """Return a result whose findings can be told in every language; a check that has no words for one is broken."""
    try:
        for finding in result.findings:
            for page in result.check.pages.values():
                page.message(finding)
                page.fix_of(finding)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        trace = "".join(traceback.format_exception(error))
        return replace(result, status=Status.CRASHED, findings=(), trace=trace)
    return result
