"""T12 (DX-075, DX-078, DX-080)."""

import numpy as np
import pytest
from tests.doctor.checks.training.traces import falling, flat, made

from snellen.doctor import Status


def told(**rows):
    count = len(next(iter(rows.values())))
    return [(40 * (place + 1), {name: values[place] for name, values in rows.items()}) for place in range(count)]


TURNING = [2.0, 1.2, 0.9, 0.8, 0.9, 1.1, 1.3, 1.4, 1.5, 1.6]
RISING = [0.3, 0.5, 0.6, 0.65, 0.68, 0.7, 0.7, 0.71, 0.71, 0.72]
FALLING = [0.3, 0.5, 0.7, 0.72, 0.70, 0.66, 0.62, 0.6, 0.58, 0.55]


def test_a_loss_that_turns_up(found, said, judged):
    """SYS-325."""
    trace = made(falling(), validations=told(loss=TURNING))
    assert found("T12", trace) == ["WARNING default"]
    assert said("T12", trace) == (
        "loss on held-out data was best at step 160 (0.8) and is 1.5 now, 6 validations later, while the training loss "
        "fell on."
    )
    assert judged("T12", trace).findings[0].treatment.settings == {"patience": 5}


def test_a_classifier_that_becomes_too_sure_loses_no_answers(found):
    assert found("T12", made(falling(), validations=told(loss=TURNING, accuracy=RISING))) == ["INFO default"]
    assert found("T12", made(falling(), validations=told(loss=TURNING, accuracy=FALLING))) == ["WARNING default"]


def test_a_score_that_falls(found):
    assert found("T12", made(falling(), validations=told(AP=FALLING))) == ["WARNING score"]
    assert found("T12", made(falling(), validations=told(AP=RISING))) == []


def test_images_known_by_heart(found):
    """SYS-325, SYS-363: being right on what was learned proves nothing."""
    still = [1.5] * 10
    assert found("T12", made(falling(end=0.01, noise=0.002), validations=told(loss=still))) == ["INFO gap"]
    assert found("T12", made(falling(end=0.6), validations=told(loss=still))) == []


@pytest.mark.parametrize("values", [
    np.linspace(2, 1, 10), [1.0, 0.9, 1.0, 0.9, 1.05, 0.95, 0.9, 1.0, 0.95, 1.0], [0.9] * 10,
])  # fmt: skip
def test_held_out_losses_that_do_not_rise(found, values):
    assert found("T12", made(falling(end=0.6), validations=told(loss=list(values)))) == []


def test_not_where_the_training_loss_rises_too(found):
    """That is divergence."""
    rising = np.concatenate([falling(160), np.linspace(0.3, 2, 240)])
    assert found("T12", made(rising, validations=told(loss=TURNING))) == []


def test_without_validations(judged):
    assert judged("T12", made(flat())).status == Status.NOT_CHECKABLE
    assert judged("T12", made(flat(), validations=told(loss=[1.0, 1.0]))).status == Status.NOT_CHECKABLE
