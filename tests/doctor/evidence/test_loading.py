"""Loading is timed on a sample that is spread over the data set."""

from snellen.doctor.evidence.loading import SAMPLE, LoadingTimes


def test_a_sample_is_timed_and_broken_files_are_not(gallery):
    gallery.add(b"no image")
    gallery.add_all(gallery.photos(SAMPLE + 10))
    times = gallery.evidence().get(LoadingTimes)
    assert len(times.rows) == SAMPLE
    assert 0 not in times.rows
    assert (times.decode_seconds > 0).all()
    assert times.rows.max() == SAMPLE + 10
