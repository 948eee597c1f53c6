"""Mosaic, mixup and copy-paste: nothing is lost or invented, and what is drawn is what is annotated."""

import numpy as np
import pytest
import torch
from torchvision.ops import masks_to_boxes

from snellen.data.transforms import (
    MIN_VISIBLE,
    Compose,
    CopyPaste,
    Mix,
    Mixing,
    MixUp,
    Mosaic,
    ResizeShortSide,
)
from snellen.errors import DatasetError, InputError
from snellen.structures import IGNORE_LABEL, BoxTarget, ClassTarget, MaskTarget, Sample

HEIGHT, WIDTH = 40, 60


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def grey_of(row, place):
    return 40 + 20 * row + 5 * place


def box_row(row, *, with_masks=True, size=(HEIGHT, WIDTH)):
    """Two rectangles on black whose grey value tells the row and the object."""
    boxes = torch.tensor([[4.0 + row, 6.0, 20.0 + row, 30.0], [30.0, 10.0, 56.0, 34.0 - row]])
    image = torch.zeros((3, *size), dtype=torch.uint8)
    masks = torch.zeros((2, *size), dtype=torch.uint8)
    for place, (x1, y1, x2, y2) in enumerate(boxes.int().tolist()):
        image[:, y1:y2, x1:x2] = grey_of(row, place)
        masks[place, y1:y2, x1:x2] = 1
    target = BoxTarget(
        boxes=boxes,
        labels=torch.tensor([2 * row, 2 * row + 1]),
        valid=torch.ones(2, dtype=torch.bool),
        ignored=torch.tensor([False, row == 3]),
        masks=masks if with_masks else None,
        areas=torch.ones(2),
    )
    return Sample(image=image, target=target, index=row, source=f"{row}", original_size=size)


def class_row(row):
    size = (HEIGHT + row, WIDTH)
    image = torch.full((3, *size), 50 * row, dtype=torch.uint8)
    return Sample(
        image=image,
        target=ClassTarget(probs=torch.eye(4)[row]),
        index=row,
        source=f"{row}",
        original_size=size,
    )


def mask_row(row):
    sample = box_row(row)
    labels = (sample.target.masks * (sample.target.labels[:, None, None] + 1)).amax(0).to(torch.uint8)
    return Sample(
        image=sample.image,
        target=MaskTarget(labels=labels),
        index=row,
        source="",
        original_size=(HEIGHT, WIDTH),
    )


MIXES = {
    "mosaic": Mosaic(60, probability=1.0),
    "mixup": MixUp(1.5, probability=1.0),
    "paste": CopyPaste(probability=1.0),
}
every_mix = pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES.keys())


def same(one, other):
    return torch.equal(one.image, other.image) and all(
        torch.equal(getattr(one.target, name), getattr(other.target, name)) for name in ("boxes", "labels", "masks")
    )


@every_mix
def test_same_stream_same_mix_and_the_row_keeps_its_name(mix):
    assert isinstance(mix, Mix)
    sample = box_row(1)
    mixes = [mix(sample, box_row, 4, stream(seed)) for seed in (3, 3, 4)]
    assert same(mixes[0], mixes[1])
    assert not same(mixes[0], mixes[2])
    assert same(sample, box_row(1)), "the sample given is left alone"
    assert (mixes[0].index, mixes[0].source, mixes[0].original_size) == (1, "1", (HEIGHT, WIDTH))
    assert mixes[0].image.dtype == torch.uint8
    assert mixes[0].target.areas is None


@pytest.mark.parametrize("make", [Mosaic, CopyPaste, MixUp])
def test_probability_zero_changes_nothing_and_half_changes_half(make):
    def build(probability):
        first = {Mosaic: (60,), MixUp: (1.5,), CopyPaste: ()}[make]
        return make(*first, probability=probability)

    sample = box_row(0)
    assert build(0.0)(sample, box_row, 4, stream()) is sample
    mix = build(0.5)
    changed = sum(mix(sample, box_row, 4, stream(seed)) is not sample for seed in range(200))
    assert 60 < changed < 130


@pytest.mark.parametrize("seed", range(20))
def test_mosaic_annotates_what_it_shows(seed):
    mosaic = Mosaic(60, probability=1.0)(box_row(0), box_row, 4, stream(seed))
    target = mosaic.target
    assert mosaic.image.shape == (3, 120, 120)
    assert target.masks.shape == (len(target.labels), 120, 120)
    grey = mosaic.image[0]
    for box, label, mask, ignored in zip(
        target.boxes, target.labels.tolist(), target.masks, target.ignored.tolist(), strict=True
    ):
        assert (grey[mask > 0] == grey_of(*divmod(label, 2))).all()
        assert ignored == (label == 7)
        edges = masks_to_boxes(mask[None])[0] + torch.tensor([0, 0, 1, 1])
        torch.testing.assert_close(edges, box, atol=0.01, rtol=0)  # at scale 1 nothing is rounded
    # What is not annotated is at most the slivers of objects cut by a border.
    unexplained = ((grey > 0) & ~(target.masks > 0).any(0)).sum()
    assert unexplained <= 8 * MIN_VISIBLE * 26 * 24


