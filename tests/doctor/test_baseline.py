"""Accepted findings: whatever was accepted is silent, whatever is new is told."""

import json
from dataclasses import replace

import pytest

from snellen.doctor import (
    CHECKS,
    CheckResult,
    Diagnosis,
    Finding,
    Level,
    Place,
    Status,
    fingerprint,
    read_baseline,
    without_accepted,
    write_baseline,
)
from snellen.errors import ConfigError

CHECK = next(check for check in CHECKS if check.code == "D13")
NUMBERS = {"ratio": 60.0, "largest": "cat", "most": 60, "smallest": "dog", "least": 1}


def finding(*names, level=Level.WARNING, **changes):
    places = tuple(Place(kind="image", name=name) for name in names)
    return Finding(code="D13", level=level, numbers=NUMBERS, places=places, num_places=len(places), **changes)


def diagnosis(*findings):
    status = Status.FOUND if findings else Status.PASSED
    return Diagnosis(results=(CheckResult(check=CHECK, status=status, findings=findings),))


def left(found, accepted, tmp_path):
    """Return what is told of ``found`` when ``accepted`` was accepted."""
    write_baseline(tmp_path / "base.json", diagnosis(accepted))
    return without_accepted(diagnosis(found), read_baseline(tmp_path / "base.json"))


def test_the_same_is_accepted_in_any_order(tmp_path):
    now = left(finding("b.jpg", "a.jpg"), finding("a.jpg", "b.jpg"), tmp_path)
    assert now.findings == ()
    assert now.accepted == (finding("b.jpg", "a.jpg"),)
    assert now.worst is None


def test_other_numbers_are_the_same_finding(tmp_path):
    changed = replace(finding("a.jpg"), numbers={**NUMBERS, "ratio": 61.0}, measured=61.0)
    assert left(changed, finding("a.jpg"), tmp_path).findings == ()


def test_fewer_places_are_accepted(tmp_path):
    assert left(finding("a.jpg"), finding("a.jpg", "b.jpg"), tmp_path).findings == ()


@pytest.mark.parametrize(
    "new",
    [
        finding("a.jpg", "c.jpg"),
        finding("a.jpg", level=Level.ERROR),
        replace(finding("a.jpg"), message="other"),
        replace(finding("a.jpg"), num_places=9),
        replace(finding(), places=(Place(kind="image", name="a.jpg", boxes=((0, 0, 5, 5),)),), num_places=1),
    ],
    ids=["another place", "graver", "another message", "more places than listed", "another object"],
)
def test_what_is_new_is_told(tmp_path, new):
    assert left(new, finding("a.jpg", "b.jpg"), tmp_path).findings == (new,)


def test_of_long_lists_the_number_decides(tmp_path):
    accepted = replace(finding("a.jpg", "b.jpg"), num_places=200)
    assert left(replace(finding("c.jpg", "d.jpg"), num_places=200), accepted, tmp_path).findings == ()
    assert left(replace(finding("c.jpg", "d.jpg"), num_places=201), accepted, tmp_path).findings != ()


def test_a_pair_is_a_pair_from_both_sides():
    one = Finding(code="D11", level=Level.ERROR, places=(Place(kind="image", name="a", twin="b"),))
    other = Finding(code="D11", level=Level.ERROR, places=(Place(kind="image", name="b", twin="a"),))
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint(replace(one, code="D10"))


def test_consequences_go_with_their_cause(tmp_path):
    cause, follower = finding("a.jpg"), replace(finding("b.jpg"), message="other", explained_by="D13")
    now = left(cause, cause, tmp_path)
    assert now.accepted == (cause,)
    both = without_accepted(diagnosis(cause, follower), read_baseline(tmp_path / "base.json"))
    assert both.findings == ()


def test_accepting_again_keeps_what_was_accepted(tmp_path):
    write_baseline(tmp_path / "one.json", diagnosis(finding("a.jpg")))
    now = without_accepted(diagnosis(finding("a.jpg"), finding("c.jpg", level=Level.ERROR)),
                           read_baseline(tmp_path / "one.json"))  # fmt: skip
    write_baseline(tmp_path / "two.json", now)
    assert without_accepted(now, read_baseline(tmp_path / "two.json")).findings == ()
    assert len(json.loads((tmp_path / "two.json").read_text())["accepted"]) == 2


def test_names_that_are_no_text(tmp_path):
    odd = finding("bad\udcff.jpg", "猫.jpg")
    assert left(odd, odd, tmp_path).findings == ()
    assert "猫.jpg" in (tmp_path / "base.json").read_bytes().decode(errors="replace")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 9}', '{"version": 1, "accepted": [{}]}', "\xff", '{"version": 1}']
)
def test_a_file_that_is_no_baseline(tmp_path, content):
    (tmp_path / "base.json").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"expected a baseline.*Write it anew"):
        read_baseline(tmp_path / "base.json")


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="--write-baseline"):
        read_baseline(tmp_path / "none.json")
