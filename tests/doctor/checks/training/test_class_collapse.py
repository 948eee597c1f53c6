"""T15 (DX-001, DX-004, DX-012)."""

import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status

ALIKE = falling(end=0.01, noise=0.001)


@pytest.mark.parametrize(("loss", "named", "expected"), [
    (flat(), (32, 0, 0, 0), ["WARNING one"]),
    (falling(end=0.5), (0, 31, 1, 0), ["INFO one"]),
    (ALIKE, (0, 32, 0, 0), ["WARNING labels"]),
    (falling(), (8, 8, 8, 8), []),
    (falling(), (20, 6, 6, 0), ["INFO never"]),
    (falling(), (20, 6, 5, 1), ["INFO rare"]),
    (falling(), (14, 8, 5, 5), []),
    (falling(), (32, 3), ["INFO rare"]),
        (falling(), (24, 8), []),
    (flat(), (32, 0), ["WARNING one"]),
])  # fmt: skip
def test_first_choices(found, loss, named, expected):
    assert found("T15", made(loss, named=lambda _: named)) == expected


def test_what_is_said(said, judged):
    trace = made(flat(), named=lambda _: (31, 1, 0, 0))
    assert said("T15", trace) == "97 % of the answers are class 0 of 4."
    assert judged("T15", trace).findings[0].places[0].name == "0"


def test_single_images_have_one_answer_each(found):
    one = lambda step: tuple(int(place == step // 10 % 4) for place in range(4))  # noqa: E731
    assert found("T15", made(falling(2000), named=one, images=lambda _: 1)) == []


def test_models_without_scores_of_classes(judged):
    assert judged("T15", made(flat())).status == Status.NOT_CHECKABLE