def test_mosaic_of_label_maps_ignores_what_no_image_covers():
    mosaic = Mosaic(60, probability=1.0)(mask_row(0), mask_row, 4, stream(1))
    labels, grey = mosaic.target.labels, mosaic.image[0]
    assert labels.shape == (120, 120)
    for value in labels.unique().tolist():
        shown = grey[labels == value]
        expected = 0 if value in (0, IGNORE_LABEL) else grey_of(*divmod(value - 1, 2))
        assert (shown == expected).all()
    assert (labels == IGNORE_LABEL).any()


def test_mixup_of_classes_blends_pixels_and_shares_alike():
    """SYS-198."""
    shares = []
    for seed in range(100):
        mixed = MixUp(0.4, probability=1.0)(class_row(0), class_row, 4, stream(seed))
        probs = mixed.target.probs
        assert probs.sum() == pytest.approx(1.0, abs=1e-6)
        assert mixed.image.shape == (3, HEIGHT, WIDTH)
        # Row r is an even 50 r, so the grey value is 50 times the mean row.
        expected = 50 * float(probs @ torch.arange(4.0))
        assert float(mixed.image.float().mean()) == pytest.approx(expected, abs=0.51)
        shares.append(float(probs[0]))
    blended = [share for share in shares if share < 1]
    assert np.mean(blended) == pytest.approx(0.5, abs=0.15)


def test_mixup_of_boxes_wants_the_objects_of_both():
    def fetch(row):
        return box_row(row, size=(50, 56))

    mixed = MixUp(1.5, probability=1.0)(box_row(0), fetch, 4, stream(2))
    assert mixed.image.shape == (3, 50, 60)
    assert len(mixed.target.labels) == 4
    other = int(mixed.target.labels[2]) // 2
    assert torch.equal(mixed.target.boxes[:2], box_row(0).target.boxes)
    assert torch.equal(mixed.target.boxes[2:], box_row(other).target.boxes)
    assert mixed.target.masks.shape == (4, 50, 60)


@pytest.mark.parametrize("with_masks", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_pasted_objects_hide_what_lies_beneath(with_masks, seed):
    sample = box_row(0, with_masks=with_masks)
    mixed = CopyPaste(share=0.6, probability=1.0)(
        sample, lambda row: box_row(3 - row % 2, with_masks=with_masks), 4, stream(seed)
    )
    if mixed is sample:
        return
    target, grey = mixed.target, mixed.image[0]
    pasted = target.labels > 1
    assert pasted.any()
    assert not target.ignored[pasted].any(), "crowds and difficult objects are not pasted"
    for row, (x1, y1, x2, y2) in enumerate(target.boxes.int().tolist()):
        label = int(target.labels[row])
        mine = grey == grey_of(*divmod(label, 2))
        if with_masks:
            assert torch.equal(mine, target.masks[row] > 0)
            edges = masks_to_boxes(mine[None])[0] + torch.tensor([0, 0, 1, 1])
            assert edges.tolist() == [x1, y1, x2, y2]
        elif label > 1:
            assert mine[y1:y2, x1:x2].all()
    # Objects of the sample that went are hidden for the most part.
    for place in {0, 1} - set(target.labels.tolist()):
        left = (grey == grey_of(0, place)).sum()
        assert left < MIN_VISIBLE * (sample.image[0] == grey_of(0, place)).sum()


def test_mixing_is_a_transform_and_passes_errors_on():
    chain = Compose(Mixing(MIXES["mosaic"], box_row, 4), ResizeShortSide(30, max_side=50))
    assert chain(box_row(0), stream()).image.shape == (3, 30, 30)

    def broken(row):
        raise DatasetError("cannot be read", file="a.jpg")

    failing = Mixing(MIXES["mosaic"], broken, 4)
    with pytest.raises(DatasetError, match=r"a\.jpg"):
        failing(box_row(0), stream())


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda: Mosaic(60, probability=1.0)(class_row(0), class_row, 4, stream()),
            "works on BoxTarget and MaskTarget",
        ),
        (lambda: MixUp(1.0, probability=1.0)(mask_row(0), mask_row, 4, stream()), "gives MaskTarget"),
        (lambda: CopyPaste(probability=1.0)(class_row(0), class_row, 4, stream()), "Leave CopyPaste out"),
        (lambda: MixUp(0.0), "alpha"),
        (lambda: Mosaic(60, probability=1.1), "Mosaic.probability"),
        (lambda: CopyPaste(share=-1), "CopyPaste.share"),
    ],
)
def test_bad_settings_are_named(act, message):
    with pytest.raises(InputError, match=message):
        act()
