"""The doctor beside our own loop: it knows the plan, and follows what the loop does (T14; DX-048)."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from snellen.doctor import Level, judged, read_trace
from snellen.doctor.watching import Trace
from snellen.recipes.watching import LoopWatch, loop_plan
from snellen.training import DepthGroup, TensorBoardLog, TrainSettings, fit

RECORD = {"model": "tiny", "settings": {"epochs": 12}}
HEAD = DepthGroup(name="head", parts=("",))


@pytest.fixture(scope="module")
def workshop() -> ModuleType:
    file = Path(__file__).parents[1] / "training" / "tiny_training.py"
    spec = importlib.util.spec_from_file_location("tiny_training", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("tiny_training", module)
    spec.loader.exec_module(module)
    return module


def seen(workshop, folder: Path, *, planned=None, board=None, **changes) -> Trace:
    """Train 72 steps, watched, and return the trace; what is planned may differ from what is done."""
    settings: TrainSettings = workshop.settings(epochs=12, accumulate=1, checkpoint_steps=None, **changes)
    source, model = workshop.TinySource(), workshop.make_model()
    plan = loop_plan(RECORD, replace(settings, **(planned or {})), steps=settings.epochs * len(source))

    def watcher(state) -> LoopWatch:
        return LoopWatch(state, model, plan=plan, folder=folder, console=None, board=board)

    observers = () if board is None else (board,)
    fit(model, source, settings, validate=workshop.accuracy(source), observers=observers, watcher=watcher)
    return read_trace(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": (DepthGroup(name="conv", parts=("conv", "norm"), factor=0.1), HEAD)},
        {"depth": (DepthGroup(name="conv", parts=("conv", "norm"), factor=0.3, from_epoch=4), HEAD)},
        {"depth": (DepthGroup(name="conv", parts=("conv", "norm"), from_epoch=None), HEAD)},
        {"schedule": "onecycle"},
        {"schedule": "snapshot", "cycles": 3},
        {"schedule": "plateau"},
        {"schedule": "multistep", "milestones": (6, 9)},
        {"swa_epochs": 4, "ema_decay": None},
        {"optimizer": "adam", "lr": 1e-3, "switch_epoch": 6, "switch_lr": 0.05},
    ],
    ids=["by depth", "gradual", "frozen", "onecycle", "snapshot", "plateau", "multistep", "averaged", "switched"],
)
def test_a_plan_that_is_kept_is_not_called_broken(workshop, tmp_path, changes):
    trace = seen(workshop, tmp_path, **changes)
    assert trace.steps.tolist() == list(range(1, 73))
    assert trace.plan is not None
    diagnosis = judged(trace)
    assert "T14" not in [finding.code for finding in diagnosis.all_findings]
    never = [finding.code for finding in diagnosis.findings if finding.level >= Level.WARNING]
    assert "T20" not in never, never


def test_a_plan_that_is_broken_is_told_of_the_run(workshop, tmp_path):
    trace = seen(workshop, tmp_path, schedule="constant", warmup_steps=0, planned={"schedule": "cosine"})
    found = [(finding.code, finding.message, finding.level) for finding in judged(trace).all_findings]
    assert ("T14", "constant", Level.ERROR) in found


def test_parts_that_wait_are_seen_as_such(workshop, tmp_path):
    group = DepthGroup(name="conv", parts=("conv", "norm"), from_epoch=4)
    trace = seen(workshop, tmp_path, depth=(group, HEAD))
    conv = [column.name for column in trace.parameters].index("conv.weight")
    waits = trace.sampled <= 24  # six steps in each of four epochs
    assert np.isnan(trace.gradient[waits, conv]).all()
    assert (trace.update[waits, conv] == 0).all()
    assert (trace.update[~waits, conv] > 0).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from tensorboard's own imports
def test_findings_are_among_the_curves(workshop, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoardLog(tmp_path / "curves", every=1)
    plan = {"schedule": "cosine"}
    seen(workshop, tmp_path / "run", schedule="constant", warmup_steps=0, planned=plan, board=board)
    events = EventAccumulator(str(tmp_path / "curves")).Reload()
    tag = "doctor/T14 schedule-not-as-planned"
    (point,) = events.Scalars(tag)
    assert point.value == Level.ERROR
    assert 36 < point.step <= 72  # past the middle of the planned decay
    text = events.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "though a warm-up of 0 steps and the schedule cosine were planned" in text
    assert "train/lr" in events.Tags()["scalars"]


def test_watching_changes_no_bit_of_our_own_loop(workshop, tmp_path):
    settings = workshop.settings(epochs=3)
    ends = []
    for is_watched in (False, True):
        source, model = workshop.TinySource(), workshop.make_model()
        plan = loop_plan(RECORD, settings, steps=9)

        def watcher(state, model=model, plan=plan):
            return LoopWatch(state, model, plan=plan, folder=tmp_path, console=None)

        fit(model, source, settings, watcher=watcher if is_watched else None)
        ends.append(model.state_dict())
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from tensorboard's own imports
def test_findings_of_a_later_stage_stand_at_the_steps_of_the_whole_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from snellen.recipes.session import _Board
    from snellen.training import Started

    log = TensorBoardLog(tmp_path)
    board = _Board(log, 100)
    board.add_scalar("early", 1.0, 1)  # before the training starts there is nowhere to write
    log.see(Started(step=0, epoch=0, epochs=1, total_steps=9, notice=""))
    board.add_scalar("doctor/T3 diverging", 2.0, 5)
    board.add_text("doctor/T3 diverging", "words", 5)
    log.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["scalars"] == ["doctor/T3 diverging"]
    assert [point.step for point in events.Scalars("doctor/T3 diverging")] == [105]
    _Board(None, 0).add_text("doctor", "nobody listens", 1)
