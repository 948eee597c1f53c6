"""The verb baseline: a table of what shallow models reach, in minutes, that goes on where it was broken off."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import snellen
from snellen.data import load
from snellen.errors import CheckpointError, ConfigError
from snellen.metrics.intervals import QUICK_FIGURES, bootstrap_interval
from snellen.recipes.baseline_guesses import DEFAULT_MODELS, chosen_models
from snellen.recipes.baseline_notes import signal_notes
from snellen.recipes.baseline_report import BaselineReport, BaselineRow
from snellen.recipes.baseline_work import BaselineWork, interval_of_equals
from snellen.structures import ClassTarget, LabelSetTarget, ValueTarget

SMALL = ("colour_knn", "colour_softmax", "hog_knn")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Red and blue squares, with noise; some of the wrong colour."""
    root = tmp_path_factory.mktemp("flags")
    generator = np.random.default_rng(0)
    for split, number in (("train", 20), ("val", 12), ("test", 6)):
        for label, name in enumerate(("blue", "red")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for place in range(number):
                pixels = generator.integers(0, 120, (20, 24, 3), dtype=np.uint8)
                pixels[..., 2 if label == 0 else 0] += 100
                Image.fromarray(pixels).save(folder / f"{place}.png")
    return root


@pytest.fixture(scope="module")
def measured(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "baseline"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNELLEN_CACHE", str(folder.parent / "cache"))
        return snellen.baseline(flags, models=SMALL, folder=folder), folder


def test_rows_and_files(measured, flags):
    report, folder = measured
    assert [row.model for row in report.rows] == ["majority class", "class prior", *SMALL]
    rows = {row.model: row for row in report.rows}
    assert rows["majority class"].score == 0.5
    assert rows["colour_softmax"].score > 0.9
    assert rows["colour_softmax"].low <= rows["colour_softmax"].score <= rows["colour_softmax"].high
    assert rows["colour_softmax"].image_ms > 0
    assert rows["colour_softmax"].num_bytes > 1000
    assert rows["colour_softmax"].facts["chosen"].startswith("cost = ")
    assert (report.split, report.num_train, report.num_measured) == ("val", 40, 24)
    assert report.best.features == "colour"
    assert {file.name for file in folder.iterdir()} == {"baseline.json", "baseline.md", "baseline.html"}
    told = json.loads((folder / "baseline.json").read_text())
    assert told["rows"][3]["model"] == "colour_softmax"
    page = (folder / "baseline.html").read_text()
    for words in ("accuracy to beat", "without looking", "colour_softmax", "snellen train", str(flags)):
        assert words in page
    assert "| colour\\_softmax |" in (folder / "baseline.md").read_text()
    assert "colour_softmax" in report.text()
    assert BaselineReport.read(folder) == report


def test_says_what_carries_the_signal(measured):
    report, _ = measured
    assert report.notes[0].startswith("To beat: accuracy 1.000")
    assert any("colour alone 1.000" in note for note in report.notes)
    assert any("Colour alone tells as much as the best" in note for note in report.notes)


def test_equal_to_training_the_model(measured, flags, tmp_path):
    """The table's figure is that of the run that its command makes."""
    report, _ = measured
    run = snellen.train(flags, model="colour_knn", folder=tmp_path / "run", check=False, tensorboard=False)
    row = next(row for row in report.rows if row.model == "colour_knn")
    assert run.results["val"].scalars["accuracy"] == row.score


def test_goes_on_where_it_was_broken_off(measured, flags, tmp_path, monkeypatch):
    report, _ = measured
    folder = tmp_path / "out"
    fitted = BaselineWork._fitted
    calls = []

    def breaks(work, model, entry, *rest):
        calls.append(entry.name)
        if entry.name == "colour_softmax" and len(calls) == 2:
            raise KeyboardInterrupt
        return fitted(work, model, entry, *rest)

    monkeypatch.setattr(BaselineWork, "_fitted", breaks)
    broken = snellen.baseline(flags, models=SMALL, folder=folder)
    assert broken.interrupted
    assert [row.model for row in broken.rows] == ["majority class", "class prior", "colour_knn"]
    assert BaselineReport.read(folder) == broken
    whole = snellen.baseline(flags, models=SMALL, folder=folder)
    assert calls == ["colour_knn", "colour_softmax", "colour_softmax", "hog_knn"]
    assert replace(whole, settings={}).without_times() == replace(report, settings={}).without_times()
    with pytest.raises(CheckpointError, match="a baseline of the same data and settings to go on with; another one"):
        snellen.baseline(flags, models=SMALL, folder=folder, limit=10)
    (folder / "baseline.json").write_text("{")
    with pytest.raises(CheckpointError, match="expected a baseline of this version"):
        snellen.baseline(flags, models=SMALL, folder=folder)


def test_stops_when_the_time_is_over(flags, tmp_path):
    report = snellen.baseline(flags, models=SMALL, folder=tmp_path / "out", minutes=1e-9)
    assert [row.model for row in report.rows] == ["majority class", "class prior"]
    assert dict(report.left_out) == dict.fromkeys(SMALL, "the time was over; --minutes gives more")
    assert "was left out: the time was over" in report.text()
    again = snellen.baseline(flags, models=SMALL, folder=tmp_path / "out", minutes=None)
    assert len(again.rows) == 5
    assert not again.left_out


def test_fewer_images(flags, tmp_path):
    report = snellen.baseline(flags, models=("colour_knn",), folder=tmp_path / "out", limit=9)
    assert (report.num_train, report.num_measured) == (9, 9)


def test_images_that_cannot_be_read_are_named(flags, tmp_path):

    root = shutil.copytree(flags, tmp_path / "data")
    broken = root / "val" / "red" / "3.png"
    index = load(root)
    broken.write_bytes(b"no image")
    report = snellen.baseline(root, models=("colour_knn",), folder=tmp_path / "out")
    assert report.num_measured == 23 or str(broken) in report.skipped
    del index


def test_what_cannot_be_measured(flags, charts, tmp_path):
    with pytest.raises(ConfigError, match="The shallow detector is hog_svm"):
        snellen.baseline(charts["boxes"], folder=tmp_path / "out")
    with pytest.raises(ConfigError, match=r"there is no model 'pixel_knn'\. Did you mean 'pixels_knn'"):
        snellen.baseline(flags, models=("pixel_knn",), folder=tmp_path / "out")
    with pytest.raises(ConfigError, match="minutes must be a number above 0; got -1"):
        snellen.baseline(flags, minutes=-1, folder=tmp_path / "out")
    report = snellen.baseline(flags, models=("resnet18", "colour_knn"), folder=tmp_path / "out")
    assert "a baseline is of shallow models" in report.left_out["resnet18"]
    assert [row.model for row in report.rows][-1] == "colour_knn"


def test_default_models_exist():
    from snellen.models import find_model

    for kind in (ClassTarget, LabelSetTarget, ValueTarget):
        names = chosen_models((), kind, "mobilenet_v2")
        assert names[0].startswith("mobilenet_v2_features_")
        assert all(find_model(name, kind).target_type is kind for name in names)
        assert chosen_models((), kind, None) == DEFAULT_MODELS[kind]
        assert chosen_models(("b", "a", "b"), kind, "x") == ("b", "a")


def test_values_and_label_sets(tmp_path):
    lines = ["file,brightness,split"]
    generator = np.random.default_rng(0)
    for place in range(30):
        level = int(generator.integers(20, 200))
        Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(tmp_path / f"{place}.png")
        lines.append(f"{place}.png,{level / 10:.2f},{'train' if place < 20 else 'val'}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    report = snellen.baseline(tmp_path / "table.csv", models=("colour_ridge", "pixels_linear"), folder=tmp_path / "out")
    rows = {row.model: row for row in report.rows}
    assert rows["mean"].lower_is_better
    assert report.best.model == "pixels_linear"
    assert rows["pixels_linear"].score < 0.1 < rows["mean"].score
    assert rows["pixels_linear"].low <= rows["pixels_linear"].score <= rows["pixels_linear"].high


def row(model, features, score, width=0.05, **options):
    return BaselineRow(
        model=model, features=features, score=score, low=score - width, high=score + width, scalars={}, **options
    )


def test_notes():
    rows = [row("majority class", "", 0.5), row("hog_svm", "hog", 0.9), row("colour_knn", "colour", 0.52)]
    told = signal_notes(rows, "accuracy")
    assert told[0] == "To beat: accuracy 0.900 (0.850–0.950), by hog_svm. Without looking (majority class): 0.500."
    assert told[1] == "What seems to carry the signal: shape 0.900 (0.850–0.950); colour alone 0.520 (0.470–0.570)."
    assert told[2] == "No better than without looking, as far as these images tell: colour alone."
    assert len(told) == 3
    assert signal_notes(rows[:1], "accuracy") == ()
    errors = [row("mean", "", 2.0, lower_is_better=True), row("hog_svr", "hog", 0.5, lower_is_better=True)]
    errors.append(row("colour_svr", "colour", 1.99, lower_is_better=True))
    told = signal_notes(errors, "MAE")
    assert "by hog_svr" in told[0]
    assert "as far as these images tell: colour alone" in told[2]


@pytest.mark.parametrize("name", QUICK_FIGURES)
def test_quick_figures_equal_those_of_the_metric(name):
    import torch

    from snellen.evaluation import METRICS
    from snellen.structures import ClassScores

    generator = np.random.default_rng(0)
    truth, guess = generator.integers(0, 3, 50), generator.integers(0, 4, 50)
    metric = METRICS[ClassTarget](["a", "b", "c", "d"])
    metric.update(
        [ClassScores(probs=torch.eye(4)[place]) for place in guess],
        [ClassTarget(probs=torch.eye(4)[place]) for place in truth],
        list(range(50)),
    )
    assert QUICK_FIGURES[name](truth, guess) == pytest.approx(metric.result().scalars[name])


def test_interval_is_that_of_a_binomial():
    """A share of 0.8 of 400 is known to about ± 2 · √(0.8 · 0.2 / 400) = 0.04."""
    right = np.arange(400) < 320
    low, high = bootstrap_interval(400, lambda drawn: float(right[drawn].mean()), resamples=1000)
    assert low == pytest.approx(0.76, abs=0.01)
    assert high == pytest.approx(0.84, abs=0.01)
    assert np.isnan(bootstrap_interval(3, lambda _: float("nan"), resamples=5)).all()


def test_a_few_right_answers_are_no_certainty():
    """Six of six are between 0.61 and 1 (Wilson 1927), which a bootstrap of equals would call 1 to 1."""
    low, high = interval_of_equals(np.array([0, 1, 0, 1, 0, 1]), are_right=True)
    assert (low, high) == pytest.approx((0.6097, 1.0), abs=1e-3)
    assert interval_of_equals(np.array([0, 1, 0, 1, 0, 1]), are_right=False) == pytest.approx((0, 1 - low))
    assert interval_of_equals(np.array([0] * 98 + [1, 1]), are_right=True)[0] < 0.52


def test_imbalanced_classes_are_judged_by_their_mean(flags, tmp_path):

    root = shutil.copytree(flags, tmp_path / "data")
    for split in ("train", "val"):
        for file in sorted((root / split / "red").iterdir())[4:]:
            file.unlink()
    report = snellen.baseline(root, models=("colour_softmax",), folder=tmp_path / "out")
    rows = {row.model: row for row in report.rows}
    assert report.headline == "balanced_accuracy"
    assert rows["majority class"].score == 0.5
    assert rows["majority class"].scalars["accuracy"] == 0.75
    assert rows["colour_softmax"].facts["weights"] == "every class the same"
