"""How fast a model was, beside what was measured (SYS-166, SYS-362)."""

import pytest
import torch

import snellen
from snellen.evaluation import Lap, Stopwatch, from_json, to_json
from snellen.recipes.speed import with_speed
from snellen.structures import Results

BARE = Results(headline="AP", scalars={"AP": 0.5})
PLACE = {"batch_size": 4, "device": torch.device("cpu"), "precision": "fp32"}


def told(results: Results) -> dict:
    (table,) = [table for table in results.tables if table.title == "Speed"]
    return dict(zip(table.columns, table.rows[0], strict=True)) | {"note": table.note}


def test_a_table_tells_images_per_second_and_on_what():
    watch = Stopwatch([Lap(images=4, seconds=99.0), Lap(images=4, seconds=1.0), Lap(images=2, seconds=0.25)])
    row = told(with_speed(BARE, watch, **PLACE))
    assert row["Images per second"] == pytest.approx(6 / 1.25)
    assert row["ms per image"] == pytest.approx(1250 / 6)
    assert (row["Images"], row["Batch size"], row["Device"], row["Precision"]) == (6, 4, "cpu", "fp32")
    assert row["Threads"] == torch.get_num_threads()
    assert "first batch is warm-up and not counted" in row["note"]


def test_one_batch_has_its_warm_up_in_it():
    row = told(with_speed(BARE, Stopwatch([Lap(images=4, seconds=2.0)]), **PLACE))
    assert row["Images per second"] == pytest.approx(2)
    assert "warm-up is in it" in row["note"]


def test_nothing_is_told_without_laps():
    assert with_speed(BARE, Stopwatch(), **PLACE) is BARE


def test_figures_that_are_compared_stay_as_they_are():
    results = with_speed(BARE, Stopwatch([Lap(images=1, seconds=1.0)]), **PLACE)
    assert (results.headline, results.scalars, results.score) == (BARE.headline, BARE.scalars, BARE.score)
    assert told(from_json(to_json(results))) == told(results)


def test_a_run_is_timed_while_it_is_measured(run_at, make_charts, tmp_path):
    run = run_at()
    other = make_charts(tmp_path / "other", "classes", num_train=10)
    results = snellen.evaluate(run, other, split="train")
    row = told(results)
    assert row["Images"] == 6  # of batches of 4, 4 and 2 without the first
    assert row["Batch size"] == 4
    assert row["Images per second"] > 0
    assert told(run.results["other-train"]) == row
    assert not [name for name in results.scalars if "second" in name or "ms" in name]


def test_tiles_are_timed_image_by_image(run_at):
    row = told(snellen.evaluate(run_at("masks"), tile=48))
    assert (row["Images"], row["Batch size"]) == (3, 1)
    assert "cut into tiles" in row["note"]
