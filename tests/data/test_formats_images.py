"""Class folders, tables and masks: real data, and there and back."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data import ImageDataset, load, stratified, write
from snellen.data.formats import mask_scans
from snellen.structures import IGNORE_LABEL


def test_real_class_folders(shared_data):
    index = load(shared_data / "hymenoptera")
    found = index.describe()
    assert (found.format, found.classes) == ("folders", ("ants", "bees"))
    assert found.images_per_split == {"train": 245, "val": 153}
    target = ImageDataset(index)[0].target
    assert target.probs.tolist() == [1.0, 0.0]
    flat = load(shared_data / "inria_crops")
    assert flat.classes == ("negative", "positive")


@pytest.fixture
def cifar(shared_data, tmp_path):
    with tarfile.open(shared_data / "cifar10" / "cifar10_subset.tar.xz") as archive:
        for count, member in enumerate(archive):
            if count == 60:
                break
            archive.extract(member, tmp_path, filter="data")
    lines = (shared_data / "cifar10" / "index.csv").read_text().splitlines()
    (tmp_path / "index.csv").write_text("\n".join(lines[:61]))
    return tmp_path


def test_real_table(cifar):
    index = load(cifar / "index.csv")
    assert (index.format, index.split_names) == ("csv", ("test",))
    assert len(index) > 0
    for row in range(len(index)):
        assert index.classes[index.annotations.labels[row]] == Path(index.paths[row]).parent.name
    assert set(index.attributes) == {"dataset_index", "cifar10n_aggre", "cifar10n_worse", "cifar10n_random1"}


@pytest.mark.parametrize(
    ("text", "classes", "splits", "groups"),
    [
        ("Image_Path;Class;Subset\na.png;b;valid\nc.png;a;train\n", ("a", "b"), ("train", "val"), None),
        ("a.png,10\nc.png,2\n", ("2", "10"), (), None),
        ("filename\ttarget\tpatient\na.png\tx\tp1\nc.png\tx\tp1\n", ("x",), (), [0, 0]),
        ("image,label\na,x\nc,y\n", ("x", "y"), (), None),
    ],
)
def test_headers_of_tables(make, text, classes, splits, groups):
    for name in ("a.png", "c.png"):
        make.image(f"images/{name}")
    index = load(make.text("t.tsv" if "\t" in text else "t.csv", text))
    assert (index.classes, index.split_names, len(index)) == (classes, splits, 2)
    assert (None if index.groups is None else index.groups.tolist()) == groups


def test_images_without_a_group_are_alone(make):
    """Cells left empty are no group of their own: they would lie on both sides of every split (D11)."""
    rows = ("a,x,p1,train", "b,y,,train", "c,x,p1,train", "d,y,,val")
    for row in rows:
        make.image(f"images/{row[0]}.png")
    index = load(make.text("t.csv", "\n".join(("image,label,patient,split", *rows)) + "\n"))
    assert index.groups is not None
    first, second, third, fourth = index.groups.tolist()
    assert first == third
    assert len({first, second, fourth}) == 3


def test_tables_named_after_splits_are_one(make):
    for name in ("images/a.png", "images/b.png", "valid/c.png"):
        make.image(name)
    make.text("train.csv", "image,label\na.png,cat\nb.png,dog\n")
    make.text("valid.csv", "Image,Label\nc.png,dog\nlost.png,cat\na.png,dog\n")
    make.text("test.csv", "image,id\na.png,1\n")
    make.text("labels.csv", "image,label\na.png,cat\n")
    index = load(make.root)
    assert list(index.paths) == ["images/a.png", "images/b.png", "valid/c.png"]
    assert index.split_names == ("train", "val")
    assert index.splits.tolist() == [0, 0, 1]
    assert index.annotations.labels.tolist() == [0, 1, 1]
    told = {problem.code: problem for problem in index.problems}
    assert (Path(told["image-missing"].file).name, told["image-missing"].line) == ("valid.csv", 3)
    assert (Path(told["image-duplicate"].file).name, told["image-duplicate"].line) == ("valid.csv", 4)
    unread = {Path(each.file).name: each.message for each in index.problems if each.code == "table-unread"}
    assert set(unread) == {"test.csv", "labels.csv"}
    assert "names images, but no labels" in unread["test.csv"]
    assert "train.csv, valid.csv was" in unread["labels.csv"]


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("more.csv", "image,label\nb.png,dog\n", "labels.csv"),  # no name of a split
        ("val.csv", "image,species\nb.png,dog\n", "labels.csv"),
    ],
)
def test_a_second_table_is_told(make, name, text, read):
    for picture in ("a.png", "b.png"):
        make.image(picture)
    make.text("labels.csv", "image,label\na.png,cat\n")
    make.text(name, text)
    index = load(make.root)
    assert list(index.paths) == ["a.png"]
    (problem,) = [problem for problem in index.problems if problem.code == "table-unread"]
    assert Path(problem.file).name == name
    assert read in problem.message


@pytest.mark.parametrize("name", ["folders", "csv"])
def test_classes_there_and_back(shared_data, tmp_path, name):
    whole = load(shared_data / "hymenoptera")
    index = whole.select(np.arange(0, len(whole), 20))
    write(index, tmp_path / "out", format=name)
    again = load(tmp_path / "out")
    assert again.format == name
    assert summary(again) == summary(index)


def summary(index):
    return sorted(
        (
            Path(index.paths[row]).name,
            index.classes[index.annotations.labels[row]],
            index.split_names[index.splits[row]],
        )
        for row in range(len(index))
    )


def test_equal_names_do_not_collide(make, tmp_path):
    for name in ("x/1.png", "y/1.png", "y/1.jpg"):
        make.image(name)
    write(load(make.root), tmp_path / "out", format="csv")
    assert len(load(tmp_path / "out")) == 3


@pytest.mark.parametrize(("folder", "number", "classes"), [("camvid", 701, 11), ("horses", 328, 2), ("isbi_em", 30, 2)])
def test_real_masks(shared_data, folder, number, classes):
    index = load(shared_data / folder, ignore_index=11 if folder == "camvid" else None)
    assert (index.format, len(index), len(index.classes)) == ("masks", number, classes)
    if folder == "camvid":
        assert index.describe().images_per_split == {"train": 367, "val": 101, "test": 233}
    row = number - 1
    sample = ImageDataset(index)[row]
    labels = sample.target.labels
    raw = np.asarray(Image.open(index.root / index.annotations.paths[row]).resize(sample.image.shape[:0:-1], 0)).astype(
        int
    )
    expected = {"camvid": np.where(raw == 11, IGNORE_LABEL, raw)}.get(folder, (raw > 0).astype(int))
    assert labels.shape == sample.image.shape[1:]
    assert np.array_equal(labels.numpy(), expected)
    assert torch.equal(ImageDataset(index).truth(row).labels, labels)


def test_masks_there_and_back(shared_data, tmp_path):
    whole = load(shared_data / "camvid", ignore_index=11)
    index = whole.select(np.arange(0, len(whole), 90))
    write(index, tmp_path / "out", format="masks")
    again = load(tmp_path / "out")
    assert again.classes == index.classes
    names = {Path(again.paths[row]).name: row for row in range(len(again))}
    for row in range(len(index)):
        other = names[Path(index.paths[row]).name]
        assert torch.equal(ImageDataset(index).truth(row).labels, ImageDataset(again).truth(other).labels)
        assert again.split_names[again.splits[other]] == index.split_names[index.splits[row]]


def test_palette_of_pascal_voc(make):
    values = np.zeros((30, 40), np.uint8)
    values[:5], values[5:9], values[9] = 3, 15, 255
    make.image("JPEGImages/a.jpg")
    picture = Image.frombytes("P", (40, 30), values.tobytes())
    picture.putpalette([(7 * number) % 256 for number in range(768)])
    (make.root / "SegmentationClass").mkdir()
    picture.save(make.root / "SegmentationClass" / "a.png")
    index = load(make.root)
    assert len(index.classes) == 16
    assert np.array_equal(ImageDataset(index).truth(0).labels.numpy(), values)
    assert {problem.code for problem in index.problems} == {"mask-void", "classes-unnamed"}


def test_colours_with_names(make):
    colours = np.zeros((30, 40, 3), np.uint8)
    colours[:10], colours[10:20] = (128, 64, 128), (1, 2, 3)
    make.image("images/a.jpg")
    (make.root / "masks").mkdir()
    Image.fromarray(colours).save(make.root / "masks" / "a.png")
    make.text("classes.txt", "road 128 64 128\nsky 0 0 0\n")
    index = load(make.root)
    assert index.classes == ("road", "sky")
    labels = ImageDataset(index).truth(0).labels
    assert [labels[row, 0].item() for row in (0, 10, 20)] == [0, IGNORE_LABEL, 1]


@pytest.mark.parametrize(
    ("name", "content", "classes"),
    [
        ("classes.json", '{"0": "sky", "2": "road"}', ("sky", "road")),
        ("classes.json", '{"sky": 0, "road": 2}', ("sky", "road")),
        ("snellen.yaml", "classes: [sky, tree, road]\nignore_index: 2\n", ("sky", "tree")),
    ],
)
def test_names_of_classes(make, name, content, classes):
    values = np.zeros((30, 40))
    values[:10] = 2
    make.image("images/a.jpg")
    make.mask("masks/a.png", values)
    make.text(name, content)
    index = load(make.root)
    assert index.classes == classes
    labels = ImageDataset(index).truth(0).labels
    assert labels[0, 0] == (IGNORE_LABEL if "ignore" in content else 1)


def test_lossy_masks_are_cut_in_the_middle(make):
    values = np.zeros((30, 40), np.uint8)
    values[5:20, 8:24] = 255
    make.image("images/a.jpg")
    make.mask("masks/a.jpg", values)
    labels = ImageDataset(load(make.root)).truth(0).labels.numpy()
    assert set(np.unique(labels)) == {0, 1}
    assert (labels != (values > 127)).mean() < 0.02


def test_masks_of_half_size(make):
    values = np.zeros((30, 40), np.uint8)
    values[:, 20:] = 1
    make.image("images/a.jpg", (80, 60))
    make.mask("masks/a.png", values)
    labels = ImageDataset(load(make.root))[0].target.labels
    assert labels.shape == (60, 80)
    assert labels.sum(1).tolist() == [40] * 60


def labelled_masks(make, contents):
    for number, content in enumerate(contents):
        values = np.zeros((30, 40), np.uint8)
        for place, value in enumerate(content):
            values[3 * place : 3 * place + 3] = value
        make.image(f"images/{number:02}.jpg")
        make.mask(f"masks/{number:02}.png", values)
    make.text("classes.txt", "sky\ntree\nroad\n")
    return make.root


def test_masks_say_which_classes_they_hold(make):
    index = load(labelled_masks(make, [[], [1], [1, 2], [2], [255]]))
    expected = [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1], [1, 0, 0]]
    assert index.annotations.present.astype(int).tolist() == expected
    assert index.describe().objects_per_class[""] == {"sky": 5, "tree": 2, "road": 2}
    assert index.select([2, 0]).annotations.present.astype(int).tolist() == [expected[2], expected[0]]
    assert not index.annotations.sampled


def test_rare_classes_of_masks_are_spread_over_the_splits(make):
    index = load(labelled_masks(make, [[1 if number < 4 else 2] for number in range(20)]))
    parts = stratified(index, {"train": 0.5, "val": 0.5}, 3)
    assert [int(index.select(rows).annotations.present[:, 1].sum()) for rows in parts.values()] == [2, 2]


def test_values_outside_of_the_sample_are_told_when_met(make, monkeypatch):
    monkeypatch.setattr(mask_scans, "SCANNED_MASKS", 3)
    root = labelled_masks(make, [[1], [7], [1], [1], [1, 2, 255]])  # the first, the middle and the last are looked at
    index = load(root)
    assert [problem.code for problem in index.problems].count("masks-sampled") == 1
    assert "3 of 5" in next(str(problem) for problem in index.problems if problem.code == "masks-sampled")
    assert index.describe().objects_per_class[""] == {"sky": 3, "tree": 3, "road": 1}
    with pytest.warns(UserWarning, match=r"01\.png: the label image holds the values \[7\]"):
        labels = ImageDataset(index).truth(1).labels
    assert labels[0, 0] == IGNORE_LABEL
    for row in (0, 2, 3, 4):  # values that are known, void among them, are no news: warnings are errors here
        ImageDataset(index).truth(row)


def test_real_masks_say_which_classes_they_hold(shared_data):
    index = load(shared_data / "camvid", ignore_index=11)
    for row in range(0, len(index), 150):
        labels = ImageDataset(index).truth(row).labels
        held = set(labels.unique().tolist()) - {IGNORE_LABEL}
        assert set(np.flatnonzero(index.annotations.present[row]).tolist()) == held
