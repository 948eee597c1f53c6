"""R-CNN: what a region's crop shows, what describes it, and the weights of others (SYS-009, SYS-010, SYS-011)."""

from dataclasses import replace

import pytest
import torch
import torchvision

from snellen.models.detection.fitted_head import FittingSettings
from snellen.models.detection.rcnn import rcnn_alexnet, rcnn_mobilenet_v2, rcnn_vgg16
from snellen.models.weights import load_weights
from snellen.structures import FitData, Model, Regions, Staged


def with_regions(batch, count=6, seed=3):
    """The batch with random regions on every image."""
    generator = torch.Generator().manual_seed(seed)
    canvas = torch.tensor(batch.images.pixels.shape[-2:]).flip(0)
    low = torch.rand(len(batch), count, 2, generator=generator) * 0.6 * canvas
    high = low + (torch.rand(len(batch), count, 2, generator=generator) * 0.3 + 0.1) * canvas
    regions = Regions(boxes=torch.cat([low, high], dim=-1), valid=torch.ones(len(batch), count, dtype=torch.bool))
    return replace(batch, images=replace(batch.images, regions=regions))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return rcnn_mobilenet_v2(3, crop_size=64)


@pytest.fixture(scope="module")
def alex():
    torch.manual_seed(0)
    return rcnn_alexnet(3)


@torch.no_grad()
def described(model, batch):
    """Crops as the network got them, and both vectors of each region."""
    crops = []
    hook = model.region_features.network.register_forward_hook(lambda module, args, result: crops.append(args[0]))
    boxes = batch.images.regions.boxes.flatten(0, 1)
    image = torch.arange(len(batch)).repeat_interleave(batch.images.regions.boxes.shape[1])
    maps = model.eval().region_features(model.features(batch.images), boxes, image)
    hook.remove()
    return crops[0], maps, model.region_head.describe(maps)


def test_protocols(small):
    assert isinstance(small, Model)
    assert isinstance(small, Staged)


def test_alexnet_has_the_sizes_of_the_paper(alex, batch_of):
    """NUM-072 and NUM-073: 227 px, fc7 for the machines, pool5 for the boxes."""
    crops, maps, vectors = described(alex, with_regions(batch_of((1,)), count=2))
    assert crops.shape == (2, 3, 227, 227)
    assert maps.shape == (2, 256, 6, 6)
    assert vectors.deep.shape == (2, 4096)
    assert torch.equal(vectors.pooled, maps.flatten(1))
    assert alex.region_features.context == 16


@pytest.mark.slow
def test_alexnet_is_that_of_torchvision(alex, batch_of, tmp_path):
    torch.manual_seed(5)
    theirs = torchvision.models.alexnet().eval()
    torch.save(theirs.state_dict(), tmp_path / "alexnet.pth")
    report = load_weights(alex, tmp_path / "alexnet.pth")
    assert sorted(report.unexpected) == ["classifier.6.bias", "classifier.6.weight"]
    assert all(key.startswith("region_head.") for key in report.missing)
    crops, maps, vectors = described(alex, with_regions(batch_of((1,)), count=3))
    with torch.no_grad():
        wanted = theirs.features(crops)
        torch.testing.assert_close(maps, wanted, atol=1e-4, rtol=1e-4)
        fc7 = theirs.classifier[:6](theirs.avgpool(wanted).flatten(1))
    torch.testing.assert_close(vectors.deep, fc7, atol=1e-4, rtol=1e-4)
    assert fc7.std() > 1e-3


@pytest.mark.slow
def test_vgg16_is_that_of_torchvision(batch_of, tmp_path):
    model = rcnn_vgg16(3)
    theirs = torchvision.models.vgg16().eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg16.pth")
    report = load_weights(model, tmp_path / "vgg16.pth")
    assert sorted(report.unexpected) == ["classifier.6.bias", "classifier.6.weight"]
    crops, maps, vectors = described(model, with_regions(batch_of((1,)), count=2))
    assert crops.shape[-2:] == (224, 224)
    assert maps.shape == (2, 512, 7, 7)
    with torch.no_grad():
        fc7 = theirs.classifier[:5](theirs.features(crops).flatten(1))
    torch.testing.assert_close(vectors.deep, fc7, atol=1e-4, rtol=1e-3)


