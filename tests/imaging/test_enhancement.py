"""Every operation of the table by contract, and how people spell them."""

import numpy as np
import pytest
import torch

from snellen.errors import ConfigError, InputError, ShapeError
from snellen.imaging import OPERATIONS, Enhancement, enhanced

SPELLED = {name: name for name in OPERATIONS} | {"resize": "resize:short_side=32"}


@pytest.fixture
def batch(colour) -> torch.Tensor:
    return torch.stack([colour, colour.flip(-1) // 2, torch.zeros_like(colour), torch.full_like(colour, 255)])


@pytest.mark.parametrize("word", SPELLED.values(), ids=SPELLED)
class TestEveryOperation:
    def test_a_batch_is_its_images(self, word, batch):
        """The same bits alone and among others, as bytes and as floats."""
        change = Enhancement.read(word)
        for images in (batch, batch.float()):
            together = change(images)
            assert together.dtype == images.dtype
            assert all(torch.equal(together[row], change(images[row])) for row in range(len(images)))
            assert torch.equal(change(images.view(2, 2, *images.shape[1:])).flatten(0, 1), together)

    def test_bytes_are_floats_rounded(self, word, batch):
        change = Enhancement.read(word)
        bytes_, floats = change(batch), change(batch.float())
        assert 0 <= float(floats.min()) <= float(floats.max()) <= 255
        assert (bytes_ - floats).abs().max() <= 0.5

    def test_what_is_given_stays(self, word, batch):
        before = batch.clone()
        Enhancement.read(word)(batch)
        assert torch.equal(batch, before)

    def test_places_and_channels_are_kept(self, word, batch):
        change = Enhancement.read(word)
        assert change(batch).shape[:2] == batch.shape[:2]
        assert change(batch[:, :1]).shape[1] == 1
        assert bool(change.moving) == (change(batch).shape != batch.shape)

    def test_arrays(self, word, photograph, colour):
        expected = Enhancement.read(word)(colour).permute(1, 2, 0).numpy()
        assert np.array_equal(enhanced(photograph, word), expected)
        assert enhanced(photograph[..., 0], word).ndim == 2

    def test_one_pixel(self, word):
        assert Enhancement.read(word)(torch.zeros(1, 1, 1)).isfinite().all()

    def test_it_reads_what_it_writes(self, word):
        change = Enhancement.read(word)
        assert str(Enhancement.read(str(change))) == str(change)
        assert Enhancement.read(change.texts()).texts() == change.texts()


def test_order_and_options(colour):
    steps = Enhancement.read(["gamma:gamma=0.5", " median : size = 5 , clahe:clip_limit=3:tiles=4"])
    assert steps.texts() == ["gamma:gamma=0.5", "median:size=5", "clahe:clip_limit=3:tiles=4"]
    assert [dict(step.options) for step in steps.steps] == [
        {"gamma": 0.5},
        {"size": 5},
        {"clip_limit": 3.0, "tiles": 4},
    ]
    one_by_one = enhanced(enhanced(enhanced(colour, "gamma"), "median:size=5"), "clahe:clip_limit=3:tiles=4")
    assert torch.equal(steps(colour), one_by_one)
    truths = Enhancement.read("laplacian_sharpen:diagonals=yes,non_local:strength=7.5,gradient:operator=scharr")
    assert [list(step.options.values()) for step in truths.steps] == [[True], [7.5], ["scharr"]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("clahee", "Did you mean 'clahe'"),
        ("", "at least one operation"),
        ("clahe:clp=3", "has no option 'clp'"),
        ("clahe:clip_limit", "NAME=VALUE"),
        ("clahe:clip_limit=many", "must be a number"),
        ("clahe:clip_limit=0.5", "1 or more"),
        ("median:size=4", "odd number"),
        ("median:size=3.5", "whole number"),
        ("laplacian_sharpen:diagonals=maybe", "true or false"),
        ("resize", "short_side"),
        ("gradient:operator=sobol", "one of roberts"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(text, says):
    with pytest.raises(ConfigError, match=says):
        Enhancement.read(text)


def test_what_is_no_image(colour):
    with pytest.raises(ShapeError, match="at least one pixel"):
        enhanced(colour.permute(1, 2, 0), "clahe")
    with pytest.raises(InputError, match="Divide 16-bit values by 257"):
        enhanced(colour.to(torch.int32), "clahe")
    with pytest.raises(InputError, match="Divide 16-bit values by 257"):
        enhanced(np.zeros((4, 4), np.uint16), "clahe")
    with pytest.raises(ShapeError, match="height, width"):
        enhanced(np.zeros((2, 4, 4, 3), np.uint8), "clahe")


def test_the_table_is_told_apart():
    """Every row says when to use it; only a change of size moves what is annotated."""
    assert all(row.helps for row in OPERATIONS.values())
    assert [name for name, row in OPERATIONS.items() if not row.keeps_places] == ["resize"]
