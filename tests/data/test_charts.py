"""Eye charts: same seed, same chart; boxes are the bounds of the masks; every knob acts (SYS-233)."""

import csv
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError
from pycocotools.coco import COCO

from snellen.data import load
from snellen.data.charts import (
    ALPHABET,
    ChartFaults,
    ChartSpec,
    default_chart_spec,
    draw_chart,
    letter_coverage,
    write_charts,
)
from snellen.errors import InputError
from snellen.structures import BoxTarget, ClassTarget, MaskTarget

SPEC = ChartSpec()


def _charts(spec, count=40, split="train"):
    return [draw_chart(spec, index, split=split) for index in range(count)]


def _detection(folder, *, num_train=30, num_test=0, **faults):
    spec = replace(SPEC, faults=ChartFaults(**faults))
    return write_charts(folder, task=BoxTarget, num_train=num_train, num_val=0, num_test=num_test, spec=spec)


def _annotations(root, split="train"):
    return json.loads((root / "annotations" / f"instances_{split}.json").read_text())["annotations"]


def test_same_seed_same_chart_and_other_seed_other_chart():
    one, same, other = (draw_chart(replace(SPEC, seed=seed), 3) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.image, same.image)
    assert [letter.box for letter in one.letters] == [letter.box for letter in same.letters]
    assert (one.image != other.image).any()


def test_chart_does_not_depend_on_those_drawn_before():
    alone = draw_chart(SPEC, 7)
    _charts(SPEC, 7)
    np.testing.assert_array_equal(alone.image, draw_chart(SPEC, 7).image)


@pytest.mark.parametrize("difficulty", [0.0, 0.3, 1.0])
def test_boxes_are_tight_inside_and_apart(difficulty):
    for chart in _charts(replace(SPEC, difficulty=difficulty)):
        height, width = chart.image.shape[:2]
        taken = np.zeros((height, width), dtype=int)
        for letter in chart.letters:
            x1, y1, x2, y2 = letter.box
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            assert letter.mask.shape == (y2 - y1, x2 - x1)
            assert letter.mask.any(axis=1)[[0, -1]].all()
            assert letter.mask.any(axis=0)[[0, -1]].all()
            taken[y1:y2, x1:x2][letter.mask] += 1
        assert taken.max(initial=0) <= 1


@pytest.mark.parametrize("letter", ALPHABET)
@pytest.mark.parametrize("height", [10.0, 37.5, 80.0])
def test_letter_fills_its_square(letter, height):
    coverage, (left, top) = letter_coverage(letter, height=height, angle_deg=0.0, centre=(50.0, 60.0))
    rows, columns = np.flatnonzero(coverage.max(1) >= 0.5), np.flatnonzero(coverage.max(0) >= 0.5)
    assert top + rows[0] == pytest.approx(60 - height / 2, abs=1)
    assert top + rows[-1] + 1 == pytest.approx(60 + height / 2, abs=1)
    if letter not in "CI":  # narrower by nature
        assert left + columns[0] == pytest.approx(50 - height / 2, abs=1)
        assert left + columns[-1] + 1 == pytest.approx(50 + height / 2, abs=1)


def test_area_of_the_ring_is_that_of_the_formula():
    coverage, _ = letter_coverage("O", height=60.0, angle_deg=0.0, centre=(40.0, 40.0))
    assert coverage.sum() == pytest.approx(np.pi * (30**2 - 18**2), rel=0.01)
    turned, _ = letter_coverage("H", height=60.0, angle_deg=33.0, centre=(40.0, 40.0))
    assert turned.sum() == pytest.approx((5 + 5 + 3) * 12 * 12, rel=0.02)


def test_letters_differ_from_one_another():
    shapes = {c: letter_coverage(c, height=20.0, angle_deg=0.0, centre=(12.0, 12.0))[0] for c in ALPHABET}
    for one in ALPHABET:
        same = [o for o in ALPHABET if o != one and np.array_equal(shapes[one], shapes[o])]
        assert not same


def test_number_and_height_follow_the_spec():
    spec = replace(SPEC, num_letters=(2, 4), letter_height=(20.0, 30.0))
    letters = [letter for chart in _charts(spec) for letter in chart.letters]
    assert max(len(chart.letters) for chart in _charts(spec)) == 4
    assert min(letter.height for letter in letters) >= 20
    assert max(letter.height for letter in letters) <= 30


def test_letters_stand_out_from_the_background():
    for chart in _charts(replace(SPEC, difficulty=0.0)):
        grey = chart.image.mean(-1)
        for letter in chart.letters:
            x1, y1, x2, y2 = letter.box
            patch = grey[y1:y2, x1:x2]
            assert abs(patch[letter.mask].mean() - patch[~letter.mask].mean()) > 20


