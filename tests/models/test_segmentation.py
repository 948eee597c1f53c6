import pytest
import segmentation_models_pytorch as smp
import torch
from torchvision.transforms.v2 import functional as tv

from snellen.errors import ConfigError
from snellen.models.backbones import find_backbone, resnet18
from snellen.models.segmentation import SegmentationOutput, decoding, segmentation_maps, unet
from snellen.models.weights import load_weights
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD
from snellen.structures import MaskTarget, Model


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_equals_segmentation_models_pytorch(name, tmp_path, make_images):
    """SYS-047, SYS-048, SYS-049."""
    torch.manual_seed(0)
    theirs = smp.Unet(name, encoder_weights=None, classes=5).eval()
    torch.save(theirs.state_dict(), tmp_path / "unet.pth")
    ours = unet(find_backbone(name)(), 5).eval()
    report = load_weights(ours, tmp_path / "unet.pth")
    assert not report.missing
    assert not report.reshaped
    assert not report.unexpected
    images = make_images((64, 96))
    x = tv.normalize(tv.to_dtype(images.pixels, torch.float32, scale=True), IMAGENET_MEAN, IMAGENET_STD)
    with torch.no_grad():
        found, wanted = ours(images).logits, theirs(x)
    torch.testing.assert_close(found, wanted, atol=float(1e-4 * wanted.abs().max()), rtol=1e-4)


def test_any_canvas(make_images):
    model = unet(resnet18(), 2).eval()
    with torch.no_grad():
        assert model(make_images((37, 51))).logits.shape == (1, 2, 37, 51)


def test_decode_cuts_the_padding_off_and_returns_to_the_original_size():
    model = unet(resnet18(), 2)
    logits = torch.zeros(1, 2, 32, 32)
    logits[:, 1, :, 10:] = 9.0  # right half of a content of 8 x 20
    logits[:, 1, 8:] = -9.0  # padding says otherwise
    output = SegmentationOutput(logits=logits, sizes=torch.tensor([[8, 20]]))
    (found,) = model.decode(output, torch.tensor([[16, 40]]))
    assert found.labels.shape == found.confidence.shape == (16, 40)
    assert found.labels.dtype == torch.uint8
    assert not found.labels[:, :19].any()
    assert found.labels[:, 21:].all()
    assert found.confidence[0, 39].item() == pytest.approx(torch.sigmoid(torch.tensor(9.0)).item())


def test_map_in_pieces_equals_map_at_once(monkeypatch):
    logits = torch.randn(4, 7, 5, 6, generator=torch.Generator().manual_seed(0))
    contents, sizes = [(5, 6), (4, 6), (5, 6), (5, 6)], [(11, 9), (11, 9), (11, 9), (8, 12)]
    given = torch.tensor(contents), torch.tensor(sizes)
    whole = segmentation_maps(logits, *given)
    for most in (2 * 11 * 9, 14 * 11 * 9):
        monkeypatch.setattr(decoding, "_MOST_ELEMENTS", most)
        for all_at_once, in_pieces in zip(whole, segmentation_maps(logits, *given), strict=True):
            assert torch.equal(all_at_once.labels, in_pieces.labels)
            assert torch.equal(all_at_once.confidence, in_pieces.confidence)
    for found, scores, (height, width), size in zip(whole, logits, contents, sizes, strict=True):
        probs = scores[None, :, :height, :width].softmax(dim=1)
        enlarged = torch.nn.functional.interpolate(probs, size, mode="bilinear")[0]
        assert torch.equal(found.labels.long(), enlarged.argmax(dim=0))


def test_too_many_classes():
    with pytest.raises(ConfigError, match=r"1 to 255 classes.*got 256"):
        unet(resnet18(), 256)


@pytest.mark.parametrize("kind", ["nearest", "bilinear", "transposed"])
def test_ways_up(kind, make_images):
    """SYS-101: each way up has the same maps; only transposed convolutions have weights of their own."""
    model = unet(resnet18(), 2, upsampling=kind).eval()
    with torch.no_grad():
        assert model(make_images((37, 51))).logits.shape == (1, 2, 37, 51)
    assert (kind == "transposed") == any(".enlargement." in name for name, _ in model.named_parameters())


def test_deep_supervision_reads_every_step_but_the_last(make_images):
    model = unet(resnet18(), 2, deep_supervision=True, auxiliary_weight=0.3).train()
    target = MaskTarget(labels=torch.zeros(2, 64, 64, dtype=torch.uint8))
    output = model(make_images((64, 64), (64, 64)))
    assert output.auxiliary.shape == (2, 4, 2, 64, 64)
    losses = model.loss(output, target)
    assert list(losses) == ["cross_entropy", *(f"auxiliary{number}" for number in range(1, 5))]
    wanted = 0.3 * torch.nn.functional.cross_entropy(output.auxiliary[:, 2], target.labels.long())
    torch.testing.assert_close(losses["auxiliary3"], wanted)
    assert model.eval()(make_images((64, 64))).auxiliary is None


def test_decoder_must_fit_the_backbone():
    with pytest.raises(ConfigError, match=r"doubling from stride 32 to the pixel \(5\); got \(64, 32\)"):
        unet(resnet18(), 2, decoder_channels=(64, 32))


def test_is_a_model():
    assert isinstance(unet(resnet18(), 2), Model)
