"""M11 (DX-009, DX-015)."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.doctor import Status, find_check
from snellen.doctor.checks.setup.cannot_fit_one_batch import judge
from snellen.doctor.evidence.probes.one_batch import OneBatch


def wide(*behind: nn.Module, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 32), *behind, nn.ReLU(), nn.Linear(32, classes))


@pytest.mark.parametrize("model", [
    wide(), wide(nn.BatchNorm1d(32)), wide(nn.LayerNorm(32)), wide(nn.Dropout(0.9)),
], ids=["plain", "batch norm", "layer norm", "heavy dropout"])  # fmt: skip
@pytest.mark.parametrize("loss", [
    functional.cross_entropy,
    nn.CrossEntropyLoss(label_smoothing=0.2),
    nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0, 1.0])),
], ids=["cross-entropy", "smoothed labels", "weighted"])  # fmt: skip
def test_healthy_networks_fit(labelled, checked, model, loss) -> None:
    assert checked("M11", model, labelled, loss).status == Status.PASSED


def test_mixed_labels_have_a_floor(labelled, checked) -> None:
    images, labels = labelled
    soft = 0.6 * functional.one_hot(labels, 3) + 0.4 * functional.one_hot(labels.flip(0), 3)
    assert checked("M11", wide(), (images, soft.float()), functional.cross_entropy).status == Status.PASSED


def test_contradicting_labels_do_not_fit(checked, messages) -> None:
    """ERR-129: patience does not make up for it."""
    image = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    batch = (image.expand(8, -1, -1, -1).clone(), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]))
    result = checked("M11", wide(), batch, functional.cross_entropy)
    assert messages(result) == ["WARNING default"]
    text = find_check("M11").pages["en"].message(result.findings[0])
    assert text.startswith("8 samples could not be learned by heart: the loss went from ")
    assert text.endswith(" steps; at most 10 % of the way should be left.")


def test_a_network_that_sees_too_little_does_not_fit(labelled, checked, messages) -> None:
    """SYS-197."""

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(images.mean((1, 2, 3))[:, None])

    assert messages(checked("M11", Mean(), labelled, functional.cross_entropy)) == ["WARNING default"]


def test_modes_that_differ(labelled, checked, messages) -> None:
    class Forgets(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = wide()

        def forward(self, images: Tensor) -> Tensor:
            return self.net(images if self.training else images * 0)

    assert messages(checked("M11", Forgets(), labelled, functional.cross_entropy)) == ["WARNING evaluation"]


def outcome(**changes: object) -> OneBatch:
    told = {"start": 2.0, "end": 1.0, "fitted": 1.0, "floor": 0.0, "enough": 0.1, "steps": 40, "seconds": 12.0,
            "reached": False, "ran_out": False, "samples": 16}  # fmt: skip
    return OneBatch(**(told | changes))


def test_time_that_ran_out_is_told_and_not_judged() -> None:
    from snellen.doctor import NotCheckable

    with pytest.raises(NotCheckable, match="time ended after 40 steps"):
        list(judge(outcome(ran_out=True)))
    assert [finding.message for finding in judge(outcome(fitted=float("nan"), ran_out=True))] == ["not_finite"]


def test_needs_a_loss_that_can_learn(small_net, labelled, checked) -> None:
    model = small_net()
    assert checked("M11", model, labelled).status == Status.NOT_CHECKABLE
    model.requires_grad_(False)
    assert checked("M11", model, labelled, functional.cross_entropy).status == Status.NOT_CHECKABLE
