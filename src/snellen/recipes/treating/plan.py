"""Which treatments are tried for a run, in which order, and what is left to people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snellen.data import ObjectRepair, Repairs
from snellen.doctor import Finding
from snellen.recipes.experiments.arms import Arm
from snellen.recipes.treating.answers import OWN
from snellen.recipes.treating.findings import Told, told
from snellen.recipes.treating.remedies import APPLIED_FIRST, WITH_ENSEMBLE, remedies_of
from snellen.recipes.treating.remedy import BEFORE, Remedy
from snellen.recipes.treating.situation import Situation

__all__ = ["UNTREATED", "Plan", "Try", "joined_repairs", "planned"]

UNTREATED = "untreated"
# Ends of the paths of settings that only matter when a trained model answers; nothing is trained for them.
_OF_USE = (
    ".nms_iou", ".suppression", ".soft_sigma", ".voting_iou", ".class_agnostic", ".score_above", ".max_detections",
    ".before_nms",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One treatment that is tried.

    Attributes:
        arm: What it changes of the run's options.
        findings: That it is for; the first asked for it first.
        jobs: What it does, in words that others share who do the same.
        source: Where it is taken from.
    """

    arm: Arm
    findings: tuple[Finding, ...]
    jobs: frozenset[str]
    source: str

    @property
    def name(self) -> str:
        """In tables."""
        return self.arm.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is tried.

    Attributes:
        first: Changes that are made in everything that is compared, for without them figures are untrue, with reasons.
        repairs: Of ``first``.
        tries: In the order in which they are named.
        left_out: Treatments beyond the number that is tried.
        for_people: Findings that no treatment of a machine is known for, or none that this run leaves room for.
        wants_ensemble: Whether the trainings of all seeds are tried as one.
    """

    first: tuple[str, ...]
    repairs: Repairs
    tries: tuple[Try, ...]
    left_out: tuple[str, ...]
    for_people: tuple[Told, ...]
    wants_ensemble: bool


def planned(run: Situation, findings: Sequence[Finding], *, most: int) -> Plan:
    """Return what is tried for the findings of a run: the likeliest treatment of each first, then the next of each.

    Args:
        run: The configuration.
        findings: In order.
        most: Treatments at most.
    """
    honest = [one for one in findings if _first_reason(one) and one.treatment is not None and one.treatment.drop_images]
    repairs = run.given.repairs or Repairs()
    for one in honest:
        drop = () if one.treatment is None else one.treatment.drop_images
        repairs = joined_repairs(repairs, Repairs(drop=tuple(image for image in drop if image in run.train_images)))
    tries, for_people = _tries(run, [one for one in findings if one not in honest], repairs)
    return Plan(
        first=tuple(f"{one.code}: {_first_reason(one)}; they are left out of training" for one in honest),
        repairs=repairs,
        tries=tuple(tries[:most]),
        left_out=tuple(one.name for one in tries[most:]),
        for_people=tuple(told(one) for one in for_people),
        wants_ensemble=any({one.code, f"{one.code} {one.message}"} & set(WITH_ENSEMBLE) for one in findings),
    )


def joined_repairs(one: Repairs, other: Repairs) -> Repairs:
    """Return both; where they differ, the other's."""
    objects: dict[tuple[str, tuple[float, ...]], ObjectRepair] = {}
    for repair in (*one.objects, *other.objects):
        objects[repair.image, repair.box] = repair
    return Repairs(
        drop=tuple(dict.fromkeys((*one.drop, *other.drop))),
        labels={**one.labels, **other.labels},
        objects=tuple(objects.values()),
    )


def _first_reason(finding: Finding) -> str:
    return APPLIED_FIRST.get(f"{finding.code} {finding.message}", APPLIED_FIRST.get(finding.code, ""))


def _tries(run: Situation, findings: Sequence[Finding], repairs: Repairs) -> tuple[list[Try], list[Finding]]:
    """Return treatments in order, equal ones once, and findings that have none here."""
    options: list[list[tuple[Remedy, Mapping[str, Any]]]] = [
        [(remedy, dict(changes)) for remedy in remedies_of(one) if (changes := remedy.change(run, one))]
        for one in findings
    ]
    found: dict[str, Try] = {}
    names: set[str] = set()
    for turn in range(max(map(len, options), default=0)):
        for finding, own in zip(findings, options, strict=True):
            if turn >= len(own):
                continue
            remedy, changes = own[turn]
            key = json.dumps(_plain(changes), sort_keys=True, default=str)
            if key in found:
                known = found[key]
                if finding not in known.findings:
                    found[key] = Try(arm=known.arm, findings=(*known.findings, finding), jobs=known.jobs,
                                     source=known.source)  # fmt: skip
                continue
            found[key] = _try(remedy, changes, finding, repairs, names)
            names.add(found[key].name)
    return list(found.values()), [one for one, own in zip(findings, options, strict=True) if not own]


def _try(remedy: Remedy, changes: Mapping[str, Any], finding: Finding, repairs: Repairs, names: set[str]) -> Try:
    own = {name: value for name, value in changes.items() if name != "repairs"}
    if "repairs" in changes:
        own["repairs"] = joined_repairs(repairs, changes["repairs"]).record()
    name = remedy.name
    if remedy is OWN:
        name = ", ".join(f"{option} {_short(value)}" for option, value in own.items())
    if name in names:
        name = f"{name} ({finding.code})"
    jobs = {remedy.job} if remedy.job else set()
    in_use = all(option.endswith(_OF_USE) and not option.startswith(BEFORE) for option in own)
    return Try(
        arm=Arm(name=name, switches=own) if in_use else Arm(name=name, options=own),
        findings=(finding,),
        jobs=frozenset(jobs | set(own)),  # whatever changes the same option does the same
        source=remedy.source,
    )


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.record() if isinstance(value, Repairs) else value for name, value in changes.items()}


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
