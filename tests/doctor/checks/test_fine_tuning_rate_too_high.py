"""M40 (DX-086)."""

import pytest
import torch
from torch import optim
from torch.nn import functional

from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.checks.setup.fine_tuning_rate_too_high import FORGOTTEN
from snellen.doctor.evidence.probes.first_updates import FirstUpdates, cka
from snellen.doctor.evidence.setup import Setup


@pytest.fixture
def tuned(small_net, labelled):
    """A network that has learned something about these images."""
    model = small_net()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(model(labelled[0]), labelled[1]).backward()
        optimizer.step()
    return model


@pytest.mark.parametrize(("rate", "expected"), [(1e-3, []), (1e-2, []), (30.0, ["WARNING default"])])
def test_rates(tuned, labelled, checked, messages, rate: float, expected: list[str]) -> None:
    optimizer = optim.SGD(tuned.parameters(), lr=rate, momentum=0.9)
    result = checked("M40", tuned, labelled, functional.cross_entropy, optimizer)
    assert messages(result) == expected


def test_random_weights_have_nothing_to_lose(small_net, labelled, checked, messages) -> None:
    model = small_net()
    optimizer = optim.SGD(model.parameters(), lr=30.0, momentum=0.9)
    assert messages(checked("M40", model, labelled, functional.cross_entropy, optimizer)) == []


def updates(drift: float | None) -> FirstUpdates:
    return FirstUpdates(rate=0.2, is_warmed_up=False, ratios=(1e-2,), losses=(2.0, 1.9), norms=(1.0,), decay=0.0,
                        drift=drift, samples=8)  # fmt: skip


def test_says_how_much_is_lost() -> None:
    plan = Setup(pretrained=True)
    (finding,) = diagnose(Evidence([updates(FORGOTTEN + 0.2), plan]), [find_check("M40")]).findings
    text = find_check("M40").pages["en"].message(finding)
    lost = round(100 * (FORGOTTEN + 0.2))
    assert text == f"Five steps at a rate of 0.2 change {lost} % of what the pretrained features say (CKA)."
    assert finding.treatment is not None
    assert finding.treatment.settings == {"lr": 0.02}


def test_not_checkable_without_knowing_the_weights_or_features() -> None:
    for given in ([updates(0.9)], [updates(None), Setup(pretrained=True)]):
        (result,) = diagnose(Evidence(given), [find_check("M40")]).results
        assert result.status == Status.NOT_CHECKABLE


def test_cka_sees_neither_scale_nor_rotation() -> None:
    """Kornblith et al. 2019, section 2: invariant to isotropic scale and orthogonal maps."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(32, 6, generator=generator)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator))
    assert cka(features, 3 * features @ rotation + 5) == pytest.approx(1.0, abs=1e-5)
    assert cka(features, torch.randn(32, 6, generator=generator)) < 0.5


def test_cka_equals_the_definition_by_kernels() -> None:
    """Against HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with centred kernels, eq. 3 and 4."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(20, columns, generator=generator, dtype=torch.float64) for columns in (5, 9))
    centre = torch.eye(20, dtype=torch.float64) - 1 / 20

    def hsic(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.trace(a @ a.T @ centre @ b @ b.T @ centre)

    expected = hsic(first, second) / (hsic(first, first) * hsic(second, second)).sqrt()
    assert cka(first, second) == pytest.approx(float(expected))
