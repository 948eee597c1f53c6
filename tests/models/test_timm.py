"""Networks of timm as backbones and as classifiers."""

import builtins

import pytest
import timm
import torch

from snellen.errors import CheckpointError, ConfigError, InputError, MissingExtraError
from snellen.models import find_model, load_weights
from snellen.models.backbones import Backbone, chosen_backbone, freeze_stages
from snellen.models.backbones.timm_adapter import TimmBackbone, timm_backbone
from snellen.nn import FrozenBatchNorm
from snellen.structures import ImageBatch

# Flat, renamed, hooked and wrapped by timm; channels last; a plain vision transformer with one map.
NAMES = (
    "resnet10t", "convnext_atto", "mobilenetv3_small_050", "densenet121", "hrnet_w18_small",
    "swin_tiny_patch4_window7_224", "vit_tiny_patch16_224", "edgenext_xx_small",
)  # fmt: skip
_FAST = NAMES[:3]


def batch(num: int, *size: int, seed: int = 0) -> ImageBatch:
    pixels = torch.randint(0, 256, (num, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    sizes = torch.tensor([size] * num)
    return ImageBatch(pixels=pixels, sizes=sizes, original_sizes=sizes)


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    """Statistics as after training, or batch norms would do nothing."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_backbone_keeps_the_contract_and_reads_timms_weights(name, tmp_path):
    torch.manual_seed(0)
    theirs = randomised(timm.create_model(name)).eval()
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    ours = timm_backbone(f"timm:{name}").eval()
    report = load_weights(ours, tmp_path / "net.pth")
    assert report.missing == ()
    assert report.reshaped == ()
    for height, width in ((64, 96), (37, 66)):
        maps = ours(torch.randn(1, 3, height, width))
        assert list(maps) == [spec.name for spec in ours.features]
        for spec in ours.features:
            assert maps[spec.name].shape == (1, spec.channels, -(-height // spec.stride), -(-width // spec.stride))
            assert spec.stride == 2 ** int(spec.name[1:])


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "densenet121"])
@torch.no_grad()
def test_maps_equal_timms_own(name):
    torch.manual_seed(0)
    ours = timm_backbone(f"timm:{name}").eval()
    theirs = timm.create_model(name, features_only=True).eval()
    theirs.load_state_dict(ours.network.state_dict())
    x = torch.randn(1, 3, 64, 64)
    for ours_map, theirs_map in zip(ours(x).values(), theirs(x), strict=True):
        torch.testing.assert_close(ours_map, theirs_map)


@pytest.mark.parametrize(
    "name", [*_FAST, "vit_tiny_patch16_224", "coatnet_pico_rw_224", "deit_tiny_distilled_patch16_224"]
)
@torch.no_grad()
def test_classifier_has_the_logits_of_timm(name, tmp_path):
    """SYS-136: among them networks of self-attention."""
    torch.manual_seed(0)
    theirs = randomised(timm.create_model(name, num_classes=7)).eval()
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    entry = find_model(f"timm:{name}")
    ours = entry.build(7).eval()
    report = load_weights(ours, tmp_path / "net.pth")
    assert (report.missing, report.unexpected, report.model_share) == ((), (), 1.0)
    images = batch(2, *entry.default_size)
    config = theirs.pretrained_cfg
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    wanted = theirs((images.pixels / 255 - mean) / std)
    torch.testing.assert_close(ours(images).logits, wanted, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_padding_does_not_count_in_evaluation():
    torch.manual_seed(0)
    model = find_model("timm:convnext_atto").build(3).eval()
    small = batch(1, 64, 96)
    canvas = torch.full((2, 3, 128, 128), 9, dtype=torch.uint8)
    canvas[0, :, :64, :96] = small.pixels[0]
    sizes = torch.tensor([[64, 96], [128, 128]])
    together = model(ImageBatch(pixels=canvas, sizes=sizes, original_sizes=sizes)).logits
    torch.testing.assert_close(together[:1], model(small).logits, atol=1e-5, rtol=1e-4)


def test_stages_are_read_from_the_gradients():
    backbone = timm_backbone("timm:resnet10t")
    backbone.train()
    stages = backbone.stage_modules()
    assert list(stages) == [spec.name for spec in backbone.features]
    held = [id(p) for modules in stages.values() for module in modules for p in module.parameters(recurse=False)]
    assert sorted(held) == sorted(id(p) for p in backbone.parameters())
    freeze_stages(backbone, up_to="c2")
    frozen = {name for name, p in backbone.named_parameters() if not p.requires_grad}
    assert frozen == {
        n for n, _ in backbone.named_parameters() if n.startswith(("network.conv1", "network.bn1", "network.layer1"))
    }
    assert backbone.training


def test_what_comes_after_the_last_map_is_not_built():
    whole, short = timm_backbone("timm:resnet10t"), timm_backbone("timm:resnet10t", ends_in="c4")
    assert [spec.name for spec in short.features] == ["c1", "c2", "c3", "c4"]
    assert not [key for key in short.state_dict() if "layer4" in key]
    assert [key for key in whole.state_dict() if "layer4" in key]


def test_frozen_norms():
    backbone = timm_backbone("timm:resnet10t", norm=FrozenBatchNorm)
    assert not [module for module in backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    plain = find_model("timm:resnet10t").build(2, norm=FrozenBatchNorm)
    assert not [module for module in plain.modules() if isinstance(module, torch.nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("inception_v3", "its map of stride 2 should have 64 channels of 64 x 80 cells.*not padded"),
        ("vit_small_patch14_dinov2", "strides of 14, 14, 14 px, and powers of two are needed"),
        ("maxvit_pico_rw_256", "images of 128 x 160 px do not fit it"),
        ("crossvit_tiny_240", "strides of 12, 17 px"),
    ],
)
def test_networks_without_usable_maps_are_refused(name, told):
    with pytest.raises(ConfigError, match=f"timm:{name} cannot be a backbone: .*{told}"):
        chosen_backbone(f"timm:{name}", usual="resnet18")


def test_a_network_of_one_map_lacks_what_pyramids_need():
    with pytest.raises(ConfigError, match=r"lacks c2, c3, c5: it has c4 \(stride 16\)"):
        find_model("faster_rcnn_r18_fpn").build(2, backbone="timm:vit_tiny_patch16_224")
    model = find_model("fast_rcnn_mobilenet_v2").build(2, backbone="timm:vit_tiny_patch16_224")
    assert isinstance(model.backbone, TimmBackbone)


@pytest.mark.parametrize("typed", ["timm:resnet10", "timm:hf-hub:timm/resnet18", "timm:"])
def test_unknown_names(typed):
    with pytest.raises(ConfigError, match=r"timm [\d.]+ has no network"):
        find_model(typed)


def test_near_names_are_suggested():
    with pytest.raises(ConfigError, match=r"Did you mean timm:convnext_atto"):
        chosen_backbone("timm:convnext_attoo", usual="resnet18")


def test_timm_is_an_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "timm":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'pip install "snellen\[timm\]"'):
        find_model("timm:resnet18")
    with pytest.raises(MissingExtraError, match="timm"):
        find_model("faster_rcnn_r18_fpn").build(2, backbone="timm:resnet18")


def test_padding_is_part_of_timms_names():
    with pytest.raises(ConfigError, match="begin with tf_"):
        find_model("timm:resnet10t").build(2, padding="same")
    with pytest.raises(ConfigError, match="begin with tf_"):
        find_model("unet_resnet18").build(2, backbone="timm:resnet10t", padding="same")


def test_a_network_of_one_size_says_so():
    entry = find_model("timm:coatnet_pico_rw_224")
    assert entry.resize == "square"
    with pytest.raises(InputError, match="takes images of 224 x 224 px and no others; got 96 x 96"):
        entry.build(2).eval()(batch(1, 96, 96))


def test_weights_of_another_network(tmp_path):
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), tmp_path / "net.pth")
    model = find_model("timm:convnext_atto").build(2)
    with pytest.raises(CheckpointError, match="no key fits"):
        load_weights(model, tmp_path / "net.pth")


def test_timms_weights_reach_detectors_and_segmenters(tmp_path):
    torch.manual_seed(0)
    theirs = timm.create_model("convnext_atto")
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    for system in ("faster_rcnn_r18_fpn", "unet_resnet18", "sppnet_mobilenet_v2", "rcnn_mobilenet_v2",
                   "faster_rcnn_mobilenet_v2_c4_alternating", "resnet18"):  # fmt: skip
        model = find_model(system).build(2, backbone="timm:convnext_atto")
        report = load_weights(model, tmp_path / "net.pth")
        network = next(module for module in model.modules() if isinstance(module, TimmBackbone))
        assert torch.equal(network.network.state_dict()["stem_0.weight"], theirs.state_dict()["stem.0.weight"]), system
        places = [name for name, module in model.named_modules() if isinstance(module, Backbone)]
        assert not [key for key in report.missing if key.startswith(tuple(f"{place}." for place in places))], system
