"""Tables of values: columns named or found, what is ambiguous, what is broken, splits by quantiles."""

import numpy as np
import pytest

from snellen.data import ValueTable, ensure_splits, load, stratified, write
from snellen.errors import DatasetError
from snellen.structures import ClassTarget, ValueTarget

NAMES = ("a.png", "b.png", "c.png", "d.png")


@pytest.fixture
def photos(make):
    for number, name in enumerate(NAMES):
        make.image(f"images/{name}", (16, 12), seed=number)
    return make


def problems(index, code):
    return [problem for problem in index.problems if problem.code == code]


@pytest.mark.parametrize(
    ("name", "text", "options", "names", "first"),
    [
        ("t.csv", "file,age [years]\na.png,31.5\nb.png,7\n", {}, ("age [years]",), [31.5]),
        ("t.csv", "file,target\na.png,31.5\nb.png,7\n", {}, ("target",), [31.5]),
        ("t.csv", "a.png,31.5\nb.png,7\n", {}, ("value",), [31.5]),
        ("t.csv", "file,age,who\na.png,31,x\nb.png,7,y\n", {}, ("age",), [31]),
        ("t.csv", "file,x,y\na.png,1,2\nb.png,3,4\n", {"task": "value"}, ("x", "y"), [1, 2]),
        ("t.csv", "file,x,y,id\na.png,1,2,9\nb.png,3,4,9\n", {"columns": ("y", "x")}, ("y", "x"), [2, 1]),
        ("t.csv", "file,label\na.png,1\nb.png,3\n", {"task": "value"}, ("label",), [1]),
        ("t.tsv", "file\tage\na.png\t-1e3\nb.png\t3\n", {}, ("age",), [-1000]),
        ("t.jsonl", '{"file": "a.png", "values": {"x": 1, "y": 2.5}}\n{"file": "b.png", "values": {"x": 3, "y": 4}}\n',
         {"task": "value"}, ("x", "y"), [1, 2.5]),
    ],
)  # fmt: skip
def test_columns_that_are_named_or_found(photos, name, text, options, names, first):
    index = load(photos.text(name, text), **options)
    assert index.target_type is ValueTarget
    assert index.classes == names
    assert isinstance(index.annotations, ValueTable)
    target = index.target(0, (12, 16))
    assert target.values.tolist() == first
    assert target.known.all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,x,y\na.png,1,2\nb.png,3,4\n", "--columns"),
        ("file,y\n" + "".join(f"{NAMES[row % 4]},{row}\n" for row in range(40)), "classes or values"),
    ],
)
def test_what_is_ambiguous_is_asked_for(photos, text, words):
    with pytest.raises(DatasetError) as caught:
        load(photos.text("t.csv", text))
    assert "more than one way" in str(caught.value)
    assert words in str(caught.value)


def test_what_was_found_is_told(photos):
    index = load(photos.text("t.csv", "file,age\na.png,31.5\nb.png,7\n"))
    assert "'age' is the only column of numbers" in problems(index, "task-chosen")[0].message
    named = load(photos.root / "t.csv", columns=("age",), task="value")
    assert not problems(named, "task-chosen")


def test_class_numbers_stay_classes(photos):
    """Whole numbers under a name of classes, and few of them under any, are classes as before."""
    for header in ("label", "y", "class"):
        index = load(photos.text("t.csv", f"file,{header}\na.png,1\nb.png,10\nc.png,2\n"))
        assert (index.target_type, index.classes) == (ClassTarget, ("1", "2", "10"))


@pytest.mark.parametrize(
    ("cell", "code", "words"),
    [
        ("tall", "annotation-unreadable", "'tall'"),
        ("3,5", "annotation-unreadable", "with a point"),
        ("12 px", "annotation-unreadable", "belongs in the header"),
        ("nan", "value-not-finite", "'nan'"),
        ("-inf", "value-not-finite", "'-inf'"),
    ],
)
def test_cells_that_are_no_numbers(photos, cell, code, words):
    """NaN and infinity are no targets, text is no number: told with the line, and unknown."""
    index = load(photos.text("t.csv", f'file,size\na.png,1.5\nb.png,"{cell}"\nc.png,2.5\n'), task="value")
    (told,) = problems(index, code)
    assert (told.line, told.severity) == (3, "error")
    assert words in str(told)
    assert np.isnan(index.annotations.values[1, 0])
    target = index.target(1, (12, 16))
    assert (target.values.tolist(), target.known.tolist()) == ([0.0], [False])