def test_difficulty_lowers_contrast():
    def spread(difficulty):
        charts = _charts(ChartSpec(difficulty=difficulty, num_letters=(1, 1), letter_height=(60, 60)), 30)
        values = []
        for chart in charts:
            for letter in chart.letters:
                x1, y1, x2, y2 = letter.box
                patch = chart.image[y1:y2, x1:x2].mean(-1)
                values.append(abs(patch[letter.mask].mean() - patch[~letter.mask].mean()))
        return np.mean(values)

    assert spread(1.0) < 0.7 * spread(0.0)


def test_splits_show_different_photographs():
    def colours(split):
        spec = replace(SPEC, difficulty=1.0, num_letters=(1, 1), letter_height=(14, 14))
        return [chart.image.reshape(-1, 3).mean(0) for chart in _charts(spec, 60, split)]

    train, test = np.array(colours("train")), np.array(colours("test"))
    assert np.linalg.norm(train.mean(0) - test.mean(0)) > 5


def test_imbalance_tiny_empty_and_light_act():
    counts = Counter(
        letter.text
        for chart in _charts(replace(SPEC, faults=ChartFaults(imbalance=50)), 80)
        for letter in chart.letters
    )
    assert counts["C"] > 5 * max(counts["Z"], 1)
    tiny = _charts(replace(SPEC, faults=ChartFaults(tiny=1.0)), 10)
    assert all(letter.height < 8 for chart in tiny for letter in chart.letters)
    empty = _charts(replace(SPEC, faults=ChartFaults(empty=0.5)), 60)
    assert 15 < sum(not chart.letters for chart in empty) < 45
    dark = replace(SPEC, faults=ChartFaults(test_light_shift=-0.3))
    assert draw_chart(dark, 0, split="test").image.mean() < draw_chart(SPEC, 0, split="test").image.mean() - 30
    np.testing.assert_array_equal(draw_chart(dark, 0).image, draw_chart(SPEC, 0).image)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # within pycocotools
