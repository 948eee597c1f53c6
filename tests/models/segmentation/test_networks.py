"""The parts of segmenters and how they are put together (SYS-048 to SYS-053, SYS-066, Q-098, Q-143, Q-144)."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from snellen.errors import ConfigError
from snellen.models import describe_model, find_model, load_weights
from snellen.models.backbones import FcnVgg16, chosen_backbone, dilated_backbone, find_backbone, vgg16
from snellen.models.segmentation import (
    AtrousPyramid,
    ImagePooling,
    PyramidPooling,
    ScoreFusion,
    Segmenter,
    Unpooling,
    deeplab_v3,
    segnet,
    skip_fcn,
    usual_rates,
)
from snellen.structures import FeatureSpec, MaskTarget


def some_features() -> list[FeatureSpec]:
    return [FeatureSpec(name=f"c{n}", channels=n + 1, stride=2**n) for n in (3, 4, 5)]


def test_a_finer_fcn_begins_as_its_coarser_sibling():
    """Long et al. 2015, section 4.2: scores of pool4 and pool3 begin as zeros."""
    torch.manual_seed(0)
    maps = {spec.name: torch.randn(1, spec.channels, 64 // spec.stride, 96 // spec.stride) for spec in some_features()}
    fine = ScoreFusion(some_features(), 5)
    with torch.no_grad():
        (found,) = fine(maps["c5"], maps, (64, 96))
        wanted = functional.interpolate(fine.scores["c5"](maps["c5"]), scale_factor=2, mode="bilinear")
        wanted = functional.interpolate(wanted, scale_factor=2, mode="bilinear")
    assert fine.strides == (8,)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


def test_scores_of_finer_maps_are_added():
    torch.manual_seed(0)
    maps = {spec.name: torch.randn(1, spec.channels, 64 // spec.stride, 96 // spec.stride) for spec in some_features()}
    fine = ScoreFusion(some_features(), 5)
    before = fine(maps["c5"], maps, (64, 96))[0]
    nn.init.ones_(fine.scores["c3"].weight)
    after = fine(maps["c5"], maps, (64, 96))[0]
    torch.testing.assert_close(after - before, maps["c3"].sum(1, keepdim=True).expand_as(after), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("finest", "names"), [(32, ["c5"]), (16, ["c4", "c5"]), (8, ["c3", "c4", "c5"])])
def test_what_each_fcn_scores(finest, names):
    model = skip_fcn(find_backbone("mobilenet_v2_035")(), 3, finest=finest)
    assert [*model.decoder.scores] == names
    assert model.answer_stride == finest
    assert model.stride == 32


def test_weights_of_a_coarser_fcn_start_a_finer_one(tmp_path):
    torch.manual_seed(0)
    coarse = find_model("fcn_32s_mobilenet_v2").build(3)
    torch.save(coarse.state_dict(), tmp_path / "coarse.pth")
    report = load_weights(find_model("fcn_8s_mobilenet_v2").build(3), tmp_path / "coarse.pth")
    assert not report.unexpected
    assert not report.reshaped
    assert {name.split(".")[1] for name in report.missing} == {"scores", "ups"}


def test_fcns_vgg_is_torchvisions_classifier_slid_over_the_image(tmp_path):
    """SYS-116: Long et al. 2015, section 3.1: over an image of 224 px one cell of fc7 is the classifier's own."""
    import torchvision

    torch.manual_seed(0)
    theirs = torchvision.models.vgg16(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "vgg.pth")
    ours = FcnVgg16().eval()
    report = load_weights(ours, tmp_path / "vgg.pth")
    assert not report.missing
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        maps = ours(x)
        pool5 = theirs.features(x)
        wanted = theirs.classifier[:6](pool5.flatten(1))
    assert [tuple(each.shape[1:]) for each in maps.values()] == [(256, 28, 28), (512, 14, 14), (4096, 7, 7)]
    torch.testing.assert_close(maps["c5"][:, :, 3, 3], wanted, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(maps["c3"], theirs.features[:17](x), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(maps["c4"], theirs.features[:24](x), atol=1e-4, rtol=1e-3)


def test_parameters_of_fcn_8s_and_segnet():
    """134 M (Long et al. 2015, section 4) and 29.5 M (Badrinarayanan et al. 2015) as published."""
    with torch.device("meta"):
        fcn, net = (find_model(name).build(21) for name in ("fcn_8s_vgg16", "segnet_vgg16"))
    assert sum(p.numel() for p in fcn.parameters()) / 1e6 == pytest.approx(134.3, abs=0.3)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(29.5, abs=0.1)


def test_segnet_unpools_by_the_places_of_vggs_own_pools():
    """A chain of torch's pools and unpools with the same convolutions says the same."""
    torch.manual_seed(0)
    backbone = vgg16(norm=nn.BatchNorm2d)
    model = segnet(backbone, 4, num_convs=(3, 3, 3, 2, 1)).eval()
    x = torch.randn(1, 3, 64, 96)
    places, sizes, y = [], [], x
    with torch.no_grad():
        for layer in backbone.eval().layers:
            if isinstance(layer, nn.MaxPool2d):
                sizes.append(y.shape[-2:])
                y, where = functional.max_pool2d(y, 2, 2, return_indices=True)
                places.append(where)
            else:
                y = layer(y)
        for step in model.decoder.steps:
            y = step(functional.max_unpool2d(y, places.pop(), 2, output_size=sizes.pop()))
        maps = backbone(x, inner=True)
        found = model.decoder(maps["c5"], maps, (64, 96))[-1]
    assert not places
    torch.testing.assert_close(found, y, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v2_035", "resnet18", "vgg11"])
def test_segnet_on_any_backbone_and_canvas(name, make_images):
    model = segnet(find_backbone(name)(), 3).eval()
    with torch.no_grad():
        assert model(make_images((37, 51))).logits.shape == (1, 3, 37, 51)


def test_unpooling_needs_a_number_for_each_step():
    with pytest.raises(ConfigError, match=r"from stride 32 to the pixel \(5\); got \[1, 1\]"):
        Unpooling(find_backbone("resnet18")(), num_convs=(1, 1))


def test_atrous_convolutions_see_at_their_distances():
    """Q-144, SYS-053, ERR-127: which cells a branch of the pyramid can see, from its gradient."""
    pyramid = AtrousPyramid(1, 2, rates=(2, 4), image_pooling=False).eval()
    for branch, rate in zip(pyramid.convs, (0, 2, 4), strict=True):
        nn.init.ones_(branch[0].weight)
        x = torch.zeros(1, 1, 15, 15, requires_grad=True)
        branch[0](x)[0, 0, 7, 7].backward()
        seen = x.grad[0, 0].nonzero()
        assert seen.min().item() == 7 - rate
        assert seen.max().item() == 7 + rate
        assert len(seen) == (9 if rate else 1)


def test_a_rate_as_large_as_the_map_leaves_a_1x1():
    """Chen et al. 2017, section 3.3: only the middle weight falls on the map."""
    conv = AtrousPyramid(2, 2, rates=(9,), image_pooling=False).convs[1][0]
    x = torch.randn(1, 2, 9, 9)
    torch.testing.assert_close(conv(x), functional.conv2d(x, conv.weight[:, :, 1:2, 1:2]))


@pytest.mark.parametrize(("stride", "rates"), [(16, (6, 12, 18)), (8, (12, 24, 36)), (32, (3, 6, 9))])
def test_rates_follow_the_output_stride(stride, rates):
    assert usual_rates(stride) == rates
    model = deeplab_v3(find_backbone("mobilenet_v2_035")(output_stride=stride), 2, width=4)
    assert tuple(conv[0].dilation[0] for conv in [*model.context.convs][1:]) == rates


def test_rates_below_one():
    with pytest.raises(ConfigError, match="rates must be whole numbers of 1 or more"):
        AtrousPyramid(2, 2, rates=(0, 6))


@pytest.mark.parametrize("make", [lambda: AtrousPyramid(4, 6), lambda: PyramidPooling(4, 6)])
def test_context_is_of_each_images_own_content(make):
    """What an image is batched with changes nothing."""
    torch.manual_seed(0)
    context = make().eval()
    x = torch.randn(1, 4, 8, 10)
    canvas = torch.zeros(2, 4, 12, 12)
    canvas[0, :, :8, :10], canvas[1] = x[0], torch.randn(4, 12, 12)
    together = context.branches[2] if isinstance(context, PyramidPooling) else context.pooling
    found = together(canvas, torch.tensor([[8, 10], [12, 12]]))[:1, :, :8, :10]
    torch.testing.assert_close(found, together(x, torch.tensor([[8, 10]])), atol=1e-5, rtol=1e-4)


def test_one_image_trains_with_image_pooling(make_images):
    """Batch norm has one number for each channel then; torchvision's network refuses it."""
    model = find_model("deeplab_v3_mobilenet_v2").build(2).train()
    target = MaskTarget(labels=torch.randint(0, 2, (1, 64, 64), generator=torch.Generator()).to(torch.uint8))
    loss = model.loss(model(make_images((64, 64))), target)["cross_entropy"]
    loss.backward()
    assert torch.isfinite(loss)
    assert all(module.training for module in model.modules())


def test_pooling_of_two_images_uses_their_statistics():
    layer = ImagePooling(3, 2).train()
    layer(torch.randn(2, 3, 4, 4), torch.tensor([[4, 4]] * 2))
    assert layer.conv[1].num_batches_tracked == 1


@pytest.mark.parametrize(
    ("name", "options", "strides"),
    [
        ("deeplab_v3_resnet50", {}, [2, 4, 8, 8, 8]),
        ("deeplab_v3_resnet50", {"output_stride": 16}, [2, 4, 8, 16, 16]),
        ("deeplab_v3_resnet50", {"output_stride": 32}, [2, 4, 8, 16, 32]),
        ("deeplab_v3_mobilenet_v2", {}, [2, 4, 8, 16, 16]),
        ("deeplab_v3_plus_mobilenet_v2", {"backbone": "efficientnet_b0", "output_stride": 8}, [2, 4, 8, 8, 8]),
        ("pspnet_mobilenet_v2", {"backbone": "resnet18"}, [2, 4, 8, 16, 16]),
        ("deeplab_v3_mobilenet_v2", {"backbone": "vgg11"}, [2, 4, 8, 16, 32]),  # cannot be dilated
        ("deeplab_v3_mobilenet_v2", {"backbone": "timm:resnet10t", "output_stride": 8}, [2, 4, 8]),
        ("deeplab_v3_mobilenet_v2", {"backbone": "cifar_resnet20"}, [1, 2, 4]),
    ],
)
def test_output_stride_reaches_the_backbone(name, options, strides):
    with torch.device("meta"):
        model = find_model(name).build(2, **options)
    assert [spec.stride for spec in model.backbone.features] == strides
    assert model.answer_stride == (4 if "plus" in name else strides[-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "vgg11", "output_stride": 16}, "vgg11 cannot be dilated: its maps end at a stride of 32"),
        ({"backbone": "timm:vgg11", "output_stride": 16}, "timm:vgg11 cannot be dilated by timm"),
        ({"output_stride": 6}, "output_stride must be one of 2, 4, 8, 16, 32"),
        ({"multi_grid": [1, 2]}, "multi_grid needs a whole number of 1 or more for each of the 4 blocks"),
        ({"backbone": "resnet-50"}, "there is no backbone 'resnet-50'"),
    ],
)
def test_backbones_that_cannot_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        find_model("deeplab_v3_mobilenet_v2").build(2, **options)


def test_multi_grid_reaches_the_backbone():
    model = find_model("deeplab_v3_resnet50").build(2, multi_grid=[1, 2, 4], output_stride=16)
    assert [block.conv2.dilation[0] for block in model.backbone.layer4] == [1, 4, 8]


def test_v3_plus_needs_a_fine_map():
    with pytest.raises(ConfigError, match="'ssd_vgg16' lacks c2"):
        find_model("deeplab_v3_plus_mobilenet_v2").build(2, backbone="ssd_vgg16")


def test_dilation_is_paid_for(capsys):
    """DX-108: the same weights on a map of 16 times as many cells."""
    entry = find_model("deeplab_v3_mobilenet_v2")
    coarse, fine = (
        describe_model(entry, num_classes=2, size=(128, 128), options={"output_stride": stride}) for stride in (32, 8)
    )
    assert coarse.num_parameters == fine.num_parameters
    assert fine.multiply_adds > 3 * coarse.multiply_adds


@pytest.mark.parametrize("name", ["deeplab_v3_mobilenet_v2", "deeplab_v3_plus_mobilenet_v2", "pspnet_mobilenet_v2"])
def test_auxiliary_heads_are_for_training_alone(name, make_images):
    model = find_model(name).build(3, auxiliary_weight=0.25)
    images, target = make_images((64, 64), (64, 64)), MaskTarget(labels=torch.zeros(2, 64, 64, dtype=torch.uint8))
    output = model.train()(images)
    losses = model.loss(output, target)
    wanted = 0.25 * functional.cross_entropy(output.auxiliary[:, 0], target.labels.long())
    torch.testing.assert_close(losses["auxiliary1"], wanted)
    assert model.eval()(images).auxiliary is None
    assert not find_model(name).build(3, auxiliary_weight=0).auxiliary


def test_aligned_corners_take_any_canvas(make_images):
    """DeepLab's 513 pixels are a multiple of the stride plus 1; padding to a multiple would undo it."""
    model = find_model("deeplab_v3_plus_mobilenet_v2").build(2, align_corners=True).eval()
    assert model.stride == 1
    with torch.no_grad():
        output = model(make_images((65, 97)))
    assert output.logits.shape == (1, 2, 65, 97)


def test_segmenter_refuses_what_is_not_there():
    backbone = find_backbone("resnet18")()
    with pytest.raises(ConfigError, match="no feature 'c9'"):
        Segmenter(backbone, 2, head=nn.Conv2d(512, 2, 1), auxiliary={"c9": nn.Identity()})
    with pytest.raises(ConfigError, match="auxiliary_weight must be 0 or more"):
        Segmenter(backbone, 2, head=nn.Conv2d(512, 2, 1), auxiliary_weight=-1.0)


def test_dilated_backbone_falls_back_to_its_own_strides():
    options = {"usual": "resnet50", "usual_stride": 16}
    assert dilated_backbone("vgg11", output_stride=None, **options).features[-1].stride == 32
    assert dilated_backbone("resnet18", output_stride=None, **options).features[-1].stride == 16
    assert chosen_backbone("vgg11", usual="vgg11", norm=None, output_stride=32).features[-1].stride == 32
    with pytest.raises(ConfigError, match="lacks c9"):
        dilated_backbone("vgg11", output_stride=None, needs=("c9",), **options)
