"""M37 (DX-042, DX-043; DeepCrime's HBS and HDB)."""

import pytest

from snellen.doctor import Evidence, Status, diagnose, find_check
from snellen.doctor.evidence.probes.noise_scale import NoiseScale
from snellen.doctor.evidence.setup import Setup


def plan(batch: int, images: int, epochs: int = 10) -> Setup:
    return Setup(steps=epochs * -(-images // batch), epochs=epochs, batch_size=batch, num_train_images=images)


def noise(scale: float, batch: int) -> NoiseScale:
    return NoiseScale(scale=scale, batch_size=batch, samples=32)


@pytest.mark.parametrize(("given", "expected"), [
    ([plan(16, 1000)], []),
    ([plan(256, 1000)], ["INFO few_steps"]),
    ([plan(1000, 1000)], ["WARNING few_steps"]),
    ([plan(20, 60)], []),
    ([noise(50.0, 32)], []),
    ([noise(900.0, 32)], ["INFO small"]),
    ([noise(3.0, 64)], []),
    ([noise(3.0, 512)], ["INFO large"]),
])  # fmt: skip
def test_batches(given: list[object], expected: list[str]) -> None:
    """SYS-188."""
    found = diagnose(Evidence(given), [find_check("M37")]).findings
    assert [f"{finding.level.name} {finding.message}" for finding in found] == expected


def test_says_which_batch_leaves_steps() -> None:
    (finding,) = diagnose(Evidence([plan(256, 1000)]), [find_check("M37")]).findings
    assert find_check("M37").pages["en"].message(finding) == (
        "A batch of 256 leaves 4 steps an epoch of 1000 images; 50 images a step would leave twenty."
    )


@pytest.mark.parametrize("given", [[Setup()], [NoiseScale(scale=None, batch_size=32, samples=32)]])
def test_not_checkable_without_plan_and_gradient(given: list[object]) -> None:
    (result,) = diagnose(Evidence(given), [find_check("M37")]).results
    assert result.status == Status.NOT_CHECKABLE
