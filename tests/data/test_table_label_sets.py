"""Tables of label sets: every way to write them, what is ambiguous, what is broken (SYS-357)."""

import json

import numpy as np
import pytest

from snellen.data import LabelSetTable, load, stratified, write
from snellen.errors import ConfigError, DatasetError
from snellen.structures import LabelSetTarget

NAMES = ("a.png", "b.png", "c.png", "d.png")


@pytest.fixture
def photos(make):
    for number, name in enumerate(NAMES):
        make.image(f"images/{name}", (16, 12), seed=number)
    return make


def sets_of(index):
    assert isinstance(index.annotations, LabelSetTable)
    assert index.target_type is LabelSetTarget
    found = {}
    for row in range(len(index)):
        target = index.target(row, (12, 16))
        names = np.array(index.classes)
        found[index.paths[row].rpartition("/")[2]] = (
            set(names[target.shown.bool().numpy()]),
            set(names[~target.known.numpy()]),
        )
    return found


WANTED = {"a.png": ({"cat", "dog"}, set()), "b.png": ({"dog"}, set()), "c.png": (set(), set())}


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("t.csv", "file,labels\na.png,cat;dog\nb.png,dog\nc.png,\n", {}),
        ("t.csv", "file,labels\na.png,cat|dog\nb.png,dog\nc.png,\n", {}),
        ("t.csv", 'image_name,tags\na,"cat, dog"\nb,dog\nc,\n', {}),
        ("t.csv", "image_name,tags\na,cat dog\nb,dog\nc,\n", {"separator": "space"}),
        ("t.csv", "image_name,tags\na,cat dog\nb,dog\nc,\n", {"classes": ("cat", "dog")}),
        ("t.tsv", "Image Index\tFinding Labels\na.png\tcat|dog\nb.png\tdog\nc.png\t\n", {}),
        ("t.csv", "path,cat,dog\na.png,1,1\nb.png,0,1\nc.png,0,0\n", {}),
        ("t.csv", "path,cat,dog,age\na.png,1,1,3\nb.png,0,1,4\nc.png,0,0,5\n", {"columns": ("cat", "dog")}),
        ("t.csv", "path,cat,dog\na.png,true,yes\nb.png,no,TRUE\nc.png,False,0\n", {}),
        ("t.csv", "path,label\na.png,cat\na.png,dog\nb.png,dog\nc.png,\n", {"task": "label_set"}),
        ("t.csv", "path,label\na.png,cat;dog\nb.png,dog\nc.png,\n", {"task": "label_set"}),
        ("t.jsonl", '{"file": "a.png", "labels": ["cat", "dog"]}\n{"file": "b.png", "labels": ["dog"]}\n'
                    '{"file": "c.png", "labels": []}\n', {}),
        ("t.jsonl", '{"file_name": "a.png", "has": {"cat": true, "dog": true}}\n\n'
                    '{"file_name": "b.png", "has": {"cat": false, "dog": true}}\n'
                    '{"file_name": "c.png", "has": {"cat": false, "dog": false}}\n', {}),
    ],
)  # fmt: skip
def test_every_way_to_write_them(photos, name, text, options):
    index = load(photos.text(name, text), **options)
    assert index.classes == ("cat", "dog")
    assert sets_of(index) == WANTED
    assert index.describe().objects_per_class == {"": {"cat": 1, "dog": 2}}


def test_what_nobody_has_looked_at(photos):
    """Partly labelled sets: an empty cell of a column, a question mark among names."""
    columns = load(photos.text("t.csv", "path,cat,dog\na.png,1,\nb.png,,0\nc.png,,\n"))
    assert sets_of(columns) == {
        "a.png": ({"cat"}, {"dog"}), "b.png": (set(), {"cat"}), "c.png": (set(), {"cat", "dog"})
    }  # fmt: skip
    names = load(photos.text("u.csv", "path,labels\na.png,cat;?dog\nb.png,?\nc.png,dog\n"))
    assert sets_of(names) == {
        "a.png": ({"cat"}, {"dog"}), "b.png": (set(), {"cat", "dog"}), "c.png": ({"dog"}, set())
    }  # fmt: skip
    assert [problem.count for problem in names.problems if problem.code == "label-missing"] == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,tags\na.png,cat dog\nb.png,dog\n", "one name or several"),
        ('path,tags\na.png,"cat;dog,big"\nb.png,dog\n', "hold ; and ,"),
        ("path,label\na.png,cat;dog\nb.png,dog\n", "--task label_set"),
        ("path,smiling,age\na.png,1,3\nb.png,0,4\n", "--columns"),
        ("path,smiling\na.png,1\nb.png,0\n", "--columns"),
        ("path,label\na.png,x\na.png,y\nb.png,x\nb.png,y\nc.png,x\nc.png,z\nd.png,x\n", "3 of 4 images"),
    ],
)
def test_what_is_ambiguous_is_asked_for(photos, text, words):
    with pytest.raises(DatasetError) as caught:
        load(photos.text("t.csv", text))
    assert "more than one way" in str(caught.value)
    assert words in str(caught.value)


