"""M38 (DX-060, DX-061)."""

import pytest

from snellen.doctor import Evidence, diagnose, find_check
from snellen.doctor.evidence.probes.first_updates import FirstUpdates
from snellen.doctor.evidence.setup import Setup


def updates(losses: tuple[float, ...], norms: tuple[float, ...], *, is_warmed_up: bool = False) -> FirstUpdates:
    return FirstUpdates(rate=0.1, is_warmed_up=is_warmed_up, ratios=(1e-2,), losses=losses, norms=norms, decay=0.0,
                        drift=None, samples=8)  # fmt: skip


CALM, JUMPS, SPIKES = (2.0, 1.5, 1.0), (2.0, 9.0, 1.5), (1.0, 40.0, 2.0)


@pytest.mark.parametrize(("given", "plan", "expected"), [
    (updates(CALM, (1.0, 1.1)), None, []),
    (updates(JUMPS, (1.0, 1.1)), None, ["INFO warmup"]),
    (updates(JUMPS, (1.0, 1.1), is_warmed_up=True), None, []),
    (updates(JUMPS, (1.0, 1.1)), Setup(warmup_steps=100, options={"clip_norm": 10.0}), []),
    (updates(CALM, SPIKES), Setup(warmup_steps=100), ["INFO clipping"]),
    (updates(CALM, SPIKES), Setup(warmup_steps=100, options={"clip_norm": 10.0}), []),
    (updates(CALM, SPIKES), Setup(warmup_steps=100, options={"clip_norm": None, "clip_value": 1.0}), []),
    (updates((2.0, float("nan")), (1.0,)), None, []),
])  # fmt: skip
def test_jumps_and_spikes(given: FirstUpdates, plan: Setup | None, expected: list[str]) -> None:
    evidence = Evidence([given] if plan is None else [given, plan])
    found = diagnose(evidence, [find_check("M38")]).findings
    assert [f"{finding.level.name} {finding.message}" for finding in found] == expected


def test_says_how_far_it_jumps() -> None:
    (finding,) = diagnose(Evidence([updates(JUMPS, (1.0, 1.1))]), [find_check("M38")]).findings
    assert find_check("M38").pages["en"].message(finding) == (
        "At a rate of 0.1 the loss rises to 4.5 times its start within five steps, and no warm-up is planned."
    )