def test_nan_of_json(photos):
    index = load(photos.text("t.jsonl", '{"file": "a.png", "age": NaN}\n{"file": "b.png", "age": 2}\n'), task="value")
    assert problems(index, "value-not-finite")[0].line == 1


def test_missing_and_constant_values_are_told(photos):
    index = load(photos.text("t.csv", "file,size,age\na.png,1,3\nb.png,,3\nc.png,NA,3\n"), columns=("size", "age"))
    assert problems(index, "value-missing")[0].count == 2
    assert "'age' is 3 on every image" in problems(index, "value-constant")[0].message
    assert index.describe().objects_per_class[""] == {"size": 1, "age": 3}


def test_rows_that_contradict(photos):
    text = "file,size,age\na.png,1,3\nb.png,4,6\na.png,2,\nb.png,4,6\n"
    index = load(photos.text("t.csv", text), columns=("size", "age"))
    first, second = problems(index, "image-duplicate")
    assert (first.line, first.severity, second.severity) == (4, "error", "warning")
    assert "size 1 and 2" in first.message
    np.testing.assert_equal(index.annotations.values, [[np.nan, 3], [4, 6]])


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("file,size\na.png,\nb.png,\n", {"columns": ("size",), "task": "value"}, "not one"),
        ("file,who\na.png,x\nb.png,y\n", {"task": "value"}, "column of numbers was expected"),
        ("file,who,x,y\na.png,k,1,2\nb.png,l,3,4\n", {"task": "value"}, "--columns"),
        ("file,x,y\na.png,1,2\n", {"columns": ("x", "y"), "classes": ("left",)}, "name for each of the columns"),
    ],
)
def test_what_cannot_be_read(photos, text, options, words):
    with pytest.raises(DatasetError) as caught:
        load(photos.text("t.csv", text), **options)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_there_and_back(photos, tmp_path, name):
    text = "file,size [px],age,split,number\na.png,0.1,3,train,7\nb.png,,4,val,8\nc.png,1e-7,5,train,9\n"
    index = load(photos.text("t.csv", text), columns=("size [px]", "age"))
    write(index, tmp_path / "out", format=name)
    again = load(tmp_path / "out")
    assert (again.format, again.classes) == (name, ("size [px]", "age"))
    np.testing.assert_equal(again.annotations.values, index.annotations.values)
    assert again.describe().images_per_split == {"train": 2, "val": 1}
    assert again.attributes["number"].tolist() == ["7", "8", "9"]


def test_ranges_are_described(photos):
    index = load(photos.text("t.csv", "file,age\na.png,1.5\nb.png,2.5\nc.png,8\n"))
    told = index.describe()
    assert told.value_ranges["age"][::2] == (1.5, 2.5, 8.0)
    assert told.images_without_objects == {"": 0}


def index_of(values):
    from pathlib import Path

    from snellen.data import DatasetIndex
    from snellen.data.sharing import Strings

    number = len(values)
    return DatasetIndex(
        root=Path(),
        format="csv",
        classes=tuple("xyz"[: values.shape[1]]),
        paths=Strings.pack([f"{row}.png" for row in range(number)]),
        annotations=ValueTable(values=values),
        sizes=np.zeros((number, 2), np.int32),
        splits=np.full(number, -1, np.int16),
    )


def test_splits_have_the_same_quantiles():
    """Each tenth of the sorted values has its share of each part; chance alone would miss by several."""
    generator = np.random.default_rng(0)
    values = np.exp(generator.normal(size=(400, 1)))
    parts = stratified(index_of(values), {"train": 3, "val": 1}, 0)
    edges = np.quantile(values, np.linspace(0, 1, 11)[1:-1])
    tenth = np.searchsorted(edges, values[:, 0], side="right")
    counts = np.bincount(tenth[parts["val"]], minlength=10)
    assert counts.tolist() == [10] * 10
    assert sorted(np.concatenate(list(parts.values()))) == list(range(400))


def test_splits_of_several_values_some_missing():
    generator = np.random.default_rng(1)
    values = generator.normal(size=(200, 2))
    values[generator.random(200) < 0.2, 1] = np.nan
    values[:5] = np.nan
    index = ensure_splits(index_of(values), 0)
    rows = {name: index.split_rows(name) for name in ("train", "val", "test")}
    assert sum(map(len, rows.values())) == 200
    means = [np.nanmean(values[part], axis=0) for part in rows.values()]
    assert np.abs(means[0] - means[1]).max() < 0.25
    assert np.isfinite(values[rows["val"]]).sum(axis=0).min() >= 20
