"""Cuts that rare classes survive (SYS-223), and where training cuts images with label maps."""

import pytest
import torch

from snellen.data.transforms import ClassBalancedCrop, ResizeShortSide, training_transform
from snellen.errors import ConfigError, InputError
from snellen.recipes.augmenting import check_augmentation, check_cuts
from snellen.recipes.options import options_from
from snellen.structures import IGNORE_LABEL, BoxTarget, ClassTarget, MaskTarget, Sample

RARE = 2


def scene(size=(60, 80)):
    """One half of each of two classes, 12 pixels of a third, a row of nothing; the image tells the labels."""
    labels = torch.zeros(size, dtype=torch.uint8)
    labels[:, size[1] // 2 :] = 1
    labels[50:53, 70:74] = RARE
    labels[0] = IGNORE_LABEL
    return sample(labels)


def sample(labels):
    return Sample(
        image=labels[None].repeat(3, 1, 1),
        target=MaskTarget(labels=labels),
        index=0,
        source="scene",
        original_size=tuple(labels.shape),
    )


def share_with_rare(probability, draws=300):
    crop = ClassBalancedCrop((16, 20), probability=probability)
    stream = torch.Generator().manual_seed(0)
    return sum(bool((crop(scene(), stream).target.labels == RARE).any()) for _ in range(draws)) / draws


def test_rare_class_is_in_a_third_of_the_cuts_and_more():
    """Three classes are drawn alike, so that a third of the cuts is laid about the rare one, whatever it covers."""
    assert share_with_rare(0) < 0.2
    assert 0.33 <= share_with_rare(1) < 0.6


def test_labels_go_with_the_image():
    crop = ClassBalancedCrop((16, 20), probability=0.5)
    stream = torch.Generator().manual_seed(1)
    starts = set()
    for _ in range(40):
        cut = crop(scene(), stream)
        assert cut.image.shape == (3, 16, 20)
        assert torch.equal(cut.image[0], cut.target.labels)
        starts.add(bool((cut.target.labels == IGNORE_LABEL).any()))
    assert starts == {True, False}


def test_is_a_function_of_the_stream_alone():
    crop = ClassBalancedCrop((16, 20), probability=1)
    found = [crop(scene(), torch.Generator().manual_seed(seed)).target.labels for seed in (3, 3, 4)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_every_place_can_be_cut():
    """Also corners: a cut about the only pixel of a class lies on any side of it."""
    labels = torch.zeros(9, 9, dtype=torch.uint8)
    labels[4, 4] = 1
    crop = ClassBalancedCrop((3, 3), probability=1)
    stream = torch.Generator().manual_seed(0)
    places = set()
    for _ in range(400):
        found = (crop(sample(labels), stream).target.labels == 1).nonzero()
        places |= {tuple(place) for place in found.tolist()}
    assert len(places) == 9


def test_small_images_stay_whole():
    assert ClassBalancedCrop((200, 20), probability=1)(scene(), torch.Generator()).image.shape == (3, 60, 20)


def test_image_of_which_nothing_is_known():
    nothing = sample(torch.full((10, 10), IGNORE_LABEL, dtype=torch.uint8))
    assert ClassBalancedCrop((4, 4), probability=1)(nothing, torch.Generator()).image.shape == (3, 4, 4)


def test_refuses_what_has_no_label_map():
    whole = Sample(
        image=torch.zeros(3, 8, 8, dtype=torch.uint8),
        target=ClassTarget(probs=torch.ones(1)),
        index=0,
        source="x",
        original_size=(8, 8),
    )
    with pytest.raises(InputError, match="label maps"):
        ClassBalancedCrop((4, 4), probability=1)(whole, torch.Generator())
    with pytest.raises(InputError, match="1 pixel"):
        ClassBalancedCrop((0, 4), probability=1)
    with pytest.raises(InputError, match=r"0\.\.1"):
        ClassBalancedCrop((4, 4), probability=2)


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_training_cuts_to_a_given_side(strength):
    change = training_transform(MaskTarget, 48, strength=strength, flip=False, crop=24, balanced_crops=1.0)
    for seed in range(4):
        cut = change(scene(), torch.Generator().manual_seed(seed))
        assert cut.image.shape[1:] == (24, 24)
        assert cut.target.labels.shape == (24, 24)


def test_training_without_a_given_side_cuts_to_the_size_of_the_evaluation():
    change = training_transform(MaskTarget, 48, strength=1.0, flip=False, balanced_crops=1.0)
    usual = ResizeShortSide(48, max_side=80)(scene(), torch.Generator()).image.shape[1:]
    for seed in range(6):
        shape = change(scene(), torch.Generator().manual_seed(seed)).image.shape[1:]
        assert shape[0] <= usual[0]
        assert shape[1] <= usual[1]


def test_options_are_for_label_maps_and_for_cuts():
    with pytest.raises(ConfigError, match="balanced_crops keeps MaskTarget"):
        check_augmentation(options_from({"balanced_crops": 0.5}), BoxTarget)
    with pytest.raises(ConfigError, match="crop keeps MaskTarget"):
        check_augmentation(options_from({"crop": 64}), ClassTarget)
    with pytest.raises(ConfigError, match="Add crop=N"):
        check_cuts(options_from({"balanced_crops": 0.5}), augment=0.0)
    check_cuts(options_from({"balanced_crops": 0.5}), augment=0.3)
    check_cuts(options_from({"balanced_crops": 0.5, "crop": 64}), augment=0.0)
    with pytest.raises(ConfigError, match="from 0 to 1"):
        options_from({"balanced_crops": 2})
    with pytest.raises(ConfigError, match="crop must be a whole number"):
        options_from({"crop": 0})
    with pytest.raises(InputError, match="label maps"):
        training_transform(BoxTarget, 48, crop=24)


def test_band_is_an_option_of_the_model():
    assert options_from({"ignored_band": 3}).model_options == {"ignored_band": 3}
