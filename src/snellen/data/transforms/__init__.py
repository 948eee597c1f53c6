"""Transforms of samples: torchvision's for one image, our own for several, and presets."""

from snellen.data.transforms.appearance import (
    MAX_LEVEL,
    MAX_MAGNITUDE,
    GaussianNoise,
    RandomErasing,
    rand_augment,
)
from snellen.data.transforms.class_crops import ClassBalancedCrop
from snellen.data.transforms.colour import colour_jitter, gaussian_blur, photometric_distort
from snellen.data.transforms.cutmix import CutMix, MixingAfter
from snellen.data.transforms.enhancing import Enhance
from snellen.data.transforms.geometry import (
    ResizeExact,
    ResizeShortSide,
    ZoomToSize,
    affine,
    center_crop,
    horizontal_flip,
    iou_crop,
    random_crop,
    random_resized_crop,
    scale_jitter,
    short_side_size,
    vertical_flip,
    zoom_out,
)
from snellen.data.transforms.mixing import CopyPaste, Mix, Mixing, MixUp, Mosaic
from snellen.data.transforms.presets import (
    DEFAULT_STRENGTH,
    Resize,
    evaluation_transform,
    max_side_of,
    training_transform,
)
from snellen.data.transforms.ssd import ssd_transform
from snellen.data.transforms.transform import (
    MIN_VISIBLE,
    Compose,
    TorchvisionTransform,
    Transform,
)

__all__ = [
    "DEFAULT_STRENGTH",
    "MAX_LEVEL",
    "MAX_MAGNITUDE",
    "MIN_VISIBLE",
    "ClassBalancedCrop",
    "Compose",
    "CopyPaste",
    "CutMix",
    "Enhance",
    "GaussianNoise",
    "Mix",
    "MixUp",
    "Mixing",
    "MixingAfter",
    "Mosaic",
    "RandomErasing",
    "Resize",
    "ResizeExact",
    "ResizeShortSide",
    "TorchvisionTransform",
    "Transform",
    "ZoomToSize",
    "affine",
    "center_crop",
    "colour_jitter",
    "evaluation_transform",
    "gaussian_blur",
    "horizontal_flip",
    "iou_crop",
    "max_side_of",
    "photometric_distort",
    "rand_augment",
    "random_crop",
    "random_resized_crop",
    "scale_jitter",
    "short_side_size",
    "ssd_transform",
    "training_transform",
    "vertical_flip",
    "zoom_out",
]
