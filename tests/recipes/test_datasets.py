"""The verbs of data sets."""

import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import snellen
from snellen import recipes
from snellen.data import ReadOptions
from snellen.errors import ConfigError, DatasetError, InputError
from snellen.recipes import datasets
from snellen.recipes.runs import Run


@pytest.fixture
def small_charts(monkeypatch, tmp_path):
    monkeypatch.setenv("SNELLEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "_CHART_COUNTS", dict.fromkeys(recipes.CHARTS.values(), (4, 2, 3)))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", sorted(recipes.CHARTS))
def test_charts_by_name_are_drawn_once(small_charts, name):
    index = snellen.load(name)
    assert index.target_type is recipes.CHARTS[name]
    assert {split: len(index.split_rows(split)) for split in index.split_names} == {"train": 4, "val": 2, "test": 3}
    (folder,) = small_charts.iterdir()
    drawn = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    assert snellen.load(name).fingerprint() == index.fingerprint()
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == drawn


def test_charts_broken_off_are_drawn_again(small_charts):
    folder = recipes.chart_folder("charts-classification")
    (folder / ".complete").unlink()
    lost = next(folder.rglob("*.jpg"))
    lost.unlink()
    recipes.chart_folder("charts-classification")
    assert lost.exists()


def test_unknown_charts():
    with pytest.raises(ConfigError, match=r"Did you mean 'charts-segmentation'"):
        recipes.chart_folder("charts-segmentaton")


def test_a_folder_called_charts_wins(small_charts, charts, monkeypatch, tmp_path):
    (tmp_path / "charts").symlink_to(charts["classes"], target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    assert len(snellen.load("charts")) == 16
    assert not small_charts.exists()


def test_missing_path_and_unknown_format(tmp_path, charts):
    with pytest.raises(DatasetError, match=r"nothing is there. Check the path"):
        snellen.load(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"Did you mean 'coco'"):
        snellen.load(charts["boxes"], format="coc")


@pytest.mark.parametrize(
    ("kind", "form"), [("boxes", "voc"), ("boxes", "yolo"), ("classes", "folders"), ("masks", "masks")]
)
def test_converted_data_are_the_same_data(charts, tmp_path, kind, form):
    before = snellen.load(charts[kind])
    folder = snellen.convert(before, tmp_path / "out", form)
    after = snellen.load(folder)
    assert after.format == form
    assert after.classes == before.classes
    assert len(after) == len(before)
    assert after.describe().objects_per_class == before.describe().objects_per_class


def test_convert_to_what_cannot_hold_it(charts, tmp_path):
    with pytest.raises(InputError):
        snellen.convert(snellen.load(charts["classes"]), tmp_path / "out", "yolo")
    with pytest.raises(ConfigError, match=r"Did you mean 'yolo'"):
        snellen.convert(snellen.load(charts["boxes"]), tmp_path / "out", "yollo")


def test_convert_into_a_full_folder(charts, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match=r"empty"):
        snellen.convert(snellen.load(charts["boxes"]), tmp_path, "coco")


@pytest.mark.parametrize("kind", ["boxes", "classes", "masks"])
def test_sheet_shows_images(charts, kind):
    index = snellen.load(charts[kind])
    few, many = (recipes.sample_sheet(index, count, 0) for count in (1, 6))
    assert many.width * many.height > few.width * few.height
    assert np.asarray(many.convert("L")).std() > 1
    assert recipes.sample_sheet(index, 6, 0).tobytes() == many.tobytes()
    assert recipes.sample_sheet(index, 6, 1).tobytes() != many.tobytes()


def test_sheet_passes_over_broken_files(tmp_path, make_charts):
    index = snellen.load(make_charts(tmp_path / "some", "classes", num_train=4, corrupt=0.5))
    recipes.sample_sheet(index, 12, 0)
    for file in (tmp_path / "some").rglob("*.jpg"):
        file.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"none of those drawn can be read"):
        recipes.sample_sheet(index, 3, 0)


def test_description_counts_problems(tmp_path, make_charts):
    folder = make_charts(tmp_path / "boxes", "boxes")
    file = folder / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    for annotation in content["annotations"][:3]:
        annotation["bbox"] = [500, 500, 10, 10]
    file.write_text(json.dumps(content))
    screen = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with screen.file:
        screen.print(recipes.description_text(snellen.load(folder), max_problems=1))
        text = screen.export_text()
    assert "16 images, 2 classes" in text
    assert "box-outside: 3 in all" in text


def test_no_classes(tmp_path, charts):
    index = snellen.load(charts["boxes"])
    with pytest.raises(DatasetError, match=r"expected at least one class"):
        recipes.prepared(index.__class__(**{**_fields(index), "classes": ()}), 0)


def _fields(index):
    from dataclasses import fields

    return {entry.name: getattr(index, entry.name) for entry in fields(index) if entry.init}


def test_a_run_on_a_single_file_reads_that_file_again(charts, tmp_path, tiny):
    """The COCO file of one split is the data set, not the folder around it."""
    source = charts["classes"] / "labels.csv"
    lines = source.read_text().splitlines()
    part = charts["classes"] / "part.csv"
    part.write_text("\n".join(line for line in lines if "test" not in line or line == lines[0]) + "\n")
    try:
        run = snellen.train(
            part, model="mobilenet_v2", folder=tmp_path / "run", tensorboard=False, **{**tiny, "epochs": 1}
        )
        assert run.record["data"] == str(part)
        assert snellen.evaluate(run, split="val").per_image
    finally:
        part.unlink()


def test_read_options_are_kept(tmp_path, tiny):
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for number in range(2):
                file = tmp_path / "data" / split / name / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)
    run = snellen.train(
        tmp_path / "data",
        read=ReadOptions(classes=("dog", "cat")),
        model="mobilenet_v2",
        folder=tmp_path / "run",
        tensorboard=False,
        check=False,  # all images are the same one
        **{**tiny, "epochs": 1},
    )
    assert run.classes == ("dog", "cat")
    assert snellen.evaluate(Run.open(run.folder), split="val").scalars["accuracy"] >= 0


def test_nothing_annotated_to_learn_from(make_charts, tmp_path):
    folder = make_charts(tmp_path / "boxes", "boxes")
    file = folder / "annotations" / "instances_train.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    with pytest.raises(DatasetError, match=r"expected training images with annotations; none of 8"):
        recipes.prepared(snellen.load(folder), 0)
