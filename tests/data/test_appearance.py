"""RandAugment and noise against torchvision's, and random erasing against its own rule."""

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from snellen.data.transforms import MAX_MAGNITUDE, GaussianNoise, RandomErasing, rand_augment
from snellen.errors import InputError
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Sample


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def sample_of(target=None, size=(32, 48)):
    image = torch.randint(256, (3, *size), generator=stream(9), dtype=torch.uint8)
    return Sample(
        image=image, target=target or ClassTarget(probs=torch.eye(2)[0]), index=0, source="", original_size=size
    )


def boxes():
    nothing = torch.zeros(1, dtype=torch.bool)
    return BoxTarget(
        boxes=torch.tensor([[4.0, 4, 20, 20]]), labels=torch.zeros(1, dtype=torch.int64), valid=~nothing,
        ignored=nothing, areas=torch.tensor([100.0]),
    )  # fmt: skip


@pytest.mark.parametrize(("number", "magnitude"), [(1, 0), (2, 9), (3, 30)])
def test_the_operations_are_torchvisions(number, magnitude):
    """SYS-226: Cubuk et al. 2020, section 3: N operations of one magnitude."""
    sample = sample_of()
    ours = rand_augment(number, magnitude)
    theirs = v2.RandAugment(num_ops=number, magnitude=magnitude, num_magnitude_bins=31, fill=128.0)
    for seed in range(15):
        got = ours(sample, stream(seed)).image
        generator = stream(seed)
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        assert torch.equal(got, theirs(tv_tensors.Image(sample.image)).as_subclass(torch.Tensor))


def test_the_fourteen_operations_of_the_paper():
    """Figure 2 of the paper lists them."""
    expected = {
        "Identity", "AutoContrast", "Equalize", "Rotate", "Solarize", "Color", "Posterize", "Contrast", "Brightness",
        "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY",
    }  # fmt: skip
    assert set(v2.RandAugment._AUGMENTATION_SPACE) == expected


def test_it_leaves_the_global_stream_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = rand_augment()(sample_of(), stream(2)).image
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, rand_augment()(sample_of(), stream(2)).image)


@pytest.mark.parametrize("target", [boxes(), MaskTarget(labels=torch.zeros((32, 48), dtype=torch.uint8))])
def test_what_moves_images_without_their_boxes_is_refused(target):
    with pytest.raises(InputError, match="without their boxes or label maps"):
        rand_augment()(sample_of(target), stream())


def test_numbers_out_of_range():
    with pytest.raises(InputError, match="1 operation or more"):
        rand_augment(0, 9)
    with pytest.raises(InputError, match="magnitude from 0 to 30"):
        rand_augment(2, MAX_MAGNITUDE + 1)
    with pytest.raises(InputError, match="rising ranges"):
        RandomErasing(area=(0.5, 0.1))
    with pytest.raises(InputError, match=r"must lie in 0\.\.1"):
        RandomErasing(probability=-0.1)
    for wrong in (-1.0, 256.0, float("nan")):
        with pytest.raises(InputError, match=r"must lie in 0\.\.255, levels"):
            GaussianNoise(wrong)


def test_erasing_changes_one_rectangle_of_the_stated_size():
    """Zhong et al. 2020, algorithm 1."""
    image = torch.zeros((3, 100, 100), dtype=torch.uint8)
    target = LabelSetTarget(shown=torch.ones(2), known=torch.ones(2, dtype=torch.bool))
    sample = Sample(image=image, target=target, index=0, source="", original_size=(100, 100))
    areas, aspects = [], []
    for seed in range(200):
        changed = RandomErasing(probability=1.0)(sample, stream(seed))
        assert changed.target is target
        rows = (changed.image.amax((0, 2)) > 0).nonzero().flatten()
        columns = (changed.image.amax((0, 1)) > 0).nonzero().flatten()
        height, width = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
        inside = changed.image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].float()
        assert 110 < inside.mean() < 145  # noise over the whole of it
        areas.append(height * width / 10_000)
        aspects.append(height / width)
    assert min(areas) >= 0.015
    assert max(areas) <= 0.41
    assert max(areas) > 0.3
    assert min(aspects) >= 0.25
    assert max(aspects) <= 4
    assert not image.any()


def test_erasing_as_often_as_asked_and_by_the_stream_alone():
    sample = sample_of()
    same = [torch.equal(RandomErasing(probability=0.25)(sample, stream(s)).image, sample.image) for s in range(300)]
    assert 0.67 < sum(same) / 300 < 0.83
    first, second = (RandomErasing(probability=1.0)(sample, stream(4)).image for _ in range(2))
    assert torch.equal(first, second)


def test_erasing_leaves_boxes_and_refuses_label_maps():
    target = boxes()
    assert RandomErasing(probability=1.0)(sample_of(target), stream()).target is target
    with pytest.raises(InputError, match="leave labels on pixels"):
        RandomErasing()(sample_of(MaskTarget(labels=torch.zeros((32, 48), dtype=torch.uint8))), stream())


def test_an_image_that_no_rectangle_fits_stays_as_it_is():
    sample = sample_of(size=(1, 200))
    assert RandomErasing(probability=1.0, area=(0.4, 0.4), aspect=(3, 3.3))(sample, stream()).image is sample.image


@pytest.mark.parametrize("strength", [1.0, 20.0, 255.0])
def test_noise_is_torchvisions_with_a_drawn_strength(strength):
    """SYS-216: additive Gaussian noise, clipped; the strength of an image is the first number of its stream."""
    sample = sample_of()
    for seed in range(10):
        got = GaussianNoise(strength)(sample, stream(seed)).image
        generator = stream(seed)
        spread = strength * float(torch.rand((), generator=generator))
        torch.set_rng_state(generator.get_state())
        theirs = v2.functional.gaussian_noise(sample.image / 255, sigma=spread / 255)
        assert got.dtype == torch.uint8
        assert (got / 255 - theirs).abs().max() <= 0.5001 / 255


def test_noise_has_the_spread_that_was_drawn_and_no_mean():
    """SYS-216: each value has its own number; grey is far from the ends, so that nothing is clipped."""
    grey = Sample(
        image=torch.full((3, 200, 200), 128, dtype=torch.uint8), target=ClassTarget(probs=torch.eye(2)[0]), index=0,
        source="", original_size=(200, 200),
    )  # fmt: skip
    spreads = []
    for seed in range(40):
        noise = GaussianNoise(20)(grey, stream(seed)).image.float() - 128
        assert abs(float(noise.mean())) < 0.5
        red, green = noise[0].flatten(), noise[1].flatten()
        spreads.append(float(noise.std()))
        assert abs(float((red * green).mean())) < 0.03 * max(spreads[-1], 1) ** 2
    assert max(spreads) < 20.3
    assert max(spreads) > 17
    assert min(spreads) < 3
    assert 7 < sum(spreads) / len(spreads) < 13  # evenly from 0 to 20


@pytest.mark.parametrize("target", [boxes(), MaskTarget(labels=torch.zeros((32, 48), dtype=torch.uint8))])
def test_noise_moves_nothing_and_is_repeated_exactly(target):
    sample = sample_of(target)
    before = sample.image.clone()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = GaussianNoise(30)(sample, stream(4))
    assert torch.equal(torch.rand(3), expected)  # the global stream is left alone
    assert first.target is target
    assert torch.equal(first.image, GaussianNoise(30)(sample, stream(4)).image)
    assert not torch.equal(first.image, GaussianNoise(30)(sample, stream(5)).image)
    assert torch.equal(sample.image, before)
    assert GaussianNoise(0)(sample, stream(4)) is sample
