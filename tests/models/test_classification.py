from functools import partial

import pytest
import torch
import torchvision
from torchvision.transforms.v2 import functional as tv

from snellen.models.backbones import find_backbone, mobilenet_v2, resnet18
from snellen.models.classification import HeadOutput, ImageClassifier, MeanHead
from snellen.models.weights import load_weights
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD
from snellen.structures import ClassTarget, Model


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_torchvision_checkpoint_gives_torchvision_logits(name, tmp_path, make_images):
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(weights=None, num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = ImageClassifier(find_backbone(name)(), 7).eval()
    report = load_weights(ours, tmp_path / "weights.pth")
    assert not report.missing
    assert not report.unexpected
    assert not report.reshaped
    images = make_images((64, 96), (64, 96))
    x = tv.normalize(tv.to_dtype(images.pixels, torch.float32, scale=True), IMAGENET_MEAN, IMAGENET_STD)
    with torch.no_grad():
        torch.testing.assert_close(ours(images).logits, theirs(x), atol=1e-5, rtol=1e-4)


def test_padding_does_not_dilute_the_mean(make_images):
    """With all activations equal, any dilution would show in the logits; the backbone here passes them on."""
    model = ImageClassifier(resnet18(), 3).eval()
    constant = torch.ones(2, 512, 4, 5)
    model.backbone.forward = lambda x: {"c5": constant}
    images = make_images((128, 160), (40, 33), canvas=(128, 160))
    logits = model(images).logits
    torch.testing.assert_close(logits[0], logits[1])


def test_mean_counts_only_cells_with_content(make_images):
    model = ImageClassifier(resnet18(), 3).eval()
    features = torch.randn(2, 512, 4, 5)
    model.backbone.forward = lambda x: {"c5": features}
    with torch.no_grad():
        logits = model(make_images((128, 160), (40, 33), canvas=(128, 160))).logits
        wanted = torch.stack([features[0].mean(dim=(1, 2)), features[1, :, :2, :2].mean(dim=(1, 2))])
        torch.testing.assert_close(logits, model.head.linear(wanted))


def test_loss_is_the_mean_of_torchs():
    """SYS-198: with smoothed labels."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, generator=generator)
    probs = torch.rand(3, 4, generator=generator).softmax(dim=-1)
    model = ImageClassifier(resnet18(), 4, label_smoothing=0.1)
    loss = model.loss(HeadOutput(logits=logits), ClassTarget(probs=probs))
    wanted = torch.nn.functional.cross_entropy(logits, probs, label_smoothing=0.1)
    assert list(loss) == ["cross_entropy"]
    torch.testing.assert_close(loss["cross_entropy"], wanted)


def test_decode_gives_probabilities_of_each_image():
    """SYS-135."""
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    first, second = ImageClassifier(resnet18(), 2).decode(HeadOutput(logits=logits), torch.ones(2, 2).long())
    assert first.probs.tolist() == [0.5, 0.5]
    torch.testing.assert_close(second.probs, logits[1].softmax(dim=0))


def test_dropout_acts_in_training_only(make_images):
    """SYS-214."""
    model = ImageClassifier(mobilenet_v2(), 3, head=partial(MeanHead, dropout=0.5))
    model.backbone.forward = lambda x: {"c5": torch.ones(1, 1280, 1, 1)}
    images = make_images((32, 32))
    assert not torch.equal(model.train()(images).logits, model(images).logits)
    assert torch.equal(model.eval()(images).logits, model(images).logits)


def test_is_a_model():
    assert isinstance(ImageClassifier(resnet18(), 2), Model)