def problems(index, code):
    return [problem for problem in index.problems if problem.code == code]


def test_unknown_names_are_told_with_their_line(photos):
    index = load(photos.text("t.csv", "path,labels\na.png,cat;dgo\nb.png,dog\n"), classes=("cat", "dog"))
    (told,) = problems(index, "class-unknown")
    assert (told.line, told.severity) == (2, "error")
    assert "'dgo'" in told.message
    assert "'dog'" in told.fix
    assert sets_of(index)["a.png"] == ({"cat"}, set())


@pytest.mark.parametrize("column", ["label", "labels"])
def test_labels_that_count_from_one(photos, column):
    text = f"path,{column}\na.png,1\nb.png,2\nc.png,1\n"
    with pytest.raises(DatasetError, match="count from 1"):
        load(photos.text("t.csv", text), classes=("cat", "dog"))
    zero = load(photos.text("u.csv", text.replace(",1", ",0").replace(",2", ",1")), classes=("cat", "dog"))
    assert zero.classes == ("cat", "dog")
    assert zero.describe().objects_per_class[""] == {"cat": 2, "dog": 1}
    assert problems(zero, "labels-numbered")


def test_a_class_that_nobody_shows_is_told(photos):
    columns = load(photos.text("t.csv", "path,cat,dog\na.png,1,0\nb.png,0,0\n"))
    assert "'dog'" in problems(columns, "class-absent")[0].message
    names = load(photos.text("u.csv", "path,labels\na.png,cat\nb.png,\n"), classes=("cat", "dog"))
    assert "'dog'" in problems(names, "class-absent")[0].message
    assert names.classes == ("cat", "dog")


def test_rows_that_contradict(photos):
    index = load(photos.text("t.csv", "path,cat,dog\na.png,1,0\nb.png,0,1\na.png,0,\n"))
    (told,) = problems(index, "image-duplicate")
    assert (told.line, told.severity) == (4, "error")
    assert "contradicts it in cat" in told.message
    assert sets_of(index)["a.png"] == (set(), {"cat"})
    names = load(photos.text("u.csv", "path,labels\na.png,cat\nb.png,dog\na.png,dog\n"))
    assert "put together" in problems(names, "image-duplicate")[0].message
    assert sets_of(names)["a.png"] == ({"cat", "dog"}, set())
    one = load(photos.text("v.csv", "path,label\na.png,cat\na.png,dog\nb.png,dog\n"))
    (told,) = problems(one, "image-duplicate")
    assert (told.line, told.severity) == (3, "error")
    assert "'cat', and here as 'dog'" in told.message


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("path,cat,dog\na.png,1,x\nb.png,0,1\n", "annotation-unreadable", "'x'"),
        ("path,cat,dog\na.png,1,0.7\nb.png,0,1\n", "annotation-unreadable", "'0.7'"),
        ("path,labels\na.png,cat\nz.png,dog\n", "image-missing", "z.png"),
        ("path,labels\na.png,cat\nb.png\n", "row-short", "got 1"),
        ("path,labels\na.png,cat\nb.png,\n", "label-set-empty", "write ?"),
    ],
)
def test_broken_cells_are_told(photos, text, code, words):
    index = load(photos.text("t.csv", text), columns=("cat", "dog") if "cat,dog" in text else None, task="label_set")
    assert words in str(problems(index, code)[0])


@pytest.mark.parametrize(
    ("name", "text", "options", "words"),
    [
        ("t.csv", "path,cat,dog\na.png,1,-1\nb.png,0,1\n", {"task": "label_set", "columns": ("cat", "dog")}, "-1"),
        ("t.csv", "path,cat,dog\na.png,1,0\n", {"columns": ("cat", "dgo")}, "Did you mean 'dog'"),
        ("t.csv", "path,labels\na.png,cat\n", {"task": "box"}, "one of the tasks class, label_set, value"),
        ("t.csv", "path,cat,dog\na.png,1,0\n", {"classes": ("cat", "cow")}, "none for 'cow'"),
        ("t.jsonl", '{"file": "a.png", "labels": ["x"]}\n{"file": \n', {}, "t.jsonl:2"),
        ("t.jsonl", '{"file": "a.png", "labels": [["x"]]}\n', {}, "list of names"),
        ("t.jsonl", '{"file": "a.png", "labels": ["x"]}\n[1]\n', {}, "t.jsonl:2"),
    ],
)
def test_what_cannot_be_read(photos, name, text, options, words):
    with pytest.raises(DatasetError) as caught:
        load(photos.text(name, text), **options)
    assert words in str(caught.value)


def test_a_mistyped_task(photos):
    with pytest.raises(ConfigError, match="Did you mean 'label_set'"):
        load(photos.text("t.csv", "path,labels\na.png,cat\n"), task="label_sets")


