"""Bad steps that become known late, and optimizers that skip on the device."""

import copy
import warnings
from typing import ClassVar

import pytest
import torch

from snellen.training import TrainState, make_optimizer
from snellen.training.finite import FiniteWatch
from snellen.training.step import Stepper

CPU = torch.device("cpu")
ROWS = (torch.tensor([3, 1]), torch.tensor([7]))


class Arrival:
    """Stands for a CUDA event."""

    made: ClassVar[list["Arrival"]] = []

    def __init__(self):
        self.there = False
        Arrival.made.append(self)

    def record(self):
        pass

    def query(self):
        return self.there

    def synchronize(self):
        self.there = True


def look(watch, step, value, norm=1.0):
    losses = {"box": torch.tensor(value), "class": torch.tensor(1.0)}
    return watch.look(losses, torch.tensor(norm), step=step, epoch=0, indices=ROWS)


def test_on_the_processor_it_is_known_at_once():
    watch = FiniteWatch(in_a_row=2, device=CPU)
    assert bool(look(watch, 1, float("inf")))
    (report,) = watch.reports()
    assert (report.step, report.names, report.indices, report.in_a_row) == (1, ("box",), (3, 1, 7), 3)
    assert not bool(look(watch, 2, 1.0))
    assert list(watch.reports()) == []
    assert watch.in_a_row == 0


def test_names_of_the_guilty():
    watch = FiniteWatch(in_a_row=0, device=CPU)
    look(watch, 1, 1.0, norm=float("nan"))
    look(watch, 2, float("nan"), norm=float("nan"))
    assert [report.names for report in watch.reports()] == [("gradient",), ("box",)]


def test_late_answers_keep_their_order(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Arrival)
    watch = FiniteWatch(in_a_row=0, device=CPU)
    watch.lags = True
    Arrival.made.clear()
    for step, value in enumerate([1.0, float("nan"), float("nan"), 1.0], start=1):
        look(watch, step, value)
    assert list(watch.reports()) == []
    Arrival.made[0].there = Arrival.made[1].there = True
    assert [report.step for report in watch.reports()] == [2]
    assert [(report.step, report.in_a_row) for report in watch.reports(wait=True)] == [(3, 2)]
    assert watch.in_a_row == 0


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_fused_optimizers_skip_without_asking(workshop, name):
    """The way of CUDA, which the fused optimizers of the processor know as well."""
    settings = workshop.settings(optimizer=name, ema_decay=None, accumulate=1, clip_norm=None)
    model = workshop.make_model(dropout=0.0)
    reference = copy.deepcopy(model)
    stepper = Stepper(model, TrainState.fresh(model, settings), settings)
    stepper.skips_on_device = True
    optimizer = make_optimizer(reference, settings)
    batches = list(workshop.TinySource().epoch(0))[:3]
    for number, batch in enumerate(batches):
        bad = number != 1
        stepper.gradients([batch], first_number=number)
        if bad:
            for parameter in model.parameters():
                parameter.grad.fill_(float("nan"))
        before = copy.deepcopy(list(model.parameters()))
        stepper.apply(settings.lr, torch.tensor(bad))
        if bad:
            assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    # the reference sees the good batch only (and the running statistics of the others)
    reference.train()
    reference.loss(reference(batches[1].images), batches[1].targets)["cross_entropy"].backward()
    optimizer.step()
    for mine, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_steps_do_not_wait_for_the_device(workshop):
    settings = workshop.settings()
    model = workshop.make_model().cuda()
    stepper = Stepper(model, TrainState.fresh(model, settings), settings)
    watch = FiniteWatch(in_a_row=0, device=stepper.device)
    batches = [batch.pin_memory() for batch in workshop.TinySource().epoch(0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is a prototype
        torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(3):
            losses, norm = stepper.gradients(batches[:2], first_number=2 * step)
            stepper.apply(0.1, watch.look(losses, norm, step=step, epoch=0, indices=ROWS))
            list(watch.reports())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert list(watch.reports(wait=True)) == []
