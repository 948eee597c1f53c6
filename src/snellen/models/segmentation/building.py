"""Builders of segmenters by the names of their backbones."""

from collections.abc import Sequence

from torch import nn

from snellen.errors import ConfigError
from snellen.models.backbones import chosen_backbone, dilated_backbone
from snellen.models.segmentation.deeplab import deeplab_v3, deeplab_v3_plus, pspnet
from snellen.models.segmentation.fcn import dilated_fcn, skip_fcn
from snellen.models.segmentation.lraspp import lraspp
from snellen.models.segmentation.segmenter import AUXILIARY_WEIGHT, Segmenter
from snellen.models.segmentation.segnet import VGG16_DECODER, segnet
from snellen.models.segmentation.unet import unet
from snellen.models.segmentation.unet_paper import UNetPaper
from snellen.nn import IMAGENET_MEAN, IMAGENET_STD, FrozenBatchNorm, Norm, Padding, Upsampling

__all__ = [
    "build_deeplab_v3",
    "build_deeplab_v3_plus",
    "build_dilated_fcn",
    "build_lraspp",
    "build_pspnet",
    "build_segnet",
    "build_skip_fcn",
    "build_unet",
    "build_unet_paper",
]

_SEGNET_ENCODER = "vgg16"
_DETAIL_STRIDE = 8  # px; of the map whose scores LR-ASPP adds


