"""Headers of images: notes on unusual forms, and objects of images that EXIF turns."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from snellen.data import ImageDataset, load, verify
from snellen.data.images import decoded_image, image_header


def problems_of(index, code):
    return [problem for problem in index.problems if problem.code == code]


def test_unusual_forms_are_counted(make):
    first = make.image("cat/plain.jpg")
    grey = np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50
    make.image("dog/plain.png")
    for name in ("a", "b", "c", "d"):
        Image.fromarray(grey).save(make.root / "cat" / f"deep_{name}.png")
    with Image.open(first) as picture:
        picture.convert("CMYK").save(make.root / "dog" / "cmyk.jpg")
        picture.convert("RGBA").save(make.root / "dog" / "alpha.png")
        frames = [picture.convert("P"), Image.new("P", picture.size)]
        frames[0].save(make.root / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(make.root / "dog" / "turned.jpg", exif=exif)
    index = verify(load(make.root))
    counts = {problem.code: problem.count for problem in index.problems if problem.severity == "note"}
    expected = {"image-16-bit": 4, "image-cmyk": 1, "image-alpha": 1, "image-animated": 1, "image-turned": 1}
    assert {code: counts[code] for code in expected} == expected
    deep = problems_of(index, "image-16-bit")[0]
    assert "cat/deep_a.png, cat/deep_b.png, cat/deep_c.png, …" in deep.message
    again = verify(index)
    assert [str(problem) for problem in again.problems] == [str(problem) for problem in index.problems]
    assert index.describe().problems_per_code["image-16-bit"] == 4


@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "CMYK", "RGBA", "P"])
def test_header_and_decoder_say_the_same(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (7, 5)).save(path)
    pixels, notes = decoded_image(path)
    header = image_header(path)
    assert header.notes == notes
    assert header.size == tuple(pixels.shape[-2:])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("outline", ["box", "polygon", "runs"])
def test_objects_turn_with_their_image(make, orientation, outline):
    mask = np.zeros((30, 40), np.uint8)
    mask[4:10, 6:25] = 1  # no symmetry: every turn lands elsewhere
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.repeat(mask[..., None] * 255, 3, 2))
    runs = [int(length) for length in np.diff(np.flatnonzero(np.diff(np.r_[2, mask.T.ravel(), 2])))]
    shape = {
        "box": {},
        "polygon": {"segmentation": [[6, 4, 25, 4, 25, 10, 6, 10]]},
        "runs": {"segmentation": {"size": [30, 40], "counts": runs}},
    }[outline]
    objects = [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [6, 4, 19, 6], "area": 114.0, **shape}]
    path = make.coco([*objects, {"id": 2, "image_id": 2, "category_id": 90, "bbox": [1, 2, 3, 4], **shape}])
    picture.save(make.root / "a.jpg", exif=exif, quality=95)
    index = load(path)
    before = index.annotations.boxes.copy()
    found = verify(index)
    swapped = orientation >= 5
    upright = np.asarray(ImageOps.exif_transpose(Image.open(make.root / "a.jpg")).convert("L")) > 127
    rows, columns = np.flatnonzero(upright.any(1)), np.flatnonzero(upright.any(0))
    expected = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if swapped else [6, 4, 25, 10]
    dataset = ImageDataset(found, masks=True)
    target = dataset.truth(0)
    assert target.boxes.tolist() == [expected]
    if outline != "box" and swapped:
        assert torch.equal(target.masks[0].bool(), torch.from_numpy(upright))
    assert dataset.truth(1).boxes.tolist() == [[1, 2, 4, 6]]  # another image, not turned
    if outline != "box":
        assert np.array_equal(dataset.truth(1).masks[0].numpy(), mask)
    assert len(problems_of(found, "boxes-turned")) == swapped
    assert problems_of(found, "size-mismatch") == []
    assert np.array_equal(index.annotations.boxes, before)  # the index given stays as it is
    assert verify(found).fingerprint() == found.fingerprint()  # and nothing turns twice


def test_a_size_that_is_neither_is_only_named(make):
    path = make.coco([{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}])
    whole = json.loads(path.read_text())
    whole["images"][0] |= {"width": 80, "height": 60}
    path.write_text(json.dumps(whole))
    found = verify(load(path))
    assert len(problems_of(found, "size-mismatch")) == 1
    assert problems_of(found, "boxes-turned") == []
    assert found.annotations.boxes[0].tolist() == [1, 2, 4, 6]
