"""Schedules against torch's own."""

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
)

from snellen.training import TrainSettings, lr_factor

STEPS_PER_EPOCH = 7
EPOCHS = 6


def torch_factors(make):
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(STEPS_PER_EPOCH * EPOCHS):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def warm(optimizer):
    return LinearLR(optimizer, start_factor=0.001, total_iters=5)


def cosine(optimizer):
    rest = CosineAnnealingLR(optimizer, T_max=STEPS_PER_EPOCH * EPOCHS - 5, eta_min=0.02)
    return SequentialLR(optimizer, [warm(optimizer), rest], milestones=[5])


def multistep(optimizer):
    falls = MultiStepLR(optimizer, milestones=[2 * STEPS_PER_EPOCH, 4 * STEPS_PER_EPOCH], gamma=0.1)
    return ChainedScheduler([warm(optimizer), falls])


def constant(optimizer):
    return ChainedScheduler([warm(optimizer), ConstantLR(optimizer, factor=1.0)])


def polynomial(optimizer):
    rest = PolynomialLR(optimizer, total_iters=STEPS_PER_EPOCH * EPOCHS - 5, power=0.9)
    return SequentialLR(optimizer, [warm(optimizer), rest], milestones=[5])


def one_cycle(optimizer):
    return OneCycleLR(optimizer, max_lr=1.0, total_steps=STEPS_PER_EPOCH * EPOCHS, cycle_momentum=False)


def snapshot(optimizer):
    return CosineAnnealingWarmRestarts(optimizer, T_0=STEPS_PER_EPOCH * EPOCHS // 3)


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")  # by SequentialLR
@pytest.mark.parametrize(
    ("name", "reference", "extra"),
    [
        ("cosine", cosine, {"final_factor": 0.02}),
        ("multistep", multistep, {"milestones": (2, 4)}),
        ("constant", constant, {}),
        ("polynomial", polynomial, {"power": 0.9}),
        ("onecycle", one_cycle, {"warmup_steps": 0}),
        ("snapshot", snapshot, {"warmup_steps": 0, "cycles": 3}),
    ],
)
def test_schedules_equal_torch(name, reference, extra):
    """SYS-198: warm-up and cosine among them."""
    settings = TrainSettings(epochs=EPOCHS, lr=1.0, schedule=name, **{"warmup_steps": 5, **extra})
    ours = [lr_factor(step, settings, steps_per_epoch=STEPS_PER_EPOCH) for step in range(EPOCHS * STEPS_PER_EPOCH)]
    assert ours == pytest.approx(torch_factors(reference), rel=1e-9)


def test_warmup_longer_than_training_is_no_error():
    settings = TrainSettings(epochs=1, lr=1.0, warmup_steps=100)
    assert lr_factor(3, settings, steps_per_epoch=4) == pytest.approx(0.001 + 0.999 * 0.03)


def test_plateau_equals_torch(workshop, tmp_path):
    """SYS-186: the loop cuts the rate after the same validations as torch's scheduler, fed with the same losses."""
    from snellen.training import StepDone, TrainState, Validated, train

    settings = workshop.settings(
        epochs=20, lr=1.0, warmup_steps=0, schedule="plateau", plateau_patience=1, ema_decay=None
    )
    held_out = workshop.TinySource(images=9, seed=5, shuffle=False)
    model = workshop.make_model()
    rates, losses, expected = [], [], []
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    rate = 0.0
    for event in train(model, workshop.TinySource(), TrainState.fresh(model, settings), settings, validation=held_out):
        match event:
            case StepDone():
                rate = event.lr
            case Validated():
                rates.append(rate)
                expected.append(optimizer.param_groups[0]["lr"])
                losses.append(sum(event.losses.values()))
                reference.step(losses[-1])
    assert rates == pytest.approx(expected)
    assert len(set(rates)) > 2  # it did stall


def test_rate_of_the_averaged_epochs():
    settings = TrainSettings(epochs=EPOCHS, lr=1.0, warmup_steps=3, swa_epochs=2, swa_factor=0.3)
    factors = [lr_factor(step, settings, steps_per_epoch=STEPS_PER_EPOCH) for step in range(EPOCHS * STEPS_PER_EPOCH)]
    start = 4 * STEPS_PER_EPOCH
    assert factors[start:] == [0.3] * (2 * STEPS_PER_EPOCH)
    assert factors[0] < 0.3  # the warm-up is as it was
    assert min(factors[3:start]) == 0.3
    assert factors[3] == 1.0
