"""How training images are changed and mixed, as a run's record says, and what kinds of targets stand it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from snellen.data import DatasetIndex, ImageDataset
from snellen.data.transforms import (
    Compose,
    CopyPaste,
    CutMix,
    GaussianNoise,
    Mix,
    Mixing,
    MixingAfter,
    MixUp,
    Mosaic,
    RandomErasing,
    Transform,
    photometric_distort,
    rand_augment,
    ssd_transform,
    training_transform,
)
from snellen.errors import ConfigError
from snellen.recipes.options import TrainOptions
from snellen.structures import BoxTarget, ClassTarget, LabelSetTarget, MaskTarget, Target, ValueTarget

__all__ = ["SHARES", "STANDS", "check_augmentation", "check_cuts", "training_change"]

_MIXUP_ALPHA = 0.2  # Zhang et al. 2018, section 3.1, for classes
# Options that are shares of the training images.
SHARES = ("mosaic", "mixup", "copy_paste", "cutmix", "erase", "balanced_crops")
_WHOLE = (ClassTarget, LabelSetTarget, ValueTarget)

# What each change keeps right, by option.
STANDS: Mapping[str, tuple[type[Target], ...]] = MappingProxyType(
    {
        "mosaic": (BoxTarget, MaskTarget),
        "mixup": (BoxTarget, *_WHOLE),
        "copy_paste": (BoxTarget,),
        "cutmix": (ClassTarget, LabelSetTarget, MaskTarget),
        "erase": (BoxTarget, *_WHOLE),
        "randaugment": _WHOLE,
        "crop": (MaskTarget,),
        "balanced_crops": (MaskTarget,),
    }
)


def check_augmentation(options: TrainOptions, target_type: type[Target]) -> None:
    """Raise ConfigError for a change of images after which targets of a type would not be right."""
    for name, kinds in STANDS.items():
        if getattr(options, name) and target_type not in kinds:
            known = ", ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{name} keeps {known} right; the data set has {target_type.__name__}. Leave {name} out.")


def check_cuts(options: TrainOptions, augment: float) -> None:
    """Raise ConfigError if it is said how training images are cut, but none is."""
    if options.balanced_crops and options.crop is None and not augment:
        raise ConfigError(
            "balanced_crops says where training images are cut; without augmentation and without a crop none is. Add "
            "crop=N, the side of a square in pixels, or give augment a strength."
        )


def training_change(index: DatasetIndex, raw: ImageDataset, record: Mapping[str, Any]) -> Transform:
    """Return everything that happens to an image of the training split, resizing included.

    Args:
        index: The data set.
        raw: Its training images, as they are in their files.
        record: Of the run.
    """
    single = _single(index, record)
    before = [Mixing(mix, raw.untransformed, len(raw)) for mix in _mixes(record)]
    share = record.get("cutmix", 0.0)
    if not share:
        return Compose(*before, single)
    # Behind what cuts, for the label is the share of each image that is left.
    return Compose(*before, single, MixingAfter(CutMix(probability=share), raw.untransformed, len(raw), single))


def _single(index: DatasetIndex, record: Mapping[str, Any]) -> Transform:
    steps = [_resized(index, record)]
    if record.get("noise"):
        steps.append(GaussianNoise(record["noise"]))
    if record.get("erase"):
        steps.append(RandomErasing(probability=record["erase"]))
    return Compose(*steps) if len(steps) > 1 else steps[0]


def _resized(index: DatasetIndex, record: Mapping[str, Any]) -> Transform:
    if record["augmentation"] == "ssd" and record["augment"]:
        return ssd_transform(record["image_size"], flip=record["flip"], strength=record["augment"])
    if record["proposals"] is not None:
        # A crop around objects would take any proposal for one: images are mirrored, and changed in colour.
        plain = training_transform(
            index.target_type, record["image_size"], strength=0, flip=record["flip"], resize=record["resize"]
        )
        return Compose(plain, photometric_distort(record["augment"])) if record["augment"] else plain
    operations = record.get("randaugment")
    return training_transform(
        index.target_type,
        record["image_size"],
        strength=record["augment"],
        flip=record["flip"],
        resize=record["resize"],
        look=None if operations is None else rand_augment(*operations),
        crop=record.get("crop"),
        balanced_crops=record.get("balanced_crops", 0.0),
    )


def _mixes(record: Mapping[str, Any]) -> list[Mix]:
    mixes: list[Mix] = []
    if record["copy_paste"]:
        mixes.append(CopyPaste(probability=record["copy_paste"]))
    if record["mosaic"]:
        mixes.append(Mosaic(record["image_size"], probability=record["mosaic"]))
    if record["mixup"]:
        mixes.append(MixUp(_MIXUP_ALPHA, probability=record["mixup"]))
    return mixes
