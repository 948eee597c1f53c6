"""The verb evaluate: on the run's data, on others, and on data that do not fit."""

import json

import pytest

import snellen
from snellen.errors import CheckpointError, ConfigError, DatasetError, InputError
from snellen.recipes.runs import write_json

# The tiny charts have 6 and 2 training images of their two letters.
HEADLINES = {"boxes": "AP", "classes": "balanced_accuracy", "masks": "mIoU"}


@pytest.mark.parametrize("kind", HEADLINES)
def test_on_its_own_data(trained, run_at, kind):
    run = run_at(kind)
    results = snellen.evaluate(run.folder)
    assert results.headline == HEADLINES[kind]
    assert results.scalars == pytest.approx(dict(trained(kind).results["test"].scalars), nan_ok=True)
    assert len(results.per_image) == 4
    lines = (run.folder / "evaluation" / "test" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", HEADLINES)
def test_on_other_data(make_charts, run_at, tmp_path, kind):
    other = make_charts(tmp_path / "other", kind, num_train=6)
    run = run_at(kind)
    assert len(snellen.evaluate(run, other, split="train").per_image) == 6
    assert len(snellen.evaluate(run, other, split=None).per_image) == 14
    names = {folder.name for folder in (run.folder / "evaluation").iterdir()}
    assert names == {"val", "test", "other-train", "other-all"}


def test_without_splits_all_images_are_measured(run_at, charts, tmp_path):
    index = snellen.load(charts["classes"])
    folder = tmp_path / "plain"
    for row in range(len(index)):
        file = folder / index.classes[int(index.annotations.labels[row])] / f"{row}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(index.path(row).read_bytes())
    run = run_at()
    assert len(snellen.evaluate(run, folder).per_image) == len(index)
    with pytest.raises(InputError, match=r"val"):
        snellen.evaluate(run, folder, split="val")


def test_mistyped_split_of_other_data(run_at, charts):
    with pytest.raises(InputError, match=r"'tset'"):
        snellen.evaluate(run_at(), charts["classes"], split="tset")


@pytest.mark.parametrize("letters", ["CO", "OC", "CD"])
def test_other_classes(run_at, make_charts, tmp_path, letters):
    other = make_charts(tmp_path / "other", "masks", letters=letters, num_train=2)
    if letters == "CO":
        assert len(snellen.evaluate(run_at("masks"), other).per_image) == 4
        return
    with pytest.raises(ConfigError, match=r"must have the classes of the run, in their order") as caught:
        snellen.evaluate(run_at("masks"), other)
    assert ("'D' is new" if letters == "CD" else "the order differs") in str(caught.value)


def test_data_of_another_kind(run_at, charts):
    with pytest.raises(ConfigError, match=r"learned from ClassTarget.*has BoxTarget"):
        snellen.evaluate(run_at(), charts["boxes"])


def test_data_that_is_gone(run_at, tmp_path):
    run = run_at()
    write_json(run.folder / "run.json", {**run.record, "data": str(tmp_path / "gone")})
    with pytest.raises(DatasetError, match=r"nothing is there"):
        snellen.evaluate(run.folder)


def test_damaged_checkpoint(run_at):
    run = run_at()
    file = run.folder / "checkpoints" / "best.pt"
    file.write_bytes(file.read_bytes()[:10_000])
    with pytest.raises(CheckpointError, match=r"damaged file"):
        snellen.evaluate(run)


def test_broken_images_are_named(run_at, make_charts, tmp_path):
    other = make_charts(tmp_path / "other", "classes", num_train=10, corrupt=0.3)
    run = run_at()
    results = snellen.evaluate(run, other, split="train")
    skipped = json.loads((run.folder / "skipped.json").read_text())
    assert skipped
    assert len(results.per_image) + len(skipped) == 10
