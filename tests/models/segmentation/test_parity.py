"""Segmenters against torchvision's and segmentation_models_pytorch's, on weights made here (SYS-051 to SYS-053)."""

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import nn
from torch.nn import functional

from snellen.models import find_model, load_weights
from snellen.models.backbones import chosen_backbone
from snellen.models.segmentation import (
    AtrousPyramid,
    DetailDecoder,
    ImagePooling,
    PyramidPooling,
    Segmenter,
    deeplab_v3,
)
from snellen.models.segmentation.context import dilated_conv

SIZE = (72, 96)
FULL = (80, 96)  # px; of whole cells of stride 16, which a batch is padded to


def moved(network: nn.Module) -> nn.Module:
    """Norms with statistics and scales that are not those of a new network, so that they would be missed."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in (
                (module.weight, 0.5),
                (module.running_var, 0.5),
                (module.bias, -0.2),
                (module.running_mean, -0.2),
            ):
                values.data.copy_(low + torch.rand(values.shape, generator=generator) * abs(low))
    return network.eval()


def same_logits(ours: Segmenter, theirs: nn.Module, images, key: str | None = None) -> None:
    x = ours.normalize(images)
    with torch.no_grad():
        found, wanted = ours.eval()(images).logits, theirs(x)
    wanted = wanted if key is None else wanted[key]
    torch.testing.assert_close(found, wanted, atol=float(1e-4 * wanted.abs().max()), rtol=1e-4)


def loaded(ours: nn.Module, theirs: nn.Module, folder) -> None:
    torch.save(theirs.state_dict(), folder / "weights.pth")
    report = load_weights(ours, folder / "weights.pth")
    assert not report.missing
    assert not report.unexpected
    assert not report.reshaped


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("fcn_resnet50", "fcn_resnet50"),
        ("deeplab_v3_resnet50", "deeplabv3_resnet50"),
        pytest.param("fcn_resnet101", "fcn_resnet101", marks=pytest.mark.slow),
        pytest.param("deeplab_v3_resnet101", "deeplabv3_resnet101", marks=pytest.mark.slow),
    ],
)
def test_torchvisions_state_dict_gives_its_logits(name, other, tmp_path, make_images):
    """SYS-047, SYS-050, SYS-051."""
    torch.manual_seed(0)
    build = getattr(torchvision.models.segmentation, other)
    theirs = moved(build(weights=None, weights_backbone=None, aux_loss=True, num_classes=21))
    ours = find_model(name).build(21, auxiliary_weight=0.5)
    loaded(ours, theirs, tmp_path)
    images = make_images(SIZE, SIZE)
    same_logits(ours, theirs, images, "out")
    with torch.no_grad():
        head = ours.auxiliary["c4"]
        found = head(ours.backbone(ours.normalize(images))["c4"])
    wanted = theirs(ours.normalize(images))["aux"].detach()
    found = functional.interpolate(found, SIZE, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, wanted, atol=float(1e-4 * wanted.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("has_auxiliary", [True, False])
def test_torchvisions_deeplab_on_mobilenet_v3(has_auxiliary, tmp_path, make_images):
    """Howard et al. 2019's network dilated as torchvision does, its pyramid of 12, 24, 36, its head at stride 8."""
    torch.manual_seed(0)
    theirs = moved(
        torchvision.models.segmentation.deeplabv3_mobilenet_v3_large(
            weights=None, weights_backbone=None, aux_loss=has_auxiliary, num_classes=21
        )
    )
    ours = find_model("deeplab_v3_mobilenet_v3_large").build(21, auxiliary_weight=0.5 * has_auxiliary)
    loaded(ours, theirs, tmp_path)
    images = make_images(FULL, FULL)
    same_logits(ours, theirs, images, "out")
    if has_auxiliary:
        with torch.no_grad():
            x = ours.normalize(images)
            found = ours.auxiliary["c3a"](ours.backbone(x, inner=True)["c3a"])
            wanted = theirs(x)["aux"]
        found = functional.interpolate(found, FULL, mode="bilinear", align_corners=False)
        torch.testing.assert_close(found, wanted, atol=float(1e-4 * wanted.abs().max()), rtol=1e-4)


def test_torchvisions_lraspp(tmp_path, make_images):
    torch.manual_seed(0)
    build = torchvision.models.segmentation.lraspp_mobilenet_v3_large
    theirs = moved(build(weights=None, weights_backbone=None, num_classes=21))
    ours = find_model("lraspp_mobilenet_v3_large").build(21)
    loaded(ours, theirs, tmp_path)
    same_logits(ours, theirs, make_images(FULL, FULL), "out")


