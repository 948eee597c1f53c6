"""D8 (DX-016): sizes, values and edges of label images."""

import numpy as np
import pytest
from PIL import Image

from snellen.data import load
from snellen.doctor import Status
from snellen.doctor.evidence.mask_pixels import ramp_share

NAMES = ("sky", "road", "tree", "car", "pole", "sign", "person")


def patches(seed=0, size=64, values=(0, 2, 4, 6)):
    """Rectangles of classes whose numbers leave one out between any two."""
    chance = np.random.default_rng(seed)
    coarse = chance.choice(values, (4, 4))
    coarse[0] = values
    return np.kron(coarse, np.ones((size // 4, size // 4))).astype(np.uint8)


def smoothed(values):
    small = Image.fromarray(values).resize((values.shape[1] // 2, values.shape[0] // 2), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(values.shape[::-1], Image.Resampling.BILINEAR))


def test_quiet_on_healthy(annotated, judged):
    folder = annotated.masks([patches(seed) for seed in range(6)], names=NAMES)
    assert judged("D8", load(folder)).status == Status.PASSED


@pytest.mark.parametrize("wrong", [1, 3, 6])
def test_smoothed_edges(annotated, judged, wrong):
    masks = [smoothed(patches(seed)) if seed < wrong else patches(seed) for seed in range(6)]
    (finding,) = judged("D8", load(annotated.masks(masks, names=NAMES))).findings
    assert (finding.message, finding.num_places) == ("smoothed", wrong)
    assert {place.name for place in finding.places} == {f"masks/{number}.png" for number in range(wrong)}


def test_values_that_name_no_class(annotated, judged, said):
    values = patches()
    values[:16] = 9
    (text,) = said(judged("D8", load(annotated.masks([values, patches(1)], names=NAMES))))
    assert text == "Masks hold 1 values that name no class; 12.5 % of the pixels count for nothing."


def test_another_shape(annotated, judged, messages):
    folder = annotated.masks([patches(seed) for seed in range(3)], names=NAMES)
    Image.fromarray(patches()[:, :40]).save(folder / "masks" / "0.png")
    assert messages(judged("D8", load(folder))) == ["ERROR shape"]


def test_another_scale(annotated, judged, messages):
    folder = annotated.masks([patches(seed) for seed in range(3)], names=NAMES)
    Image.fromarray(patches()[::2, ::2]).save(folder / "masks" / "0.png")
    assert messages(judged("D8", load(folder))) == ["WARNING scaled"]


def test_white_taken_for_void(annotated, judged, messages):
    values = np.full((20, 20), 255)
    values[:5] = 0
    folder = annotated.masks([values] * 2, names=("nothing", "thing"))
    assert "WARNING void" in messages(judged("D8", load(folder)))


def test_one_class_only(annotated, judged, messages):
    folder = annotated.masks([np.zeros((20, 20))] * 3, names=("a", "b"))
    assert messages(judged("D8", load(folder))) == ["ERROR one_class"]


def test_grey_levels_taken_for_classes(annotated, judged, messages):
    folder = annotated.masks([patches(values=(0, 100, 150, 200))] * 2)
    assert messages(judged("D8", load(folder))) == ["WARNING sparse"]


@pytest.mark.parametrize(("row", "share"), [
    ([0, 0, 0, 4, 4, 4], 0.0), ([0, 0, 2, 4, 4, 4], 1 / 3), ([0, 1, 2, 3, 4, 5], 1.0), ([3, 3, 3, 3, 3, 3], 0.0),
    ([0, 0, 9, 4, 4, 4], 0.0), ([0, 0, 1, 1, 2, 2], 0.0),
])  # fmt: skip
def test_ramps(row, share):
    """Edges between 0 and 4 over 2, by hand."""
    assert ramp_share(np.array([row] * 3, np.int32)) == pytest.approx(share)


def test_camvid_is_clean(shared_data, judged):
    index = load(shared_data / "camvid", ignore_index=11)
    part = index.select(np.arange(0, len(index), 20))
    assert judged("D8", part).status == Status.PASSED


def test_boxes_are_no_label_images(annotated, judged):
    assert judged("D8", annotated.boxes([[(1, 1, 9, 9, 0)]])).status == Status.NOT_CHECKABLE
