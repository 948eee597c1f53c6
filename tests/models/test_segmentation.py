import pytest
import segmentation_models_pytorch as smp
import torch
from torchvision.transforms.v2 import functional as tv

from snellen.errors import ConfigError
from snellen.models.backbones import find_backbone, resnet18
from snellen.models.segmentation import SegmentationOutput, UNet, decoding, segmentation_map
from snellen.models.weights import load_weights
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD
from snellen.structures import IGNORE_LABEL, MaskTarget, Model


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "mobilenet_v2"])
def test_equals_segmentation_models_pytorch(name, tmp_path, make_images):
    torch.manual_seed(0)
    theirs = smp.Unet(name, encoder_weights=None, classes=5).eval()
    torch.save(theirs.state_dict(), tmp_path / "unet.pth")
    ours = UNet(find_backbone(name)(), 5).eval()
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
    model = UNet(resnet18(), 2).eval()
    with torch.no_grad():
        assert model(make_images((37, 51))).logits.shape == (1, 2, 37, 51)


def output_and_target(*, labels: torch.Tensor) -> tuple[SegmentationOutput, MaskTarget]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(labels), 3, *labels.shape[1:], generator=generator, requires_grad=True)
    sizes = torch.tensor([labels.shape[1:]] * len(labels))
    return SegmentationOutput(logits=logits, sizes=sizes), MaskTarget(labels=labels)


def test_loss_equals_torch_over_the_pixels_that_count():
    labels = torch.randint(0, 3, (2, 4, 6), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    labels[0, :3] = IGNORE_LABEL
    output, target = output_and_target(labels=labels)
    loss = UNet(resnet18(), 3).loss(output, target)
    wanted = torch.nn.functional.cross_entropy(output.logits, labels.long(), ignore_index=IGNORE_LABEL)
    assert list(loss) == ["cross_entropy"]
    torch.testing.assert_close(loss["cross_entropy"], wanted)


def test_dice_is_added_by_name_and_weight():
    labels = torch.randint(0, 3, (2, 4, 6), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    output, target = output_and_target(labels=labels)
    loss = UNet(resnet18(), 3, dice_weight=0.5).loss(output, target)
    wanted = smp.losses.DiceLoss("multiclass")(output.logits, labels.long())
    torch.testing.assert_close(loss["dice"], 0.5 * wanted)


def test_nothing_to_learn_from_is_zero_not_nan():
    output, target = output_and_target(labels=torch.full((1, 4, 4), IGNORE_LABEL, dtype=torch.uint8))
    losses = UNet(resnet18(), 3, dice_weight=1.0).loss(output, target)
    total = sum(losses.values())
    assert total.item() == 0
    total.backward()
    assert not output.logits.grad.any()


def test_decode_cuts_the_padding_off_and_returns_to_the_original_size():
    model = UNet(resnet18(), 2)
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
    logits = torch.randn(7, 5, 6, generator=torch.Generator().manual_seed(0))
    whole = segmentation_map(logits, (11, 9))
    monkeypatch.setattr(decoding, "_MOST_ELEMENTS", 2 * 11 * 9)
    pieces = segmentation_map(logits, (11, 9))
    assert torch.equal(whole.labels, pieces.labels)
    assert torch.equal(whole.confidence, pieces.confidence)
    enlarged = torch.nn.functional.interpolate(logits.softmax(dim=0)[None], (11, 9), mode="bilinear")[0]
    assert torch.equal(whole.labels.long(), enlarged.argmax(dim=0))


def test_too_many_classes():
    with pytest.raises(ConfigError, match=r"1 to 255 classes.*got 256"):
        UNet(resnet18(), 256)


def test_decoder_must_fit_the_backbone():
    with pytest.raises(ConfigError, match=r"doubling from stride 32 to the pixel \(5\); got \(64, 32\)"):
        UNet(resnet18(), 2, decoder_channels=(64, 32))


def test_is_a_model():
    assert isinstance(UNet(resnet18(), 2), Model)
