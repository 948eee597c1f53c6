"""T26 (DX-031)."""

import numpy as np
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status


def in_turn(step: int) -> tuple[int, ...]:
    counts = [1, 1, 1, 1]
    counts[step // 40 % 4] = 29
    return tuple(counts)


def test_each_step_knows_one_class_and_forgets_the_one_before(found, said):
    sawtooth = 1.5 * (1 - np.arange(400) % 40 / 40) ** 2 + 0.01 * flat(400)
    assert found("T26", made(sawtooth, named=in_turn)) == ["WARNING default"]
    assert said("T26", made(sawtooth, named=in_turn)) == (
        "91 % of the answers of a step are one class, and 4 classes take turns: images come in the order of their "
        "classes."
    )


def test_a_network_that_knows_nothing_names_any_class(found):
    assert found("T26", made(flat(), named=in_turn)) == []


def test_one_class_or_all_of_them(found):
    assert found("T26", made(falling(), named=lambda _: (30, 1, 1, 0))) == []
    assert found("T26", made(falling(), named=lambda step: tuple(np.roll((14, 6, 6, 6), step // 10)))) == []


def test_single_images(judged):
    one = lambda step: tuple(int(place == step // 10 % 4) for place in range(4))  # noqa: E731
    assert judged("T26", made(falling(), named=one)).status == Status.NOT_CHECKABLE
