"""Resuming is exact: broken off after any step, the end is the same bit for bit."""

import pytest
import torch

from snellen.errors import CheckpointError
from snellen.training import CheckpointStore, JsonlLog, StepDone, TrainState, fit, resumed_state, train
from snellen.training.randomness import batch_seed

TOTAL_STEPS = 12


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, dict):
            assert_equal(value, other[name])
        else:
            assert torch.equal(value, other[name]), name


@pytest.fixture(scope="module")
def unbroken(workshop, tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    _, weights = workshop.run(tmp_path_factory.mktemp("unbroken"))
    torch.set_num_threads(threads)
    return weights


def break_off(workshop, folder, after, **changes):
    """Train until a step is done, then drop everything, as a crash would."""
    source, settings = workshop.TinySource(), workshop.settings(**changes)
    held_out = workshop.TinySource(images=9, seed=5, shuffle=False)
    store = CheckpointStore(folder)
    model = workshop.make_model()
    state, _ = resumed_state(model, source, settings, store=store, resume=True)
    validate = workshop.accuracy(held_out)
    events = train(model, source, state, settings, store=store, validate=validate, validation=held_out)
    for event in events:
        if isinstance(event, StepDone) and event.step == after:
            events.close()
            return


@pytest.mark.parametrize("every", [1, 2])
def test_broken_off_after_each_step(workshop, unbroken, tmp_path, every):
    for after in range(1, TOTAL_STEPS + 1):
        folder = tmp_path / str(after)
        break_off(workshop, folder, after, checkpoint_steps=every)
        _, weights = workshop.run(folder, checkpoint_steps=every)
        assert_equal(weights, unbroken)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw"},
        {"channels_last": True},
        {"precision": "bf16"},
        {"optimizer": "adam", "l1": 1e-3},
        {"optimizer": "rmsprop", "schedule": "onecycle", "warmup_steps": 0},
        {"nesterov": True, "schedule": "polynomial"},
        {"schedule": "plateau", "plateau_patience": 1, "lr": 0.3},
        {"schedule": "snapshot", "warmup_steps": 0, "cycles": 3},
        {"ema_decay": None, "swa_epochs": 2},
        {"optimizer": "adam", "lr": 0.01, "switch_epoch": 2, "switch_lr": 0.05},
        {"optimizer": "adam", "lr": 0.01, "switch_epoch": 1, "switch_lr": 0.05},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_other_settings_resume_exactly_too(workshop, tmp_path, changes):
    _, expected = workshop.run(tmp_path / "whole", **changes)
    for after in (3, 6, 8):
        break_off(workshop, tmp_path / str(after), after, **changes)
        _, weights = workshop.run(tmp_path / str(after), **changes)
        assert_equal(weights, expected)


def test_broken_off_again_and_again(workshop, unbroken, tmp_path):
    for after in range(1, TOTAL_STEPS + 1):
        break_off(workshop, tmp_path, after, checkpoint_steps=1)
    _, weights = workshop.run(tmp_path, checkpoint_steps=1)
    assert_equal(weights, unbroken)


def test_whatever_ran_before_does_not_matter(workshop, unbroken, tmp_path):
    torch.manual_seed(999)
    torch.rand(17)
    _, weights = workshop.run(tmp_path)
    assert_equal(weights, unbroken)


def test_damaged_checkpoint_goes_on_from_the_one_before(workshop, unbroken, tmp_path):
    break_off(workshop, tmp_path, 7)
    store = CheckpointStore(tmp_path)
    store.last.write_bytes(store.last.read_bytes()[:-2000])
    state, notice = resumed_state(
        workshop.make_model(), workshop.TinySource(), workshop.settings(), store=store, resume=True
    )
    assert "damaged" in notice
    assert (state.progress.step, state.progress.batch) == (6, 6)  # before the validation
    _, weights = workshop.run(tmp_path)
    assert_equal(weights, unbroken)


def test_what_differs_is_named(workshop, tmp_path):
    break_off(workshop, tmp_path, 4)
    store = CheckpointStore(tmp_path)
    settings = workshop.settings(lr=0.01, accumulate=1, patience=3)
    with pytest.raises(CheckpointError) as error:
        fit(workshop.make_model(), workshop.TinySource(batch_size=2), settings, store=store, resume=True)
    for words in (
        "accumulate was 2 and is now 1",
        "lr was 0.05 and is now 0.01",
        "batches_per_epoch was 6 and is now 11",
    ):
        assert words in str(error.value)
    assert "patience" not in str(error.value)


def test_another_model_is_refused(workshop, tmp_path):
    break_off(workshop, tmp_path, 4)
    with pytest.raises(CheckpointError, match=r"(?s)does not fit.*norm"):
        fit(
            workshop.make_model(norm=False),
            workshop.TinySource(),
            workshop.settings(),
            store=CheckpointStore(tmp_path),
            resume=True,
        )


def test_finished_run_stays_finished(workshop, tmp_path):
    result, first = workshop.run(tmp_path)
    log = (tmp_path / "log.jsonl").read_text()
    again, second = workshop.run(tmp_path)
    assert again.stopped == result.stopped
    assert again.best_score == result.best_score
    assert_equal(first, second)
    assert (tmp_path / "log.jsonl").read_text().count('"step": 12') == log.count('"step": 12') + 1  # stopped


def test_log_of_a_broken_run_equals_that_of_an_unbroken_one(workshop, tmp_path):
    import json

    def figures(folder):
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        kept = [line for line in lines if line["event"] in ("step", "validated", "epoch_done")]
        timing = {"data_wait_s", "step_s", "seconds"}
        return [{name: value for name, value in line.items() if name not in timing} for line in kept]

    workshop.run(tmp_path / "whole")
    source, settings = workshop.TinySource(), workshop.settings()
    held_out = workshop.TinySource(images=9, seed=5, shuffle=False)
    model = workshop.make_model()
    log = JsonlLog(tmp_path / "broken" / "log.jsonl", every=1)
    for event in train(
        model,
        source,
        TrainState.fresh(model, settings),
        settings,
        store=CheckpointStore(tmp_path / "broken"),
        validate=workshop.accuracy(held_out),
        validation=held_out,
    ):
        log.see(event)
        if isinstance(event, StepDone) and event.step == 8:
            break
    log.close()
    with (tmp_path / "broken" / "log.jsonl").open("a") as file:
        file.write('{"event": "step", "st')  # torn by the crash
    workshop.run(tmp_path / "broken")
    assert figures(tmp_path / "broken") == figures(tmp_path / "whole")


def test_seeds_differ():
    seeds = {batch_seed(seed, batch, rank) for seed in range(5) for batch in range(50) for rank in range(3)}
    assert len(seeds) == 5 * 50 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)
