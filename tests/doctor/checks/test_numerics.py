"""M13."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.evidence.probes.numerics import Numerics
from snellen.doctor.evidence.setup import Setup


def test_a_healthy_network_is_the_same_in_every_format(small_net, labelled, checked) -> None:
    assert checked("M13", small_net(), labelled, functional.cross_entropy).status == Status.PASSED


def by_hand(logits: Tensor, labels: Tensor) -> Tensor:
    """The logarithm of a softmax, as it should not be computed."""
    powers = logits.exp()
    return -(powers / powers.sum(1, keepdim=True)).log().gather(1, labels[:, None]).mean()


def test_a_softmax_by_hand_overflows(small_net, labelled, checked, messages) -> None:
    model = small_net(behind=lambda x: 400 * x + 200)
    result = checked("M13", model, labelled, by_hand)
    assert messages(result) == ["ERROR overflow"]
    text = find_check("M13").pages["en"].message(result.findings[0])
    assert text.startswith("The loss of the first batch is NaN or infinite in float32 and ")


def test_a_variance_by_the_difference_of_squares_rounds(labelled, checked, messages) -> None:
    class Variance(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 3)

        def forward(self, images: Tensor) -> Tensor:
            values = images.flatten(1) * 0.1 + 1e4
            return self.head((values.square().mean(1) - values.mean(1).square())[:, None])

    assert messages(checked("M13", Variance(), labelled, functional.cross_entropy)) == ["WARNING exact"]


def found(loss: float = 1.0, **others: float) -> Numerics:
    told = {"exact": None, "bf16": None, "fp16": None, "on_cpu": None} | others
    return Numerics(loss=loss, device="cuda", **told)


@pytest.mark.parametrize(("numbers", "plan", "expected"), [
    (found(exact=1.00001, bf16=1.004, on_cpu=1.0002), Setup(precision="bf16"), []),
    (found(bf16=1.2), Setup(precision="bf16"), ["WARNING half"]),
    (found(bf16=1.2), None, []),
    (found(fp16=float("inf")), None, ["INFO half_not_finite"]),
    (found(bf16=float("nan")), Setup(precision="bf16"), ["ERROR half_not_finite"]),
    (found(on_cpu=1.3), None, ["ERROR device"]),
    (found(float("nan")), None, ["ERROR not_finite"]),
])  # fmt: skip
def test_limits(numbers: Numerics, plan: Setup | None, expected: list[str]) -> None:
    findings = diagnose(Evidence([numbers] if plan is None else [numbers, plan]), [find_check("M13")]).findings
    assert [f"{finding.level.name} {finding.message}" for finding in findings] == expected


def test_detectors_choose_by_rounding(checked, small_net) -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None) -> dict[str, Tensor]:
            del targets
            return {"loss_boxes": images[0].mean() * self.weight.sum()}

    batch = (
        [torch.rand(3, 16, 16)] * 2,
        [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}] * 2,
    )
    assert checked("M13", Detector(), batch).status == Status.NOT_CHECKABLE