def test_number_of_parameters_is_torchvisions():
    """As on https://docs.pytorch.org/vision/stable/models.html, with the auxiliary head where there is one."""
    with_auxiliary = {"auxiliary_weight": 0.5}
    for name, wanted, options in (
        ("deeplab_v3_resnet50", 42004074, with_auxiliary),
        ("fcn_resnet50", 35322218, with_auxiliary),
        ("deeplab_v3_mobilenet_v3_large", 11029328, with_auxiliary),
        ("lraspp_mobilenet_v3_large", 3221538, {}),
    ):
        with torch.device("meta"):
            model = find_model(name).build(21, **options)
        assert sum(p.numel() for p in model.parameters()) == wanted


def dilated_as_theirs(name: str, output_stride: int) -> nn.Module:
    """Their first convolution of a stage has the dilation of the others; the grid that it sees wants that before."""
    return chosen_backbone(name, usual=name, output_stride=output_stride, dilated_entry=True)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_deeplab_v3_of_segmentation_models_pytorch(name, tmp_path, make_images):
    torch.manual_seed(0)
    theirs = moved(smp.DeepLabV3(name, encoder_weights=None, classes=5, encoder_output_stride=8, decoder_channels=32))
    ours = deeplab_v3(dilated_as_theirs(name, 8), 5, width=32, align_corners=True)
    loaded(ours, theirs, tmp_path)
    same_logits(ours, theirs, make_images(SIZE, SIZE))


def copied(theirs: nn.Module, ours: nn.Module) -> None:
    """Values in the order in which they stand in both."""
    values, places = list(theirs.state_dict().values()), ours.state_dict()
    assert [tuple(value.shape) for value in values] == [tuple(place.shape) for place in places.values()]
    ours.load_state_dict(dict(zip(places, values, strict=True)))
    ours.eval()


class _SmpContext(nn.Module):
    """Their v3+ has one more separable convolution behind the pyramid."""

    def __init__(self, pyramid: AtrousPyramid, width: int) -> None:
        super().__init__()
        self.pyramid, self.refine, self.out_channels = pyramid, dilated_conv(width, width, 1, separable=True), width

    def forward(self, x, cells):
        return self.refine(self.pyramid(x, cells))


def test_deeplab_v3_plus_of_segmentation_models_pytorch(make_images):
    """SYS-050, SYS-052: our parts put together as theirs: one convolution more before, one less behind the fine map."""
    torch.manual_seed(0)
    width = 32
    theirs = moved(smp.DeepLabV3Plus("resnet18", encoder_weights=None, classes=5, decoder_channels=width))
    backbone = dilated_as_theirs("resnet18", 16)
    c2 = next(spec for spec in backbone.features if spec.name == "c2")
    ours = Segmenter(
        backbone,
        5,
        context=_SmpContext(AtrousPyramid(512, width, rates=(12, 24, 36), separable=True), width),
        decoder=DetailDecoder(width, 16, c2, width=width, num_convs=1, separable=True, align_corners=True),
        head=nn.Conv2d(width, 5, 1),
        align_corners=True,
    )
    copied(theirs.encoder, ours.backbone)
    aspp = theirs.decoder.aspp[0]
    copied(aspp.convs[:4], ours.context.pyramid.convs)
    copied(aspp.convs[4], ours.context.pyramid.pooling)
    copied(aspp.project, ours.context.pyramid.project)
    copied(theirs.decoder.aspp[1:], ours.context.refine)
    copied(theirs.decoder.block1, ours.decoder.reduce)
    copied(theirs.decoder.block2, ours.decoder.refine)
    copied(theirs.segmentation_head, ours.head)
    same_logits(ours, theirs, make_images((64, 96), (64, 96)))


def test_the_pyramid_of_pspnet_of_segmentation_models_pytorch():
    """Their branches of 2, 3 and 6 bins; the one of a single bin has no norm there."""
    torch.manual_seed(0)
    theirs = moved(smp.decoders.pspnet.decoder.PSPModule(16, (2, 3, 6)))
    context = PyramidPooling(16, 8, bins=(2, 3, 6), align_corners=True).eval()
    for branch, block in zip(context.branches, theirs.blocks, strict=True):
        copied(block, branch)
    x = torch.randn(2, 16, 11, 13)
    with torch.no_grad():
        found = torch.cat([branch(x, torch.tensor([[11, 13]] * 2)) for branch in context.branches], dim=1)
        wanted = theirs(x)[:, : found.shape[1]]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("side", [1, 3])
def test_image_pooling_is_torchs_adaptive_pool_and_interpolation(side):
    torch.manual_seed(0)
    layer = moved(ImagePooling(6, 4, side=side))
    x = torch.randn(2, 6, 7, 9)
    with torch.no_grad():
        wanted = functional.interpolate(layer.conv(functional.adaptive_avg_pool2d(x, side)), (7, 9), mode="bilinear")
        torch.testing.assert_close(layer(x, torch.tensor([[7, 9]] * 2)), wanted, atol=1e-5, rtol=1e-4)
