"""Transforms: one draw for image, boxes and masks; the same draw for the same stream; bytes stay bytes (SYS-226)."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2

from snellen.data.charts import ChartSpec, draw_chart
from snellen.data.transforms import (
    MIN_VISIBLE,
    Compose,
    ResizeExact,
    ResizeShortSide,
    TorchvisionTransform,
    Transform,
    ZoomToSize,
    affine,
    center_crop,
    colour_jitter,
    evaluation_transform,
    gaussian_blur,
    horizontal_flip,
    iou_crop,
    max_side_of,
    photometric_distort,
    random_crop,
    random_resized_crop,
    scale_jitter,
    short_side_size,
    training_transform,
    vertical_flip,
    zoom_out,
)
from snellen.errors import InputError
from snellen.structures import IGNORE_LABEL, BoxTarget, ClassTarget, MaskTarget, Sample

SPEC = ChartSpec(size=(120, 160), letter_height=(20, 48), difficulty=0.2)

ALL = {
    "resize-short": ResizeShortSide(90, max_side=200),
    "resize-many": ResizeShortSide((60, 90, 140), max_side=300),
    "resize-exact": ResizeExact((100, 77)),
    "flip": horizontal_flip(1.0),
    "flip-vertical": vertical_flip(1.0),
    "jitter": scale_jitter(128, scale_range=(0.5, 1.6)),
    "crop": random_crop(100),
    "crop-centre": center_crop(100),
    "crop-resized": random_resized_crop(96, area_range=(0.3, 1.0)),
    "iou": iou_crop(),
    "zoom-out": zoom_out(1.0, side_range=(1.0, 2.0)),
    "affine": affine(translate=0.2, scale_range=(0.7, 1.4)),
    "distort": photometric_distort(),
    "colour": colour_jitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1),
    "blur": gaussian_blur(sigma_px=(0.5, 2.0)),
    "several": Compose(iou_crop(), ResizeShortSide(100, max_side=150), horizontal_flip()),
}
every_transform = pytest.mark.parametrize("transform", ALL.values(), ids=ALL.keys())


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def box_sample(index=0, *, with_masks=True, num_letters=None):
    chart = draw_chart(SPEC, index)
    letters = chart.letters[:num_letters]
    height, width = SPEC.size
    masks = torch.zeros((len(letters), height, width), dtype=torch.uint8)
    for mask, letter in zip(masks, letters, strict=True):
        x1, y1, x2, y2 = letter.box
        mask[y1:y2, x1:x2] = torch.from_numpy(letter.mask.copy())
    count = len(letters)
    return Sample(
        image=torch.from_numpy(chart.image.copy()).permute(2, 0, 1).contiguous(),
        target=BoxTarget(
            boxes=torch.tensor([letter.box for letter in letters], dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor([letter.label for letter in letters], dtype=torch.int64),
            valid=torch.ones(count, dtype=torch.bool),
            ignored=torch.arange(count) % 2 == 1,
            masks=masks if with_masks else None,
            areas=torch.ones(count),
        ),
        index=index,
        source="memory",
        original_size=SPEC.size,
    )


def mask_sample(index=0):
    sample = box_sample(index)
    labels = (sample.target.masks * (sample.target.labels[:, None, None] + 1)).amax(0).to(torch.uint8)
    return Sample(
        image=sample.image,
        target=MaskTarget(labels=labels),
        index=index,
        source="memory",
        original_size=SPEC.size,
    )


def class_sample(index=0):
    sample = box_sample(index)
    return Sample(
        image=sample.image,
        target=ClassTarget(probs=torch.eye(10)[index % 10]),
        index=index,
        source="memory",
        original_size=SPEC.size,
    )


SAMPLES = {BoxTarget: box_sample, MaskTarget: mask_sample, ClassTarget: class_sample}


def tensors(sample):
    values = [sample.image] + [getattr(sample.target, entry.name) for entry in fields(sample.target)]
    return [value for value in values if value is not None]


def same(one, other):
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


@every_transform
@pytest.mark.parametrize("make", SAMPLES.values(), ids=lambda make: make.__name__)
def test_types_kept_input_untouched_stream_obeyed(transform, make):
    if transform in (ALL["iou"], ALL["several"]) and make is not box_sample:
        pytest.skip("cuts around objects")
    sample, before = make(1), make(1)
    torch.manual_seed(1)
    global_state = torch.get_rng_state()
    changed = transform(sample, stream(5))
    assert torch.equal(torch.get_rng_state(), global_state), "the global stream is left alone"
    assert same(sample, before), "the sample given is left alone"
    torch.manual_seed(2)
    assert same(changed, transform(make(1), stream(5)))
    assert isinstance(transform, Transform)
    assert changed.image.dtype == torch.uint8
    assert all(type(value) is torch.Tensor for value in tensors(changed))
    assert type(changed.target) is type(sample.target)
    assert (changed.index, changed.source, changed.original_size) == (1, "memory", SPEC.size)


@every_transform
@pytest.mark.parametrize("index", range(6))
def test_boxes_follow_their_masks(transform, index):
    sample = box_sample(index)
    changed = transform(sample, stream(index))
    target, (height, width) = changed.target, changed.image.shape[-2:]
    assert target.areas is None
    assert target.masks.shape == (len(target.labels), height, width)
    assert (target.boxes[:, 0::2] <= width).all()
    assert (target.boxes[:, 1::2] <= height).all()
    assert (target.boxes >= 0).all()
    # `ignored` stays with its label.
    known = {(int(a), bool(b)) for a, b in zip(sample.target.labels, sample.target.ignored, strict=True)}
    assert {(int(a), bool(b)) for a, b in zip(target.labels, target.ignored, strict=True)} <= known
    assert target.valid.all()
    edges = masks_to_boxes(target.masks) + torch.tensor([0, 0, 1, 1])
    is_cut = ((target.boxes <= 0.01) | (target.boxes >= torch.tensor([width, height] * 2) - 0.01)).any(-1)
    torch.testing.assert_close(edges[~is_cut], target.boxes[~is_cut], atol=2.0, rtol=0)
    # A cut letter may show less than its box does, but never more.
    assert (edges[:, :2] >= target.boxes[:, :2] - 2).all()
    assert (edges[:, 2:] <= target.boxes[:, 2:] + 2).all()


@every_transform
def test_image_without_objects(transform):
    changed = transform(box_sample(num_letters=0), stream())
    assert changed.target.boxes.shape == (0, 4)
    assert changed.target.masks.shape == (0, *changed.image.shape[-2:])


def test_geometry_agrees_with_the_picture_itself():
    # A white rectangle on black is found again where its box says.
    image = torch.zeros((3, 100, 140), dtype=torch.uint8)
    image[:, 20:60, 30:90] = 255
    base = box_sample()
    target = BoxTarget(
        boxes=torch.tensor([[30.0, 20.0, 90.0, 60.0]]),
        labels=torch.tensor([0]),
        valid=torch.tensor([True]),
        ignored=torch.tensor([False]),
    )
    sample = Sample(image=image, target=target, index=0, source="", original_size=(100, 140))
    for name in ("resize-short", "flip", "flip-vertical", "affine", "zoom-out", "resize-exact"):
        changed = ALL[name](sample, stream(3))
        seen = (changed.image[0] > 127)[None]
        edges = masks_to_boxes(seen) + torch.tensor([0, 0, 1, 1])
        torch.testing.assert_close(edges, changed.target.boxes, atol=1.01, rtol=0, msg=name)
    assert base.target.masks is not None


def test_objects_mostly_outside_are_removed_and_others_end_at_the_edge():
    boxes = torch.tensor([[0.0, 0, 40, 40], [35, 0, 75, 40], [10, 10, 10, 30], [30, 0, 70, 40]])
    count = len(boxes)
    sample = Sample(
        image=torch.zeros((3, 40, 80), dtype=torch.uint8),
        target=BoxTarget(
            boxes=boxes,
            labels=torch.arange(count),
            valid=torch.ones(count, dtype=torch.bool),
            ignored=torch.tensor([False, True, False, True]),
        ),
        index=0,
        source="",
        original_size=(40, 80),
    )
    left_part = TorchvisionTransform(
        lambda entries: {name: v2.functional.crop(entry, 0, 0, 40, 40) for name, entry in entries.items()}
    )
    target = left_part(sample, stream()).target
    assert (40 - 35) / 40 < MIN_VISIBLE < (40 - 30) / 40
    assert target.labels.tolist() == [0, 3]
    assert target.ignored.tolist() == [False, True]
    assert target.boxes.tolist() == [[0, 0, 40, 40], [30, 0, 40, 40]]


def test_what_comes_in_from_outside_is_ignored_in_label_maps():
    sample = mask_sample()
    labels = sample.target.labels.clone()
    labels[:5] = IGNORE_LABEL
    sample = Sample(image=sample.image, target=MaskTarget(labels=labels), index=0, source="", original_size=SPEC.size)
    height, width = SPEC.size
    padded = random_crop(200)(sample, stream()).target.labels
    assert (padded == IGNORE_LABEL).sum() == 200 * 200 - (height - 5) * width
    for label in labels.unique()[:-1]:
        assert (padded == label).sum() == (labels == label).sum()
    resized = ResizeExact((77, 91))(sample, stream()).target.labels
    assert set(resized.unique().tolist()) <= set(labels.unique().tolist()), "labels are never blended"


@given(
    height=st.integers(1, 1500),
    width=st.integers(1, 1500),
    short_side=st.integers(16, 900),
    ratio=st.floats(1.0, 2.0),
)
@settings(max_examples=60, deadline=None)
def test_sizes_equal_torchvisions(height, width, short_side, ratio):
    max_side = int(short_side * ratio)
    if min(height, width) * max_side < max(height, width):
        return  # torchvision has no answer where the short side vanishes
    # One channel of a meta tensor: the size without the work.
    reference = GeneralizedRCNNTransform(short_side, max_side, [0.0], [1.0])
    image, _ = reference.resize(torch.empty((1, height, width), device="meta"))
    assert short_side_size((height, width), short_side=short_side, max_side=max_side) == tuple(image.shape[-2:])


def test_boxes_equal_torchvisions_after_resizing():
    sample = box_sample(2)
    reference = GeneralizedRCNNTransform(99, 120, [0.0] * 3, [1.0] * 3).eval()
    _, targets = reference([sample.image / 255.0], [{"boxes": sample.target.boxes, "labels": sample.target.labels}])
    ours = ResizeShortSide(99, max_side=120)(sample, stream()).target
    torch.testing.assert_close(ours.boxes, targets[0]["boxes"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("target_type", SAMPLES)
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("flip", [True, False])
def test_presets(target_type, strength, flip):
    transform = training_transform(target_type, 64, strength=strength, flip=flip)
    for index in range(4):
        changed = transform(SAMPLES[target_type](index), stream(index))
        assert changed.image.dtype == torch.uint8
        assert max(changed.image.shape[-2:]) <= max_side_of(64)
        if target_type is ClassTarget:
            assert changed.image.shape == (3, 64, 64)
    assert same(transform(SAMPLES[target_type](0), stream(1)), transform(SAMPLES[target_type](0), stream(1)))


@pytest.mark.parametrize("target_type", SAMPLES)
def test_augmentation_varies_and_evaluation_does_not(target_type):
    make = SAMPLES[target_type]
    training, evaluation = training_transform(target_type, 64), evaluation_transform(target_type, 64)
    assert not same(training(make(0), stream(1)), training(make(0), stream(2)))
    assert same(evaluation(make(0), stream(1)), evaluation(make(0), stream(2)))
    assert min(evaluation(make(0), stream()).image.shape[-2:]) == 64


def test_zoom_never_shows_more_than_the_evaluation_does():
    usual = evaluation_transform(MaskTarget, 60)(mask_sample(), stream()).image.shape
    shapes = set()
    for seed in range(30):
        changed = ZoomToSize((50, 60, 75), short_side=60, max_side=max_side_of(60))(mask_sample(), stream(seed))
        assert changed.target.labels.shape == changed.image.shape[1:]
        shapes.add(tuple(changed.image.shape))
    assert tuple(usual) in shapes
    assert len(shapes) == 2  # the zoomed-in ones are cut to the usual size, the zoomed-out ones stay smaller
    assert all(shape[1] <= usual[1] and shape[2] <= usual[2] for shape in shapes)


def test_no_flip_means_never_mirrored():
    sample = box_sample()
    ramp = torch.arange(160, dtype=torch.uint8).expand(3, 120, 160).contiguous()
    sample = Sample(image=ramp, target=sample.target, index=0, source="", original_size=SPEC.size)
    rises = {flip: set() for flip in (True, False)}
    for flip, seen in rises.items():
        transform = training_transform(BoxTarget, 60, strength=0.0, flip=flip)
        for seed in range(12):
            row = transform(sample, stream(seed)).image[0, 0].int()
            seen.add(bool(row[-1] > row[0]))
    assert rises == {True: {True, False}, False: {True}}


def test_classification_equals_torchvisions_recipe():
    sample = class_sample()
    ours = evaluation_transform(ClassTarget, 56)(sample, stream()).image
    reference = v2.Compose([v2.Resize(64, antialias=True), v2.CenterCrop(56)])(sample.image)
    np.testing.assert_array_equal(ours.numpy(), reference.numpy())


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: training_transform(BoxTarget, 64, strength=1.5), "strength"),
        (lambda: training_transform(BoxTarget, 0), "size of the images"),
        (lambda: evaluation_transform(MaskTarget, -3), "size of the images"),
        (lambda: ResizeShortSide((), max_side=3), "1 pixel or more"),
    ],
)
def test_bad_settings_are_named(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_regions_move_with_the_boxes():
    """Proposals from outside see the same draw as the objects, and lose what lies outside the image."""
    boxes = torch.tensor([[10.0, 10, 40, 50]])
    sample = Sample(
        image=torch.zeros(3, 60, 80, dtype=torch.uint8),
        target=BoxTarget(
            boxes=boxes, labels=torch.tensor([0]), valid=torch.tensor([True]), ignored=torch.tensor([False])
        ),
        index=0,
        source="",
        original_size=(60, 80),
        regions=torch.cat([boxes, torch.tensor([[0.0, 0, 80, 60], [78.0, 0, 80, 2]])]),
    )
    for seed in range(8):
        change = training_transform(BoxTarget, 30, strength=1.0)
        moved = change(sample, torch.Generator().manual_seed(seed))
        assert moved.regions is not None
        height, width = moved.image.shape[-2:]
        assert (moved.regions >= 0).all()
        assert (moved.regions <= torch.tensor([width, height, width, height])).all()
        if len(moved.target.boxes):
            torch.testing.assert_close(moved.regions[0], moved.target.boxes[0])
    plain = evaluation_transform(BoxTarget, 30)(sample, torch.Generator())
    torch.testing.assert_close(plain.regions, sample.regions / 2)


@pytest.mark.parametrize(("resize", "size"), [("short", (30, 40)), ("letterbox", (22, 30)), ("square", (30, 30))])
def test_how_images_of_boxes_come_to_their_size(resize, size):
    sample = Sample(
        image=torch.zeros(3, 60, 80, dtype=torch.uint8),
        target=BoxTarget(
            boxes=torch.tensor([[0.0, 0, 80, 60]]),
            labels=torch.tensor([0]),
            valid=torch.tensor([True]),
            ignored=torch.tensor([False]),
        ),
        index=0,
        source="",
        original_size=(60, 80),
    )
    for change in (
        evaluation_transform(BoxTarget, 30, resize=resize),
        training_transform(BoxTarget, 30, strength=0, resize=resize),
    ):
        found = change(sample, torch.Generator())
        assert tuple(found.image.shape[-2:]) == size
        assert found.target.boxes.tolist() == [[0, 0, size[1], size[0]]]
