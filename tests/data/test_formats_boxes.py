"""COCO, VOC and YOLO: against pycocotools, against one another, and there and back (SYS-248)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as reference_mask
from pycocotools.coco import COCO

from snellen.data import BoxTable, ImageDataset, load, write
from snellen.data.tables import CROWD, DIFFICULT, TRUNCATED
from snellen.errors import ConfigError, InputError
from snellen.structures import Dataset


def objects_by_image(index):
    """Image name → sorted (class name, box)."""
    found = {}
    for row in range(len(index)):
        rows = index.annotations.rows(row)
        labels = [index.classes[label] for label in index.annotations.labels[rows]]
        boxes = index.annotations.boxes[rows].tolist()
        found[Path(index.paths[row]).stem] = sorted(zip(labels, boxes, strict=True))
    return found


def assert_same_objects(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, entries in expected.items():
        assert [entry[0] for entry in found[name]] == [entry[0] for entry in entries], name
        for one, other in zip(found[name], entries, strict=True):
            assert np.allclose(one[1], other[1], atol=tolerance), (name, one, other)


@pytest.mark.parametrize("folder", ["coco_format_v1", "coco_format_v2", "yolo_format"])
def test_formats_of_others_give_the_same_boxes(shared_data, folder):
    images = shared_data / "voc100" / "images"
    voc = load(shared_data / "voc100" / "gts" / "pascalvoc_format", images=images)
    other = load(shared_data / "voc100" / "gts" / folder, images=images)
    assert len(voc.annotations.boxes) == 273
    assert sorted(voc.classes) == sorted(other.classes)
    key = objects_by_image(voc)
    # the six decimals of YOLO files are 0.0005 pixels in an image of 500
    assert_same_objects(objects_by_image(other), key, 0.01)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
@pytest.mark.parametrize("name", ["coco/instances_val80.json", "pennfudan/instances_test.json"])
def test_coco_equals_pycocotools(shared_data, name, capsys):
    path = shared_data / name
    images = path.parent / ("val80" if "val80" in name else "images")
    index = load(path, images=images)
    reference = COCO(str(path))
    numbers = sorted(reference.getCatIds())
    assert index.classes == tuple(reference.cats[number]["name"] for number in numbers)
    assert index.annotations.category_ids.tolist() == numbers
    samples = ImageDataset(index, masks=True)
    assert isinstance(samples, Dataset)
    compared = 0
    for row in range(0, len(index), 3):
        number = int(index.annotations.image_ids[row])
        entries = {entry["id"]: entry for entry in reference.imgToAnns[number]}
        target = samples.truth(row)
        rows = index.annotations.rows(row)
        assert set(index.annotations.annotation_ids[rows].tolist()) == set(entries)
        for place, entry in enumerate(index.annotations.annotation_ids[rows].tolist()):
            x, y, w, h = entries[entry]["bbox"]
            height, width = index.size(row)
            expected = torch.tensor([x, y, x + w, y + h], dtype=torch.float32).clamp(
                max=torch.tensor([width, height] * 2)
            )
            assert torch.allclose(target.boxes[place], expected, atol=1e-3)
            assert numbers[target.labels[place]] == entries[entry]["category_id"]
            assert bool(target.ignored[place]) == bool(entries[entry]["iscrowd"])
            assert float(target.areas[place]) == pytest.approx(entries[entry]["area"], rel=1e-6)
            assert np.array_equal(target.masks[place].numpy(), reference.annToMask(entries[entry]))
            compared += 1
    assert compared > 20


def test_run_lengths_both_ways(make):
    mask = np.zeros((30, 40), np.uint8)
    mask[3:9, 4:20] = 1
    packed = reference_mask.encode(np.asfortranarray(mask))
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    plain = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    shared = {"image_id": 1, "category_id": 90, "bbox": [4, 3, 16, 6], "iscrowd": 1}
    path = make.coco(
        [
            shared | {"id": 5, "segmentation": {"size": [30, 40], "counts": packed["counts"].decode()}},
            shared | {"id": 6, "segmentation": {"size": [30, 40], "counts": plain}},
        ]
    )
    target = ImageDataset(load(path), masks=True).truth(0)
    assert target.labels.tolist() == [1, 1]
    assert target.ignored.tolist() == [True, True]
    for found in target.masks:
        assert np.array_equal(found.numpy(), mask)


@pytest.mark.parametrize("layout", ["roboflow", "coco2017", "beside"])
def test_layouts_of_coco(make, layout):
    names = {
        "roboflow": ("{0}/_annotations.coco.json", "{0}/"),
        "coco2017": ("annotations/instances_{0}2017.json", "{0}2017/"),
        "beside": ("instances_{0}.json", "images/"),
    }[layout]
    for number, split in enumerate(("train", "valid" if layout == "roboflow" else "val")):
        make.image(f"{names[1].format(split)}{split}.png")
        content = {
            "images": [{"id": number, "file_name": f"{split}.png", "width": 40, "height": 30}],
            "annotations": [{"id": 1, "image_id": number, "category_id": 3, "bbox": [1, 2, 3, 4]}],
            "categories": [{"id": 3, "name": "x"}],
        }
        make.text(names[0].format(split), json.dumps(content))
    index = load(make.root)
    assert (index.format, index.split_names, index.problems) == ("coco", ("train", "val"), ())
    assert index.split("val").annotations.boxes.tolist() == [[1, 2, 4, 6]]


def test_real_voc_layouts(shared_data):
    cells = load(shared_data / "bccd").describe()
    assert cells.images_per_split == {"train": 205, "val": 87, "test": 72}
    totals = {name: sum(split[name] for split in cells.objects_per_class.values()) for name in cells.classes}
    assert (totals["WBC"], sum(totals.values())) == (372, 4888 - 2)
    assert cells.problems_per_code == {"box-degenerate": 2}
    fruit = load(shared_data / "fruit").describe()
    assert fruit.images_per_split == {"train": 240, "test": 60}
    assert fruit.problems_per_code == {"size-mismatch": 37}


def test_flags_of_voc(make):
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    index = load(
        make.voc(
            f"<object><name>cat</name><difficult>1</difficult>{box}</object>"
            f"<object><name>dog</name><truncated>1</truncated>{box}</object>"
        )
    )
    assert index.annotations.flags.tolist() == [DIFFICULT, TRUNCATED]
    assert ImageDataset(index).truth(0).ignored.tolist() == [True, False]


def test_polygons_and_empty_labels_of_yolo(make):
    index = load(make.yolo("0 0.25 0.1 0.75 0.1 0.5 0.9\n"))
    first, second = (objects_by_image(index)[name] for name in ("a", "b"))
    assert np.allclose(first[0][1], [10, 3, 30, 27], atol=1e-4)
    assert second[0] == ("dog", [10.0, 7.5, 30.0, 22.5])
    target = ImageDataset(index, masks=True).truth(0)
    assert 0.4 < float(target.masks.sum()) / (20 * 24) < 0.6  # a triangle fills half of its box
    empty = load(make.yolo(""))
    assert objects_by_image(empty)["a"] == []
    assert empty.problems == ()


def test_yolo_names_as_mapping_and_lists_of_images(make):
    make.yolo("1 0.5 0.5 0.5 0.5", names="{1: dog, 0: cat}")
    make.text("train.txt", "./images/train/a.jpg\n")
    make.text("val.txt", "images/train/b.jpg\n")
    make.text("data.yaml", "train: train.txt\nval: val.txt\nnames: {1: dog, 0: cat}\n")
    index = load(make.root)
    assert index.classes == ("cat", "dog")
    assert {Path(index.split(name).paths[0]).name: name for name in index.split_names} == {
        "a.jpg": "train",
        "b.jpg": "val",
    }


def test_yolo_folders_without_settings(make):
    make.yolo("1 0.5 0.5 0.5 0.5")
    (make.root / "data.yaml").unlink()
    make.text("classes.txt", "cat\ndog\n")
    index = load(make.root)
    assert (index.format, index.classes, index.split_names) == ("yolo", ("cat", "dog"), ("train",))


@pytest.mark.parametrize("name", ["coco", "voc", "yolo"])
@pytest.mark.parametrize("source", ["coco", "pennfudan", "fruit"])
def test_there_and_back(shared_data, tmp_path, name, source):
    whole = load(shared_data / source)
    index = whole.select(np.arange(0, len(whole), 17))
    write(index, tmp_path / "out", format=name)
    again = load(tmp_path / "out", format=name)
    assert not [problem for problem in again.problems if problem.severity == "error"]
    wanted = objects_by_image(index)
    if name == "yolo" and index.annotations.segments is not None:  # outlines decide there; they lie within the boxes
        assert {image: len(entries) for image, entries in objects_by_image(again).items()} == {
            image: len(entries) for image, entries in wanted.items()
        }
    else:
        assert_same_objects(objects_by_image(again), wanted, 1e-3)
    if name == "coco":
        assert np.array_equal(np.sort(again.annotations.annotation_ids), np.sort(np.asarray(ids_of(index))))
    if name != "yolo":
        used = CROWD if name == "coco" else DIFFICULT | TRUNCATED
        assert (again.annotations.flags & used).sum() == (index.annotations.flags & used).sum()


def ids_of(index):
    ids = index.annotations.annotation_ids
    if ids is None or len(np.unique(ids)) < len(ids):
        return np.arange(1, len(index.annotations.boxes) + 1)
    return ids


def test_outlines_survive_coco(shared_data, tmp_path):
    index = load(shared_data / "coco").select(np.arange(128, 140))
    write(index, tmp_path / "out", format="coco")
    again = load(tmp_path / "out")
    names = {Path(again.paths[row]).name: row for row in range(len(again))}
    for row in range(len(index)):
        mine, other = (
            ImageDataset(index, masks=True).truth(row),
            ImageDataset(again, masks=True).truth(names[Path(index.paths[row]).name]),
        )
        assert torch.equal(mine.masks, other.masks)
        assert torch.equal(mine.areas, other.areas)


def test_writing_what_a_format_cannot_hold(make, tmp_path):
    index = load(make.yolo(""))
    with pytest.raises(InputError, match="BoxTable"):
        write(index, tmp_path / "out", format="folders")
    with pytest.raises(InputError, match="empty folder"):
        write(index, make.root, format="coco")
    with pytest.raises(ConfigError, match="'coco'"):
        write(index, tmp_path / "out", format="cocoa")
    assert isinstance(index.annotations, BoxTable)
