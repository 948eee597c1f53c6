"""Several views of each image, a dense CRF behind a network, and tiles that fade into one another."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import InputError
from snellen.evaluation import Refined, Views, predict_tiled, predicted_batches
from snellen.evaluation.blended_tiles import _Strip, tile_window
from snellen.evaluation.tiles import tiles_of
from snellen.imaging import DenseCrfSettings, dense_crf
from snellen.structures import (
    Batch,
    BoxTarget,
    ClassScores,
    ClassTarget,
    MaskTarget,
    Sample,
    SegmentationMap,
    TensorRecord,
    ValueEstimates,
    ValueTarget,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores(TensorRecord):
    logits: Tensor
    sizes: Tensor


class Pixels(nn.Module):
    """Three classes from the colours around each pixel, to the right more than to the left."""

    stride = 8
    target_type = MaskTarget

    def __init__(self, width=5):
        super().__init__()
        kernel = torch.linspace(0, 1, width)[None, :] * torch.ones(width, 1)
        self.register_buffer("kernel", (kernel / kernel.sum()).expand(3, 1, -1, -1).clone())
        self.shapes = []

    def forward(self, images, targets=None):
        self.shapes.append(tuple(images.pixels.shape[-2:]))
        assert images.pixels.shape[-1] % self.stride == images.pixels.shape[-2] % self.stride == 0
        x = functional.conv2d(images.pixels.float() / 40, self.kernel, padding="same", groups=3)
        return Scores(logits=x, sizes=images.sizes)

    def loss(self, output, targets):
        raise NotImplementedError

    def decode(self, output, sizes):
        found = []
        for logits, content, size in zip(output.logits, output.sizes.tolist(), sizes.tolist(), strict=True):
            probs = logits[None, :, : content[0], : content[1]].softmax(1)
            probs = functional.interpolate(probs, size=size, mode="bilinear")[0]
            found.append(SegmentationMap(labels=probs.argmax(0).to(torch.uint8), confidence=probs.amax(0)))
        return found


class Whole(nn.Module):
    """Scores of a whole image: how bright its left third is."""

    stride = 8

    def __init__(self, target_type):
        super().__init__()
        self.target_type = target_type

    def forward(self, images, targets=None):
        return images.pixels[..., : images.pixels.shape[-1] // 3].float().mean((1, 2, 3)) / 255

    def loss(self, output, targets):
        raise NotImplementedError

    def decode(self, output, sizes):
        if self.target_type is ValueTarget:
            return [ValueEstimates(values=one[None]) for one in output]
        return [ClassScores(probs=torch.stack([one, 1 - one])) for one in output]


def picture(size, seed=0):
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, size[0] // 6 + 1, size[1] // 6 + 1, generator=stream) * 255
    return functional.interpolate(coarse, size, mode="bilinear")[0].to(torch.uint8)


def batch_of(*images):
    samples = [
        Sample(
            image=image,
            target=MaskTarget(labels=torch.zeros(image.shape[1:], dtype=torch.uint8)),
            index=row,
            source=str(row),
            original_size=tuple(image.shape[1:]),
        )
        for row, image in enumerate(images)
    ]
    return Batch.collate(samples, stride=8)


def predicted(model, batch):
    return next(predicted_batches(model, [batch], device="cpu"))[1]


def probs_of(model, image):
    batch = batch_of(image)
    output = model(batch.images)
    rows, columns = output.sizes[0].tolist()
    return output.logits[0, :, :rows, :columns].softmax(0)


def test_one_view_is_the_model():
    batch = batch_of(picture((20, 30)), picture((32, 24)))
    plain, seen = predicted(Pixels(), batch), predicted(Views(Pixels()), batch)
    for one, other in zip(plain, seen, strict=True):
        assert torch.equal(one.labels, other.labels)
        assert torch.allclose(one.confidence, other.confidence, atol=1e-5)


def test_mirrored_views_by_hand():
    """Chen et al. 2017, section 4.1: the mean of the probabilities, the mirrored ones turned back."""
    image = picture((20, 30))
    by_hand = (probs_of(Pixels(), image) + probs_of(Pixels(), image.flip(-1)).flip(-1)) / 2
    found = probs_of(Views(Pixels(), flip=True), image)
    assert torch.allclose(found, by_hand, atol=1e-6)
    mirrored = probs_of(Views(Pixels(), flip=True), image.flip(-1))
    assert torch.allclose(mirrored.flip(-1), found, atol=1e-6)


def test_scales_by_hand():
    image = picture((20, 30))
    larger = functional.interpolate(image[None].float(), (30, 45), mode="bilinear", antialias=True)[0].round()
    back = functional.interpolate(probs_of(Pixels(), larger.to(torch.uint8))[None], (20, 30), mode="bilinear")[0]
    by_hand = (probs_of(Pixels(), image) + back) / 2
    assert torch.allclose(probs_of(Views(Pixels(), scales=(1.0, 1.5)), image), by_hand, atol=1e-6)


def test_images_of_a_batch_are_apart():
    """Padding of the smaller one is turned with no view."""
    images = picture((20, 30)), picture((32, 24), seed=1)
    model = Views(Pixels(), scales=(0.5, 1.0, 1.5), flip=True)
    both = predicted(model, batch_of(*images))
    for image, found in zip(images, both, strict=True):
        (alone,) = predicted(model, batch_of(image))
        inside = (slice(4, -4), slice(4, -4))  # the kernel reaches into the padding, which differs
        assert torch.allclose(found.confidence[inside], alone.confidence[inside], atol=1e-5)
        assert torch.equal(found.labels[inside], alone.labels[inside])


def test_canvases_fit_the_stride():
    model = Pixels()
    predicted(Views(model, scales=(0.7, 1.3)), batch_of(picture((20, 30))))
    assert model.shapes == [(16, 24), (32, 40)]


@pytest.mark.parametrize("target_type", [ClassTarget, ValueTarget])
def test_whole_images_are_averaged(target_type):
    image = torch.zeros(3, 8, 24, dtype=torch.uint8)
    image[:, :, :8] = 255
    (found,) = predicted(Views(Whole(target_type), flip=True), batch_of(image))
    value = found.values if target_type is ValueTarget else found.probs
    assert value[0] == pytest.approx(0.5)  # all of the left third, and nothing of the right one


def test_what_has_no_mean_is_named(make_model):
    batch = batch_of(torch.full((3, 16, 16), 200, dtype=torch.uint8))
    with pytest.raises(InputError, match="Leave scales and flip out"):
        predicted(Views(make_model(BoxTarget), flip=True), batch)
    with pytest.raises(InputError, match="above 0"):
        Views(Pixels(), scales=())
    with pytest.raises(InputError, match="dense CRF needs a model that scores"):
        predicted(Refined(make_model(MaskTarget)), batch)


def test_refined_is_a_crf_on_what_the_network_says():
    images = picture((20, 30)), picture((32, 24), seed=1)
    settings = DenseCrfSettings(iterations=3)
    found = predicted(Refined(Pixels(), settings), batch_of(*images))
    (plain,) = predicted(Pixels(), batch_of(images[0]))
    batch = batch_of(*images)
    for row, image in enumerate(images):
        output = Pixels()(batch.images)
        rows, columns = image.shape[1:]
        wanted = dense_crf(output.logits[row, :, :rows, :columns].softmax(0), image, settings)
        assert torch.equal(found[row].labels.long(), wanted.argmax(0))
        assert torch.allclose(found[row].confidence, wanted.amax(0), atol=1e-5)
    assert not torch.equal(plain.labels, found[0].labels)


def test_views_and_crf_go_together():
    (found,) = predicted(Refined(Views(Pixels(), scales=(0.75, 1.0), flip=True)), batch_of(picture((20, 30))))
    assert found.labels.shape == (20, 30)


@pytest.mark.parametrize("size", [(40, 95), (95, 40), (64, 64), (20, 24), (33, 130)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_blended_tiles_equal_the_whole(size, batch_size):
    """Away from seams tiles say what the whole says; on them, means of two that see nearly all they need."""
    image = picture(size)
    (whole,) = predicted(Pixels(), batch_of(image))
    tiled = predict_tiled(Pixels(), image, tile_px=32, overlap_px=16, batch_size=batch_size)
    assert (tiled.labels == whole.labels).double().mean() > 0.98
    assert (tiled.confidence - whole.confidence).abs().max() < 0.12
    if size == (20, 24):
        assert torch.equal(tiled.labels, whole.labels)


def test_seams_are_blended():
    """A network that says of each tile what its own brightness is: probabilities go over smoothly where tiles meet."""

    class Mean(Pixels):
        def forward(self, images, targets=None):
            bright = images.pixels.float().mean((1, 2, 3))[:, None, None] / 255
            logits = torch.stack([bright, 1 - bright], dim=1) * 8
            return Scores(logits=logits.expand(-1, -1, *images.pixels.shape[-2:]), sizes=images.sizes)

    image = torch.zeros(3, 16, 48, dtype=torch.uint8)
    image[..., 24:] = 255
    found = predict_tiled(Mean(), image, tile_px=32, overlap_px=16)
    light = torch.where(found.labels == 0, found.confidence, 1 - found.confidence)[0]
    steps = light.diff()
    assert steps.min() >= -1e-6
    assert steps.max() < 0.2 * (light.max() - light.min())
    assert torch.allclose(light + light.flip(0), torch.ones(48), atol=1e-5)  # the windows add up to 1


def test_windows_of_a_row_add_up():
    size = (16, 80)
    total = torch.zeros(size)
    for tile in tiles_of(size, tile_px=32, overlap_px=16):
        total[tile.top : tile.bottom, tile.left : tile.right] += tile_window(tile, size, overlap_px=16)
    assert torch.allclose(total, torch.ones(size), atol=1e-6)


@pytest.mark.parametrize("size", [(400, 32), (32, 400)])
def test_no_more_is_kept_than_a_strip(size, monkeypatch):
    kept = []
    add = _Strip.add

    def watched(strip, *arguments):
        add(strip, *arguments)
        kept.append(tuple(strip.sums.shape[1:]))

    monkeypatch.setattr(_Strip, "add", watched)
    predict_tiled(Pixels(), picture(size), tile_px=32, overlap_px=8, batch_size=2)
    assert len(kept) > 10
    assert set(kept) == {(32, 32)}
