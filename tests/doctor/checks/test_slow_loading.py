"""D23."""

from dataclasses import replace

import numpy as np
import pytest

from snellen.doctor import Evidence, Level, Status, diagnose, find_check
from snellen.doctor.evidence.images import ImageFacts
from snellen.doctor.evidence.loading import LoadingTimes


def result(gallery, *, read_ms=1.0, decode_ms=5.0, side=200, count=20):
    gallery.add_all(gallery.photos(count))
    facts = gallery.evidence().get(ImageFacts)
    facts = replace(
        facts,
        read_seconds=np.full(count, read_ms / 1e3, np.float32),
        file_bytes=np.full(count, 100_000, np.int64),
        width=np.full(count, side, np.int32),
    )
    times = LoadingTimes(rows=np.arange(count), decode_seconds=np.full(count, decode_ms / 1e3))
    (found,) = diagnose(Evidence([gallery.index(), facts, times]), [find_check("D23")]).results
    return found


def test_what_is_measured_here_passes(gallery):
    gallery.add_all(gallery.photos(10))
    assert gallery.result("D23").status == Status.PASSED


def test_a_slow_disk(gallery):
    found = result(gallery, read_ms=20)
    (finding,) = found.findings
    assert finding.level == Level.WARNING
    assert found.check.pages["en"].message(finding) == "Reading an image takes 20.0 ms (median), 5.0 MB/s."


def test_large_files_from_a_fast_disk_pass(gallery):
    assert result(gallery, read_ms=1).status == Status.PASSED


@pytest.mark.parametrize(("side", "fires"), [(4000, True), (1000, False)])
def test_images_far_larger_than_what_is_trained_on(gallery, side, fires):
    """A slow format at the size of training cannot be helped by scaling down."""
    found = result(gallery, decode_ms=200, side=side)
    assert [finding.message for finding in found.findings] == ["large"] * fires


def test_a_few_images_tell_nothing(gallery):
    assert result(gallery, count=3).status == Status.NOT_CHECKABLE
