"""What augmentation and mixing do to label sets and values: carried along, blended, never cut."""

import pytest
import torch

from snellen.data.transforms import CopyPaste, MixUp, Mosaic, evaluation_transform, training_transform
from snellen.errors import InputError
from snellen.structures import Batch, LabelSetTarget, Sample, ValueTarget


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def sample(target, size=(40, 60), row=0):
    image = torch.full((3, *size), 40 * (row + 1), dtype=torch.uint8)
    image[:, :, : size[1] // 2] += 30
    return Sample(image=image, target=target, index=row, source=f"{row}", original_size=size)


def sets(shown, known=(True, True, True)):
    return LabelSetTarget(shown=torch.tensor(shown), known=torch.tensor(known))


def values(numbers, known=(True, True)):
    return ValueTarget(values=torch.tensor(numbers), known=torch.tensor(known))


ROWS = {
    LabelSetTarget: (sets([1.0, 0.0, 1.0]), sets([0.0, 0.0, 1.0], (True, False, True))),
    ValueTarget: (values([10.0, -2.0]), values([20.0, 0.0], (True, False))),
}


@pytest.mark.parametrize("kind", [LabelSetTarget, ValueTarget])
@pytest.mark.parametrize("resize", ["short", "square"])
def test_the_whole_image_is_looked_at(kind, resize):
    """What gives a label or a value may lie at the edge: nothing is cut off, whatever the network."""
    changed = evaluation_transform(kind, 32, resize=resize)(sample(ROWS[kind][0]), stream())
    assert changed.image.shape == (3, 32, 32)
    assert changed.target is ROWS[kind][0]
    left, right = changed.image[:, :, :12].float().mean(), changed.image[:, :, -12:].float().mean()
    assert (left, right) == (70, 40)


def test_training_images_of_values_are_not_cut():
    for seed in range(5):
        changed = training_transform(ValueTarget, 32, strength=1.0, flip=False)(
            sample(ROWS[ValueTarget][0]), stream(seed)
        )
        columns = changed.image.float().mean((0, 1))
        assert (columns[:14].mean() > columns[-14:].mean() + 5).item()  # the bright half is still the left one
        assert torch.equal(changed.target.values, ROWS[ValueTarget][0].values)


def test_training_images_of_label_sets_lose_little():
    transform = training_transform(LabelSetTarget, 64, strength=0.5, flip=True)
    for seed in range(10):
        changed = transform(sample(ROWS[LabelSetTarget][0]), stream(seed))
        assert changed.image.shape == (3, 64, 64)
        assert changed.image.unique().numel() > 1  # both halves are still there
        assert torch.equal(changed.target.shown, ROWS[LabelSetTarget][0].shown)


@pytest.mark.parametrize("kind", [LabelSetTarget, ValueTarget])
def test_mixup_blends_targets_as_pixels(kind):
    """Zhang et al. 2018, eq. 1 and 2; what is not known of one image is not known of the blend."""
    first, second = (sample(target, row=row) for row, target in enumerate(ROWS[kind]))
    seen = set()
    for seed in range(20):
        mixed = MixUp(1.0, probability=1.0)(first, lambda _: second, 2, stream(seed))
        share = (80.0 - mixed.image[0, 0, -1].item()) / 40  # 40 and 80 on the right
        numbers = [getattr(one, "shown" if kind is LabelSetTarget else "values") for one in (*ROWS[kind], mixed.target)]
        torch.testing.assert_close(numbers[2], share * numbers[0] + (1 - share) * numbers[1], atol=0.3, rtol=0.02)
        assert torch.equal(mixed.target.known, ROWS[kind][0].known & ROWS[kind][1].known)
        seen.add(round(share, 1))
    assert len(seen) > 4


@pytest.mark.parametrize("kind", [LabelSetTarget, ValueTarget])
def test_mixes_that_move_objects_are_refused(kind):
    first, second = (sample(target) for target in ROWS[kind])
    for mix in (Mosaic(32, probability=1.0), CopyPaste(probability=1.0)):
        with pytest.raises(InputError, match=kind.__name__):
            mix(first, lambda _: second, 2, stream())


@pytest.mark.parametrize("kind", [LabelSetTarget, ValueTarget])
def test_batches(kind):
    batch = Batch.collate([sample(target) for target in ROWS[kind]])
    assert isinstance(batch.targets, kind)
    assert batch.targets.known.shape == (2, ROWS[kind][0].known.shape[0])
    assert torch.equal(batch.targets[1].known, ROWS[kind][1].known)
