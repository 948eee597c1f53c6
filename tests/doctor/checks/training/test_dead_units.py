"""T8 (DX-063)."""

import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status

FAIR = falling(end=1.5)


@pytest.mark.parametrize(("loss", "dead", "expected"), [
    (flat(), [0.0, 0.6, 0.0, 0.0], ["INFO default"]),  # found in nets that something else keeps from learning
    (flat(), [0.0, 0.92, 0.0, 0.0], ["WARNING killed"]),  # half of what it read at first was not zero
    (flat(), [0.0, 1.0, 0.2, 0.0], ["WARNING killed"]),
    (FAIR, [0.0, 0.8, 0.0, 0.0], ["INFO default"]),
    (FAIR, [0.0, 0.6, 0.0, 0.0], []),
    (falling(), [0.0, 0.6, 0.0, 0.0], []),
    (falling(), [0.0, 0.95, 0.0, 0.0], ["INFO killed"]),
    (flat(), [0.0, 0.3, 0.4, 0.0], []),
    (flat(), [0.9, 0.0, 0.0, 0.0], []),  # what the first layer reads are pixels: borders may be black in all images
])  # fmt: skip
def test_dead_shares(found, loss, dead, expected):
    """SYS-329."""
    assert found("T8", made(loss, dead=dead)) == expected


@pytest.mark.parametrize(("dead", "expected"), [(0.95, "WARNING default"), (1.0, "WARNING all")])
def test_units_that_were_dead_from_the_start_have_not_been_killed(found, dead, expected):
    assert found("T8", made(flat(), dead=[0.0, dead, 0.0, 0.0], zeros=0.95)) == [expected]


def test_layers_are_named(judged, said):
    trace = made(flat(), dead=[0.0, 0.6, 0.8, 0.1])
    assert said("T8", trace) == "80 % of the units that 4 reads never fire (2 such layers)."
    (finding,) = judged("T8", trace).findings
    assert [(place.name, place.note) for place in finding.places] == [("4", "80%"), ("2", "60%")]


def test_a_few_images_do_not_show_it(judged):
    assert judged("T8", made(flat(), dead=1.0, images=lambda _: 1)).status == Status.NOT_CHECKABLE


def test_small_batches_show_it_in_more_samples(judged, found):
    """Detectors learn from four images at a time."""
    assert found("T8", made(flat(), dead=1.0, images=lambda _: 4))
