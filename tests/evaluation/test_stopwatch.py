"""Time of the network alone (SYS-166)."""

import pytest

from snellen.evaluation import METRICS, Lap, Stopwatch, evaluate, predicted_batches


class Clock:
    """Time that passes only where a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr("snellen.evaluation.stopwatch.perf_counter", made)
    return made


def test_the_first_lap_is_warm_up(clock):
    watch = Stopwatch()
    assert watch.seconds_per_image is None
    for images, seconds in ((4, 100.0), (4, 2.0), (4, 4.0), (2, 1.0)):
        with watch.lap(images):
            clock.passes(seconds)
        clock.passes(50)
    assert watch.laps[0] == Lap(images=4, seconds=100.0)
    assert [lap.seconds for lap in watch.counted] == [2.0, 4.0, 1.0]
    assert watch.seconds_per_image == pytest.approx(7 / 10)


def test_a_lap_that_is_alone_counts(clock):
    watch = Stopwatch()
    with watch.lap(5):
        clock.passes(10)
    assert watch.seconds_per_image == pytest.approx(2)


def test_what_fails_is_no_lap(clock):
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch.lap(1):
        raise ZeroDivisionError
    assert watch.laps == []


def test_waiting_for_data_and_measuring_do_not_count(clock, model, batches, truth_of, kind, classes):
    """The network and its decoding are timed; reading images and counting hits are not."""

    def slow_source():
        for batch in batches:
            clock.passes(1000)
            yield batch

    forward, decode = model.forward, model.decode

    def slow_forward(images, targets=None):
        clock.passes(2 * len(images))
        return forward(images, targets)

    def slow_decode(output, sizes):
        clock.passes(len(sizes))
        return decode(output, sizes)

    def slow_truth(row):
        clock.passes(1000)
        return truth_of(row)

    model.forward, model.decode = slow_forward, slow_decode
    watch = Stopwatch()
    evaluate(model, slow_source(), slow_truth, METRICS[kind](classes), device="cpu", watch=watch)
    assert watch.laps == [Lap(images=3, seconds=9.0), Lap(images=1, seconds=3.0)]


def test_nobody_has_to_watch(model, batches):
    assert len(list(predicted_batches(model, batches, device="cpu"))) == len(batches)
