"""Label maps drawn from polygons and run lengths."""

import numpy as np
import pytest
import torch
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

import snellen
from snellen.data import ImageDataset, OutlineTable, ReadOptions, load, verify, write
from snellen.errors import DatasetError
from snellen.structures import IGNORE_LABEL, MaskTarget


def square(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(number, image, category, *, segmentation, box, crowd=0):
    area = box[2] * box[3]
    return {
        "id": number, "image_id": image, "category_id": category, "bbox": box, "area": area, "iscrowd": crowd,
        "segmentation": segmentation,
    }  # fmt: skip


def outlined(make):
    """A large cat with a small dog in front of it, a crowd of dogs; the second image is empty."""
    crowd = np.zeros((30, 40), np.uint8, order="F")
    crowd[25:, :10] = 1
    runs = coco_mask.encode(crowd)
    runs = {"size": runs["size"], "counts": runs["counts"].decode()}
    return make.coco(
        [
            annotation(1, 1, 90, segmentation=square(10, 10, 15, 15), box=[10, 10, 5, 5]),
            annotation(2, 1, 7, segmentation=square(5, 5, 25, 20), box=[5, 5, 20, 15]),
            annotation(3, 1, 90, segmentation=runs, box=[0, 25, 10, 5], crowd=1),
        ]
    )


def test_what_is_drawn_where(make):
    """The smaller object lies in front, whatever its place in the file; crowds count for nothing."""
    index = load(outlined(make), task="mask")
    assert index.target_type is MaskTarget
    assert index.classes == ("background", "cat", "dog")
    labels = ImageDataset(index).truth(0).labels
    wanted = np.zeros((30, 40), np.uint8)
    wanted[5:20, 5:25] = 1
    wanted[10:15, 10:15] = 2
    wanted[25:, :10] = IGNORE_LABEL
    assert np.array_equal(labels.numpy(), wanted)
    assert not ImageDataset(index).truth(1).labels.any()
    sample = ImageDataset(index)[0]
    assert torch.equal(sample.target.labels, labels)


def test_pixels_are_those_of_the_masks_of_objects(make):
    """Filled as COCO's tools fill them: the union of the masks that a detector of objects learns from."""
    file = outlined(make)
    objects = ImageDataset(load(file), masks=True).truth(0)
    labels = ImageDataset(load(file, task="mask")).truth(0).labels
    assert torch.equal((objects.masks > 0).any(0), labels > 0)


def test_classes_that_occur(make):
    index = load(outlined(make), task="mask")
    assert index.annotations.class_counts(3).tolist() == [[1, 1, 1], [1, 0, 0]]
    assert index.select([1]).annotations.class_counts(3).tolist() == [[1, 0, 0]]
    assert isinstance(index.annotations, OutlineTable)
    assert len(index.annotations) == 2
    assert index.fingerprint() != load(outlined(make)).fingerprint()


def test_a_background_of_its_own(make):
    """A class that is called so is the background, where it stands."""
    file = make.coco(
        [annotation(1, 1, 1, segmentation=square(5, 5, 25, 20), box=[5, 5, 20, 15])],
        categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": "Background"}],
    )
    index = load(file, task="mask")
    assert index.classes == ("cat", "Background")
    labels = ImageDataset(index).truth(0).labels
    assert labels[0, 0] == 1
    assert labels[10, 10] == 0


def test_an_object_without_an_outline_is_unknown(make):
    file = make.coco(
        [
            annotation(1, 1, 7, segmentation=square(5, 5, 10, 10), box=[5, 5, 5, 5]),
            annotation(2, 1, 90, segmentation=[], box=[20, 10, 10, 10]),
        ]
    )
    labels = ImageDataset(load(file, task="mask")).truth(0).labels
    assert labels[15, 25] == IGNORE_LABEL
    assert labels[7, 7] == 1


def test_boxes_alone_are_an_error(make):
    file = make.coco([{"id": 1, "image_id": 1, "category_id": 7, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0}])
    with pytest.raises(DatasetError, match="objects with outlines"):
        load(file, task="mask")


def test_polygons_of_yolo(make):
    make.yolo("0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n")
    labels = ImageDataset(load(make.root, task="mask")).truth(0).labels
    assert (labels == 1).sum() == 20 * 15


def test_turned_images_turn_their_outlines(make):
    """Annotated as the pixels lie in the file, seen as its EXIF orientation says."""
    file = outlined(make)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(make.root / "a.jpg", exif=exif)
    labels = ImageDataset(verify(load(file, task="mask"))).truth(0).labels.numpy()
    upright = np.zeros((30, 40), np.uint8)
    upright[5:20, 5:25] = 1
    upright[10:15, 10:15] = 2
    assert labels.shape == (40, 30)
    assert np.array_equal(labels == 2, np.rot90(upright, -1) == 2)


def test_written_as_label_images(make, tmp_path):
    """``snellen data convert … --task mask --to masks``."""
    index = load(outlined(make), task="mask")
    write(index, tmp_path / "out", format="masks")
    again = load(tmp_path / "out")
    assert again.classes == index.classes
    for row in range(2):
        assert torch.equal(ImageDataset(again).truth(row).labels, ImageDataset(index).truth(row).labels)


def test_a_training_on_outlines(make, tmp_path):
    """From polygons to measured masks; other data are read alike."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 40, "height": 30} for n in range(1, 13)]
    for entry in images:
        make.image(entry["file_name"], seed=entry["id"])
    objects = [annotation(n, n, 7, segmentation=square(5, 5, 25, 20), box=[5, 5, 20, 15]) for n in range(1, 13)]
    file = make.coco(objects, images=images)
    run = snellen.train(
        file, model="unet_resnet18", epochs=1, image_size=32, batch_size=2, workers=0, device="cpu", check=False,
        read=ReadOptions(task="mask"), folder=tmp_path / "run", crop=24, balanced_crops=0.5,
    )  # fmt: skip
    assert run.record["crop"] == 24
    assert "mIoU" in snellen.evaluate(run, file, split=None).scalars
