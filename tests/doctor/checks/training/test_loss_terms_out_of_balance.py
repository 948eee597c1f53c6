"""T18 (DX-091)."""

import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status


@pytest.mark.parametrize(("terms", "expected"), [
    ({"classes": falling(), "boxes": falling()}, []),
    ({"classes": falling(), "boxes": 0.1 * falling()}, []),
    ({"classes": falling(), "boxes": 0.03 * falling()}, ["INFO large"]),
    ({"classes": falling(), "boxes": falling(), "objects": 0.002 * falling()}, ["INFO small"]),
    ({"classes": falling(end=1.8), "boxes": falling(end=1.8), "objects": 0.0005 * flat()}, ["WARNING small"]),
])  # fmt: skip
def test_shares(found, terms, expected):
    assert found("T18", made(None, terms=terms)) == expected


def test_what_is_said(said):
    terms = {"classes": falling(), "boxes": falling(), "objects": 0.002 * falling()}
    assert said("T18", made(None, terms=terms)) == "objects is at most 0.1 % of the loss throughout."


@pytest.mark.parametrize("trace", [
    made(falling()),
    made(None, terms={"one": falling(), "other": falling(start=-1, end=-2)}),
    made(falling(), terms={"one": 5 * falling(), "other": 0.001 * falling()}),  # figures beside the loss
])  # fmt: skip
def test_what_has_no_shares(judged, trace):
    assert judged("T18", trace).status == Status.NOT_CHECKABLE
