"""Equal averages of the last epochs, snapshots, and keeping the best (SYS-215, SYS-222)."""

import copy

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, update_bn

from snellen.structures import Results
from snellen.training import (
    CheckpointStore,
    EpochDone,
    StepDone,
    TrainState,
    fit,
    lr_factor,
    read_weights,
    reestimate_norms,
    train,
)
from snellen.training.loop import cycle_steps


def test_tail_average_equals_torch(workshop):
    settings = workshop.settings(epochs=5, ema_decay=None, swa_epochs=3)
    model, source = workshop.make_model(dropout=0.0), workshop.TinySource()
    state = TrainState.fresh(model, settings)
    theirs = AveragedModel(model)
    for event in train(model, source, state, settings):
        if isinstance(event, EpochDone) and event.epoch >= 2:
            theirs.update_parameters(model)
    for mine, reference in zip(state.average.model.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-7)
    assert state.average.updates == 3


def test_norms_are_measured_as_torch_does(workshop):
    model, source = workshop.make_model(dropout=0.0), workshop.TinySource()
    twin = copy.deepcopy(model)
    mode = model.training
    assert reestimate_norms(model, source.epoch(1))
    update_bn([batch.images for batch in source.epoch(1)], twin)
    torch.testing.assert_close(model.norm.running_mean, twin.norm.running_mean)
    torch.testing.assert_close(model.norm.running_var, twin.norm.running_var)
    assert model.norm.momentum == 0.1
    assert (model.training, model.norm.training) == (mode, mode)


def test_a_model_without_moving_norms_is_left_alone(workshop):
    model = workshop.make_model(norm=False)
    assert not reestimate_norms(model, workshop.TinySource().epoch(0))


def test_the_average_that_is_judged_has_its_own_statistics(workshop):
    settings = workshop.settings(epochs=4, ema_decay=None, swa_epochs=2)
    model, source = workshop.make_model(), workshop.TinySource()
    result = fit(model, source, settings)
    expected = copy.deepcopy(result.model)
    reestimate_norms(expected, source.epoch(3))
    assert torch.equal(result.model.norm.running_mean, expected.norm.running_mean)
    assert not torch.equal(result.model.norm.running_mean, model.norm.running_mean)


def test_before_the_tail_the_model_itself_is_kept(workshop, tmp_path):
    settings = workshop.settings(epochs=4, ema_decay=None, swa_epochs=1)
    model, source = workshop.make_model(), workshop.TinySource()
    store = CheckpointStore(tmp_path)
    state = TrainState.fresh(model, settings)
    for event in train(model, source, state, settings, store=store):
        if isinstance(event, StepDone) and event.step == 4:
            break
    assert state.judged(model) is model
    assert not torch.equal(read_weights(store.last)["head.weight"], workshop.make_model().head.weight)


def test_a_snapshot_at_each_minimum(workshop, tmp_path):
    """Huang et al. 2017: each cycle ends at the lowest rate, and the next starts at the peak."""
    settings = workshop.settings(epochs=4, schedule="snapshot", warmup_steps=0, cycles=3, ema_decay=None)
    model, store = workshop.make_model(), CheckpointStore(tmp_path)
    taken = {}
    for event in train(model, workshop.TinySource(), TrainState.fresh(model, settings), settings, store=store):
        if isinstance(event, StepDone):
            taken[event.step] = copy.deepcopy(model.state_dict())
    assert [path.name for path in store.snapshots] == ["snapshot-1.pt", "snapshot-2.pt", "snapshot-3.pt"]
    assert cycle_steps(12, 3) == 4
    for path, step in zip(store.snapshots, (4, 8, 12), strict=True):
        weights = read_weights(path)
        assert all(torch.equal(value, taken[step][name]) for name, value in weights.items())
        assert lr_factor(step - 1, settings, steps_per_epoch=3) == pytest.approx(0.5 * (1 - 0.5**0.5), rel=1e-6)
    assert lr_factor(4, settings, steps_per_epoch=3) == 1.0


def test_patience_keeps_the_best_and_not_the_last(workshop, tmp_path):
    """SYS-215: early stopping stops after the best, and what it keeps are the weights of the best validation."""
    scores = iter([0.1, 0.5, 0.3, 0.4, 0.2, 0.9])
    after = {}

    def validate(model, epoch):
        after[epoch] = copy.deepcopy(model.state_dict())
        return Results(headline="score", scalars={"score": next(scores)})

    settings = workshop.settings(epochs=6, patience=3, ema_decay=None)
    store = CheckpointStore(tmp_path)
    result = fit(workshop.make_model(), workshop.TinySource(), settings, store=store, validate=validate)
    assert (result.stopped.reason, result.stopped.epoch, result.best_epoch) == ("patience", 5, 1)
    kept = read_weights(store.best)
    assert all(torch.equal(value, after[1][name]) for name, value in kept.items())
    assert any(not torch.equal(value, after[4][name]) for name, value in kept.items())


def test_norms_of_a_moving_average_are_measured_before_it_is_judged(workshop):
    """Wu and Johnson 2021, section 3.1: statistics of the weights that are judged, not of those that came before."""
    settings = workshop.settings(epochs=2, ema_decay=0.9)
    model, source = workshop.make_model(), workshop.TinySource()
    result = fit(model, source, settings, validate=lambda *_: Results(headline="score", scalars={"score": 1.0}))
    expected = copy.deepcopy(result.model)
    reestimate_norms(expected, source.epoch(1))
    torch.testing.assert_close(result.model.norm.running_var, expected.norm.running_var)
    assert not torch.equal(result.model.norm.running_var, model.norm.running_var)
