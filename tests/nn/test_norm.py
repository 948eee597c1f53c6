import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from snellen.nn import FrozenBatchNorm, with_eps


def trained_batch_norm(channels: int) -> nn.BatchNorm2d:
    generator = torch.Generator().manual_seed(1)
    norm = nn.BatchNorm2d(channels)
    for value in (norm.weight.data, norm.running_var):
        value.copy_(torch.rand(channels, generator=generator) + 0.1)
    for value in (norm.bias.data, norm.running_mean):
        value.copy_(torch.randn(channels, generator=generator))
    return norm


@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_equals_torchvision(eps):
    state = trained_batch_norm(5).state_dict()
    ours, theirs = FrozenBatchNorm(5, eps=eps), FrozenBatchNorm2d(5, eps=eps)
    ours.load_state_dict(state)
    theirs.load_state_dict(state)
    x = torch.randn(2, 5, 4, 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x))
    ours_gradient = torch.autograd.grad((ours(x) ** 2).sum(), x)[0]
    theirs_gradient = torch.autograd.grad((theirs(x) ** 2).sum(), x)[0]
    torch.testing.assert_close(ours_gradient, theirs_gradient)


def test_training_changes_nothing_and_there_is_nothing_to_learn():
    """SYS-358."""
    norm = FrozenBatchNorm(3).train()
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    norm(torch.randn(2, 3, 4, 4) * 7 + 3)
    assert not list(norm.parameters())
    for key, value in norm.state_dict().items():
        assert torch.equal(value, before[key])


def test_autocast_keeps_bf16():
    norm = FrozenBatchNorm(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert norm(torch.randn(1, 3, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_eps_of_layers_that_have_one():
    assert with_eps(nn.BatchNorm2d, 1e-3)(4).eps == 1e-3
    assert with_eps(FrozenBatchNorm, 1e-3)(4).eps == 1e-3
    assert isinstance(with_eps(lambda _: nn.Identity(), 1e-3)(4), nn.Identity)
    assert nn.BatchNorm2d(4).eps == 1e-5
