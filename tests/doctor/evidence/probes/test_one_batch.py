"""Learning a few samples by heart (M11)."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.doctor.evidence.probes.one_batch import one_batch
from snellen.doctor.examining import subject_of


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_floor_of_smoothed_labels_is_their_entropy(smoothing: float) -> None:
    """SYS-153, ERR-167: the divergence of the answer can vanish, cross-entropy only comes down to the entropy."""
    torch.manual_seed(0)
    model, labels = nn.Linear(20, 4), torch.tensor([0, 1, 2, 3] * 2)
    loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
    fit = one_batch(subject_of(model, (torch.randn(8, 20), labels), loss), None)
    shares = functional.one_hot(labels, 4) * (1 - smoothing) + smoothing / 4
    entropy = -(shares * shares.clamp_min(1e-12).log()).sum(1).mean()
    assert fit.floor == pytest.approx(float(entropy), abs=0.02)


def test_leaves_the_same_bits() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(27, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    fit = one_batch(subject_of(model, (torch.randn(8, 3, 3, 3), torch.arange(8) % 3), nn.CrossEntropyLoss()), None)
    assert fit.reached
    assert fit.steps > 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == modes
    assert model[2].momentum == 0.1


def test_detectors_are_judged_by_their_own_limit() -> None:
    class Detector(nn.Module):
        """Its loss cannot fall below 0.2 of where it starts."""

        def __init__(self) -> None:
            super().__init__()
            self.shift = nn.Parameter(torch.full((4,), 0.1))

        def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> dict[str, Tensor]:
            del images, targets
            return {"loss_boxes": self.shift.square().sum() * 20 + 0.2}

    boxes = {"boxes": torch.tensor([[1.0, 1.0, 5.0, 5.0]]), "labels": torch.tensor([1])}
    fit = one_batch(subject_of(Detector(), ([torch.rand(3, 8, 8)] * 6, [boxes] * 6)), None)
    assert fit.samples == 4
    assert fit.enough == 0.3
    assert fit.reached
