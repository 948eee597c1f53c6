"""Batches for training, as a run's record says."""

from collections.abc import Mapping
from typing import Any

from snellen.data import (
    BatchLoader,
    Compose,
    CopyPaste,
    DatasetIndex,
    ImageDataset,
    Mix,
    Mixing,
    MixUp,
    Mosaic,
    MultiScale,
    Transform,
    ssd_transform,
    training_transform,
)
from snellen.data.transforms import photometric_distort
from snellen.recipes.proposing import region_source
from snellen.recipes.sampling import training_sampler

__all__ = ["training_loader"]

_MIXUP_ALPHA = 0.2  # Zhang et al. 2018, section 3.1, for classes


def training_loader(index: DatasetIndex, record: Mapping[str, Any], stride: int) -> BatchLoader:
    """Return the augmented batches of the training split."""
    part = index.split("train")
    raw = ImageDataset(
        part, masks=record["masks"] or bool(record["copy_paste"]), regions=region_source(record, index.root)
    )
    steps = [Mixing(mix, raw.untransformed, len(part)) for mix in _mixes(record)]
    change = Compose(*steps, _training_transform(index, record))
    dataset = ImageDataset(part, change, masks=raw.masks, regions=raw.regions)
    sampler = training_sampler(part, record.get("sampler", "shuffled"))
    factors = record["multi_scale"]
    return BatchLoader(
        dataset=dataset,
        batch_size=record["batch_size"],
        stride=stride,
        sampler=sampler,
        seed=record["settings"]["seed"],
        workers=record["workers"],
        drop_last=len(sampler) > record["batch_size"],  # a last batch of one image starves batch norm
        multi_scale=None if factors is None else MultiScale(factors=(factors[0], factors[1])),
    )


def _training_transform(index: DatasetIndex, record: Mapping[str, Any]) -> Transform:
    if record["augmentation"] == "ssd" and record["augment"]:
        return ssd_transform(record["image_size"], flip=record["flip"], strength=record["augment"])
    if record["proposals"] is not None:
        # A crop around objects would take any proposal for one: images are mirrored, and changed in colour.
        plain = training_transform(
            index.target_type, record["image_size"], strength=0, flip=record["flip"], resize=record["resize"]
        )
        return Compose(plain, photometric_distort(record["augment"])) if record["augment"] else plain
    return training_transform(
        index.target_type,
        record["image_size"],
        strength=record["augment"],
        flip=record["flip"],
        resize=record["resize"],
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