def test_settings_beside_a_table(photos):
    """``snellen.yaml`` states what would have to be asked for; what the caller says wins."""
    photos.text("t.csv", "path,tags\na.png,cat dog\nb.png,dog\n")
    photos.text("snellen.yaml", "classes: [dog, cat]\nseparator: space\n")
    assert load(photos.root / "t.csv").classes == ("dog", "cat")
    assert load(photos.root / "t.csv", classes=("cat", "dog")).classes == ("cat", "dog")
    for text, words in (("task: sets\n", "task must be"), ("classes: dog\n", "list of names"), ("a: [\n", "YAML")):
        photos.text("snellen.yaml", text)
        with pytest.raises(DatasetError, match=words):
            load(photos.root / "t.csv")


def test_folders_are_recognised(photos):
    photos.text("annotations.csv", "path,cat,dog\na.png,1,1\nb.png,0,1\n")
    assert load(photos.root).format == "csv"
    (photos.root / "annotations.csv").unlink()
    photos.text("labels.jsonl", json.dumps({"file": "a.png", "labels": ["x"]}))
    assert load(photos.root).format == "jsonl"


def test_tables_of_other_things_do_not_hide_class_folders(make):
    """A table of sizes beside class folders is no annotation."""
    for name in ("cat/a.png", "dog/b.png"):
        make.image(name)
    make.text("sizes.csv", "file,width,height\ncat/a.png,40,30\ndog/b.png,40,30\n")
    make.text("colours.csv", "name,red,green\nsky,1,2\nroad,3,4\n")
    assert load(make.root).format == "folders"


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_there_and_back(photos, tmp_path, name):
    text = "path,cat,dog,cow; spotted,split,note\na.png,1,,0,train,x\nb.png,0,1,0,val,y\nc.png,,,,train,z\n"
    index = load(photos.text("t.csv", text))
    write(index, tmp_path / "out", format=name)
    again = load(tmp_path / "out")
    assert again.format == name
    assert again.classes == index.classes
    assert sets_of(again) == sets_of(index)
    assert again.describe().images_per_split == index.describe().images_per_split
    assert again.attributes["note"].tolist() == ["x", "y", "z"]


def test_objects_read_as_label_sets(make):
    """Boxes of COCO and VOC; what only difficult objects show is not known."""
    box = {"id": 1, "image_id": 1, "category_id": 90, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 1}
    index = load(make.coco([box, box | {"id": 2, "image_id": 2, "category_id": 7, "ignore": 1, "iscrowd": 0}]),
                 task="label_set")  # fmt: skip
    assert sets_of(index) == {"a.jpg": ({"dog"}, set()), "b.jpg": (set(), {"cat"})}
    with pytest.raises(DatasetError, match="can be read as box or label_set"):
        load(make.root / "labels.json", task="value")


def test_class_folders_read_as_label_sets(make):
    for name in ("cat/a.png", "dog/b.png"):
        make.image(name)
    assert sets_of(load(make.root, task="label_set")) == {"a.png": ({"cat"}, set()), "b.png": ({"dog"}, set())}


def test_real_boxes_as_label_sets(shared_data):
    folder = shared_data / "voc100"
    boxes = load(folder / "gts" / "pascalvoc_format", images=folder / "images", format="voc")
    sets = load(folder / "gts" / "pascalvoc_format", images=folder / "images", format="voc", task="label_set")
    counts = boxes.annotations.class_counts(len(boxes.classes)) > 0
    table = sets.annotations
    assert (table.shown | ~table.known)[counts].all()
    assert not table.shown[~counts].any()


def test_splits_are_as_even_as_the_paper_wants():
    """Sechidis et al. 2011: every class has its share in every part, rare ones above all."""
    from pathlib import Path

    from snellen.data import DatasetIndex
    from snellen.data.sharing import Strings

    generator = np.random.default_rng(3)
    shown = generator.random((600, 8)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01])
    index = DatasetIndex(
        root=Path(),
        format="csv",
        classes=tuple("abcdefgh"),
        paths=Strings.pack([f"{row}.png" for row in range(600)]),
        annotations=LabelSetTable(shown=shown, known=np.ones_like(shown)),
        sizes=np.zeros((600, 2), np.int32),
        splits=np.full(600, -1, np.int16),
    )
    parts = stratified(index, {"train": 0.8, "val": 0.2}, 0)
    for label in range(8):
        wanted = 0.2 * shown[:, label].sum()
        assert abs(shown[parts["val"], label].sum() - wanted) <= 1.5


def test_real_objects_of_coco_as_label_sets(shared_data):
    index = load(shared_data / "coco", task="label_set")
    boxes = load(shared_data / "coco")
    assert index.classes == boxes.classes
    counts = boxes.annotations.class_counts(len(boxes.classes)) > 0
    np.testing.assert_array_equal(index.annotations.shown, counts)
    assert index.annotations.known.all()
    assert index.split_names == ("train", "val")
