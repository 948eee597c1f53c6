"""D33 (DX-003)."""

import pytest

from snellen.doctor import Diagnosis, Level, Status, diagnose, find_check


def sampled(gallery, copies_in=("train",), mirrored=False):
    """Class 0 has 12 images and 12 copies of them; classes 1 and 2 have 20 without copies."""
    pictures = gallery.photos(12)
    gallery.add_all(pictures, label=0)
    for number, picture in enumerate(pictures):
        copy = picture.transpose(0) if mirrored else picture
        gallery.add(copy, f"copy{number}.jpg", split=copies_in[number % len(copies_in)], label=0)
    for label in (1, 2):
        gallery.add_all(gallery.photos(20, first=100 * label), label=label)
    gallery.add_all(gallery.photos(4, first=500), split="val", label=1)


@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_on_both_sides_are_an_error(gallery, mirrored):
    sampled(gallery, ("train", "val"), mirrored)
    (finding,) = gallery.result("D33").findings
    assert (finding.level, finding.message) == (Level.ERROR, "straddling")
    assert "50% of the images of cat are copies of others of that class (0.0% elsewhere)" in gallery.said("D33")[0]
    assert finding.treatment.settings == {"sampler": "class_balanced"}
    assert len(finding.treatment.drop_images) == 12


def test_copies_within_the_training_split_are_told(gallery):
    sampled(gallery)
    (finding,) = gallery.result("D33").findings
    assert finding.level == Level.INFO


def test_it_explains_the_leak_that_it_causes(gallery):
    sampled(gallery, ("train", "val"))
    found: Diagnosis = diagnose(gallery.evidence(), [find_check(code) for code in ("D33", "D10", "D11")])
    assert {finding.code: finding.explained_by for finding in found.all_findings}["D11"] == "D33"
    assert found.findings[0].code == "D33"


def test_copies_everywhere_have_another_cause(gallery):
    for label in range(3):
        pictures = gallery.photos(8, first=100 * label)
        gallery.add_all([*pictures, *pictures], label=label)
    assert gallery.said("D33") == []


def test_healthy_data_pass(gallery):
    gallery.add_all(gallery.photos(12))
    gallery.add_all(gallery.photos(3, first=50), label=1)
    assert gallery.result("D33").status == Status.PASSED