def build_unet(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    decoder_channels: Sequence[int] | None = None,
    upsampling: Upsampling = "nearest",
    up_kernel: int = 2,
    deep_supervision: bool = False,
    auxiliary_weight: float = AUXILIARY_WEIGHT,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return U-Net; see ``unet``."""
    return unet(
        chosen_backbone(backbone, usual=usual, norm=norm, padding=padding), num_classes,
        decoder_channels=decoder_channels, upsampling=upsampling, up_kernel=up_kernel, norm=_own_norm(norm),
        deep_supervision=deep_supervision, auxiliary_weight=auxiliary_weight, mean=mean, std=std,
    )  # fmt: skip


def build_unet_paper(
    num_classes: int,
    *,
    width: int = 64,
    dropout: float = 0.5,
    norm: Norm | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> UNetPaper:
    """Return U-Net as published; see ``UNetPaper``. It has no norm layers."""
    if norm is not None:
        raise ConfigError("the published U-Net has no norm layers; leave norm out, or choose unet_resnet18.")
    return UNetPaper(
        num_classes, width=width, dropout=dropout, mean=IMAGENET_MEAN if mean is None else mean,
        std=IMAGENET_STD if std is None else std,
    )  # fmt: skip


def build_skip_fcn(
    usual: str,
    num_classes: int,
    *,
    finest: int,
    backbone: str,
    norm: Norm | None = None,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return FCN-32s, 16s or 8s; see ``skip_fcn``."""
    network = chosen_backbone(backbone, usual=usual, norm=norm, padding=padding)
    return skip_fcn(network, num_classes, finest=finest, mean=mean, std=std)


def build_dilated_fcn(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    output_stride: int | None = None,
    auxiliary_weight: float = 0.5,
    align_corners: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return torchvision's FCN; see ``dilated_fcn``. ``output_stride``: see ``dilated_backbone``; usually 8."""
    network = dilated_backbone(
        backbone, usual=usual, output_stride=output_stride, usual_stride=8, norm=norm, padding=padding
    )
    return dilated_fcn(
        network, num_classes, norm=_own_norm(norm), auxiliary_weight=auxiliary_weight, align_corners=align_corners,
        mean=mean, std=std,
    )  # fmt: skip


def build_segnet(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    num_convs: Sequence[int] | None = None,
    deep_supervision: bool = False,
    auxiliary_weight: float = AUXILIARY_WEIGHT,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return SegNet; see ``segnet``. On VGG-16 the decoder mirrors the encoder, as published."""
    if num_convs is None and backbone == _SEGNET_ENCODER:
        num_convs = VGG16_DECODER
    return segnet(
        chosen_backbone(backbone, usual=usual, norm=norm, padding=padding), num_classes, num_convs=num_convs,
        norm=_own_norm(norm), deep_supervision=deep_supervision, auxiliary_weight=auxiliary_weight, mean=mean,
        std=std,
    )  # fmt: skip


def build_deeplab_v3(  # noqa: PLR0913 - the options of a run
    usual_stride: int,
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    output_stride: int | None = None,
    dilated_entry: bool = False,
    multi_grid: Sequence[int] = (),
    width: int = 256,
    rates: Sequence[int] | None = None,
    image_pooling: bool = True,
    separable: bool = False,
    auxiliary_weight: float = 0.0,
    align_corners: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return DeepLabv3; see ``deeplab_v3``. Strides and dilation: see ``dilated_backbone``."""
    network = dilated_backbone(
        backbone, usual=usual, output_stride=output_stride, usual_stride=usual_stride, norm=norm, padding=padding,
        dilated_entry=dilated_entry, multi_grid=multi_grid,
    )  # fmt: skip
    return deeplab_v3(
        network, num_classes, width=width, rates=rates, image_pooling=image_pooling, separable=separable,
        norm=_own_norm(norm), auxiliary_weight=auxiliary_weight, align_corners=align_corners, mean=mean, std=std,
    )  # fmt: skip


def build_deeplab_v3_plus(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    output_stride: int | None = None,
    dilated_entry: bool = False,
    multi_grid: Sequence[int] = (),
    width: int = 256,
    rates: Sequence[int] | None = None,
    image_pooling: bool = True,
    separable: bool = True,
    auxiliary_weight: float = 0.0,
    align_corners: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return DeepLabv3+; see ``deeplab_v3_plus``. ``output_stride`` is usually 16."""
    network = dilated_backbone(
        backbone, usual=usual, output_stride=output_stride, usual_stride=16, norm=norm, padding=padding,
        needs=("c2",), dilated_entry=dilated_entry, multi_grid=multi_grid,
    )  # fmt: skip
    return deeplab_v3_plus(
        network, num_classes, width=width, rates=rates, image_pooling=image_pooling, separable=separable,
        norm=_own_norm(norm), auxiliary_weight=auxiliary_weight, align_corners=align_corners, mean=mean, std=std,
    )  # fmt: skip


def build_pspnet(  # noqa: PLR0913 - the options of a run
    usual_stride: int,
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    output_stride: int | None = None,
    width: int = 512,
    bins: Sequence[int] = (1, 2, 3, 6),
    auxiliary_weight: float = AUXILIARY_WEIGHT,
    align_corners: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return PSPNet; see ``pspnet``. Strides: see ``dilated_backbone``."""
    network = dilated_backbone(
        backbone, usual=usual, output_stride=output_stride, usual_stride=usual_stride, norm=norm, padding=padding
    )
    return pspnet(
        network, num_classes, width=width, bins=bins, norm=_own_norm(norm), auxiliary_weight=auxiliary_weight,
        align_corners=align_corners, mean=mean, std=std,
    )  # fmt: skip


def build_lraspp(  # noqa: PLR0913 - the options of a run
    usual: str,
    num_classes: int,
    *,
    backbone: str,
    output_stride: int | None = None,
    dilated_entry: bool = False,
    detail: str | None = None,
    width: int = 128,
    align_corners: bool = False,
    norm: Norm = nn.BatchNorm2d,
    padding: Padding = "torch",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Segmenter:
    """Return LR-ASPP; see ``lraspp``. ``output_stride`` is usually 16, ``detail`` the first map at a stride of 8."""
    network = dilated_backbone(
        backbone, usual=usual, output_stride=output_stride, usual_stride=16, norm=norm, padding=padding,
        dilated_entry=dilated_entry,
    )  # fmt: skip
    at_8 = [spec.name for spec in (*network.inner, *network.features) if spec.stride == _DETAIL_STRIDE]
    return lraspp(
        network, num_classes, detail=(at_8 or ["c3"])[0] if detail is None else detail, width=width,
        norm=_own_norm(norm), align_corners=align_corners, mean=mean, std=std,
    )  # fmt: skip


def _own_norm(norm: Norm | None) -> Norm:
    """Return the norm of what stands on a backbone: frozen statistics would only switch off what begins at random."""
    return nn.BatchNorm2d if norm is None or norm is FrozenBatchNorm else norm
