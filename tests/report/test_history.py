import dataclasses
import json
import math

import pytest
import torch

from snellen.report.confusion import confused_pairs, most_confused
from snellen.report.history import history_curves
from snellen.structures import Matrix, Results
from snellen.training.events import EpochDone, NonFiniteLoss, Started, StepDone, Validated
from snellen.training.logs import JsonlLog


def _titles(*rows, first=()):
    return {curve.title: [series.name for series in curve.series] for curve in history_curves(rows, first=first)}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("loss", "Loss"), ("train/loss", "Loss"), ("total_loss", "Loss"), ("loss/total", "Loss"),
        ("val/loss", "Loss"),
        ("loss/boxes", "Loss, parts"), ("losses/classes", "Loss, parts"), ("box_loss", "Loss, parts"),
        ("val/loss/boxes", "Validation loss, parts"), ("val/AP50", "Validation"), ("lr", "Learning rate"),
        ("lr/0", "Learning rate"), ("train/lr", "Learning rate"), ("data_wait", "Waiting for data"),
        ("wait_share", "Waiting for data"), ("images_per_s", "Throughput"),
        ("images_per_second", "Throughput"),
        ("images/s", "Throughput"), ("grad_norm", "grad_norm"), ("blur", "blur"),
    ],
)  # fmt: skip
def test_names_find_their_chart(name, title):
    assert _titles({"step": 1, name: 0.5}) == {title: [name]}


def test_nested_rows_are_flat_and_the_order_is_that_of_importance():
    rows = (
        {"step": 1, "lr": [0.1, 0.2], "losses": {"a": 1.0}, "loss": 1.0},
        {"step": 2, "val": {"x": 0.1, "AP": 0.2}},
    )
    assert list(_titles(*rows, first=("AP",)).items()) == [
        ("Loss", ["loss"]),
        ("Loss, parts", ["losses/a"]),
        ("Validation", ["val/AP", "val/x"]),
        ("Learning rate", ["lr/0", "lr/1"]),
    ]


def test_figures_beyond_one_get_their_own_chart():
    assert _titles({"val/AP": 0.5, "val/acuity": 14.0}) == {
        "Validation": ["val/AP"],
        "val/acuity": ["val/acuity"],
    }


def test_axis_is_step_then_epoch_then_row():
    assert history_curves(({"step": 7, "epoch": 1, "loss": 2},))[0].series[0].x == (7.0,)
    assert history_curves(({"epoch": 3, "loss": 2},))[0].x_label == "epoch"
    assert history_curves(({"loss": 2}, {"loss": 1}))[0].series[0].x == (0.0, 1.0)


def test_texts_flags_and_nothing_are_no_curves():
    assert history_curves(()) == ()
    assert history_curves(({"step": 1, "event": "end", "is_best": True, "seconds": 3.0, "note": None},)) == ()


def test_lines_of_the_log_file_are_understood(tmp_path):
    results = Results(headline="AP", scalars={"AP": 0.5, "acuity": 14.0})
    log = JsonlLog(tmp_path / "log.jsonl", every=1)
    log.see(Started(step=0, epoch=0, **_fields(Started)))
    for step, loss in ((1, 4.0), (2, math.nan), (3, 2.0)):
        losses = {"boxes": torch.tensor(loss), "classes": torch.tensor(1.0)}
        given = {"losses": losses, "lr": 0.1, "images": 8, "data_wait_s": 1.0, "step_s": 3.0}
        log.see(StepDone(step=step, epoch=0, **_fields(StepDone, **given)))
    given = {"losses": {"boxes": 3.0}, "images": 24, "seconds": 12.0, "skipped": {"a.jpg": 1}}
    log.see(EpochDone(step=3, epoch=0, **_fields(EpochDone, **given)))
    given = {"results": results, "losses": {"boxes": 3.5}, "score": 0.5, "improved": True}
    log.see(Validated(step=3, epoch=0, **_fields(Validated, **given)))
    log.see(NonFiniteLoss(step=2, epoch=0, **_fields(NonFiniteLoss, names=("boxes",), indices=(5, 6))))
    log.close()
    rows = tuple(json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines())

    curves = {curve.title: {series.name: series for series in curve.series} for curve in history_curves(rows)}
    assert {title: list(series) for title, series in curves.items()} == {
        "Loss": ["loss", "epoch/loss"],
        "Loss, parts": ["losses/boxes", "losses/classes"],
        "Validation": ["validation/AP"],
        "Validation loss, parts": ["val/loss/boxes"],
        "Learning rate": ["lr"],
        "Waiting for data": ["data_wait"],
        "Throughput": ["images_per_s"],
        "validation/acuity": ["validation/acuity"],
    }
    assert curves["Loss"]["loss"].x == (1.0, 2.0, 3.0)
    assert math.isnan(curves["Loss"]["loss"].y[1])
    assert curves["Waiting for data"]["data_wait"].y == (0.25,) * 3
    assert curves["Throughput"]["images_per_s"].y == (2.0,) * 3


def test_epochs_too_short_for_a_logged_step_still_have_a_loss():
    rows = tuple({"event": "epoch_done", "step": 3 * n, "epoch": n, "loss": 1.0 / (n + 1)} for n in range(3))
    assert _titles(*rows) == {"Loss": ["loss"]}


def _fields(kind, **given):
    """Return ``given`` and, for other fields of an event that the log does not read, None."""
    names = {field.name for field in dataclasses.fields(kind)} - {"step", "epoch"}
    return {name: given.get(name) for name in names}


def test_values_that_are_not_finite_stay_visible():
    assert math.isnan(history_curves(({"step": 1, "loss": math.nan},))[0].series[0].y[0])


def _matrix():
    values = [[0.0] * 5 for _ in range(4)]
    for place in range(4):
        values[place][place] = 100.0
    values[1][3], values[3][1], values[0][4], values[2][0] = 9.0, 5.0, 2.0, 1.0
    names = ("a", "b", "c", "d")
    return Matrix(
        title="m",
        row_names=names,
        column_names=(*names, "missed"),
        values=tuple(map(tuple, values)),
        note="n.",
    )


def test_most_confused_classes_stay_and_so_does_the_background():
    cut = most_confused(_matrix(), 2)
    assert cut.row_names == ("b", "d")
    assert cut.column_names == ("b", "d", "missed")
    assert cut.values == ((100.0, 9.0, 0.0), (5.0, 100.0, 0.0))
    assert cut.note == "n. The 2 most confused of 4 classes are shown."
    assert most_confused(_matrix(), 4) == _matrix()


def test_pairs_are_counted_by_mistakes():
    assert confused_pairs(_matrix(), 3).rows == (
        ("b", "d", 9, 9 / 109),
        ("d", "b", 5, 5 / 105),
        ("a", "missed", 2, 2 / 102),
    )
