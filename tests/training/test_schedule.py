"""Schedules against torch's own."""

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
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


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")  # by SequentialLR
@pytest.mark.parametrize(
    ("name", "reference", "extra"),
    [
        ("cosine", cosine, {"final_factor": 0.02}),
        ("multistep", multistep, {"milestones": (2, 4)}),
        ("constant", constant, {}),
    ],
)
def test_schedules_equal_torch(name, reference, extra):
    settings = TrainSettings(epochs=EPOCHS, lr=1.0, schedule=name, warmup_steps=5, **extra)
    ours = [lr_factor(step, settings, steps_per_epoch=STEPS_PER_EPOCH) for step in range(EPOCHS * STEPS_PER_EPOCH)]
    assert ours == pytest.approx(torch_factors(reference), rel=1e-9)


def test_warmup_longer_than_training_is_no_error():
    settings = TrainSettings(epochs=1, lr=1.0, warmup_steps=100)
    assert lr_factor(3, settings, steps_per_epoch=4) == pytest.approx(0.001 + 0.999 * 0.03)
