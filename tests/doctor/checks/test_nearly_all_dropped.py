"""M45 (DX-076, DeepCrime's RCD)."""

import pytest
import torch
from torch import nn

from snellen.doctor import Evidence, diagnose, find_check
from snellen.doctor.examining import subject_of


def net(rate: float) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), nn.ReLU(), nn.Dropout(rate), nn.Linear(8, 3))


@pytest.mark.parametrize(("rate", "is_found"), [(0.5, False), (0.8, False), (0.9, True), (0.99, True)])
def test_a_rate_above_the_limit_is_found(rate: float, is_found: bool) -> None:
    batch = (torch.randn(4, 3, 4, 4), torch.tensor([0, 1, 2, 0]))
    subject = subject_of(net(rate), batch, nn.CrossEntropyLoss())
    findings = diagnose(Evidence([subject]), [find_check("M45")]).findings
    assert bool(findings) == is_found
    if is_found:
        assert find_check("M45").pages["en"].message(findings[0]) == (
            f"3 drops {rate} of its input; 1 layers drop more than 0.8."
        )
