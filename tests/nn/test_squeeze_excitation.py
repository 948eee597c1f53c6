"""Squeeze and excitation (SYS-084, ERR-097, Q-106)."""

import pytest
import timm
import torch
import torchvision
from torch import nn

from snellen.nn import SqueezeExcitation, squeezed_by


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("activation", [None, nn.SiLU])
@torch.no_grad()
def test_keys_and_result_equal_torchvisions(activation):
    torch.manual_seed(0)
    theirs = torchvision.ops.SqueezeExcitation(12, 3, activation=activation or nn.ReLU)
    ours = SqueezeExcitation(12, 3, activation=activation)
    ours.load_state_dict(theirs.state_dict())
    x = noise(2, 12, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("channels", [64, 128, 200, 256])
def test_depth_between_equals_timms(channels):
    theirs = timm.layers.SEModule(channels)
    ours = squeezed_by(16, least=8, divisor=8)(channels)
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: value.shape for key, value in theirs.state_dict().items()
    }


@pytest.mark.parametrize(("channels", "squeezed"), [(64, 4), (256, 16), (8, 1)])
def test_the_papers_reduction(channels, squeezed):
    """Hu et al. 2017, section 6.1: by 16."""
    assert squeezed_by(16)(channels).fc1.out_channels == squeezed


def test_gates_follow_what_is_in_the_image():
    """Q-106, SYS-137, ERR-098: a flag says which of two channels holds the signal; a fixed weight cannot know."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(2)

    def batch(num: int) -> tuple[torch.Tensor, torch.Tensor]:
        flag = torch.randint(0, 2, (num,), generator=generator).float()
        truth = torch.randint(0, 2, (num,), generator=generator).float()
        signal = (truth * 2 - 1)[:, None, None].expand(num, 4, 4)
        junk = (torch.randint(0, 2, (num,), generator=generator) * 2.0 - 1)[:, None, None].expand(num, 4, 4)
        first = torch.where(flag[:, None, None] > 0, signal, junk)
        second = torch.where(flag[:, None, None] > 0, junk, signal)
        return torch.stack([first, second, flag[:, None, None].expand(num, 4, 4)], dim=1), truth

    right = []
    for gate in (SqueezeExcitation(3, 8), nn.Identity()):
        head = nn.Linear(3, 1)
        optimizer = torch.optim.Adam([*gate.parameters(), *head.parameters()], lr=0.02)
        for _ in range(300):
            x, y = batch(64)
            logits = head(gate(x).mean((2, 3)))[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        x, y = batch(2000)
        right.append(((head(gate(x).mean((2, 3)))[:, 0] > 0) == (y > 0)).float().mean().item())
    assert right[0] > 0.95
    assert right[1] < 0.8