def test_pycocotools_reads_what_is_written_and_masks_fit_boxes(tmp_path):
    root = write_charts(tmp_path, task=BoxTarget, num_train=6, num_val=2, num_test=2)
    coco = COCO(root / "annotations" / "instances_train.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list("CDHKNORSVZ")
    for annotation in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(annotation)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x, y, width, height = annotation["bbox"]
        assert (x, y, x + width, y + height) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert annotation["area"] == mask.sum()
    for image in coco.loadImgs(coco.getImgIds()):
        with Image.open(root / "train" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    assert len(list((root / "val").iterdir())) == len(list((root / "test").iterdir())) == 2


def test_writing_twice_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        _detection(tmp_path / name, num_train=4, label_noise=0.3, box_jitter=0.1)
    for file in (tmp_path / "one").rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


def test_annotation_faults_act_on_training_only(tmp_path):
    clean = _detection(tmp_path / "clean", num_test=5)
    truth = _annotations(clean)

    noisy = _annotations(_detection(tmp_path / "noisy", label_noise=0.4, num_test=5))
    wrong = np.mean([a["category_id"] != b["category_id"] for a, b in zip(truth, noisy, strict=True)])
    assert 0.25 < wrong < 0.55
    assert [a["bbox"] for a in truth] == [a["bbox"] for a in noisy]
    assert _annotations(clean, "test") == _annotations(tmp_path / "noisy", "test")

    offset = _annotations(_detection(tmp_path / "offset", label_offset=1))
    assert all((a["category_id"] % 10) + 1 == b["category_id"] for a, b in zip(truth, offset, strict=True))

    missing = _annotations(_detection(tmp_path / "missing", missing_boxes=0.3))
    assert 0.55 < len(missing) / len(truth) < 0.85

    shifted = _annotations(_detection(tmp_path / "shifted", box_shift_px=5))
    for a, b in zip(truth, shifted, strict=True):
        np.testing.assert_allclose(np.subtract(b["bbox"], a["bbox"]), [5, 5, 0, 0], atol=0.02)

    jittered = _annotations(_detection(tmp_path / "jittered", box_jitter=0.1))
    moves = [(b["bbox"][0] - a["bbox"][0]) / a["bbox"][2] for a, b in zip(truth, jittered, strict=True)]
    assert np.std(moves) == pytest.approx(0.1, rel=0.3)


def test_file_faults_act(tmp_path):
    corrupt = _detection(tmp_path / "corrupt", corrupt=0.5)
    broken = 0
    for file in (corrupt / "train").iterdir():
        try:
            with Image.open(file) as image:
                image.load()
        except (OSError, UnidentifiedImageError):
            broken += 1
    assert 8 <= broken <= 22

    turned = _detection(tmp_path / "turned", num_train=3, exif_rotated=1.0)
    plain = _detection(tmp_path / "plain", num_train=3)
    for file in (turned / "train").iterdir():
        with Image.open(file) as image, Image.open(plain / "train" / file.name) as upright:
            assert image.getexif()[0x0112] == 6
            shown, expected = (np.asarray(i, dtype=float) for i in (ImageOps.exif_transpose(image), upright))
            assert np.abs(shown - expected).mean() < 4  # JPEG blocks lie differently
            assert np.abs(np.asarray(image, dtype=float) - expected).mean() > 8

    leaky = _detection(tmp_path / "leaky", num_train=10, num_test=10, leak=0.5)
    learnt = {file.read_bytes() for file in (leaky / "train").iterdir()}
    copies = sum(file.read_bytes() in learnt for file in (leaky / "test").iterdir())
    assert 1 <= copies <= 9


def test_classification_table(tmp_path):
    root = write_charts(tmp_path, task=ClassTarget, num_train=12, num_val=3, num_test=3)
    with (root / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "split", "letter_height"]
    assert Counter(row["split"] for row in rows) == {"train": 12, "val": 3, "test": 3}
    spec = default_chart_spec(ClassTarget)
    for index, row in enumerate(rows[:12]):
        (letter,) = draw_chart(spec, index).letters
        assert (root / row["path"]).is_file()
        assert (row["label"], float(row["letter_height"])) == (
            letter.text,
            pytest.approx(letter.height, abs=0.01),
        )


def test_segmentation_masks(tmp_path):
    root = write_charts(tmp_path, task=MaskTarget, num_train=4, num_val=1, num_test=1)
    names = (root / "classes.txt").read_text().split()
    assert names == ["background", *"CDHKNORSVZ"]
    for index in range(4):
        with Image.open(root / "train" / "masks" / f"{index:06d}.png") as image:
            labels = np.asarray(image)
        chart = draw_chart(default_chart_spec(MaskTarget), index)
        assert set(np.unique(labels)) == {0, *(letter.label + 1 for letter in chart.letters)}
        assert (labels > 0).sum() == sum(letter.mask.sum() for letter in chart.letters)
        assert (root / "train" / "images" / f"{index:06d}.jpg").is_file()


@pytest.mark.parametrize("tiny", [0.0, 1.0])
@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_chart_to_be_classified_always_shows_its_letter(tiny, difficulty):
    spec = replace(default_chart_spec(ClassTarget), difficulty=difficulty, faults=ChartFaults(tiny=tiny, empty=1.0))
    assert all(len(chart.letters) == 1 for chart in _charts(spec, 150))
    tight = ChartSpec(size=(25, 25), num_letters=(1, 1), letter_height=(14, 40), difficulty=difficulty)
    assert all(len(chart.letters) == 1 for chart in _charts(tight, 50))


def test_what_is_written_is_read_again(tmp_path):
    counts = {"num_train": 8, "num_val": 2, "num_test": 2}
    for task in (BoxTarget, ClassTarget, MaskTarget):
        root = write_charts(tmp_path / task.__name__, task=task, **counts)
        index = load(root)
        assert index.target_type is task
        assert not [problem for problem in index.problems if problem.severity == "error"]
        assert {name: len(index.split_rows(name)) for name in index.split_names} == {
            "train": 8,
            "val": 2,
            "test": 2,
        }
    index = load(tmp_path / "BoxTarget").split("train")
    spec = default_chart_spec(BoxTarget)
    assert index.classes == tuple("CDHKNORSVZ")
    for row in range(len(index)):
        chart, target = draw_chart(spec, row), index.target(row, spec.size)
        assert target.labels.tolist() == [letter.label for letter in chart.letters]
        np.testing.assert_allclose(target.boxes.numpy(), [letter.box for letter in chart.letters], atol=0.01)
        for mask, letter in zip(target.masks.numpy(), chart.letters, strict=True):
            x1, y1, x2, y2 = letter.box
            np.testing.assert_array_equal(mask[y1:y2, x1:x2] > 0, letter.mask)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ChartSpec(letters="AÄ"), "different letters A-Z"),
        (lambda: ChartSpec(letters="AAB"), "different letters A-Z"),
        (lambda: ChartSpec(num_letters=(4, 2)), "fewest, most"),
        (lambda: ChartSpec(letter_height=(30, 20)), "smallest, greatest"),
        (lambda: ChartSpec(size=(16, 16)), "no room"),
        (lambda: ChartSpec(difficulty=2), "difficulty"),
        (lambda: ChartFaults(label_noise=1.5), "label_noise"),
        (lambda: ChartFaults(imbalance=0.5), "imbalance"),
        (lambda: ChartFaults(box_jitter=-1), "box_jitter"),
        (lambda: ChartFaults(test_light_shift=3), "test_light_shift"),
    ],
)
def test_bad_settings_are_named(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_bad_calls_are_named(tmp_path):
    with pytest.raises(InputError, match="num_train of 1 or more"):
        write_charts(tmp_path, task=BoxTarget, num_train=0, num_val=0, num_test=0)
    with pytest.raises(InputError, match="one letter each"):
        write_charts(tmp_path, task=ClassTarget, num_train=1, num_val=0, num_test=0, spec=SPEC)
