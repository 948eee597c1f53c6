"""SPPNet: one map for all regions, layers that stay fixed, several scales (SYS-013, SYS-014)."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch.nn import functional
from torchvision.ops import box_area

from snellen.errors import ConfigError
from snellen.models.backbones import freeze_stages, mobilenet_v2
from snellen.models.detection.sppnet import (
    ImagePyramid,
    PyramidPool,
    nearest_scale,
    sppnet_mobilenet_v2,
    sppnet_vgg16,
    sppnet_zf,
)
from snellen.models.weights import load_weights
from snellen.structures import FeatureSpec, Model, Regions, Staged

SCALES = (0.5, 1.0, 1.5)


def with_regions(batch, count=6, seed=3):
    """The batch with random regions on every image."""
    generator = torch.Generator().manual_seed(seed)
    canvas = torch.tensor(batch.images.pixels.shape[-2:]).flip(0)
    low = torch.rand(len(batch), count, 2, generator=generator) * 0.6 * canvas
    high = low + (torch.rand(len(batch), count, 2, generator=generator) * 0.3 + 0.1) * canvas
    regions = Regions(boxes=torch.cat([low, high], dim=-1), valid=torch.ones(len(batch), count, dtype=torch.bool))
    return replace(batch, images=replace(batch.images, regions=regions))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return sppnet_mobilenet_v2(3)


def test_protocols(model):
    assert isinstance(model, Model)
    assert isinstance(model, Staged)


def test_the_vector_is_made_of_fifty_bins(model, batch_of):
    """SYS-014: any region, one length."""
    batch = with_regions(batch_of((1, 1)))
    image = torch.arange(2).repeat_interleave(6)
    with torch.no_grad():
        features = model.eval().features(batch.images)
        pooled = model.region_features(features, batch.images.regions.boxes.flatten(0, 1), image)
    assert pooled.shape == (12, 96 * 50)
    assert model.region_head.describe(pooled).deep.shape == (12, 1024)


def test_convolutions_see_an_image_once(model, batch_of):
    calls = []
    hook = model.backbone.network.register_forward_hook(lambda module, args, result: calls.append(args[0].shape[0]))
    with torch.no_grad():
        model.eval()(with_regions(batch_of((1, 1)), count=1500).images)
    hook.remove()
    assert calls == [2]


def test_only_what_stands_on_the_pyramid_learns(model, batch_of):
    """Girshick 2015, section 1.1: SPPNet does not train the layers below the pyramid."""
    batch = with_regions(batch_of((2, 3)))
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    model.enter("fine-tune")
    model.zero_grad()
    model.loss(model.train()(batch.images, batch.targets), batch.targets)["class"].backward()
    learning = {key for key, p in model.named_parameters() if p.requires_grad}
    assert learning == {
        f"region_head.{layer}.{part}" for layer in ("deep.fc6", "deep.fc7", "classes") for part in ("weight", "bias")
    }
    assert [key for key, p in model.named_parameters() if p.requires_grad and not p.grad.any()] == []
    assert all(torch.equal(value, before[key]) for key, value in model.backbone.state_dict().items())
    model.zero_grad()


def test_background_of_fine_tuning_touches_an_object(model):
    assert model.settings.negative_from == 0.1
    assert model.region_head.fitting.negatives_apart == 0.7


def test_a_region_sees_far_beyond_itself(model, batch_of):
    """ERR-106 holds for crops; a cell of a shared map has a wide field."""
    batch = with_regions(batch_of((1,)), count=1)
    regions = replace(batch.images.regions, boxes=torch.tensor([[[32.0, 32.0, 64.0, 64.0]]]))
    images = replace(batch.images, regions=regions)
    pixels = torch.zeros_like(images.pixels)
    pixels[..., 20:76, 20:76] = images.pixels[..., 20:76, 20:76]
    with torch.no_grad():
        logits = [model.eval()(each).class_logits for each in (images, replace(images, pixels=pixels))]
    assert not torch.equal(*logits)


def test_each_region_is_seen_at_the_scale_nearest_to_224_px():
    """He et al. 2014, section 4.1, by a loop."""
    torch.manual_seed(0)
    low = torch.rand(200, 2) * 100
    boxes = torch.cat([low, low + torch.rand(200, 2) * 700 + 5], dim=1)
    scales = (480 / 688, 576 / 688, 1.0, 864 / 688, 1200 / 688)
    wanted = [
        min(range(5), key=lambda place, area=float(area): abs(area * scales[place] ** 2 - 224**2))
        for area in box_area(boxes)
    ]
    found = nearest_scale(boxes, scales)
    assert found.tolist() == wanted
    assert len(set(wanted)) >= 4


def test_pooling_from_several_maps_is_pooling_from_each(batch_of):
    spec = FeatureSpec(name="c4", channels=5, stride=16)
    torch.manual_seed(0)
    maps = {
        name: torch.randn(2, 5, *side) for name, side in (("c4@0.5", (10, 15)), ("c4", (20, 30)), ("c4@1.5", (30, 45)))
    }
    low = torch.rand(40, 2) * torch.tensor([200.0, 100.0])
    boxes = torch.cat([low, low + torch.rand(40, 2) * 210 + 8], dim=1)
    boxes[:4] = torch.tensor([0.0, 0, 470, 310])
    image = torch.arange(40) % 2
    found = PyramidPool(spec, factors=SCALES)(maps, boxes, image)
    chosen = nearest_scale(boxes, SCALES)
    assert set(chosen.tolist()) == {0, 1, 2}
    for row in range(40):
        factor = SCALES[chosen[row]]
        alone = PyramidPool(spec)(
            {"c4": maps["c4" if factor == 1 else f"c4@{factor:g}"]}, boxes[row : row + 1] * factor, image[row : row + 1]
        )
        torch.testing.assert_close(found[row], alone[0])


def test_image_pyramid_resizes_and_names(batch_of):
    network = mobilenet_v2().eval()
    pyramid = ImagePyramid(network, feature="c4", factors=SCALES).eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = pyramid(x)
        assert torch.equal(maps["c4"], network(x)["c4"])
        larger = functional.interpolate(x, (96, 144), mode="bilinear")
        torch.testing.assert_close(maps["c4@1.5"], network(larger)["c4"])
    assert list(maps) == [spec.name for spec in pyramid.features] == ["c4@0.5", "c4", "c4@1.5"]
    freeze_stages(pyramid, up_to="c4")
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen
    assert all(int(name.split(".")[1]) < 14 for name in frozen)
    for factors in ((), (1.0, 0.0)):
        with pytest.raises(ConfigError, match="factors"):
            ImagePyramid(network, feature="c4", factors=factors)


def test_scales_share_the_weights(model, batch_of):
    other = sppnet_mobilenet_v2(3, scales=SCALES)
    other.load_state_dict(model.state_dict())
    batch = with_regions(batch_of((1, 1)))
    with torch.no_grad():
        one, three = (each.eval()(batch.images).class_logits for each in (model, other))
    assert one.shape == three.shape
    assert not torch.equal(one, three)


def test_zf_has_the_sizes_of_the_paper(batch_of):
    torch.manual_seed(0)
    zf = sppnet_zf(3)
    assert zf.region_features.out_features == 256 * 50
    assert zf.region_head.deep.fc6.weight.shape == (4096, 12800)
    assert zf.region_features.feature.stride == 16
    with torch.no_grad():
        output = zf.eval()(with_regions(batch_of((1,)), count=3).images)
    assert output.class_logits.shape == (1, 3, 4)


def test_mobilenet_reads_what_its_backbone_reads(model, tmp_path):
    torch.manual_seed(5)
    theirs = torchvision.models.mobilenet_v2().eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    report = load_weights(model, tmp_path / "theirs.pth")
    assert all(key.startswith("region_head.") for key in report.missing)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.eval().backbone(x)["c4"], theirs.features[:14](x), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_vgg16_with_one_level_of_seven_is_that_of_torchvision(batch_of, tmp_path):
    theirs = torchvision.models.vgg16().eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg16.pth")
    plain = load_weights(sppnet_vgg16(3), tmp_path / "vgg16.pth")
    assert [item.key for item in plain.reshaped] == ["region_head.deep.fc6.weight"]
    one = sppnet_vgg16(3, levels=(7,))
    report = load_weights(one, tmp_path / "vgg16.pth")
    assert report.reshaped == ()
    pooled = torch.rand(2, 512, 7, 7)
    features = {"c4": functional.pad(pooled, (1, 1, 1, 1))}
    boxes = torch.tensor([[8.0, 8.0, 120.0, 120.0]]).repeat(2, 1)  # holds the centres of cells 1 to 7
    with torch.no_grad():
        vectors = one.region_features(features, boxes, torch.arange(2))
        torch.testing.assert_close(vectors, pooled.flatten(1))
        fc7 = theirs.classifier[:5](pooled.flatten(1))
        torch.testing.assert_close(one.eval().region_head.describe(vectors).deep, fc7, atol=1e-5, rtol=1e-4)
