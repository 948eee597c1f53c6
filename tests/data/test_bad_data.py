"""Every kind of broken data set: what is tolerated is named, what is not says what to do."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from snellen.data import ImageDataset, load, verify
from snellen.errors import DatasetError

BOX = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0}
GOOD_VOC = (
    "<object><name>cat</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>15</xmax><ymax>15</ymax></bndbox></object>"
)


def voc_box(*corners):
    tags = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    )
    return f"{GOOD_VOC}<object><name>cat</name><bndbox>{tags}</bndbox></object>"


def coco_text(make, old, new):
    path = make.coco([BOX, BOX | {"id": 2}])
    return make.text("labels.json", path.read_text().replace(old, new, 1))


def folders(make, **files):
    make.image("cat/a.jpg")
    make.image("dog/b.jpg")
    for name, content in files.items():
        make.bytes(name.replace("__", "/").replace("_DOT_", "."), content)
    return make.root


def masks(make, values, size=(40, 30), name="masks/a.png"):
    make.image("images/a.jpg", size)
    make.image("images/b.jpg", size)
    make.mask(name, values)
    make.mask(name.replace("a.", "b."), values)
    return make.root


def good_mask(make, value=2):
    values = np.zeros((30, 40))
    values[:10] = value
    return values


# name, builder, code of the expected problem, part of its text
TOLERATED = [
    ("coco-image-missing", lambda m: m.coco([BOX], images=[
        {"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "gone.jpg"}]), "image-missing", "gone.jpg"),
    ("coco-no-size",
     lambda m: m.coco([BOX], images=[{"id": 1, "file_name": "a.jpg"}]),
     "size-missing", "not stated"),
    ("coco-box-outside",
     lambda m: m.coco([BOX, BOX | {"id": 2, "bbox": [50, 5, 9, 9]}]),
     "box-outside", "40 x 30"),
    ("coco-box-clipped", lambda m: m.coco([BOX | {"bbox": [30, 20, 30, 30]}]), "box-clipped", "60, 50"),
    ("coco-negative", lambda m: m.coco([BOX | {"bbox": [-9, 2, 20, 20]}]), "box-clipped", "-9"),
    ("coco-flat",
     lambda m: m.coco([BOX, BOX | {"id": 2, "bbox": [3, 3, 0, 5]}]),
     "box-degenerate", "above 0"),
    ("coco-negative-width",
     lambda m: m.coco([BOX, BOX | {"id": 2, "bbox": [9, 9, -3, 5]}]),
     "box-degenerate", "6"),
    ("coco-box-of-three",
     lambda m: m.coco([BOX, BOX | {"id": 2, "bbox": [9, 9, 3]}]),
     "annotation-unreadable", "bbox"),
    ("coco-box-of-words",
     lambda m: m.coco([BOX, BOX | {"id": 2, "bbox": ["a"] * 4}]),
     "annotation-unreadable", "bbox"),
    ("coco-nan",
     lambda m: m.coco([BOX, BOX | {"id": 2, "bbox": [float("nan"), 1, 2, 3]}]),
     "annotation-unreadable", "bbox"),
    ("coco-category-unknown",
     lambda m: m.coco([BOX, BOX | {"category_id": 8}]),
     "category-unknown", "category 8"),
    ("coco-image-unknown", lambda m: m.coco([BOX, BOX | {"image_id": 33}]), "image-unknown", "image 33"),
    ("coco-annotation-duplicate", lambda m: m.coco([BOX, BOX]), "annotation-duplicate", "id 1"),
    ("coco-image-twice", lambda m: m.coco([BOX], images=[
        {"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]), "image-duplicate", "twice"),
    ("coco-file-twice", lambda m: m.coco([BOX], images=[
        {"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "a.jpg"}]), "image-duplicate", "two ids"),
    ("coco-image-entry", lambda m: m.coco([BOX], images=[
        {"id": 1, "file_name": "a.jpg"}, {"id": 2}]), "image-entry-unreadable", "file_name"),
    ("coco-bad-outline",
     lambda m: m.coco([BOX | {"segmentation": [["x"]]}]),
     "outline-unreadable", "box is kept"),
    ("coco-runs-too-short", lambda m: m.coco([BOX | {"segmentation": {"size": [30, 40], "counts": [3, 4]}}]),
     "outline-unreadable", "add up"),
    ("coco-category-conflict", lambda m: m.coco([BOX], categories=[
        {"id": 7, "name": "cat"}, {"id": 7, "name": "dog"}]), "category-conflict", "'dog'"),
    ("voc-flat", lambda m: m.voc(voc_box(3, 3, 3, 9)), "box-degenerate", "above 0"),
    ("voc-swapped", lambda m: m.voc(voc_box(9, 9, 3, 12)), "box-degenerate", "9, 9, 3, 12"),
    ("voc-nan", lambda m: m.voc(voc_box("nan", 1, 5, 5)), "box-not-finite", "numbers"),
    ("voc-words", lambda m: m.voc(voc_box("left", 1, 5, 5)), "annotation-unreadable", "left"),
    ("voc-clipped", lambda m: m.voc(voc_box(1, 1, 400, 20)), "box-clipped", "400"),
    ("voc-nameless", lambda m: m.voc(GOOD_VOC + GOOD_VOC.replace("cat", "")), "class-missing", "<name>"),
    ("voc-size-wrong",
     lambda m: (m.voc(GOOD_VOC), m.image("JPEGImages/a.jpg", (80, 60)))[0],
     "size-mismatch", "40 x 30"),
    ("voc-image-missing", lambda m: (m.voc(GOOD_VOC), m.text("Annotations/z.xml", "<annotation/>"))[0],
     "image-missing", "z"),
    ("voc-label-missing",
     lambda m: (m.voc(GOOD_VOC), m.image("JPEGImages/z.jpg"))[0],
     "label-missing", "no XML"),
    ("voc-broken-xml", lambda m: (m.voc(GOOD_VOC), m.image("JPEGImages/z.jpg"),
                                  m.text("Annotations/z.xml", "<annotation>\n<object>"))[0],
         "annotation-unreadable", "parsed"),
    ("voc-entity-bomb", lambda m: (m.voc(GOOD_VOC), m.text(
        "Annotations/z.xml", '<!DOCTYPE x [<!ENTITY e "e">]><annotation>&e;</annotation>'))[0],
         "annotation-unreadable", "z.xml"),
    ("voc-other-root", lambda m: (m.voc(GOOD_VOC), m.text("Annotations/z.xml", "<html/>"))[0],
     "annotation-unreadable", "<html>"),
    ("voc-image-empty", lambda m: (m.voc(GOOD_VOC), m.voc(GOOD_VOC, name="z"), m.bytes("JPEGImages/z.jpg", b""))[0],
     "image-unreadable", "0 bytes"),
    ("yolo-out-of-range", lambda m: m.yolo("5 0.5 0.5 0.2 0.2\n"), "class-out-of-range", "0..1"),
    ("yolo-fraction", lambda m: m.yolo("0.5 0.5 0.5 0.2 0.2\n"), "class-out-of-range", "whole"),
    ("yolo-pixels", lambda m: m.yolo("0 20 15 10 10\n"), "coordinates-not-normalised", "pixels"),
    ("yolo-words", lambda m: m.yolo("cat 0.5 0.5 0.2 0.2\n"), "annotation-unreadable", "cat 0.5"),
    ("yolo-four-numbers", lambda m: m.yolo("0 0.5 0.5 0.2\n"), "annotation-unreadable", "got 4 numbers"),
    ("yolo-nan", lambda m: m.yolo("0 nan 0.5 0.2 0.2\n"), "box-not-finite", "numbers"),
    ("yolo-flat", lambda m: m.yolo("0 0.5 0.5 0 0.2\n"), "box-degenerate", "above 0"),
    ("yolo-beyond", lambda m: m.yolo("0 0.9 0.5 0.6 0.2\n"), "box-clipped", "reaches beyond"),
    ("yolo-twice", lambda m: m.yolo("0 0.5 0.5 0.2 0.2\n" * 2), "annotation-duplicate", "above"),
    ("yolo-no-label", lambda m: m.yolo(None), "label-missing", "without objects"),
    ("yolo-no-image",
     lambda m: (m.yolo(""), m.text("labels/train/z.txt", "0 0.5 0.5 0.2 0.2"))[0],
     "image-missing", "z.txt"),
    ("yolo-binary-label", lambda m: (m.yolo(""), m.bytes("labels/train/a.txt", b"\xff\xfe\x00"))[0],
     "annotation-unreadable", "UTF-8"),
    ("yolo-count", lambda m: (m.yolo(""), m.text("data.yaml", "train: images\nnc: 5\nnames: [cat, dog]\n"))[0],
     "class-count", "5 classes"),
    ("yolo-split-missing", lambda m: (m.yolo(""),
         m.text("data.yaml", "train: images\nval: gone\nnames: [cat, dog]\n"))[0],
     "split-missing", "gone"),
    ("folders-empty-class", lambda m: (folders(m), (m.root / "bird").mkdir())[0], "class-empty", "bird"),
    ("folders-other-file", lambda m: folders(m, cat__notes_DOT_doc=b"x"), "file-ignored", "notes.doc"),
    ("masks-missing",
     lambda m: (masks(m, good_mask(m)), m.image("images/c.jpg"))[0],
     "mask-missing", "c.jpg"),
    ("masks-alone",
     lambda m: (masks(m, good_mask(m)), m.mask("masks/c.png", good_mask(m)))[0],
     "image-missing", "c.png"),
    ("masks-scaled", lambda m: masks(m, good_mask(m), (80, 60)), "mask-scaled", "80 x 60"),
    ("masks-other-shape", lambda m: (masks(m, good_mask(m)), m.mask("masks/b.png", np.zeros((40, 30))))[0],
     "mask-shape", "another picture"),
    ("masks-lossy", lambda m: masks(m, good_mask(m, 255), name="masks/a.jpg"), "mask-lossy", "JPEG"),
    ("masks-unknown-value", lambda m: (masks(m, good_mask(m, 9)), m.text("classes.txt", "sky\nroad\n"))[0],
     "mask-value-unknown", "[9]"),
    ("masks-broken", lambda m: (masks(m, good_mask(m)), m.image("images/c.jpg"), m.bytes("masks/c.png", b"x"))[0],
     "image-unreadable", "c.png"),
    ("csv-missing",
     lambda m: (m.image("a.jpg"), m.text("t.csv", "path,label\na.jpg,x\nz.jpg,y\n"))[1],
     "image-missing", "z.jpg"),
    ("csv-twice",
     lambda m: (m.image("a.jpg"), m.text("t.csv", "path,label\na.jpg,x\na.jpg,y\n"))[1],
     "image-duplicate", "3"),
    ("csv-short",
     lambda m: (m.image("a.jpg"), m.text("t.csv", "path,label\na.jpg,x\na.jpg\n"))[1],
     "row-short", "got 1"),
    ("csv-no-label", lambda m: (m.image("a.jpg"), m.image("b.jpg"),
         m.text("t.csv", "path,label\na.jpg,x\nb.jpg,\n"))[2],
     "label-missing", "b.jpg"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "code", "fragment"), [row[1:] for row in TOLERATED], ids=[row[0] for row in TOLERATED]
)
def test_tolerated(make, build, code, fragment):
    index = load(build(make))
    found = [problem for problem in index.problems if problem.code == code]
    assert found, [str(problem) for problem in index.problems]
    assert any(fragment in str(problem) for problem in found), [str(problem) for problem in found]
    assert len(index) > 0
    samples = ImageDataset(index)
    for row in range(len(index)):  # what is left can be used
        assert type(samples.truth(row)) is index.target_type


FATAL = [
    ("nothing-there", lambda m: m.root / "gone", "nothing is there"),
    ("nothing-by-that-name", lambda m: m.text("photos/a.txt", "").parent.with_name("phots"), "Did you mean 'photos'?"),
    ("nothing-around", lambda m: m.root / "gone" / "photos", "There is no folder"),
    ("an-address", lambda m: Path(f"file://{m.root}"), "without file://"),
    ("empty-folder", lambda m: m.root, "an empty folder"),
    ("images-alone", lambda m: m.image("a.jpg").parent, "a folder of its own"),
    ("only-text", lambda m: m.text("readme.md", "hello").parent, "readme.md"),
    ("ambiguous",
     lambda m: (m.voc(GOOD_VOC), m.text("obj.data", "train = x"), m.coco([BOX]))[0],
     "found coco, voc, yolo"),
    ("coco-not-json", lambda m: coco_text(m, '"images"', '"images'), "not valid JSON"),
    ("coco-no-images", lambda m: m.coco([BOX], images=[]), "it is empty"),
    ("coco-all-missing", lambda m: m.coco([BOX], images=[{"id": 1, "file_name": "gone.jpg"}]), "gone.jpg"),
    ("coco-wrong-kind", lambda m: coco_text(m, '"annotations": [', '"annotations": 3, "x": ['), "COCO JSON"),
    ("yolo-bad-yaml", lambda m: (m.yolo(""), m.text("data.yaml", "train: [\nnames: [cat"))[0], "data.yaml:"),
    ("yolo-no-names", lambda m: m.yolo("", names="3"), "list of class names"),
    ("yolo-no-image", lambda m: m.text("data.yaml", "train: gone\nnames: [a]\n").parent, "none was found"),
    ("masks-photographs",
     lambda m: (m.image("images/a.jpg"), m.image("masks/a.png"))[0].parent.parent,
     "at most 255"),
    ("masks-bad-settings",
     lambda m: (masks(m, good_mask(m)), m.text("snellen.yaml", "ignore_index: void"))[0],
     "whole number"),
    ("masks-bad-yaml",
     lambda m: (masks(m, good_mask(m)), m.text("snellen.yaml", "a: [\nb: ]["))[0],
     "snellen.yaml:"),
    ("masks-bad-json", lambda m: (masks(m, good_mask(m)), m.text("classes.json", "{"))[0], "classes.json:1"),
    ("csv-all-missing", lambda m: m.text("t.csv", "path,label\nz.jpg,y\n"), "no row has an image file"),
    ("voc-all-broken", lambda m: (m.image("JPEGImages/a.jpg"),
                                  m.text("Annotations/a.xml", "<annotation>"))[0].parent.parent,
     "none was found"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "fragment"),
    [row[1:] for row in FATAL],
    ids=[row[0] for row in FATAL],
)
def test_fatal(make, build, fragment):
    with pytest.raises(DatasetError) as caught:
        load(build(make))
    assert fragment in str(caught.value)


def test_line_of_an_error_in_json(make):
    path = make.text("labels.json", '{"images": [\n {"id": 1, "file_name": "a.jpg"},\n oops], "annotations": []}')
    with pytest.raises(DatasetError) as caught:
        load(path)
    assert caught.value.line == 3


def test_lines_of_problems(make):
    index = load(make.yolo("0 0.5 0.5 0.2 0.2\n\n9 0.5 0.5 0.2 0.2\n0 0.5 0.5 0 0\n"))
    assert {(problem.code, problem.line) for problem in index.problems} == {
        ("class-out-of-range", 3),
        ("box-degenerate", 4),
    }


def png_of_zero_size() -> bytes:
    header = struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + b"IHDR" + header + b"\x00" * 4


BROKEN_FILES = {
    "zero-bytes": b"",
    "text": b"this is no image at all",
    "html": b"<html><body>404</body></html>",
    "only-magic": b"\xff\xd8\xff\xe0",
    "png-header": b"\x89PNG\r\n\x1a\n",
    "zero-size": png_of_zero_size(),
    "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1",
}


@pytest.mark.parametrize("content", BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_verify_leaves_out_what_no_header_can_be_read_of(make, content):
    index = verify(load(folders(make, cat__broken_DOT_jpg=content)))
    assert len(index) == 2
    (problem,) = [problem for problem in index.problems if problem.code == "image-unreadable"]
    assert problem.file.endswith("broken.jpg")
    assert index.size(0) == (30, 40)


def test_verify_of_only_broken_files(make):
    make.bytes("cat/a.jpg", b"x")
    with pytest.raises(DatasetError, match="none of 1 files"):
        verify(load(make.root))


def test_verify_names_an_annotated_size_that_is_wrong(make):
    path = make.coco([BOX], images=[{"id": 1, "file_name": "a.jpg", "width": 30, "height": 40}])
    index = verify(load(path))
    assert [problem.code for problem in index.problems] == ["size-mismatch"]
    assert index.size(0) == (30, 40)


def test_many_problems_are_counted(make):
    images = [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}]
    images += [{"id": number, "file_name": f"gone{number}.jpg"} for number in range(2, 500)]
    index = load(make.coco([BOX], images=images))
    assert index.describe().problems_per_code["image-missing"] == 498
    assert len(index.problems) < 110
    assert json.dumps([str(problem) for problem in index.problems])