def test_mobilenet_reads_what_its_backbone_reads(small, batch_of, tmp_path):
    torch.manual_seed(5)
    theirs = torchvision.models.mobilenet_v2().eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    load_weights(small, tmp_path / "theirs.pth")
    crops, maps, vectors = described(small, with_regions(batch_of((1,)), count=3))
    with torch.no_grad():
        wanted = theirs.features(crops)
    torch.testing.assert_close(maps, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vectors.deep, wanted.mean(dim=(2, 3)), atol=1e-5, rtol=1e-4)
    assert vectors.pooled.shape == (3, 1280 * 4)
    bare = small.region_features.network.state_dict()
    torch.save({f"backbone.{key}": value for key, value in bare.items()}, tmp_path / "ours.pth")  # a classifier's
    report = load_weights(rcnn_mobilenet_v2(3), tmp_path / "ours.pth")
    assert report.file_share == 1
    assert all(key.startswith("region_head.") for key in report.missing)


def test_own_weights_come_back(small, tmp_path):
    torch.save(small.state_dict(), tmp_path / "own.pth")
    report = load_weights(rcnn_mobilenet_v2(3), tmp_path / "own.pth")
    assert report.missing == ()
    assert report.unexpected == ()


def test_a_region_shows_its_context_and_nothing_beyond(small, batch_of):
    """ERR-106: a margin of the crop is all that R-CNN sees of the rest of the image."""
    batch = with_regions(batch_of((1,)), count=1)
    batch = replace(
        batch,
        images=replace(
            batch.images, regions=replace(batch.images.regions, boxes=torch.tensor([[[32.0, 32.0, 64.0, 64.0]]]))
        ),
    )
    context = small.region_features.context
    assert context == round(16 * 64 / 227)
    reach = 32 * context / (64 - 2 * context)  # px of the image
    changed = []
    for margin in (reach - 2, reach + 2):
        pixels = torch.zeros_like(batch.images.pixels)
        low, high = round(32 - margin), round(64 + margin)
        pixels[..., low:high, low:high] = batch.images.pixels[..., low:high, low:high]
        images = replace(batch.images, pixels=pixels)
        with torch.no_grad():
            logits = [small.eval()(each).class_logits for each in (batch.images, images)]
        changed.append(not torch.equal(*logits))
    assert changed == [True, False]


def test_everything_learns_in_fine_tuning(small, batch_of):
    batch = with_regions(batch_of((2, 3)))
    small.enter("fine-tune")
    small.zero_grad()
    small.loss(small.train()(batch.images, batch.targets), batch.targets)["class"].backward()
    silent = [key for key, p in small.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    small.zero_grad()


@pytest.mark.slow
def test_stages_on_a_real_network(batch_of, tmp_path):
    torch.manual_seed(0)
    fitting = FittingSettings(feature_dtype="float32")
    model = rcnn_mobilenet_v2(3, crop_size=64, fitting=fitting)
    batch = with_regions(batch_of((2, 3)), count=12)
    data = FitData(
        batches=lambda: iter([batch]),
        num_images=2,
        folder=tmp_path,
        device=torch.device("cpu"),
        seed=0,
        progress=lambda what, done, total: None,
    )
    for stage in ("features", "svm", "box-regression"):
        model.enter(stage)
        model.fit_stage(stage, data)
    with torch.no_grad():
        output = model.eval()(batch.images)
        found = model.decode(output, batch.images.original_sizes)
    assert output.margins.shape == (2, 12, 3)
    assert output.box_offsets.shape == (2, 12, 3, 4)
    assert all(each.boxes.isfinite().all() and len(each.scores) for each in found)
