"""The moving average against torch.optim.swa_utils."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from snellen.training import ModelAverage, warm_decay


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def disturbed(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=generator))


def test_equals_torch_once_warm():
    model = small()
    ours = ModelAverage(model, decay=0.7)
    ours.updates = 1000
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.7), use_buffers=False)
    theirs.update_parameters(model)  # torch's first update is a copy
    for seed in range(4):
        disturbed(model, seed)
        ours.update(model)
        theirs.update_parameters(model)
    for mine, reference in zip(ours.model.parameters(), theirs.module.parameters(), strict=True):
        assert torch.equal(mine, reference)


def test_statistics_are_averaged_counts_copied_and_the_model_is_untouched():
    """What norms have collected goes with the weights; torch's own average with its buffers does the same."""
    model = small()
    average = ModelAverage(model, decay=0.9)
    former = copy.deepcopy(average.model.state_dict())
    disturbed(model, 1)
    model[1].running_var *= 3
    model[1].num_batches_tracked += 5
    before = copy.deepcopy(model.state_dict())
    average.update(model)
    decay = warm_decay(0.9, 0)
    found = average.model[1]
    expected = decay * former["1.running_var"] + (1 - decay) * model[1].running_var
    torch.testing.assert_close(found.running_var, expected)
    assert not torch.equal(found.running_var, model[1].running_var)
    assert found.num_batches_tracked == model[1].num_batches_tracked
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


def test_decay_warms_up():
    decays = [warm_decay(0.99, updates) for updates in (0, 10, 100, 10_000)]
    assert decays[0] == 0.1
    assert decays == sorted(decays)
    assert decays[-1] == 0.99


def test_state_round_trip():
    model = small()
    average = ModelAverage(model, decay=0.9)
    disturbed(model, 2)
    average.update(model)
    other = ModelAverage(small(), decay=0.9)
    other.load_state_dict(average.state_dict())
    assert other.updates == 1
    assert all(torch.equal(a, b) for a, b in zip(other.model.parameters(), average.model.parameters(), strict=True))
