"""What was planned of a training, kept with its trace."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from snellen.doctor.check import NotCheckable
from snellen.doctor.evidence.setup import Setup
from snellen.doctor.watching.trace import Trace

__all__ = ["packed_plan", "plan_of"]

_PLAIN = (str, int, float)  # bool is an int


def packed_plan(setup: Setup | None) -> dict[str, Any] | None:
    """Return the numbers and words of a plan as a trace keeps them; arrays and maps are left out."""
    if setup is None:
        return None
    told = {entry.name: getattr(setup, entry.name) for entry in fields(Setup) if entry.name != "options"}
    model_options = ", ".join(sorted(setup.options.get("model_options") or {}))  # their names: values may be anything
    return {**_plain(told), "options": {**_plain(setup.options), "model_options": model_options}}


def plan_of(trace: Trace) -> Setup:
    """Return what was planned of a training.

    Raises:
        NotCheckable: If its trace does not say.
    """
    if trace.plan is None:
        raise NotCheckable(Setup.ABSENT)
    known = {entry.name for entry in fields(Setup)}  # a later version may have written more
    return Setup(**{name: value for name, value in trace.plan.items() if name in known})


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if isinstance(value, _PLAIN)}
