"""Transforms that work without tuning, one pair for each type of target."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from snellen.data.transforms.class_crops import ClassBalancedCrop
from snellen.data.transforms.colour import photometric_distort
from snellen.data.transforms.geometry import (
    ResizeExact,
    ResizeShortSide,
    ZoomToSize,
    center_crop,
    horizontal_flip,
    iou_crop,
    random_resized_crop,
)
from snellen.data.transforms.transform import Compose, Transform
from snellen.errors import InputError
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Target, ValueTarget

__all__ = ["DEFAULT_STRENGTH", "Resize", "evaluation_transform", "max_side_of", "training_transform"]

Resize = Literal["short", "square", "letterbox", "squeeze"]
DEFAULT_STRENGTH = 0.5  # halfway between no augmentation and the ranges of the cited papers
_LONG_OVER_SHORT = 5 / 3  # Ren et al. 2015 resize to 600 x 1000, torchvision to 800 x 1333
_CENTER_SHARE = 0.875  # of the resized short side; 224 of 256, He et al. 2016
_NUM_SCALES = 5  # short sides to draw from; more would only make batches more ragged


def max_side_of(size: int) -> int:
    """Return the most pixels of the long side for a short side of ``size``."""
    return int(size * _LONG_OVER_SHORT)


def training_transform(
    target_type: type[Target],
    size: int,
    *,
    strength: float = DEFAULT_STRENGTH,
    flip: bool = True,
    resize: Resize = "short",
    look: Transform | None = None,
    crop: int | None = None,
    balanced_crops: float = 0.0,
) -> Transform:
    """Return augmentation and resizing for training.

    Args:
        target_type: What the samples carry.
        size: Side of the image for what is said of whole images, short side for boxes and masks; pixels.
        strength: 0 (resize only) to 1 (the ranges of the papers).
        flip: Whether mirror images are still right; they are not for letters.
        resize: For boxes: ``short`` fits the short side to ``size``, ``letterbox`` the long side, ``square`` squeezes
            the image into a square (SSD, YOLOv1). For classes: ``squeeze`` squeezes the whole image into a square in
            evaluation, where the others cut a square out of its middle.
        look: What stands in place of the usual change of colours.
        crop: Side of the square that is cut out of images with label maps; None for the size of the evaluation.
        balanced_crops: Share of those cuts that hold a pixel of a class drawn evenly from those shown.

    Raises:
        InputError: If a number is out of range, or a cut is wanted of images without label maps.
    """
    if not 0 <= strength <= 1:
        raise InputError(f"strength of the augmentation must lie in 0..1; got {strength}.")
    _check_size(size)
    if crop is None and not balanced_crops:
        steps = [*_TRAINING[target_type](size, strength, resize)]
    else:
        steps = [_cut_labels(target_type, size, strength, crop=crop, balanced=balanced_crops)]
    if flip:
        steps.append(horizontal_flip())
    if look is not None:
        steps.append(look)
    elif strength:
        steps.append(photometric_distort(strength))
    return Compose(*steps)


def evaluation_transform(target_type: type[Target], size: int, *, resize: Resize = "short") -> Transform:
    """Return the resizing for evaluation and prediction; nothing in it is random.

    Args:
        target_type: What the samples carry.
        size: As for ``training_transform``.
        resize: As for ``training_transform``.

    Raises:
        InputError: If the size is out of range.
    """
    _check_size(size)
    return _EVALUATION[target_type](size, resize)


def _check_size(size: int) -> None:
    if size < 1:
        raise InputError(f"size of the images must be 1 pixel or more; got {size}.")


def _scales(size: int, smallest: float, greatest: float) -> tuple[int, ...]:
    step = (greatest - smallest) / (_NUM_SCALES - 1)
    return tuple(max(round(size * (smallest + step * number)), 1) for number in range(_NUM_SCALES))


def _for_boxes(size: int, strength: float, resize: Resize) -> tuple[Transform, ...]:
    if not strength:
        return (_fitted(size, resize),)
    crop = iou_crop(0.5 * strength)
    if resize == "square":
        return crop, ResizeExact((size, size))
    # Scales go down only: detectron2 trains at 640-800 to test at 800.
    short_sides = _scales(size, 1 - 0.4 * strength, 1.0)
    return crop, ResizeShortSide(short_sides, max_side=size if resize == "letterbox" else max_side_of(size))


def _fitted(size: int, resize: Resize) -> Transform:
    if resize == "square":
        return ResizeExact((size, size))
    return ResizeShortSide(size, max_side=size if resize == "letterbox" else max_side_of(size))


def _for_classes(size: int, strength: float, resize: Resize) -> tuple[Transform, ...]:
    if not strength:
        return (_centered(size, resize),)
    return (random_resized_crop(size, area_range=(1 - 0.92 * strength, 1.0)),)  # 0.08 at 1, Szegedy et al. 2015


def _for_labels(size: int, strength: float, resize: Resize) -> tuple[Transform, ...]:
    if not strength:
        return (_resized(size, resize),)
    return (ZoomToSize(_label_scales(size, strength), short_side=size, max_side=max_side_of(size)),)


def _label_scales(size: int, strength: float) -> tuple[int, ...]:
    return _scales(size, 1 - 0.5 * strength, 1 + strength)  # 0.5-2 at 1, Chen et al. 2017, section 4.1


def _cut_labels(
    target_type: type[Target], size: int, strength: float, *, crop: int | None, balanced: float
) -> Transform:
    if target_type is not MaskTarget or (crop is not None and crop < 1):
        raise InputError(
            f"crop and balanced_crops are for images with label maps, and crop is 1 pixel or more; got "
            f"{target_type.__name__} and {crop}. Leave them out."
        )
    if strength:
        scales = _label_scales(size, strength)
        return ZoomToSize(scales, short_side=size, max_side=max_side_of(size), cut=crop, balanced=balanced)
    whole = ResizeShortSide(size, max_side=max_side_of(size))
    return whole if crop is None else Compose(whole, ClassBalancedCrop((crop, crop), probability=balanced))


def _resized(size: int, resize: Resize) -> Transform:
    del resize  # for boxes only
    return ResizeShortSide(size, max_side=max_side_of(size))


def _centered(size: int, resize: Resize) -> Transform:
    if resize == "squeeze":
        return ResizeExact((size, size))
    short_side = round(size / _CENTER_SHARE)
    return Compose(ResizeShortSide(short_side, max_side=100 * short_side), center_crop(size))


def _for_label_sets(size: int, strength: float, resize: Resize) -> tuple[Transform, ...]:
    if not strength:
        return (_squeezed(size, resize),)
    larger = round(size / _CENTER_SHARE)
    # Less is cut off than for one class: what gives an image a label may lie at its edge.
    return ResizeExact((larger, larger)), random_resized_crop(size, area_range=(1 - 0.5 * strength, 1.0))


def _for_values(size: int, strength: float, resize: Resize) -> tuple[Transform, ...]:
    del strength  # a cut changes sizes, places and counts
    return (_squeezed(size, resize),)


def _squeezed(size: int, resize: Resize) -> Transform:
    """Return the whole image in a square, as Ridnik et al. 2021 ("Asymmetric loss") look at label sets."""
    del resize  # the whole image counts, whatever the network
    return ResizeExact((size, size))


_TRAINING: Mapping[type[Target], Callable[[int, float, Resize], tuple[Transform, ...]]] = MappingProxyType(
    {
        BoxTarget: _for_boxes,
        ClassTarget: _for_classes,
        LabelSetTarget: _for_label_sets,
        MaskTarget: _for_labels,
        ValueTarget: _for_values,
    }
)
_EVALUATION: Mapping[type[Target], Callable[[int, Resize], Transform]] = MappingProxyType(
    {
        BoxTarget: _fitted,
        ClassTarget: _centered,
        LabelSetTarget: _squeezed,
        MaskTarget: _resized,
        ValueTarget: _squeezed,
    }
)
